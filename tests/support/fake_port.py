"""Stand-ins for the parts around the driver: a scripted QUIC port and engine, a transport, and a virtual event loop."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque


class FakePort:
    """A QUIC port that only records; what a driver and a listener touch of one."""

    def __init__(self, connection_id: bytes = b"OUR-ID-0", *, is_client: bool = False) -> None:
        self.is_client = is_client
        self.connection_id = connection_id
        self.request_flush = lambda: None
        self.on_cid_issued = lambda cid: None
        self.on_cid_retired = lambda cid: None
        self.remote_address = None
        self.is_paced = False
        self.connects: list[tuple] = []
        self.outgoing: list[tuple[bytes, object]] = []
        self.closes: list[tuple[int, str]] = []
        self.on_close = lambda: None
        self.path_changes = 0
        self.is_cleared = False

    def clear(self) -> None:
        self.is_cleared = True

    def path_changed(self) -> None:
        self.path_changes += 1

    def connect(self, addr, now) -> None:
        self.connects.append((addr, now))
        self.request_flush()

    def datagrams_to_send(self, now):
        outgoing, self.outgoing = self.outgoing, []
        return outgoing

    def close(self, error_code: int, reason: str, *, is_application: bool = True) -> None:
        self.closes.append((error_code, reason))
        self.on_close()
        self.request_flush()


class FakeEngine:
    """An engine whose outputs a test sets, and which logs what the driver does, in order."""

    def __init__(self, port: FakePort) -> None:
        self.port = port
        self.log: list = []
        self.events: deque = deque()
        self.work: deque = deque()  # events that a step gives, one each
        self.outgoing: list[tuple[bytes, object]] = []
        self.deadline: float | None = None
        self.is_ready = False
        self.is_closed = False
        self.echo = False
        self.is_cleared = False
        self.fail_on: set[str] = set()
        port.on_close = self._closed

    def clear(self) -> None:
        self.is_cleared = True

    def _called(self, name: str, *details) -> None:
        self.log.append((name, *details))
        if name in self.fail_on:
            raise LookupError(name)

    def receive_datagram(self, data, addr, now) -> None:
        self._called("receive", data, addr)
        if self.echo:
            self.events.append(("received", data))

    def receive_datagrams(self, datagrams, now) -> None:
        for data, addr in datagrams:
            self.receive_datagram(data, addr, now)

    def handle_timeout(self, now) -> None:
        self._called("timeout", now)

    def datagrams_to_send(self, now):
        self._called("send")
        outgoing, self.outgoing = self.outgoing, []
        return outgoing

    @property
    def deadlines(self):
        return self

    def next(self):
        return self.deadline

    def next_event(self):
        if "event" in self.fail_on:
            raise LookupError("event")
        return self.events.popleft() if self.events else None

    def has_work(self) -> bool:
        return bool(self.work) or "event" in self.fail_on

    def step(self) -> bool:
        if "event" in self.fail_on:
            raise LookupError("event")
        self.events.append(self.work.popleft())
        return True

    def _closed(self) -> None:
        self._called("close")
        self.is_closed = True

    def names(self) -> list[str]:
        return [entry[0] for entry in self.log]


class FakeTransport(asyncio.DatagramTransport):
    """A datagram transport that keeps what is sent."""

    def __init__(self, sockname=("127.0.0.1", 4433), peername=None) -> None:
        super().__init__(extra={"sockname": sockname, "peername": peername})
        self.sent: list[tuple[bytes, object]] = []
        self.closed = False
        self.protocol: asyncio.BaseProtocol | None = None

    def sendto(self, data, addr=None) -> None:
        self.sent.append((bytes(data), addr))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def set_protocol(self, protocol) -> None:
        self.protocol = protocol


class VirtualLoop(asyncio.BaseEventLoop):
    """A loop whose time moves only when a test says so. It runs callbacks, not tasks."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = 1000.0
        self.soon: deque[asyncio.Handle] = deque()
        self.timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self.armed = 0

    def time(self) -> float:
        return self.clock

    def call_soon(self, callback, *args, context=None):
        handle = asyncio.Handle(callback, args, self, context)
        self.soon.append(handle)
        return handle

    def call_later(self, delay, callback, *args, context=None):
        return self.call_at(self.clock + delay, callback, *args, context=context)

    def call_at(self, when, callback, *args, context=None):
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self.armed += 1
        heapq.heappush(self.timers, (when, self.armed, handle))
        return handle

    def _timer_handle_cancelled(self, handle) -> None:
        pass

    def turn(self) -> int:
        """Run the callbacks that are ready now, as one turn; return how many."""
        count = 0
        for _ in range(len(self.soon)):
            handle = self.soon.popleft()
            if not handle.cancelled():
                handle._run()
                count += 1
        return count

    def run_until_idle(self) -> None:
        for _ in range(1000):
            if not self.soon:
                return
            self.turn()
        raise AssertionError("busy loop")

    def live_timers(self) -> list[float]:
        return sorted(when for when, _, handle in self.timers if not handle.cancelled())

    def advance(self, seconds: float, limit: int = 1000) -> int:
        """Move time, firing timers at their times; return how many fired."""
        end = self.clock + seconds
        fired = 0
        self.run_until_idle()
        while self.timers and self.timers[0][0] <= end:
            when, _, handle = heapq.heappop(self.timers)
            if handle.cancelled():
                continue
            self.clock = max(self.clock, when)
            handle._run()
            fired += 1
            assert fired <= limit, "timers fire again and again"
            self.run_until_idle()
        self.clock = end
        return fired
