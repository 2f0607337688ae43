"""How a connection between two ports ends, and what keeps it alive."""

from __future__ import annotations

import gc
import weakref

import pytest
from aioquic.tls import Epoch
from port_pair import CLIENT_ADDRESS, SERVER_ADDRESS, PortPair, configuration, limits

from wtransport._quic.aioquic_port import AioquicPort
from wtransport._quic.port import HandshakeFinished, HandshakeStarted, StreamBytes, Terminated

APPLICATION_ERROR = 0x0C
FRAME_ENCODING_ERROR = 0x07
INTERNAL_ERROR = 0x01
PROTOCOL_VIOLATION = 0x0A


def test_the_handshake_is_reported_in_order(pair) -> None:
    for end in pair.ends:
        assert end.events[:2] == [HandshakeStarted("h3"), HandshakeFinished()]


@pytest.mark.parametrize("is_application", [True, False])
def test_closing_is_reported_at_once_here_and_then_there(pair, is_application) -> None:
    pair.client.port.close(5, "good bye", is_application=is_application)
    assert pair.client.wants_flush
    pair.client.collect()
    assert pair.client.events[-1] == Terminated(5, "good bye", is_application, by_peer=False)
    assert not pair.client.port.is_terminated, "CONNECTION_CLOSE is not out yet"
    pair.run(0.1)
    assert pair.server.events[-1] == Terminated(5, "good bye", is_application, by_peer=True)
    pair.settle()
    for end in pair.ends:
        assert len(end.of(Terminated)) == 1
        assert end.events[-1] is end.of(Terminated)[0], "something came after the end"
        assert end.port.is_terminated
        assert end.port.next_deadline() is None
        assert end.port.datagrams_to_send(pair.now) == []


def test_the_first_reason_to_close_counts(pair) -> None:
    pair.client.port.close(5, "first")
    pair.client.port.close(6, "second")
    pair.settle()
    assert pair.server.of(Terminated) == [Terminated(5, "first", is_application=True, by_peer=True)]


def test_both_ends_closing_at_once_each_report_their_own(pair) -> None:
    pair.client.port.close(5, "client")
    pair.server.port.close(6, "server")
    pair.settle()
    assert pair.client.of(Terminated) == [Terminated(5, "client", is_application=True, by_peer=False)]
    assert pair.server.of(Terminated) == [Terminated(6, "server", is_application=True, by_peer=False)]


def test_commands_after_the_end_do_nothing(pair) -> None:
    port = pair.client.port
    stream_id = port.open_stream(unidirectional=False)
    port.send_stream(stream_id, bytes(100_000), False)
    pair.run(0.01)
    port.close(0, "")
    pair.client.collect()
    port.send_stream(stream_id, b"more", True)
    port.watch_unsent(stream_id, 10**6)
    port.reset_stream(stream_id, 1)
    port.stop_stream(stream_id, 1)
    port.consume(stream_id, 1)
    port.send_datagram(b"x")
    port.open_stream(unidirectional=True)
    port.close(1, "again")
    pair.settle()
    assert pair.client.events[-1] == Terminated(0, "", is_application=True, by_peer=False)


def test_a_port_closed_before_it_connected_is_over_and_stays_so() -> None:
    port = AioquicPort(configuration=configuration(is_client=True), limits=limits())
    assert port.next_event() is None
    assert not port.is_terminated
    port.close(3, "never mind")
    assert port.next_event() == Terminated(3, "never mind", is_application=True, by_peer=False)
    assert port.next_event() is None
    assert port.is_terminated
    assert port.datagrams_to_send(0.0) == []
    assert port.next_deadline() is None
    port.connect(SERVER_ADDRESS, 0.0)
    assert port.is_terminated
    assert port.datagrams_to_send(0.0) == []
    assert port.next_event() is None


def test_closing_in_the_middle_of_the_handshake_tells_the_peer(make_pair) -> None:
    pair = make_pair()
    pair.client.port.connect(SERVER_ADDRESS, pair.now)
    pair.run(0.015)
    assert pair.server.port is not None
    pair.client.port.close(5, "changed my mind")
    pair.settle()
    (end,) = pair.server.of(Terminated)
    # An application's code may not be sent before the handshake is over (RFC 9000, 10.2.3).
    assert (end.error_code, end.is_application, end.by_peer) == (APPLICATION_ERROR, False, True)
    assert pair.client.of(Terminated) == [Terminated(5, "changed my mind", is_application=True, by_peer=False)]


@pytest.mark.parametrize("is_first_packet_lost", [False, True])
def test_a_client_that_closes_as_soon_as_it_may_write_tells_its_own_code(make_pair, is_first_packet_lost) -> None:
    """The server reads application codes in 1-RTT packets only, for which it needs the Finished (RFC 9000, 10.2.3)."""
    pair = make_pair()

    def close(event) -> None:
        if isinstance(event, HandshakeStarted):
            pair.client.port.close(5, "not for me")
            pair.client.lose_next = int(is_first_packet_lost)

    pair.client.on_event = close
    pair.client.port.connect(SERVER_ADDRESS, pair.now)
    pair.run(1.0)
    code, reason = (APPLICATION_ERROR, "") if is_first_packet_lost else (5, "not for me")
    assert pair.server.of(Terminated) == [Terminated(code, reason, not is_first_packet_lost, by_peer=True)]
    assert pair.client.of(Terminated) == [Terminated(5, "not for me", is_application=True, by_peer=False)]
    pair.settle()
    assert all(end.port.is_terminated for end in pair.ends)


def test_a_violation_closes_both_ends_with_a_transport_error(pair) -> None:
    pair.inject(pair.client, bytes([0x08 | 2, 0x07, 0x00]))  # STREAM on a unidirectional stream of the server's
    (here,) = pair.server.of(Terminated)
    assert (here.error_code, here.is_application, here.by_peer) == (0x05, False, False)
    pair.settle()
    (there,) = pair.client.of(Terminated)
    assert (there.error_code, there.is_application, there.by_peer) == (0x05, False, True)


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (b"\x01\x40", FRAME_ENCODING_ERROR),  # PING, then half a frame type
        (b"\x01\x3f", FRAME_ENCODING_ERROR),  # an unknown type
        (b"\x0a\x00\x05abc", FRAME_ENCODING_ERROR),  # STREAM shorter than it says
        (b"\x31\x05abc", FRAME_ENCODING_ERROR),  # DATAGRAM shorter than it says
        (b"\x01\x01\x01\x10", FRAME_ENCODING_ERROR),  # MAX_DATA without its field
        (b"\x11\x00", FRAME_ENCODING_ERROR),
        (b"\x04\x00\x00", FRAME_ENCODING_ERROR),
        (b"\x05\x00", FRAME_ENCODING_ERROR),
        (b"\x15\x00", FRAME_ENCODING_ERROR),
        (b"\x12\xd0\x00\x00\x00\x00\x00\x00\x01", FRAME_ENCODING_ERROR),  # MAX_STREAMS above 2**60
        (b"\x13\xd0\x00\x00\x00\x00\x00\x00\x01", FRAME_ENCODING_ERROR),
        (b"\x1e", PROTOCOL_VIOLATION),  # HANDSHAKE_DONE from a client
    ],
)
def test_malformed_frames_are_transport_errors_at_both_ends(pair, frames, code) -> None:
    pair.inject(pair.client, frames)
    pair.settle()
    for end in pair.ends:
        (over,) = end.of(Terminated)
        assert over.error_code == code
        assert not over.is_application
        assert over.by_peer == (end is pair.client)


def test_two_close_frames_in_one_packet_are_still_the_peers(pair) -> None:
    pair.inject(pair.client, b"\x1d\x05\x00" + b"\x1d\x06\x00")
    assert pair.server.of(Terminated) == [Terminated(5, "", is_application=True, by_peer=True)]


def test_a_close_frame_that_is_cut_off_is_a_violation_found_here(pair) -> None:
    pair.inject(pair.client, b"\x1d\x05\x07abc")
    (end,) = pair.server.of(Terminated)
    assert (end.error_code, end.is_application, end.by_peer) == (FRAME_ENCODING_ERROR, False, False)


def test_what_came_before_the_close_is_reported_before_it(pair) -> None:
    stream_id = pair.client.port.open_stream(unidirectional=True)
    pair.client.port.send_stream(stream_id, b"last words", True)
    pair.run(0.005)
    pair.client.port.close(0, "")
    pair.settle()
    assert pair.server.events[-2:] == [
        StreamBytes(stream_id, b"last words", True),
        Terminated(0, "", is_application=True, by_peer=True),
    ]


# Time.


def test_silence_ends_the_connection(make_pair) -> None:
    pair = make_pair(client_configuration={"idle_timeout": 3.0}).connect()
    pair.run(2.5)
    assert not pair.client.of(Terminated)
    pair.run(2.0)
    for end in pair.ends:
        (over,) = end.of(Terminated)
        assert (over.error_code, over.is_application, over.by_peer) == (INTERNAL_ERROR, False, False)
        assert end.port.is_terminated


def test_keep_alive_keeps_a_silent_connection(make_pair) -> None:
    pair = make_pair(client_configuration={"idle_timeout": 3.0}, client_keep_alive=1.0).connect()
    pair.settle(0.5)
    before = pair.client.packets_sent
    pair.run(30.0)
    assert not pair.client.of(Terminated)
    assert not pair.server.of(Terminated)
    assert 25 <= pair.client.packets_sent - before <= 35


def test_keep_alive_is_silent_while_the_peer_talks(make_pair) -> None:
    pair = make_pair(client_keep_alive=1.0).connect()
    pair.settle(0.5)
    before = pair.server.packets_sent
    for _ in range(10):
        pair.server.port.send_datagram(b"here")
        pair.run(0.5)
    assert pair.server.packets_sent - before == 10, "the server had PINGs to acknowledge"


def test_keep_alive_is_not_held_off_by_what_strangers_send(make_pair) -> None:
    pair = make_pair(client_configuration={"idle_timeout": 3.0}, client_keep_alive=1.0).connect()
    for _ in range(50):
        pair.run(0.2)
        pair.client.port.receive_datagram(b"\x40" + bytes(60), SERVER_ADDRESS, pair.now)
    assert not pair.client.of(Terminated)


def test_a_client_that_reads_asks_soon_when_nothing_comes_any_more(make_pair) -> None:
    """Once: its new address becomes known if it has one, and silence that is meant stays silence."""
    pair = make_pair(client_keep_alive=20.0).connect()
    pair.settle()
    stream_id = pair.server.port.open_stream(unidirectional=True)
    for _ in range(5):
        pair.server.port.send_stream(stream_id, b"some", False)
        pair.run(0.5)
    before = pair.client.packets_sent
    pair.run(15.0)
    assert pair.client.packets_sent - before == 1
    pair.run(10.0)
    assert pair.client.packets_sent - before == 2


def test_a_server_does_not_ask(make_pair) -> None:
    pair = make_pair(server_keep_alive=20.0).connect()
    pair.settle()
    pair.client.port.send_stream(pair.client.port.open_stream(unidirectional=True), b"some", False)
    pair.run(0.5)
    before = pair.server.packets_sent
    pair.run(15.0)
    assert pair.server.packets_sent == before


def test_no_keep_alive_after_the_end(make_pair) -> None:
    pair = make_pair(client_keep_alive=1.0).connect()
    pair.server.port.close(0, "")
    pair.settle(10)
    before = pair.client.packets_sent
    assert pair.client.port.next_deadline() is None
    pair.run(10)
    assert pair.client.packets_sent == before


def test_a_peer_that_disables_its_idle_timeout_does_not_shorten_ours(make_pair) -> None:
    """RFC 9000, 18.2: a max_idle_timeout of 0 is the same as none."""
    pair = make_pair(server_configuration={"idle_timeout": 0.0}).connect()
    pair.run(20.0)
    assert not pair.client.of(Terminated)
    pair.run(15.0)
    assert pair.client.of(Terminated)


def test_a_handshake_that_nobody_answers_ends(make_pair) -> None:
    pair = make_pair(client_configuration={"idle_timeout": 5.0})
    pair.network.change(loss=1.0)
    pair.client.port.connect(SERVER_ADDRESS, pair.now)
    pair.run(30.0)
    (over,) = pair.client.of(Terminated)
    assert not over.by_peer
    assert pair.client.port.is_terminated


@pytest.mark.parametrize("junk", [b"", b"\x00" * 30, b"\xc0" + bytes(1300), b"\x40" * 100])
def test_a_server_port_that_gets_only_junk_ends_in_time(certificate, junk) -> None:
    quic = configuration(is_client=False, idle_timeout=5.0)
    quic.load_cert_chain(*certificate)
    port = AioquicPort(configuration=quic, limits=limits(), original_destination_connection_id=bytes(8))
    port.receive_datagram(junk, CLIENT_ADDRESS, 1.0)
    assert port.datagrams_to_send(1.0) == []
    deadline = port.next_deadline()
    assert deadline is not None
    port.handle_timeout(deadline + 0.1)
    assert isinstance(port.next_event(), Terminated)
    assert port.is_terminated
    assert port.next_deadline() is None


# A lost CONNECTION_CLOSE (RFC 9000, 10.2.1).


@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize("is_application", [True, False])
def test_a_lost_close_is_said_again_to_who_still_speaks(pair, lost, is_application) -> None:
    pair.settle()
    pair.client.lose_next = lost
    pair.client.port.close(7, "bye", is_application=is_application)
    for _ in range(lost):
        pair.server.port.send_datagram(b"still there?")
        pair.run(0.03)
    (over,) = pair.server.of(Terminated)
    assert (over.error_code, over.reason, over.by_peer) == (7, "bye", True)


def test_an_end_that_closes_answers_ever_fewer_of_many_packets(pair) -> None:
    pair.settle()
    pair.client.port.close(7, "bye")
    pair.run(0.001)
    before = pair.client.packets_sent
    for _ in range(100):
        pair.client.port.receive_datagram(bytes([0x40]) + pair.client.port.connection_id + bytes(60), SERVER_ADDRESS, 0)
        pair.run(0.0001)
    assert 1 <= pair.client.packets_sent - before <= 7
    pair.run(10.0)
    assert pair.client.port.is_terminated
    pair.client.port.receive_datagram(bytes([0x40]) + pair.client.port.connection_id + bytes(60), SERVER_ADDRESS, 0)
    assert pair.client.port.datagrams_to_send(pair.now) == []


def test_two_ends_that_close_at_once_do_not_keep_each_other_busy(pair) -> None:
    pair.settle()
    before = pair.client.packets_sent, pair.server.packets_sent
    pair.client.port.close(1, "mine")
    pair.server.port.close(2, "yours")
    pair.run(10.0)
    assert pair.client.packets_sent - before[0] <= 3
    assert pair.server.packets_sent - before[1] <= 3
    assert pair.client.port.is_terminated
    assert pair.server.port.is_terminated


def test_a_port_that_is_over_answers_and_waits_for_no_garbage_collector(certificate) -> None:
    pair = PortPair(tuple(certificate)).connect()
    pair.settle()
    ports = [end.port for end in pair.ends]
    handlers = [weakref.ref(port._connection._cryptos[Epoch.ONE_RTT]) for port in ports]
    answers = [(port.remote_address, port.connection_id, port.peer_certificate, port.round_trip_time) for port in ports]
    gc.disable()
    try:
        for port in ports:
            port.clear()
        assert [reference() for reference in handlers] == [None, None]
    finally:
        gc.enable()
    assert answers == [
        (port.remote_address, port.connection_id, port.peer_certificate, port.round_trip_time) for port in ports
    ]
    for port in ports:
        assert port.is_terminated
        assert port.next_deadline() is None
        port.close(0, "late")
        port.receive_datagram(bytes(100), ("192.0.2.1", 1), pair.now)
        port.handle_timeout(pair.now)
        assert port.datagrams_to_send(pair.now) == []
        assert port.probe_timeout > 0
        assert port.max_datagram_payload > 0
        assert not port.is_paced


def test_a_port_that_never_began_can_be_over(certificate) -> None:
    for port in (end.port for end in PortPair(tuple(certificate)).ends):
        port.clear()
        assert port.next_deadline() is None
