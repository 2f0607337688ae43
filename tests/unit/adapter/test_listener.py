"""A listener's decisions about datagrams, without sockets and in virtual time."""

import errno

import pytest
from fake_port import FakeTransport
from fake_udp import FakeSocket, WatchedLoop
from listener_rig import CLIENT, new_client

from wtransport._adapter.handshakes import HandshakeLimits
from wtransport._adapter.outlet import Outlet
from wtransport._adapter.packets import read_long_header
from wtransport._adapter.server_socket import MAX_READ, ServerSocket
from wtransport._adapter.udp_transport import UdpTransport

HANDSHAKE_TIMEOUT = HandshakeLimits().timeout


def first_packet() -> bytes:
    return new_client()[1]


def unknown_version(data: bytes) -> bytes:
    return data[:1] + (0x1A2A3A4A).to_bytes(4, "big") + data[5:]


@pytest.fixture
def rig(make_rig):
    return make_rig()


def test_a_first_packet_makes_a_connection_and_later_ones_find_it(rig):
    data = first_packet()
    connection = rig.route(data)
    assert rig.accepted == [connection]
    assert rig.made[0][0] == read_long_header(data).destination_cid
    assert rig.listener.connections == [connection]
    assert rig.route(data) is connection
    assert rig.route(b"\x40server00" + b"x" * 30) is connection
    # A Handshake packet, to the connection id that the server chose.
    assert rig.route(b"\xe0\x00\x00\x00\x01\x08server00\x00" + b"x" * 30) is connection
    assert rig.listener.counters.accepted == 1
    assert rig.sent == []


def test_two_clients_are_two_connections(rig):
    first, second = rig.route(first_packet()), rig.route(first_packet(), ("192.0.2.51", 1))
    assert first is not second
    assert rig.route(b"\x40server01") is second
    assert rig.asked == [CLIENT, ("192.0.2.51", 1)]


def test_issued_ids_lead_to_the_connection_until_they_are_retired(rig):
    connection = rig.route(first_packet())
    connection.port.on_cid_issued(b"issued-1")
    assert rig.route(b"\x40issued-1...") is connection
    connection.port.on_cid_retired(b"issued-1")
    assert rig.route(b"\x40issued-1...") is None
    assert rig.listener.counters.unknown_connection == 1


@pytest.mark.parametrize("data", [b"", b"\x40", b"\x40short", b"\xc0\x00\x00\x00\x01\x14", b"\xff" * 6])
def test_noise_is_dropped_and_counted(rig, data):
    assert rig.route(data) is None
    counters = rig.listener.counters
    assert counters.malformed + counters.unknown_connection == 1
    assert rig.sent == []


def test_an_unknown_version_is_answered_with_ours(rig):
    data = unknown_version(first_packet())
    assert rig.route(data) is None
    [(answer, addr)] = rig.sent
    assert addr == CLIENT
    header, theirs = read_long_header(answer), read_long_header(data)
    assert header == (0, theirs.source_cid, theirs.destination_cid)
    assert answer[-4:] == b"\0\0\0\1"
    assert rig.listener.counters.versions_negotiated == 1


def test_an_unknown_version_in_a_small_datagram_is_not_answered(rig):
    assert rig.route(unknown_version(first_packet())[:1199]) is None
    assert rig.sent == []


def test_version_negotiation_is_never_answered_with_version_negotiation(rig):
    data = first_packet()
    assert rig.route(data[:1] + bytes(4) + data[5:]) is None
    assert rig.sent == []


def test_a_first_packet_in_a_small_datagram_is_dropped(rig):
    assert rig.route(first_packet()[:1199]) is None
    assert rig.made == []
    assert rig.sent == []


def test_a_first_packet_with_a_guessable_connection_id_is_dropped(rig):
    data = b"\xc0\x00\x00\x00\x01\x07" + b"1234567" + b"\x00\x00\x44\xb0"
    assert rig.route(data.ljust(1250, b"\0")) is None
    assert rig.made == []


@pytest.mark.parametrize("first_byte", [0xD0, 0xE0, 0xF0])
def test_only_initial_packets_begin_a_connection(rig, first_byte):
    assert rig.route(bytes([first_byte]) + first_packet()[1:]) is None
    assert rig.made == []


def test_an_unwelcome_client_is_refused_without_a_connection(rig):
    rig.welcome = False
    assert rig.route(first_packet(), ("::ffff:192.0.2.50", 5000, 0, 0)) is None
    assert rig.asked == [CLIENT]
    assert rig.made == []
    assert len(rig.sent) == 1
    assert len(rig.sent[0][0]) < 1200
    assert rig.listener.counters.refused == 1


def test_a_failing_decision_refuses(rig, caplog):
    rig.fail = ValueError("decision")
    assert rig.route(first_packet()) is None
    assert rig.listener.counters.refused == 1
    assert caplog.records


def test_a_handle_that_cannot_be_made_leaves_nothing(rig, caplog):
    rig.listener._admission._may_accept = lambda address: True
    rig.fail = ValueError("handle")
    assert rig.route(first_packet()) is None
    assert rig.listener.connections == []
    assert not rig.listener.routes
    assert caplog.records


def test_a_handshake_that_takes_too_long_is_aborted(rig):
    slow = rig.route(first_packet())
    rig.loop.advance(HANDSHAKE_TIMEOUT / 2)
    done, late = rig.route(first_packet()), rig.route(first_packet())
    rig.engines[1].is_ready = True
    done.flush_soon()
    rig.loop.advance(HANDSHAKE_TIMEOUT / 2 + 0.1)
    assert slow.is_finished
    assert isinstance(slow.error, TimeoutError)
    assert rig.listener.connections == [done, late]
    rig.loop.advance(HANDSHAKE_TIMEOUT)
    assert rig.listener.connections == [done]
    assert rig.listener.counters.handshake_timeouts == 2
    assert rig.loop.live_timers() == []


def test_a_closed_connection_keeps_its_ids_until_it_has_drained(rig):
    data = first_packet()
    connection = rig.route(data)
    engine = rig.engines[0]
    engine.deadline = rig.loop.time() + 0.3
    engine.port.close(0, "")
    rig.loop.run_until_idle()
    assert rig.listener.connections == []
    assert rig.route(data) is connection
    engine.deadline = None
    rig.loop.advance(1)
    assert not rig.listener.routes
    assert len(rig.listener._table) == 0
    rig.loop.advance(HANDSHAKE_TIMEOUT)
    assert rig.loop.live_timers() == []


def test_a_closing_listener_refuses_new_connections_and_serves_the_old_ones(rig):
    data = first_packet()
    connection = rig.route(data)
    rig.listener.close()
    assert rig.route(data) is connection
    assert rig.route(first_packet()) is None
    assert rig.listener.counters.refused == 1
    assert rig.route(unknown_version(first_packet())) is None
    assert len(rig.sent) == 1


def test_a_lost_socket_ends_its_connections(rig):
    connection = rig.route(first_packet())
    elsewhere = Outlet(FakeTransport(("192.0.2.2", 4433)))
    rig.listener.socket_lost(elsewhere, None)
    assert not connection.is_finished
    rig.listener.socket_lost(rig.outlet, OSError("broken"))
    assert connection.is_finished
    assert str(connection.error) == "broken"


def test_a_paused_socket_gets_no_stateless_answers(rig):
    rig.outlet.pause()
    rig.route(unknown_version(first_packet()))
    assert rig.sent == []


# The socket in front of it.


def test_a_batch_is_one_flush_for_each_connection(rig):
    first, second = first_packet(), first_packet()
    sock, watched = FakeSocket(), WatchedLoop()
    rig.outlet = Outlet(UdpTransport(loop=watched, sock=sock, protocol=ServerSocket(rig.listener, rig.loop)))
    sock.inbox.extend([(data, 0) for data in (first, second, first, first, second)])
    watched.reader()
    assert [engine.names() for engine in rig.engines] == [["receive"] * 3, ["receive"] * 2]
    assert rig.loop.turn() == 2
    assert [engine.names()[-1] for engine in rig.engines] == ["send", "send"]


def test_a_loops_own_transport_gives_all_it_has_before_any_is_worked_on(rig):
    first = first_packet()
    server_socket = ServerSocket(rig.listener, rig.loop)
    server_socket.connection_made(rig.outlet.transport)
    for _ in range(3):
        server_socket.datagram_received(first, CLIENT)
    assert rig.engines == []
    rig.loop.turn()
    assert [engine.names() for engine in rig.engines] == [["receive"] * 3]


def test_what_comes_while_packets_are_worked_on_is_taken_out_of_the_kernel(rig):
    sock, watched = FakeSocket(), WatchedLoop()
    server_socket = ServerSocket(rig.listener, rig.loop)
    rig.outlet = Outlet(UdpTransport(loop=watched, sock=sock, protocol=server_socket))
    server_socket._inbound.run_soon()  # as after a turn that was too short
    sock.inbox.extend([(first_packet(), 0)] * (MAX_READ + 1))
    rig.loop.turn()
    assert len(sock.inbox) == 1
    assert [engine.names() for engine in rig.engines] == [["receive"] * MAX_READ]
    rig.outlet.transport.close()
    server_socket._inbound.refill()
    assert len(sock.inbox) == 1


def test_errors_of_sending_are_counted(rig):
    server_socket = ServerSocket(rig.listener, rig.loop)
    server_socket.connection_made(rig.outlet.transport)
    server_socket.error_received(OSError("no route"))
    assert rig.listener.counters.send_errors == 1
    server_socket.error_received(OSError(errno.EMSGSIZE, "a probe of the path's MTU"))
    assert rig.listener.counters.send_errors == 1
    assert server_socket.local_address == ("192.0.2.1", 4433)
