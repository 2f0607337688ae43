"""A stream table of the current twin, for a peer that allows a lot, with the events that it reported."""

from __future__ import annotations

from functools import cache
from typing import Any

from port_pair import limits
from quic_twins import current

from wtransport._quic.limits import PeerLimits, TransportLimits
from wtransport._quic.port import StreamOver

GENEROUS = PeerLimits(10**6, 10**5, 10**5, 10**5, 100, 100)


def make_table(*, is_client: bool = False, given: TransportLimits | None = None) -> Any:
    """Return a table of the current twin with the events it reported; streams that are over are done with at once."""
    return _table_class(current().StreamTable)(is_client=is_client, given=given)


@cache
def _table_class(base: type) -> type:
    class Table(base):
        def __init__(self, *, is_client: bool, given: TransportLimits | None) -> None:
            self.events: list = []
            super().__init__(is_client=is_client, limits=given or limits(), emit=self._report)
            self.remote = PeerLimits(**{name: getattr(GENEROUS, name) for name in PeerLimits.__slots__})

        def _report(self, event: object) -> None:
            if isinstance(event, StreamOver):
                self.release(event.stream_id)
            else:
                self.events.append(event)

        def finish_sending(self, stream_id: int) -> None:
            """Have the sending side's FIN acknowledged."""
            stream = self.streams[stream_id]
            if stream.send.is_open:
                self.write(stream, b"", True)
            while (frame := stream.send.next_frame(1000, 1000)) is not None:
                stream.send.on_frame_delivery(True, *frame[:3])
            self.forget_if_finished(stream)

    return Table
