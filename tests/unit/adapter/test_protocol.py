"""The socket side of a connection: a client's own socket, and a share of a listener's."""

import errno

import pytest
from fake_port import FakeEngine, FakePort, FakeTransport, VirtualLoop

from wtransport._adapter.outlet import Outlet
from wtransport._adapter.protocol import MAX_OTHER_PATHS, AdapterProtocol
from wtransport.constants import ErrorCodes

PEER = ("192.0.2.9", 443)
PEER6 = ("2001:db8::9", 443, 0, 0)


class Owner:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def connection_ready(self, connection) -> None:
        self.calls.append("ready")

    def connection_closed(self, connection) -> None:
        self.calls.append("closed")

    def connection_finished(self, connection) -> None:
        self.calls.append("finished")


@pytest.fixture
def loop():
    loop = VirtualLoop()
    yield loop
    loop.close()


@pytest.fixture
def port():
    return FakePort()


@pytest.fixture
def engine(port):
    return FakeEngine(port)


@pytest.fixture
def client(loop, port, engine):
    protocol = AdapterProtocol(port=port, loop=loop)
    protocol.connection_made(FakeTransport(("192.0.2.1", 5000), PEER))
    protocol.bind(engine=engine, deliver=lambda event: None)
    return protocol


@pytest.fixture
def owner():
    return Owner()


@pytest.fixture
def shared():
    return Outlet(FakeTransport(("192.0.2.1", 4433)))


@pytest.fixture
def server(loop, port, engine, owner, shared):
    protocol = AdapterProtocol(port=port, loop=loop)
    protocol.share_outlet(shared, owner=owner, peer=PEER)
    protocol.bind(engine=engine, deliver=lambda event: None)
    return protocol


# A client.


def test_connecting_begins_the_handshake_with_the_connected_peer(client, port, loop, engine):
    engine.outgoing = [(b"hello", PEER)]
    client.connect()
    assert port.connects == [(PEER, loop.time())]
    assert client.transport.sent == [(b"hello", None)]


def test_connecting_without_an_engine_or_a_socket_is_refused(loop, port):
    with pytest.raises(RuntimeError, match="connect"):
        AdapterProtocol(port=port, loop=loop).connect()


def test_the_first_packet_can_leave_before_there_is_an_engine(loop, port, engine):
    port.outgoing, protocol = [(b"hello", PEER)], AdapterProtocol(port=port, loop=loop)
    protocol.connection_made(transport := FakeTransport(("192.0.2.1", 5000), PEER))
    protocol.begin()
    assert transport.sent == [(b"hello", None)]
    protocol.bind(engine=engine, deliver=lambda event: None)
    engine.deadline = loop.time() + 1
    protocol.connect()
    loop.turn()
    assert port.connects == [(PEER, loop.time())]
    assert (transport.sent, engine.names()) == ([(b"hello", None)], ["send"])
    loop.advance(1)
    assert engine.names()[1] == "timeout"


def test_a_first_packet_without_a_socket_is_refused(loop, port):
    with pytest.raises(RuntimeError, match="begin"):
        AdapterProtocol(port=port, loop=loop).begin()


def test_a_connected_socket_sends_to_nobody_else(client, engine, loop):
    engine.outgoing = [(b"probe", ("198.51.100.1", 443)), (b"data", PEER)]
    client.flush_soon()
    loop.turn()
    assert client.transport.sent == [(b"data", None)]


def test_an_unconnected_socket_sends_to_the_given_addresses(loop, port, engine):
    protocol = AdapterProtocol(port=port, loop=loop)
    protocol.connection_made(transport := FakeTransport(("192.0.2.1", 5000)))
    protocol.bind(engine=engine, deliver=print)
    engine.outgoing = [(b"a", PEER), (b"b", ("198.51.100.1", 443))]
    protocol.flush_soon()
    loop.turn()
    assert transport.sent == [(b"a", PEER), (b"b", ("198.51.100.1", 443))]


def test_a_batch_is_one_flush_and_comes_from_the_peer(client, engine, loop):
    client.datagrams_received([(b"first", None), (b"second", ("198.51.100.1", 443))])
    assert [entry[1:] for entry in engine.log if entry[0] == "receive"] == [(b"first", PEER), (b"second", PEER)]
    assert loop.turn() == 1


@pytest.mark.parametrize("number", [errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH])
def test_an_icmp_error_before_any_answer_ends_the_attempt(client, loop, number):
    error = OSError(number, "unreachable")
    client.error_received(error)
    loop.run_until_idle()
    assert client.error is error
    assert client.is_finished
    assert client.transport.closed


def test_icmp_is_not_believed_once_the_peer_has_answered(client, engine, loop):
    engine.is_ready = True
    client.error_received(ConnectionRefusedError(errno.ECONNREFUSED, "refused"))
    loop.run_until_idle()
    assert client.error is None
    assert not client.is_finished


@pytest.mark.parametrize("number", [errno.EMSGSIZE, errno.ENOBUFS])
def test_passing_errors_of_sending_are_left_to_loss_recovery(client, loop, number):
    client.error_received(OSError(number, "passing"))
    loop.run_until_idle()
    assert client.error is None


def test_a_socket_that_is_lost_ends_the_connection(client, engine):
    client.connection_lost(None)
    assert isinstance(client.error, ConnectionAbortedError)
    assert engine.is_closed


def test_closing_the_transport_early_gives_the_connection_up(client, engine):
    client.close_transport()
    assert engine.is_closed
    assert [code for code, _ in engine.port.closes] == [ErrorCodes.H3_NO_ERROR]
    assert client.transport.closed
    assert client.local_address == ("192.0.2.1", 5000)
    assert client.remote_address == PEER


def test_closing_the_transport_when_the_end_is_known_is_no_error_of_its_own(client, engine, loop):
    def handle(event):
        engine.is_closed = True
        client.close_transport()

    client._deliver = handle
    engine.events.append("closed by the peer")
    engine.outgoing = [(b"last", PEER)]
    client.datagram_received(b"close", PEER)
    assert client.is_finished
    assert client.error is None
    assert client.transport.sent == [(b"last", None)]
    assert client.transport.closed
    loop.run_until_idle()


def test_a_protocol_that_never_got_an_engine_closes_its_socket(loop, port):
    protocol = AdapterProtocol(port=port, loop=loop)
    protocol.connection_made(transport := FakeTransport(("192.0.2.1", 5000), PEER))
    protocol.close_transport()
    assert transport.closed
    assert protocol.is_finished
    assert protocol.error is None


def test_a_new_socket_replaces_the_old_one(client, engine, loop):
    client.watch_send_errors(lambda exc: True)
    engine.outgoing = [(b"initial", PEER)]
    client.flush_soon()
    loop.turn()
    old = client.transport
    new = FakeTransport(("192.0.2.77", 6000), PEER)
    client.connection_made(new)
    assert old.closed
    assert old.protocol is not client
    assert new.sent == []
    assert client.local_address == ("192.0.2.77", 6000)
    assert client.port.path_changes == 1
    assert not client.is_finished
    client.datagram_received(b"answer", PEER)
    assert engine.log[-1] == ("receive", b"answer", PEER)
    engine.outgoing = [(b"more", PEER)]
    loop.run_until_idle()
    assert new.sent[-1] == (b"more", None)


def test_errors_that_the_dialer_takes_over_do_not_end_the_attempt(client, loop):
    asked = []
    client.watch_send_errors(lambda exc: asked.append(exc) or True)
    client.error_received(error := ConnectionRefusedError(errno.ECONNREFUSED, "refused"))
    loop.run_until_idle()
    assert asked == [error]
    assert client.error is None


def test_a_socket_that_opens_too_late_is_closed(client):
    client.close_transport()
    client.connection_made(late := FakeTransport(("192.0.2.2", 6000), PEER))
    assert late.closed


# A server's connection.


def test_a_server_sends_to_where_the_port_says(server, shared, engine, loop):
    engine.outgoing = [(b"to peer", PEER), (b"to new path", ("192.0.2.77", 9))]
    server.flush_soon()
    loop.turn()
    assert shared.transport.sent == [(b"to peer", PEER), (b"to new path", ("192.0.2.77", 9))]


def test_the_remote_address_follows_migration(server, port):
    assert server.remote_address == PEER
    port.remote_address = ("::ffff:198.51.100.7", 1234, 0, 0)
    assert server.remote_address == ("198.51.100.7", 1234)


def test_addresses_stay_known_after_the_end(server, port):
    port.remote_address = ("198.51.100.7", 1234)
    server.abort(OSError("over"))
    port.remote_address = None
    assert server.remote_address == ("198.51.100.7", 1234)
    assert server.local_address == ("192.0.2.1", 4433)


def test_a_connection_answers_by_the_socket_that_reaches_the_address(server, shared, engine, loop):
    other = Outlet(FakeTransport(("2001:db8::1", 4433, 0, 0)))
    server.receive_elsewhere(b"migrated", PEER6, loop.time(), other)
    server.end_batch()
    engine.outgoing = [(b"old", PEER), (b"new", PEER6), (b"nowhere", ("2001:db8::bad", 1, 0, 0))]
    loop.turn()
    assert shared.transport.sent == [(b"old", PEER)]
    assert other.transport.sent == [(b"new", PEER6)]


def test_forged_addresses_take_bounded_memory(server, loop):
    other = Outlet(FakeTransport(("2001:db8::1", 4433, 0, 0)))
    for number in range(10 * MAX_OTHER_PATHS):
        server.receive_elsewhere(b"forged", ("2001:db8::9", number, 0, 0), loop.time(), other)
    assert len(server._other_paths) == MAX_OTHER_PATHS


def test_the_owner_hears_of_each_step_once_and_the_socket_stays(server, owner, engine, loop, shared):
    engine.is_ready = True
    for _ in range(3):
        server.flush_soon()
        loop.run_until_idle()
    assert owner.calls == ["ready"]
    engine.deadline = loop.time() + 1
    engine.port.close(0, "")
    loop.run_until_idle()
    assert owner.calls == ["ready", "closed"]
    server.close_transport()
    assert owner.calls == ["ready", "closed"]
    engine.deadline = None
    loop.advance(2)
    assert owner.calls == ["ready", "closed", "finished"]
    assert not shared.transport.closed


def test_nothing_is_handed_to_a_closed_socket(server, shared, engine, loop):
    shared.transport.closed = True
    engine.outgoing = [(b"late", PEER)]
    server.flush_soon()
    loop.turn()
    assert shared.transport.sent == []


def test_a_pause_of_the_shared_socket_stops_every_connection_and_resumes_each_once(loop, owner, shared):
    engines = []
    for _ in range(3):
        port = FakePort()
        engine = FakeEngine(port)
        connection = AdapterProtocol(port=port, loop=loop)
        connection.share_outlet(shared, owner=owner, peer=PEER)
        connection.bind(engine=engine, deliver=print)
        engines.append(engine)
    shared.pause()
    for engine in engines * 2:
        engine.port.request_flush()
    loop.run_until_idle()
    assert [engine.names() for engine in engines] == [[], [], []]
    engines[2].port.close(0, "")
    loop.run_until_idle()
    engines[2].log.clear()
    shared.resume()
    loop.run_until_idle()
    assert [engine.names() for engine in engines] == [["send"], ["send"], []]


def test_the_representation_names_both_ends(server):
    assert "192.0.2.9" in repr(server)
    assert "open" in repr(server)
