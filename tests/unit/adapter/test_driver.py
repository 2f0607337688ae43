"""The driver loop: order, one flush a turn, timers, failures, the end. All in virtual time."""

import asyncio
import logging

import pytest
from fake_port import FakeEngine, FakePort, FakeTransport, VirtualLoop

from wtransport._adapter.driver import CLOSE_WAIT_LIMIT, INTERNAL_FAILURE
from wtransport._adapter.protocol import AdapterProtocol
from wtransport._protocol.events import ConnectionClosed

PEER = ("192.0.2.9", 443)


class Rig:
    """A client's protocol on a virtual loop, with everything around it fake."""

    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.port = FakePort(is_client=True)
        self.engine = FakeEngine(self.port)
        self.transport = FakeTransport(("192.0.2.1", 5000), PEER)
        self.protocol = AdapterProtocol(port=self.port, loop=self.loop)
        self.delivered: list = []
        self.protocol.connection_made(self.transport)
        self.protocol.bind(engine=self.engine, deliver=self.deliver)

    def deliver(self, event) -> None:
        self.delivered.append(event)
        self.engine.log.append(("deliver", event))

    def receive(self, data: bytes = b"packet") -> None:
        self.protocol.datagram_received(data, PEER)


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    rig.loop.close()


def test_a_datagram_is_taken_then_events_then_one_flush(rig):
    rig.engine.echo = True
    rig.engine.outgoing = [(b"ack", PEER)]
    rig.receive(b"one")
    assert rig.engine.log == [("receive", b"one", PEER), ("deliver", ("received", b"one"))]
    assert rig.transport.sent == []
    assert rig.loop.turn() == 1
    assert rig.transport.sent == [(b"ack", None)]
    assert rig.engine.names() == ["receive", "deliver", "send"]
    assert not rig.loop.soon


def test_any_number_of_commands_in_a_turn_share_one_flush(rig):
    for _ in range(50):
        rig.port.request_flush()
    assert rig.loop.turn() == 1
    assert rig.engine.names() == ["send"]


def test_commands_after_a_flush_get_another(rig):
    rig.port.request_flush()
    rig.loop.turn()
    rig.port.request_flush()
    rig.loop.turn()
    assert rig.engine.names() == ["send", "send"]


def test_a_task_woken_by_an_event_answers_in_the_same_flush(rig):
    def wake(event):
        rig.port.request_flush()  # credit given back while the event is handled
        rig.loop.call_soon(lambda: rig.engine.outgoing.append((b"answer", PEER)) or rig.port.request_flush())

    rig.protocol._deliver = wake
    rig.engine.echo = True
    rig.receive()
    rig.loop.run_until_idle()
    assert rig.engine.names() == ["receive", "send"]
    assert rig.transport.sent == [(b"answer", None)]


def test_a_flush_already_due_is_not_doubled_by_a_datagram(rig):
    rig.port.request_flush()
    rig.receive()
    assert rig.loop.turn() == 1
    assert not rig.loop.soon


def test_events_that_sending_produces_are_delivered(rig):
    class Sending(FakeEngine):
        def datagrams_to_send(self, now):
            self.events.append("sent")
            return super().datagrams_to_send(now)

    rig.protocol._engine = engine = Sending(rig.port)
    rig.protocol.flush_soon()
    rig.loop.turn()
    assert rig.delivered == ["sent"]
    assert engine.names() == ["send"]


def test_a_batch_whose_time_is_over_leaves_events_for_later(rig):
    rig.protocol.receive(b"one", PEER, 0.0)
    rig.engine.events.extend(["a", "b", "c"])
    past = rig.loop.clock - 1.0
    assert rig.protocol.end_batch(past)
    assert rig.delivered == ["a"]
    rig.loop.run_until_idle()
    assert rig.delivered == ["a"], "a flush leaves them to whoever ended the batch"
    assert rig.engine.names() == ["receive", "deliver", "send"]
    assert rig.protocol.end_batch(past)
    assert not rig.protocol.end_batch(rig.loop.clock + 1.0)
    assert rig.delivered == ["a", "b", "c"]
    rig.loop.run_until_idle()
    assert rig.engine.names()[-1] == "send", "what they asked for goes out"


def test_what_a_batch_has_left_is_delivered_when_the_connection_is_aborted(rig):
    rig.protocol.receive(b"one", PEER, 0.0)
    rig.engine.events.extend(["a", "b", "c"])
    assert rig.protocol.end_batch(rig.loop.clock - 1.0)
    rig.protocol.abort(OSError("gone"))
    assert rig.delivered[:3] == ["a", "b", "c"]
    assert not rig.protocol.end_batch(rig.loop.clock - 1.0)


def test_a_handler_that_raises_is_logged_and_the_next_event_comes(rig, caplog):
    seen = []

    def handler(event):
        seen.append(event)
        raise ValueError("handler")

    rig.protocol._deliver = handler
    rig.engine.events.extend(["first", "second"])
    rig.engine.deadline = 1010.0
    rig.receive()
    rig.loop.turn()
    assert seen == ["first", "second"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert rig.loop.live_timers() == [1010.0]
    assert not rig.protocol.is_closed


def test_commands_from_within_an_event_do_not_recurse(rig):
    depth = 0
    order = []

    def handler(event):
        nonlocal depth
        depth += 1
        assert depth == 1
        order.append(event)
        if event == "first":
            rig.engine.events.append("third")
            rig.protocol.end_batch()
            rig.port.request_flush()
        depth -= 1

    rig.protocol._deliver = handler
    rig.engine.events.extend(["first", "second"])
    rig.receive()
    assert order == ["first", "second", "third"]


def test_the_deadline_leads_to_a_timeout_then_events_then_a_flush(rig):
    rig.engine.deadline = 1010.0
    rig.port.request_flush()
    rig.loop.turn()
    rig.engine.log.clear()
    rig.engine.events.append("timer event")
    rig.engine.deadline = 1050.0
    rig.loop.advance(20)
    assert rig.engine.log == [("timeout", 1010.0), ("deliver", "timer event"), ("send",)]
    assert rig.loop.live_timers() == [1050.0]


def test_a_deadline_that_went_away_is_not_due(rig):
    rig.engine.deadline = 1005.0
    rig.port.request_flush()
    rig.loop.turn()
    rig.engine.deadline = None
    rig.port.request_flush()
    rig.loop.turn()
    rig.engine.log.clear()
    rig.loop.advance(6)
    assert rig.engine.log == []


def test_packets_do_not_re_arm_the_timer(rig):
    for step in range(200):
        rig.engine.deadline = 1000.5 + step * 0.01
        rig.receive()
        rig.loop.turn()
    assert rig.loop.armed == 1


def test_an_engine_whose_deadline_stays_in_the_past_does_not_spin(rig):
    rig.engine.deadline = 999.0
    rig.port.request_flush()
    fired = rig.loop.advance(0.1, limit=200)
    assert fired <= 101


def test_a_full_socket_stops_the_production_of_packets(rig):
    rig.engine.deadline = 999.0
    rig.protocol.pause_writing()
    rig.engine.outgoing = [(b"later", PEER)]
    for _ in range(3):
        rig.receive()
        rig.loop.run_until_idle()
    assert "send" not in rig.engine.names()
    assert rig.loop.live_timers() == []
    rig.protocol.resume_writing()
    rig.loop.run_until_idle()
    assert rig.transport.sent == [(b"later", None)]
    assert rig.engine.names().count("send") == 1
    assert rig.loop.live_timers()


def test_a_full_socket_does_not_keep_connection_close_back(rig):
    rig.protocol.pause_writing()
    rig.engine.outgoing = [(b"close", PEER)]
    rig.port.close(0, "")
    rig.loop.run_until_idle()
    assert rig.transport.sent == [(b"close", None)]


@pytest.mark.parametrize("call", ["receive", "send", "timeout", "event"])
def test_an_engine_that_raises_is_closed_and_the_handle_told(rig, caplog, call):
    rig.engine.fail_on = {call}
    if call == "timeout":
        rig.engine.deadline = 1001.0
        rig.port.request_flush()
        rig.loop.advance(2)
    else:
        rig.receive()
        rig.loop.run_until_idle()
    assert isinstance(rig.protocol.error, LookupError)
    assert [reason for _, reason in rig.port.closes] == [INTERNAL_FAILURE]
    assert rig.protocol.is_finished
    assert rig.port.is_cleared
    assert rig.transport.closed
    assert rig.loop.live_timers() == []
    assert any(record.exc_info for record in caplog.records)
    rig.receive()
    rig.port.request_flush()
    rig.loop.run_until_idle()


def test_an_engine_that_cannot_even_close_still_ends_the_connection(rig, caplog):
    rig.engine.fail_on = {"receive", "close"}
    rig.receive()
    assert rig.protocol.is_finished
    assert [type(event) for event in rig.delivered] == [ConnectionClosed]
    assert rig.delivered[0].reason == INTERNAL_FAILURE


def test_abort_sends_connection_close_and_leaves_nothing(rig):
    error = OSError("gone")
    rig.engine.deadline = 1005.0
    rig.engine.outgoing = [(b"close", PEER)]
    rig.protocol.abort(error)
    assert rig.protocol.error is error
    assert rig.transport.sent == [(b"close", None)]
    assert rig.transport.closed
    assert rig.loop.live_timers() == []
    rig.protocol.abort(OSError("again"))
    assert rig.protocol.error is error
    assert len(rig.port.closes) == 1


def test_abort_from_within_an_event_lets_the_rest_of_the_events_through(rig):
    def handler(event):
        rig.delivered.append(event)
        if event == "first":
            rig.protocol.abort(OSError("enough"))

    rig.protocol._deliver = handler
    rig.engine.events.extend(["first", "closed"])
    rig.receive()
    rig.loop.run_until_idle()
    assert rig.delivered == ["first", "closed"]
    assert rig.protocol.is_finished


def test_after_draining_the_client_lets_go_of_its_socket(rig):
    rig.engine.deadline = 1003.0
    rig.engine.is_closed = True
    rig.port.request_flush()
    rig.loop.turn()
    assert rig.protocol.is_closed
    assert not rig.protocol.is_finished
    assert not rig.transport.closed
    rig.engine.deadline = None
    rig.loop.advance(5)
    assert rig.protocol.is_finished
    assert rig.transport.closed
    assert rig.loop.live_timers() == []
    assert rig.protocol.remote_address == PEER
    assert rig.protocol.local_address == ("192.0.2.1", 5000)


def test_binding_twice_is_refused(rig):
    with pytest.raises(RuntimeError):
        rig.protocol.bind(engine=rig.engine, deliver=print)


def test_flushes_run_in_the_context_of_the_connection(rig):
    import contextvars

    variable = contextvars.ContextVar("variable", default="connection")
    seen = []
    rig.protocol._deliver = lambda event: seen.append(variable.get())

    def somebody_else():
        variable.set("somebody else")
        rig.engine.events.append("event")
        rig.port.request_flush()

    contextvars.copy_context().run(somebody_else)
    rig.loop.turn()
    assert seen == ["connection"]


# wait_closed needs a loop that runs tasks.


def make_live():
    port = FakePort(is_client=True)
    engine = FakeEngine(port)
    protocol = AdapterProtocol(port=port)
    transport = FakeTransport(("192.0.2.1", 5000), PEER)
    protocol.connection_made(transport)
    protocol.bind(engine=engine, deliver=lambda event: None)
    return protocol, engine, transport


async def test_waiting_for_the_close_sends_it_and_needs_no_waiting():
    protocol, engine, transport = make_live()
    engine.outgoing = [(b"close", PEER)]
    engine.deadline = protocol.now() + 60
    engine.port.close(0, "")
    waiting = protocol.wait_closed()
    with pytest.raises(StopIteration):
        waiting.send(None)
    assert transport.sent == [(b"close", None)]
    assert not transport.closed
    protocol.close_transport()
    assert transport.closed
    assert protocol.is_finished


async def test_what_could_not_wait_is_not_asked_for_again_at_the_end_of_the_turn():
    protocol, engine, transport = make_live()
    engine.outgoing = [(b"close", PEER)]

    async def close():
        engine.port.request_flush()
        await protocol.wait_closed()

    waiting = asyncio.ensure_future(close())
    for _ in range(3):
        await asyncio.sleep(0)
    assert transport.sent == [(b"close", None)]
    assert engine.names().count("send") == 1
    engine.port.request_flush()
    await asyncio.sleep(0)
    assert engine.names().count("send") == 2
    waiting.cancel()
    protocol.close_transport()


async def test_waiting_ends_when_the_peer_closes():
    protocol, engine, _ = make_live()
    waiting = asyncio.ensure_future(protocol.wait_closed())
    await asyncio.sleep(0)
    engine.is_closed = True
    protocol.datagram_received(b"close", PEER)
    await asyncio.wait_for(waiting, CLOSE_WAIT_LIMIT / 2)


async def test_waiting_is_bounded(monkeypatch):
    monkeypatch.setattr("wtransport._adapter.driver.CLOSE_WAIT_LIMIT", 0.01)
    protocol, _, _ = make_live()
    await protocol.wait_closed()
    assert not protocol.is_closed
    protocol.close_transport()
    assert isinstance(protocol.error, ConnectionAbortedError)


async def test_cancelling_the_wait_is_not_swallowed():
    protocol, _, _ = make_live()
    waiting = asyncio.ensure_future(protocol.wait_closed())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    protocol.close_transport()
