"""The loop of a driver: what it does by itself, what it leaves to its subclass, and what becomes of errors."""

from __future__ import annotations

import contextvars
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from fake_port import FakeEngine, FakePort, VirtualLoop

PEER, OTHER = ("192.0.2.9", 443), ("192.0.2.9", 444)


class FakeOutlet:
    """Takes single datagrams."""

    def __init__(self) -> None:
        self.is_paused = False
        self.sent: list[tuple[bytes, Any]] = []
        self.waiting: list[Any] = []

    def send_one(self, data: bytes, addr: Any) -> None:
        self.sent.append((data, addr))

    def call_when_resumed(self, callback: Any) -> None:
        self.waiting.append(callback)


class SlottedOutlet:
    """One as the adapter's are, with slots."""

    __slots__ = ("is_paused", "send_one")

    def __init__(self, send_one: Any) -> None:
        self.is_paused = False
        self.send_one = send_one


class Rig:
    """A driver loop on a virtual loop, whose subclass keeps what it is asked for."""

    def __init__(self, kernels: ModuleType) -> None:
        self.loop = VirtualLoop()
        self.port = FakePort(is_client=True)
        self.engine = FakeEngine(self.port)
        self.outlet = FakeOutlet()
        self.delivered: list[Any] = []
        self.asked: list[Any] = []
        asked = self.asked

        class Driver(kernels.DriverLoop):  # type: ignore[misc, name-defined]
            def _fail(self, exc: Exception) -> None:
                asked.append(("fail", exc))

            def _report(self, event: Any, exc: Exception) -> None:
                asked.append(("report", event, exc))

            def _send(self, datagrams: Any, outlet: Any) -> None:
                asked.append(("send", datagrams))

            def _look_ahead(self, engine: Any, now: float) -> None:
                asked.append(("look ahead", now))

            def _on_timeout(self, now: float) -> None:
                asked.append(("timeout", now))

            def _receive_others(self, datagrams: Any) -> None:
                asked.append(("others", datagrams))

        self.driver = Driver(port=self.port, loop=self.loop, clock=self.loop.time)
        self.driver._engine = self.engine
        self.driver._deliver = self.delivered.append
        self.driver._outlet = self.outlet
        self.driver._straight_to = PEER
        self.driver._ready_reported = True


@pytest.fixture
def rig(kernels: ModuleType) -> Any:
    rig = Rig(kernels)
    yield rig
    rig.loop.close()


def test_a_lone_datagram_for_the_peer_goes_straight_to_the_outlet(rig: Rig) -> None:
    rig.engine.outgoing = [(b"answer", PEER)]
    rig.driver.flush_soon()
    rig.driver.flush_soon()
    assert rig.loop.turn() == 1
    assert rig.outlet.sent == [(b"answer", PEER)]
    assert rig.asked == []


def test_outlets_of_several_classes_take_turns(rig: Rig) -> None:
    sent: list[bytes] = []
    slotted = SlottedOutlet(lambda data, address: sent.append(data))
    for number in (b"1", b"2"):
        for outlet in (rig.outlet, slotted):
            rig.driver._outlet = outlet
            rig.engine.outgoing = [(number, PEER)]
            rig.driver.flush_promptly()
            rig.loop.turn()
    assert [data for data, _ in rig.outlet.sent] == sent == [b"1", b"2"]
    slotted.is_paused = True
    rig.engine.outgoing = [(b"3", PEER)]
    rig.driver.flush_promptly()
    assert sent == [b"1", b"2"]
    del slotted.is_paused
    with pytest.raises(AttributeError, match="is_paused"):
        rig.driver._flush()


def test_a_slot_of_another_class_is_no_slot(rig: Rig) -> None:
    class Borrowed:
        __slots__ = ()
        is_paused = SlottedOutlet.is_paused  # type: ignore[has-type]

    rig.driver._outlet = Borrowed()
    with pytest.raises(TypeError, match="is_paused"):
        rig.driver.flush_promptly()


@pytest.mark.parametrize("outgoing", [[(b"answer", OTHER)], [(b"one", PEER), (b"two", PEER)]])
def test_all_others_are_left_to_the_subclass(rig: Rig, outgoing: Any) -> None:
    rig.engine.outgoing = outgoing
    rig.driver.flush_soon()
    rig.loop.turn()
    assert rig.outlet.sent == []
    assert rig.asked == [("send", outgoing)]


def test_a_batch_of_the_peer_is_taken_and_answered_at_the_end_of_the_turn(rig: Rig) -> None:
    rig.engine.echo = True
    rig.driver.datagrams_received([(b"packet", PEER)])
    assert rig.delivered == [("received", b"packet")]
    assert rig.engine.names() == ["receive"]
    assert rig.loop.turn() == 1
    assert rig.engine.names() == ["receive", "send"]


def test_a_batch_of_anybody_else_is_looked_at_first(rig: Rig) -> None:
    rig.driver.datagrams_received([(b"packet", OTHER)])
    rig.driver._straight_to = None
    rig.driver.datagrams_received([(b"packet", None)])
    assert rig.asked == [("others", [(b"packet", OTHER)]), ("others", [(b"packet", None)])]


def test_nothing_is_driven_before_there_is_an_engine(rig: Rig) -> None:
    rig.driver._engine = None
    assert rig.driver.take([(b"packet", PEER)], 1000.0) is False
    rig.driver.flush_soon()
    rig.loop.run_until_idle()
    assert rig.asked == []
    assert rig.engine.log == []


def test_a_full_socket_holds_the_flush_back_unless_the_connection_ends(rig: Rig) -> None:
    rig.outlet.is_paused = True
    rig.driver.flush_soon()
    rig.loop.turn()
    assert rig.engine.log == []
    [again] = rig.outlet.waiting
    rig.outlet.is_paused = False
    again()
    rig.loop.turn()
    assert rig.engine.names() == ["send"]
    rig.outlet.is_paused = rig.engine.is_closed = True
    rig.driver.flush_soon()
    rig.loop.turn()
    assert rig.engine.names() == ["send", "send"]
    assert rig.asked == [("look ahead", 1000.0)]


def test_an_engine_that_is_not_ready_is_looked_at_by_the_subclass(rig: Rig) -> None:
    rig.driver._ready_reported = False
    rig.driver.flush_soon()
    rig.loop.turn()
    assert rig.asked == [("look ahead", 1000.0)]


def test_the_timer_follows_the_engine_s_deadline_and_leads_to_the_subclass(rig: Rig) -> None:
    rig.engine.deadline = 1002.0
    rig.driver.flush_soon()
    rig.loop.advance(1)
    assert rig.loop.live_timers() == [1002.0]
    rig.loop.advance(2)
    assert rig.asked == [("timeout", 1002.0)]


def test_a_timer_that_fires_soon_is_left_alone_unless_packets_are_paced(rig: Rig) -> None:
    rig.engine.deadline = 1000.000_9
    rig.driver.flush_soon()
    rig.loop.turn()
    rig.engine.deadline = 1000.000_1
    rig.driver.flush_soon()
    rig.loop.turn()
    assert rig.loop.live_timers() == [1000.000_9]
    rig.port.is_paced = True
    rig.driver.flush_soon()
    rig.loop.turn()
    assert rig.loop.live_timers() == [1000.000_1]


def queue_promptly(rig: Rig, data: bytes, *, is_whole: bool = True) -> None:
    rig.engine.outgoing.append((data, PEER))
    rig.driver.flush_promptly(is_whole)


def test_what_is_first_in_a_turn_goes_at_once_and_the_rest_at_its_end(rig: Rig) -> None:
    queue_promptly(rig, b"one")
    assert rig.outlet.sent == [(b"one", PEER)]
    queue_promptly(rig, b"two")
    queue_promptly(rig, b"three")
    assert rig.outlet.sent == [(b"one", PEER)]
    assert rig.loop.turn() == 1
    assert rig.asked == [("send", [(b"two", PEER), (b"three", PEER)])]


def test_after_a_turn_with_more_than_one_the_first_waits_as_well(rig: Rig) -> None:
    queue_promptly(rig, b"one")
    queue_promptly(rig, b"two")
    rig.loop.turn()
    queue_promptly(rig, b"three")
    assert rig.outlet.sent == [(b"one", PEER), (b"two", PEER)]
    rig.loop.turn()
    assert rig.outlet.sent[2:] == [(b"three", PEER)]
    queue_promptly(rig, b"four")
    assert rig.outlet.sent[3:] == [(b"four", PEER)], "one alone again"


@pytest.mark.parametrize(("packets", "is_whole"), [(1, True), (1, False), (3, True), (3, False)])
def test_what_handlers_give_goes_when_the_events_are_out(rig: Rig, packets: int, is_whole: bool) -> None:
    def answer(event: Any) -> None:
        queue_promptly(rig, event[1], is_whole=is_whole)
        sent.append(rig.outlet.sent + rig.asked)

    sent: list[Any] = []
    rig.engine.echo = True
    rig.driver._deliver = answer
    answers = [(b"%d" % number, PEER) for number in range(packets)]
    rig.driver.take(answers, 1000.0)
    goes_within = packets == 1 and is_whole
    assert sent == ([answers] if goes_within else [[]] * packets), "only what nothing can follow goes before the end"
    assert rig.outlet.sent == (answers if packets == 1 else [])
    assert rig.asked == ([] if packets == 1 else [("send", answers)])
    assert rig.loop.turn() == 1
    assert len(rig.outlet.sent + rig.asked) == 1
    rig.driver.take([(b"next", PEER)], 1000.0)
    assert rig.outlet.sent[-1:] == ([(b"next", PEER)] if packets == 1 else [])
    rig.loop.turn()
    assert rig.outlet.sent[-1:] == [(b"next", PEER)]


def test_what_one_handler_gives_goes_in_two(rig: Rig) -> None:
    def answer(event: Any) -> None:
        for part in (b"one", b"two", b"three"):
            queue_promptly(rig, part)
            sent.append((len(rig.outlet.sent), len(rig.asked)))

    sent: list[Any] = []
    rig.engine.echo = True
    rig.driver._deliver = answer
    rig.driver.take([(b"packet", PEER)], 1000.0)
    assert sent == [(1, 0)] * 3
    assert rig.outlet.sent == [(b"one", PEER)]
    assert rig.asked == [("send", [(b"two", PEER), (b"three", PEER)])], "without a turn of the loop between"
    rig.loop.turn()
    rig.driver.take([(b"packet", PEER)], 1000.0)
    assert (len(rig.outlet.sent), len(rig.asked)) == (1, 1), "after more than one they wait for the turn's end"
    rig.loop.turn()
    assert rig.asked[1:] == [("send", [(b"one", PEER), (b"two", PEER), (b"three", PEER)])]


@pytest.mark.parametrize("waiting", ["an event", "work"])
def test_while_there_is_more_to_tell_nothing_goes(rig: Rig, waiting: str) -> None:
    def deliver(event: Any) -> None:
        if event == "first":
            queue_promptly(rig, b"answer")
            sent.append(list(rig.outlet.sent))

    sent: list[Any] = []
    rig.driver._deliver = deliver
    rig.engine.events.append("first")
    (rig.engine.events if waiting == "an event" else rig.engine.work).append("second")
    rig.driver.end_batch()
    assert sent == [[]]
    assert rig.outlet.sent == [(b"answer", PEER)]


def test_what_a_handler_gives_that_ends_the_connection_is_left(rig: Rig) -> None:
    def answer(event: Any) -> None:
        queue_promptly(rig, b"answer")
        rig.driver._engine = None

    rig.engine.events.extend(["first", "second"])
    rig.driver._deliver = answer
    rig.driver.end_batch()
    assert (rig.outlet.sent, rig.asked) == ([], [])


def test_what_cannot_wait_goes_at_once_however_much_there_was_in_the_turn(rig: Rig) -> None:
    queue_promptly(rig, b"one")
    queue_promptly(rig, b"two")
    rig.engine.outgoing.append((b"three", PEER))
    rig.driver.flush_at_once()
    assert rig.outlet.sent == [(b"one", PEER)]
    assert rig.asked == [("send", [(b"two", PEER), (b"three", PEER)])]
    rig.engine.outgoing.append((b"four", PEER))
    assert rig.loop.turn() == 1
    assert rig.outlet.sent[1:] == [(b"four", PEER)]


def test_the_timer_is_set_at_the_end_of_the_turn_as_ever(rig: Rig) -> None:
    rig.engine.deadline = 1002.0
    queue_promptly(rig, b"one")
    assert rig.loop.live_timers() == []
    rig.loop.turn()
    assert rig.loop.live_timers() == [1002.0]


@pytest.mark.parametrize("state", ["not ready", "closed", "paused", "delivering", "no outlet"])
def test_nothing_goes_at_once_when_it_should_not(rig: Rig, state: str) -> None:
    if state == "not ready":
        rig.driver._ready_reported = False
    elif state == "closed":
        rig.engine.is_closed = True
    elif state == "paused":
        rig.outlet.is_paused = True
    elif state == "delivering":
        rig.driver._delivering = True
        rig.engine.events.append("another")
    else:
        rig.driver._outlet = None
    queue_promptly(rig, b"one")
    assert rig.outlet.sent == []
    assert rig.engine.log == []
    assert len(rig.loop.soon) == 1


def test_an_engine_that_raises_when_asked_promptly_fails(rig: Rig) -> None:
    rig.engine.fail_on.add("send")
    rig.driver.flush_promptly()
    [(name, exc)] = rig.asked
    assert name == "fail"
    assert isinstance(exc, LookupError)


@pytest.mark.parametrize("step", ["receive", "send", "event"])
def test_an_engine_that_raises_fails(rig: Rig, step: str) -> None:
    rig.engine.fail_on.add(step)
    rig.driver.take([(b"packet", PEER)], 1000.0)
    rig.loop.turn()
    failures = [exc for name, exc in rig.asked if name == "fail"]
    assert failures
    assert all(isinstance(exc, LookupError) for exc in failures)


def test_whoever_gets_events_may_raise(rig: Rig) -> None:
    error = ValueError("handler")

    def deliver(event: Any) -> None:
        rig.delivered.append(event)
        if event == "first":
            raise error

    rig.driver._deliver = deliver
    rig.engine.events.extend(["first", "second"])
    rig.driver.flush_soon()
    rig.loop.turn()
    assert rig.delivered == ["first", "second"]
    assert rig.asked == [("report", "first", error)]


def test_events_are_not_delivered_while_one_is_being_delivered(rig: Rig) -> None:
    def deliver(event: Any) -> None:
        rig.delivered.append(event)
        rig.driver._deliver_events()
        rig.delivered.append(f"end of {event}")

    rig.driver._deliver = deliver
    rig.engine.events.extend(["first", "second"])
    rig.driver.end_batch()
    assert rig.delivered == ["first", "end of first", "second", "end of second"]


def test_a_batch_ends_when_its_time_is_over(rig: Rig) -> None:
    rig.engine.events.extend(["first", "second"])
    assert rig.driver.take([(b"packet", PEER)], 1000.0, 999.0) is True
    assert rig.delivered == ["first"]
    rig.loop.turn()
    assert rig.delivered == ["first"], "a flush leaves the rest to whoever ended the batch"
    assert rig.driver.end_batch(2000.0) is False
    assert rig.delivered == ["first", "second"]


def test_flushes_run_in_the_context_of_the_driver(rig: Rig) -> None:
    name = contextvars.ContextVar("name", default="driver's")
    seen = []
    rig.engine.datagrams_to_send = lambda now: seen.append(name.get()) or []  # type: ignore[func-returns-value]
    contextvars.copy_context().run(lambda: (name.set("task's"), rig.driver.flush_soon()))
    rig.loop.turn()
    assert seen == ["driver's"]


def test_what_a_subclass_must_say_is_said(kernels: ModuleType) -> None:
    driver = kernels.DriverLoop(port=SimpleNamespace(is_paced=False), loop=None, clock=float)
    for call in (
        lambda: driver._fail(ValueError()),
        lambda: driver._report("event", ValueError()),
        lambda: driver._send([], None),
        lambda: driver._look_ahead(None, 0.0),
        lambda: driver._on_timeout(0.0),
        lambda: driver._receive_others([]),
    ):
        with pytest.raises(NotImplementedError):
            call()


def test_a_driver_that_finished_while_it_sent_has_nothing_left_to_deliver(rig: Rig) -> None:
    class Ending(FakeEngine):
        def datagrams_to_send(self, now: float) -> Any:
            rig.driver._engine = None
            return super().datagrams_to_send(now)

    rig.driver._engine = engine = Ending(rig.port)
    engine.events.append("event")
    rig.driver.flush_soon()
    rig.loop.run_until_idle()
    assert rig.asked == []
    assert rig.delivered == []
