"""A client's stream table with its frame writer, for tests of what is written into packets."""

from __future__ import annotations

from port_pair import limits
from quic_frames import PacketLoop
from quic_twins import current

from wtransport._quic.limits import PeerLimits


class FrameSender:
    """Both of them, and a peer that allows a lot unless told otherwise."""

    def __init__(self, **remote: int) -> None:
        self.events: list = []
        self.table = current().StreamTable(is_client=True, limits=limits(), emit=self.events.append)
        values = dict.fromkeys(PeerLimits.__slots__, 10**9) | {"max_streams_bidi": 1000, "max_streams_uni": 1000}
        self.table.remote = PeerLimits(**(values | remote))
        self.writer = current().FrameWriter(self.table)
        self.loop = PacketLoop(self.writer)

    def open(self, data: bytes = b"", *, fin: bool = False, unidirectional: bool = False) -> int:
        stream_id = self.table.open(unidirectional=unidirectional)
        if data or fin:
            self.table.write(self.table.streams[stream_id], data, fin)
        return stream_id

    def write(self, stream_id: int, data: bytes, *, fin: bool = False) -> None:
        self.table.write(self.table.streams[stream_id], data, fin)

    def frames(self, flight_bytes: int | None = None) -> list:
        return [frame for packet in self.loop.flush(flight_bytes) for frame in packet.frames]
