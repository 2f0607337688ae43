"""What went through a connection: sessions, streams, bytes and datagrams, counted so that the sums hold.

Nothing is counted per packet or per write here: a session has its figures in its flow control and hands them over when
it ends. Only what is rare (a stream's end, bytes that were thrown away) is counted as it happens.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import compress
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .engine import Engine
    from .session import SessionCore

__all__ = ["SessionTally", "TrafficStats", "add_traffic", "no_traffic", "traffic_of"]


@dataclass(kw_only=True)  # without slots: what is zero stands on the class, see `no_traffic`
class TrafficStats:
    """Totals of one connection since its beginning, or of several; bytes are those of stream data, without headers.

    Once both ends are quiet and while the connection lasts, what one end sent the other has received: `bytes_sent`
    equals the peer's `bytes_received`. On each end `bytes_received` is what the program read, plus `bytes_discarded`,
    plus what still waits to be read; and what the program wrote is `bytes_sent` plus `bytes_dropped`. Likewise
    `sessions_opened` is `sessions_closed` plus those that are open, and `streams_opened` is `streams_closed` plus
    `streams_aborted` plus those that are not over.

    Attributes:
        sessions_opened: sessions that were accepted.
        sessions_closed: those of them that are over, in whatever way.
        sessions_rejected: requests that came to nothing: refused by the server, or withdrawn by the client.
        streams_opened: streams of sessions, of both directions and either end.
        streams_closed: those that ended in order, with a FIN on each side that can send.
        streams_aborted: those that ended with a reset, a stop request, or their session.
        streams_unclaimed: streams of the peer that never came to a session: it was over, or did not come, or the
            stream was reset before it said to which one it belongs.
        bytes_sent: bytes handed to the transport, without those taken back before they were sent.
        bytes_dropped: bytes that the program wrote and that were taken back: their stream was aborted.
        bytes_received: bytes that the peer sent, also those of aborted streams that never arrived.
        bytes_discarded: those of them that the program did not get.
        datagrams_sent: datagrams handed to the transport; the network may lose them.
        datagrams_unsent: those of them that never left, as packets had become too small for them: the path took no
            larger ones any more, or the peer a longer connection id. A session does not know its own.
        datagrams_received: datagrams that arrived.
        datagrams_dropped: those of them that the program did not get: too many waited already, or their session was
            not there.
    """

    sessions_opened: int = 0
    sessions_closed: int = 0
    sessions_rejected: int = 0
    streams_opened: int = 0
    streams_closed: int = 0
    streams_aborted: int = 0
    streams_unclaimed: int = 0
    bytes_sent: int = 0
    bytes_dropped: int = 0
    bytes_received: int = 0
    bytes_discarded: int = 0
    datagrams_sent: int = 0
    datagrams_unsent: int = 0
    datagrams_received: int = 0
    datagrams_dropped: int = 0

    def __add__(self, other: TrafficStats) -> TrafficStats:
        """Return the totals of both."""
        total = TrafficStats()
        total.add(self)
        total.add(other)
        return total

    def add(self, other: TrafficStats) -> None:
        """Count what another one counted."""
        values = _values(other)
        for name, value in compress(zip(_NAMES, values, strict=True), values):  # most are zero
            setattr(self, name, getattr(self, name) + value)

    def count_late_bytes(self, nbytes: int) -> None:
        """Count bytes of the peer that nobody will read, as their session is over or never came."""
        self.bytes_received += nbytes
        self.bytes_discarded += nbytes

    def count_late_datagrams(self, number: int) -> None:
        """Count datagrams for a session that is over or never came."""
        self.datagrams_received += number
        self.datagrams_dropped += number


def no_traffic() -> TrafficStats:
    """Return figures that are all zero, as every connection begins with them; setting each would take a while.

    They are not for programs: what was never counted is on the class only, so that `vars` does not show it.
    """
    return TrafficStats.__new__(TrafficStats)


_NAMES = tuple(field.name for field in fields(TrafficStats))
_values = attrgetter(*_NAMES)

_NO_STREAMS = [0, 0]  # of both directions


class SessionTally:
    """What a session counts beside its streams and its flow control. At its end all of it goes to the connection.

    Attributes:
        bytes_dropped: written bytes that will not be sent.
        bytes_discarded: bytes of the peer that nobody will read.
    """

    __slots__ = ("_is_settled", "_total", "bytes_discarded", "bytes_dropped")

    def __init__(self, total: TrafficStats) -> None:
        """Begin; `total` are the connection's figures."""
        self._total = total
        self._is_settled = False
        self.bytes_dropped = 0
        self.bytes_discarded = 0

    def discard(self, nbytes: int) -> None:
        """Count bytes of the peer that nobody will read; also after the end, when the program lets go of a stream."""
        self.bytes_discarded += nbytes
        if self._is_settled:
            self._total.bytes_discarded += nbytes

    def drop(self, nbytes: int, taken_back: int) -> None:
        """Count written bytes that will not be sent, of which so many had been handed to the transport."""
        self.bytes_dropped += nbytes
        if self._is_settled:
            self._total.bytes_dropped += nbytes
            self._total.bytes_sent -= taken_back

    def settle(self, session: SessionCore, *, was_open: bool) -> None:
        """Hand over to the connection's figures, once: the session is over."""
        if self._is_settled:
            return
        self._is_settled = True
        if was_open:
            if self._is_empty(session):
                self._total.sessions_opened += 1
            else:
                self._total.add(self.stats(session))
            self._total.sessions_closed += 1
        else:
            self._total.sessions_rejected += 1

    def _is_empty(self, session: SessionCore) -> bool:
        """Tell whether nothing but the session itself is to be counted: no stream, and no datagram."""
        flow = session.flow
        return (
            flow.send.streams_opened == flow.receive.streams_opened == _NO_STREAMS
            and not session.datagram_sender.sent
            and not session.datagrams.received
        )

    def stats(self, session: SessionCore) -> TrafficStats:
        """Return the figures of an accepted session."""
        flow = session.flow
        return TrafficStats(
            sessions_opened=1,
            streams_opened=sum(flow.send.streams_opened) + sum(flow.receive.streams_opened),
            streams_closed=session.streams_closed,
            streams_aborted=session.streams_aborted,
            bytes_sent=flow.send.data_sent,
            bytes_dropped=self.bytes_dropped,
            bytes_received=flow.receive.data_received,
            bytes_discarded=self.bytes_discarded,
            datagrams_sent=session.datagrams_sent,
            datagrams_received=session.datagrams_received,
            datagrams_dropped=session.datagrams.dropped_full,
        )


def traffic_of(engine: Engine) -> TrafficStats:
    """Return a connection's figures as of now, with those of the sessions that are open."""
    total = TrafficStats()
    add_traffic(engine, total)
    return total


def add_traffic(engine: Engine, total: TrafficStats) -> None:
    """Add what `traffic_of` returns to others' figures."""
    total.datagrams_unsent += engine.port.datagrams_dropped
    total.add(engine.traffic)
    for session in engine.sessions.values():
        if session.is_open:
            total.add(session.tally.stats(session))
