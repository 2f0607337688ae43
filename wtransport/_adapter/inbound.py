"""Received datagrams on their way to the connections of a listener: each connection gets its turn.

The kernel keeps the datagrams of everybody in one queue, in which one peer can stand before all others. So they are
taken out quickly, put into a queue for each connection, and worked off in turns that are bounded by time: what a packet
costs is up to whoever wrote it. Strangers, whose first packets cost most, share one queue.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from .._quic.port import NetworkAddress
from .._speedups import packets_size
from .outlet import Outlet
from .protocol import AdapterProtocol
from .udp_transport import READ_BATCH

__all__ = [
    "MAX_WAITING_BYTES",
    "MAX_WAITING_DATAGRAMS",
    "MAX_WAITING_STRANGERS",
    "MAX_WAITING_TIME",
    "MIN_WAITING_DATAGRAMS",
    "PIECE",
    "SLICE_TIME",
    "TURN_TIME",
    "Inbound",
    "Router",
]

MAX_WAITING_DATAGRAMS = 1024
"""Received datagrams of one connection that wait for their turn; more are dropped, as the kernel would. So many are in
flight when a fast sender fills a window of more than a MiB."""

MAX_WAITING_STRANGERS = 256
"""Datagrams of no connection, first packets above all, that wait for their turn; more are dropped."""

MAX_WAITING_BYTES = 16 * 1024 * 1024
"""Bytes of all waiting datagrams; beyond, a connection may have `MIN_WAITING_DATAGRAMS` waiting only."""

MIN_WAITING_DATAGRAMS = 16
"""What a connection may have waiting even then: a peer that keeps to congestion control has no more at its start."""

MAX_WAITING_TIME = 0.3
"""Seconds that a datagram waits at most; then it is dropped. Its sender has given it up by then, and what a flood has
left behind would otherwise keep everybody waiting for longer than the flood."""

TURN_TIME = 0.001
"""Seconds of work on received datagrams in one turn of the loop; tasks and timers are served between two turns."""

SLICE_TIME = 0.000_5
"""Seconds that one connection has at a time while others wait; at least one datagram. As many again for what its
datagrams ask for: the last packet of a handshake takes most of a slice, and its answer should not wait for the next."""

PIECE = 8
"""Most datagrams of a connection between two looks at the clock: first one, then more as long as they cost little."""

_Datagrams: TypeAlias = Sequence[tuple[bytes, NetworkAddress]]


class Router(Protocol):
    """What is needed of the listener."""

    @property
    def routes(self) -> dict[bytes, AdapterProtocol]:
        """Return whose each connection id is."""

    def find_all(self, datagrams: Sequence[tuple[bytes, NetworkAddress]]) -> list[AdapterProtocol | None]:
        """Return whose each datagram is: a connection, or None for a stranger's. Costs next to nothing."""

    def route(self, data: bytes, addr: NetworkAddress, outlet: Outlet) -> AdapterProtocol | None:
        """Return the connection that a datagram belongs to, which it may begin; None: it was answered or dropped."""

    def datagram_dropped(self) -> None:
        """Take note that a datagram found too many waiting before it."""

    def sending_failed(self) -> None:
        """Take note that the operating system refused to send a datagram."""

    def socket_lost(self, outlet: Outlet, error: Exception | None) -> None:
        """The socket is closed."""


class _Waiting:
    """The datagrams of one connection that wait, in the runs in which they came: most come with others."""

    __slots__ = ("_runs", "_taken", "count")

    def __init__(self) -> None:
        self.count = 0
        self._runs: deque[tuple[_Datagrams, float]] = deque()  # with the time at which they came
        self._taken = 0  # of the first run

    def add(self, run: _Datagrams, now: float) -> None:
        self._runs.append((run, now))
        self.count += len(run)

    def take(self, most: int) -> tuple[_Datagrams, float]:
        """Return the next datagrams, at most so many, that came at the same time, and when."""
        run, since = self._runs[0]
        piece = run[self._taken : self._taken + most]
        self._taken += len(piece)
        self.count -= len(piece)
        if self._taken == len(run):
            self._runs.popleft()
            self._taken = 0
        return piece, since


class Inbound:
    """The waiting datagrams of one socket.

    `put_all` what was received, then `run`, which works for a while and sees to it that it is called again in the next
    turn of the loop if anything is left.
    """

    def __init__(
        self, router: Router, *, outlet: Outlet, loop: asyncio.AbstractEventLoop, clock: Callable[[], float]
    ) -> None:
        self.is_scheduled = False
        """`run` will be called, so nobody else needs to."""

        self.turns: deque[AdapterProtocol | None] = deque()
        """Whose turn it is; None: the strangers'. Empty where nobody waits."""

        self.refill: Callable[[], None] = _nothing
        """Called before each further turn, to `put_all` what has come meanwhile."""

        self._router = router
        self._outlet = outlet
        self._loop = loop
        self._clock = clock
        self._queues: dict[AdapterProtocol, _Waiting] = {}
        self._strangers: deque[tuple[bytes, NetworkAddress, float]] = deque()  # with the time at which it came
        self._backlogs: set[AdapterProtocol] = set()  # connections that have not dealt with all that they received
        self._nbytes = 0

    def __len__(self) -> int:
        return len(self._strangers) + sum(waiting.count for waiting in self._queues.values())

    def put_all(self, datagrams: _Datagrams, now: float) -> None:
        """Let datagrams wait for their turns, but for those that find too many before them."""
        if datagrams:
            self._put_found(self._router.find_all(datagrams), datagrams, now)

    def _put_found(self, connections: list[AdapterProtocol | None], datagrams: _Datagrams, now: float) -> None:
        """Let datagrams wait of which it is known whose they are."""
        start = 0
        connection = connections[0]
        if connections.count(connection) == len(connections):
            self._put_run(connection, datagrams, now)
            return
        for index, other in enumerate(connections):
            if other is not connection:
                self._put_run(connection, datagrams[start:index], now)
                start, connection = index, other
        self._put_run(connection, datagrams[start:] if start else datagrams, now)

    def _put_run(self, connection: AdapterProtocol | None, run: _Datagrams, now: float) -> None:
        if connection is None:
            self._put_strangers(run, now)
            return
        waiting = self._queues.get(connection)
        if waiting is None:
            waiting = self._queues[connection] = _Waiting()
            if connection not in self._backlogs:
                self.turns.append(connection)
        limit = MAX_WAITING_DATAGRAMS if self._nbytes < MAX_WAITING_BYTES else MIN_WAITING_DATAGRAMS
        room = max(limit - waiting.count, 0)
        if len(run) > room:
            self._drop(len(run) - room)
            run = run[:room]
        if run:
            waiting.add(run, now)
            self._nbytes += packets_size(run)

    def _put_strangers(self, run: _Datagrams, now: float) -> None:
        queue = self._strangers
        if not queue:
            self.turns.append(None)
        for data, addr in run:
            if len(queue) >= MAX_WAITING_STRANGERS:
                self._drop(1)
            else:
                queue.append((data, addr, now))
                self._nbytes += len(data)

    def _drop(self, number: int) -> None:
        for _ in range(number):
            self._router.datagram_dropped()

    def take(self, datagrams: _Datagrams, now: float) -> None:
        """Work on what has just been received: at once if nobody waits and all of it is one connection's."""
        connections = self._router.find_all(datagrams)
        connection = connections[0]
        is_of_one = connections.count(connection) == len(connections)
        if connection is None and len(datagrams) == 1 and not self.turns:
            self._meet_stranger(datagrams[0], now)
        elif is_of_one and connection is not None and not self.turns and connection.uses(self._outlet):
            if len(datagrams) > PIECE:
                self._serve_alone(connection, datagrams, now)
            elif connection.take(datagrams, now, now + TURN_TIME):
                self.has_backlog(connection)
        else:
            self._put_found(connections, datagrams, now)
            self.run()

    def has_backlog(self, connection: AdapterProtocol) -> None:
        """Take note that a connection, while nobody waited, was left with more than a turn's work."""
        self._backlogs.add(connection)
        self.turns.append(connection)
        self.run_soon()

    def run(self) -> None:
        """Work for `TURN_TIME`, on each connection in turn."""
        self.is_scheduled = False
        turns, clock = self.turns, self._clock
        now = clock()
        turn_end = now + TURN_TIME
        try:
            while turns and now < turn_end:
                connection = turns.popleft()
                slice_end = now + SLICE_TIME if turns else turn_end
                try:
                    if connection is None:
                        self._serve_strangers(now, slice_end)
                    else:
                        self._serve(connection, now, slice_end)
                finally:
                    self._line_up(connection)
                now = clock()
        finally:
            if turns:
                self.run_soon()

    def run_soon(self) -> None:
        """Have `run` called in the next turn of the loop."""
        if not self.is_scheduled:
            self.is_scheduled = True
            self._loop.call_soon(self._run_again)

    def clear(self) -> None:
        """Forget what waits: the socket is gone."""
        self._queues.clear()
        self.turns.clear()
        self._strangers.clear()
        self._backlogs.clear()
        self._nbytes = 0

    def _run_again(self) -> None:
        self.refill()
        self.run()

    def _line_up(self, connection: AdapterProtocol | None) -> None:
        """Let whoever was served go to the end of the line, or out of it."""
        if connection is None:
            if self._strangers:
                self.turns.append(None)
        else:
            waiting = self._queues.get(connection)
            if waiting is not None and not waiting.count:
                del self._queues[connection]
                waiting = None
            if waiting is not None or connection in self._backlogs:
                self.turns.append(connection)

    def _serve_alone(self, connection: AdapterProtocol, datagrams: _Datagrams, now: float) -> None:
        """Work for a turn on many datagrams of one connection, while nobody waits."""
        turn_end = now + TURN_TIME
        position = 0
        try:
            while position < len(datagrams) and now < turn_end:
                piece = datagrams[position : position + PIECE]
                position += PIECE
                connection.receive_all(piece, now)
                now = self._clock()
        finally:
            self._deal_with(connection, turn_end)
            if position < len(datagrams):
                self._put_run(connection, datagrams[position:], now)
            if connection in self._backlogs:
                self.turns.append(connection)
            if self.turns:
                self.run_soon()

    def _serve(self, connection: AdapterProtocol, now: float, slice_end: float) -> None:
        waiting = self._queues.get(connection)
        # Packets first, as their acknowledgements leave with this turn, but not while the peer can have ever more wait.
        if connection in self._backlogs and (waiting is None or not connection.has_room):
            self._deal_with(connection, slice_end)
            now = self._clock()
            if connection in self._backlogs or now >= slice_end:
                return
        if waiting is not None:
            try:
                self._receive(connection, waiting, now, slice_end)
            finally:
                self._deal_with(connection, slice_end)

    def _receive(self, connection: AdapterProtocol, waiting: _Waiting, now: float, slice_end: float) -> None:
        clock, outlet = self._clock, self._outlet
        is_at_home = connection.uses(outlet)
        left, size = READ_BATCH, 1
        while waiting.count and left:
            piece, since = waiting.take(min(size, left))
            left -= len(piece)
            self._nbytes -= packets_size(piece)
            if now - since > MAX_WAITING_TIME:
                self._drop(len(piece))
            elif is_at_home:
                connection.receive_all(piece, now)
            else:
                for data, addr in piece:
                    connection.receive_elsewhere(data, addr, now, outlet)
            before, now = now, clock()
            if now >= slice_end:
                break
            # What a packet costs is up to whoever wrote it: so many as fit into the slice, if they are as those.
            fitting = (slice_end - now) * len(piece) // max(now - before, 1e-9)
            size = max(1, min(2 * size, PIECE, int(fitting)))

    def _deal_with(self, connection: AdapterProtocol, slice_end: float) -> None:
        """Let a connection deal with what it received: until its slice is over, but for `SLICE_TIME` at least."""
        if connection.end_batch(max(slice_end, self._clock() + SLICE_TIME)):
            self._backlogs.add(connection)
        else:
            self._backlogs.discard(connection)

    def _serve_strangers(self, now: float, slice_end: float) -> None:
        queue, clock, outlet = self._strangers, self._clock, self._outlet
        while queue:
            data, addr, since = queue.popleft()
            self._nbytes -= len(data)
            if now - since > MAX_WAITING_TIME:
                self._router.datagram_dropped()
                continue
            connection = self._router.route(data, addr, outlet)
            if connection is not None:
                try:
                    connection.receive(data, addr, clock())
                finally:
                    self._meet_again(connection, slice_end)
            now = clock()
            if now >= slice_end:
                break

    def _meet_stranger(self, datagram: tuple[bytes, NetworkAddress], now: float) -> None:
        """Work on the datagram of a stranger that has come alone, while nobody waits."""
        data, addr = datagram
        connection = self._router.route(data, addr, self._outlet)
        if connection is not None:
            try:
                connection.receive(data, addr, self._clock())
            finally:
                self._meet_again(connection, now + TURN_TIME)
                if self.turns:
                    self.run_soon()

    def _meet_again(self, connection: AdapterProtocol, slice_end: float) -> None:
        """Deal with a stranger's packet; what is left of it waits in a line of its own."""
        had_turn = connection in self._queues or connection in self._backlogs
        self._deal_with(connection, slice_end)
        if not had_turn and connection in self._backlogs:
            self.turns.append(connection)


def _nothing() -> None:
    """Stand in for a socket that cannot be read from."""
