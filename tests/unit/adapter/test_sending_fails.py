"""Sending fails inside a step of the engine: the handle hears of the end, whatever else had arrived by then."""

import pytest
from engine_pair import EnginePair
from fake_port import FakeTransport, VirtualLoop
from network import SERVER_ADDRESS

from wtransport._adapter.driver import INTERNAL_FAILURE
from wtransport._adapter.protocol import AdapterProtocol
from wtransport._protocol import events


class Client:
    """A client's real engine and driver, whose session the server has just ended; a stream came behind that."""

    def __init__(self, certificate) -> None:
        self.pair = pair = EnginePair(certificate)
        pair.connect()
        _, request = pair.open_session()
        self.loop = VirtualLoop()
        self.loop.clock = pair.now
        self.protocol = AdapterProtocol(port=pair.client.port, loop=self.loop)
        self.protocol.connection_made(FakeTransport(("127.0.0.1", 5000), SERVER_ADDRESS))
        self.seen: list = []
        self.on_event = lambda event: None
        self.protocol.bind(engine=pair.client, deliver=self.deliver)
        request.close()
        self.packets = pair.server.datagrams_to_send(pair.now)
        late = pair.server.port.open_stream(unidirectional=True)
        pair.server.port.send_stream(late, b"\x40", False)  # half of its type
        self.packets += pair.server.datagrams_to_send(pair.now)
        self.send = pair.client.datagrams_to_send

    def deliver(self, event) -> None:
        self.seen.append(event)
        self.on_event(event)

    def receive(self, until: float | None = None) -> bool:
        self.protocol.receive_all([(data, SERVER_ADDRESS) for data, _ in self.packets], self.pair.now)
        return self.protocol.end_batch(until)

    def ends(self) -> list:
        return [event.reason for event in self.seen if isinstance(event, events.ConnectionClosed)]

    def fail_once(self, now):
        self.pair.client.datagrams_to_send = self.send
        raise LookupError("sending")

    def fail(self, now):
        raise LookupError("sending")


@pytest.fixture
def client(certificate):
    client = Client(certificate)
    yield client
    client.loop.close()


@pytest.mark.parametrize("how", ["fail_once", "fail"])
def test_the_handle_is_told_once_that_the_connection_is_closed(client, how):
    client.pair.client.datagrams_to_send = getattr(client, how)
    client.receive()
    client.loop.run_until_idle()
    assert isinstance(client.protocol.error, LookupError)
    assert client.protocol.is_finished
    assert client.ends() == [INTERNAL_FAILURE]
    assert [event.session.is_over for event in client.seen if isinstance(event, events.SessionEnded)] == [True]
    assert not client.loop.live_timers()


def test_the_handle_is_told_although_the_batch_had_no_more_time(client):
    client.pair.client.datagrams_to_send = client.fail
    assert not client.receive(client.loop.time() - 1)
    client.loop.run_until_idle()
    assert client.ends() == [INTERNAL_FAILURE]


def test_the_handle_is_told_although_the_engine_fails_once_more(client, monkeypatch):
    client.pair.client.datagrams_to_send = client.fail

    def fail(event):
        raise LookupError("stepping")

    monkeypatch.setattr(client.pair.client, "_on_event", fail)
    client.receive()
    client.loop.run_until_idle()
    assert client.protocol.is_finished
    assert client.ends() == [INTERNAL_FAILURE]


def test_what_a_handler_aborts_is_let_go_of_in_the_next_turn(client):
    def abort(event):
        if isinstance(event, events.SessionEnded):
            client.protocol.abort(OSError("enough"))

    client.on_event = abort
    client.receive()
    assert client.protocol.is_finished
    client.loop.run_until_idle()
    assert client.ends() == ["enough"]
    assert not hasattr(client.pair.client, "_critical")
