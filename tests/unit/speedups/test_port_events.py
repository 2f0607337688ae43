"""The events of a port: stream bytes and awaited datagrams go straight, everything else is left to the subclass."""

from __future__ import annotations

from collections import deque
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from fake_port import FakePort, VirtualLoop


class Violation(Exception):
    """The peer broke a rule."""


class Bytes(SimpleNamespace):
    """Bytes of a stream."""


class Datagrams(SimpleNamespace):
    """Datagrams."""


class DerivedBytes(Bytes):
    """Bytes of another class."""


class Reader:
    def __init__(self) -> None:
        self.seen: list[tuple[bytes, bool]] = []

    def on_data(self, data: bytes, end_stream: bool) -> None:
        self.seen.append((data, end_stream))
        if data == b"bad":
            raise Violation(data)
        if data == b"broken":
            raise ValueError(data)


def make_pump(kernels: ModuleType, bytes_class: type[Any] = Bytes) -> Any:
    class Pump(kernels.PortEvents):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            self.queue: deque[Any] = deque()
            self.received: list[Any] = []
            self.readers: dict[int, Reader] = {}
            self.left: list[Any] = []
            self.violations: list[Any] = []
            super().__init__(
                lambda datagrams, now: self.received.append((datagrams, now)),
                lambda: self.queue.popleft() if self.queue else None,
                self.readers,
                (Violation, bytes_class, Datagrams),
            )

        def _on_event(self, event: Any) -> None:
            self.left.append(event)

        def _on_violation(self, event: Any, violation: Violation) -> None:
            self.violations.append((event, str(violation)))

        def inbox(self, stream_id: int) -> Any:
            inbox = kernels.DatagramInbox(10)
            self.sessions[stream_id] = SimpleNamespace(datagrams=inbox)
            return inbox

        def take(self, *events: Any) -> None:
            self.queue.extend(events)
            while self.step():
                pass

    return Pump()


@pytest.fixture
def pump(kernels: ModuleType) -> Any:
    return make_pump(kernels)


def test_what_is_received_comes_with_its_time(pump: Any) -> None:
    assert pump.now == 0.0
    pump.receive_datagrams([(b"data", "addr")], 2.5)
    assert (pump.received, pump.now) == ([([(b"data", "addr")], 2.5)], 2.5)


def test_bytes_go_to_the_reader_of_their_stream(pump: Any) -> None:
    pump.readers[4] = reader = Reader()
    others = [Bytes(stream_id=8, data=b"other", end_stream=False), SimpleNamespace(), DerivedBytes(stream_id=4)]
    pump.take(Bytes(stream_id=4, data=b"data", end_stream=True), *others)
    assert reader.seen == [(b"data", True)]
    assert pump.left == others
    assert not pump.step()


def test_bytes_go_to_a_stream_of_the_kernels(kernels: ModuleType) -> None:
    class StreamBytes(kernels.StreamBytes):  # type: ignore[name-defined,misc]
        pass

    pump = make_pump(kernels, StreamBytes)
    credit = kernels.ReceiveCredit(enabled=False, auto=False, data_window=1)
    session = SimpleNamespace(flow=SimpleNamespace(send=None, receive=credit))
    stream = pump.readers[4] = kernels.DataStream(4, session, is_local=True)
    pump.take(StreamBytes(4, b"da", False), StreamBytes(8, b"other", False), StreamBytes(4, b"ta", True))
    assert (stream.buffered, stream.receiving_over, stream.bytes_received) == (4, True, 4)
    assert [event.stream_id for event in pump.left] == [8]


def test_violations_of_a_reader_are_dealt_with_and_other_errors_are_raised(pump: Any) -> None:
    pump.readers[4] = Reader()
    bad = Bytes(stream_id=4, data=b"bad", end_stream=False)
    pump.take(bad)
    assert pump.violations == [(bad, "b'bad'")]
    with pytest.raises(ValueError, match="broken"):
        pump.take(Bytes(stream_id=4, data=b"broken", end_stream=False))


def test_nothing_goes_straight_after_a_failure(pump: Any) -> None:
    pump.readers[4] = reader = Reader()
    inbox = pump.inbox(8)
    inbox.is_open, inbox.announce = True, list
    pump.has_failed = True
    events = [Bytes(stream_id=4, data=b"data", end_stream=True), Datagrams(datagrams=[b"\x02a"])]
    pump.take(*events)
    assert (reader.seen, len(inbox), pump.left) == ([], 0, events)


def test_datagrams_that_are_waited_for_are_announced_at_once(pump: Any) -> None:
    inbox = pump.inbox(8)
    taken: list[Any] = []
    inbox.is_open = True
    inbox.announce = lambda: taken.append(inbox.drain())
    pump.take(Datagrams(datagrams=[b"\x02a", b"\x40\x02", b"\x02c"]))
    assert taken == [[b"a", b"", b"c"]]
    assert (inbox.received, inbox.bytes_received, pump.left) == (3, 2, [])


def test_what_nobody_took_is_announced_once(pump: Any) -> None:
    inbox = pump.inbox(8)
    calls: list[None] = []
    inbox.is_open = True
    inbox.announce = lambda: calls.append(None)
    pump.take(Datagrams(datagrams=[b"\x02a"]), Datagrams(datagrams=[b"\x02b"]))
    assert (len(calls), inbox.drain()) == (1, [b"a", b"b"])


@pytest.mark.parametrize(
    "datagrams",
    [[], [b"\x02a", b"\x03b"], [b"\x03a"], [b""], [b"\x02a", b"\x40"], [b"\x02a", b"\xd0" + bytes(7)], [b"\xff" * 8]],
)
def test_datagrams_of_several_sessions_or_of_none_are_left(pump: Any, datagrams: list[bytes]) -> None:
    inbox = pump.inbox(8)
    inbox.is_open, inbox.announce = True, list
    event = Datagrams(datagrams=datagrams)
    pump.take(event)
    assert (pump.left, len(inbox), inbox.received) == ([event], 0, 0)


@pytest.mark.parametrize("why", ["closed", "no hook", "something is to be told before"])
def test_datagrams_are_left_where_they_cannot_be_announced(pump: Any, why: str) -> None:
    inbox = pump.inbox(8)
    inbox.is_open = why != "closed"
    inbox.announce = None if why == "no hook" else list
    if why.startswith("something"):
        pump.events.append("event")
    event = Datagrams(datagrams=[b"\x02a"])
    pump.take(event)
    assert (pump.left, len(inbox)) == ([event], 0)


def test_the_first_bytes_of_a_stream_go_to_who_opens_it(pump: Any) -> None:
    opened: list[int] = []

    def opens(event: Any) -> bool:
        opened.append(event.stream_id)
        if event.data == b"bad":
            raise Violation("opened badly")
        return bool(event.data == b"whole")

    pump.opens_stream = opens
    pump.readers[4] = Reader()
    whole, part, bad, read = (
        Bytes(stream_id=i, data=d, end_stream=False)
        for i, d in ((8, b"whole"), (12, b"part"), (16, b"bad"), (4, b"whole"))
    )
    derived = DerivedBytes(stream_id=20, data=b"whole", end_stream=False)
    pump.take(whole, part, bad, read, derived)
    assert opened == [8, 12, 16]
    assert pump.left == [part, derived]
    assert pump.violations == [(bad, "opened badly")]
    pump.has_failed = True
    pump.take(whole)
    assert opened == [8, 12, 16]


def test_a_driver_is_told_what_a_subclass_has_set(kernels: ModuleType) -> None:
    pump = make_pump(kernels)
    assert (pump.is_closed, pump.datagrams_to_send, pump.deadlines) == (False, None, None)
    loop, sent = VirtualLoop(), []
    asked: list[float] = []
    pump.has_work = lambda: False
    pump.datagrams_to_send = lambda now: asked.append(now) or [(b"packet", "peer")]  # type: ignore[func-returns-value]
    pump.deadlines = SimpleNamespace(next=lambda: 1002.5)
    driver = kernels.DriverLoop(port=FakePort(is_client=True), loop=loop, clock=loop.time)
    driver._engine = pump
    driver._outlet = SimpleNamespace(is_paused=False, send_one=lambda data, address: sent.append(data))
    driver._straight_to = "peer"
    driver._ready_reported = True
    driver.flush_soon()
    loop.turn()
    assert (asked, sent, driver._timer.deadline) == ([1000.0], [b"packet"], 1002.5)
    pump.is_closed = True
    driver.flush_promptly()
    assert sent == [b"packet"], "what is closed sends nothing at once"
    loop.close()
