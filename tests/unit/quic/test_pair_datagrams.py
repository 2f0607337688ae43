"""Datagrams between two ports: the queue's bound, exact sizes, and fairness between them and streams."""

from __future__ import annotations

import pytest
from network import Network
from port_pair import End, PortPair, limits

from wtransport._quic.port import DatagramsArrived, DatagramsDrained, StreamBytes, Terminated


def datagrams(end: End) -> list[bytes]:
    return [data for event in end.of(DatagramsArrived) for data in event.datagrams]


def consume_at_once(end: End) -> None:
    def act(event) -> None:
        if isinstance(event, StreamBytes) and event.data:
            end.port.consume(event.stream_id, len(event.data))

    end.on_event = act


def test_datagrams_arrive_in_order_over_a_clean_network(pair) -> None:
    sent = [bytes([number]) * number for number in range(100)]
    for data in sent:
        assert pair.client.port.send_datagram(data)
    pair.settle()
    assert datagrams(pair.server) == sent


def test_a_sender_puts_its_bytes_in_front_and_counts_without_them(pair) -> None:
    sender = pair.client.port.datagram_sender(b"to:")
    assert not sender.send(b"")  # its limit is -1
    sender.limit = 2
    flushes = []
    request_flush = pair.client.port.request_flush
    pair.client.port.request_flush = lambda: flushes.append(request_flush())
    assert sender.send(b"me")
    assert sender.send(b"")
    assert flushes
    assert not sender.send(b"you")
    assert not sender.send(bytearray(b"me"))
    assert not sender.send("me")
    assert sender.push(b"you")
    assert (sender.sent, sender.bytes_sent) == (3, 5)
    pair.settle()
    assert datagrams(pair.server) == [b"to:me", b"to:", b"to:you"]
    flushes.clear()
    assert sender.send(b"!")
    assert flushes


def test_a_sender_refuses_what_a_full_queue_has_no_room_for(make_pair) -> None:
    pair = make_pair(client_limits=limits(max_queued_datagrams=2)).connect()
    sender = pair.client.port.datagram_sender(b"#")
    sender.limit = 10
    assert sender.send(b"1")
    assert sender.push(b"2")
    assert not sender.send(b"3")
    assert not sender.push(b"3")
    assert (sender.sent, sender.bytes_sent) == (2, 2)
    pair.settle()
    assert pair.client.of(DatagramsDrained)
    assert sender.send(b"3")
    pair.settle()
    assert datagrams(pair.server) == [b"#1", b"#2", b"#3"]


def test_many_small_datagrams_of_one_packet_are_told_of_in_several_events(pair) -> None:
    pair.inject(pair.client, b"\x31\x01\x00" * 300)
    events = pair.server.of(DatagramsArrived)
    assert [len(event.datagrams) for event in events] == [64, 64, 64, 64, 44]


@pytest.mark.parametrize("announced", [65_536, 1200, 200, 67, 66, 65, 64, 30, 3])
def test_the_largest_payload_is_delivered_and_nothing_larger_would_be_legal(make_pair, announced) -> None:
    pair = make_pair(server_configuration={"max_datagram_frame_size": announced}).connect()
    size = pair.client.port.max_datagram_payload
    pair.client.port.send_datagram(bytes(size))
    pair.settle()
    assert datagrams(pair.server) == [bytes(size)]
    assert not pair.server.of(Terminated)
    # One byte more would make the frame larger than was announced, or than a packet holds.
    frame = 1 + (1 if size + 1 < 64 else 2) + size + 1
    assert frame > min(announced, 1200 - (1 + 8 + 2) - 16)


def test_nothing_may_be_sent_to_a_peer_that_takes_no_datagrams(make_pair) -> None:
    pair = make_pair(server_configuration={"max_datagram_frame_size": None}).connect()
    assert pair.client.port.max_datagram_payload == 0
    assert pair.client.port.remote_max_datagram_frame_size == 0


def test_nothing_may_be_sent_before_the_peer_is_known(make_pair) -> None:
    assert make_pair().client.port.max_datagram_payload == 0


def test_a_datagram_larger_than_announced_is_a_violation(make_pair) -> None:
    pair = make_pair(server_configuration={"max_datagram_frame_size": 100}).connect()
    pair.inject(pair.client, bytes([0x31]) + bytes([0x40, 97]) + bytes(97))
    assert datagrams(pair.server) == [bytes(97)]
    pair.inject(pair.client, bytes([0x31]) + bytes([0x40, 98]) + bytes(98))
    pair.settle()
    (end,) = pair.client.of(Terminated)
    assert end.error_code == 0x0A
    assert not end.is_application


def test_a_datagram_frame_without_a_length_runs_to_the_end_of_the_packet(pair) -> None:
    pair.inject(pair.client, bytes([0x30]) + b"all of it")
    assert datagrams(pair.server) == [b"all of it"]


def test_the_queue_is_bounded_and_room_is_told_once(make_pair) -> None:
    pair = make_pair(client_limits=limits(max_queued_datagrams=10)).connect()
    port = pair.client.port
    accepted = 0
    while port.send_datagram(bytes(1000)):
        accepted += 1
    assert accepted == 10
    assert not port.send_datagram(b"small")
    assert not pair.client.of(DatagramsDrained)
    pair.settle()
    assert pair.client.of(DatagramsDrained) == [DatagramsDrained()]
    assert len(datagrams(pair.server)) == 10
    assert port.send_datagram(b"small")
    pair.settle()
    assert pair.client.of(DatagramsDrained) == [DatagramsDrained()]


@pytest.mark.parametrize("delay", [0.0005, 0.02])
def test_neither_streams_nor_datagrams_starve_the_other(make_pair, delay) -> None:
    """Both have more to send than the congestion window takes, for a long time."""
    network = Network(delay=delay)
    pair: PortPair = make_pair(
        network=network,
        client_limits=limits(max_queued_datagrams=200),
        server_limits=limits(stream_window=10_000_000, connection_window=10_000_000),
    ).connect()
    consume_at_once(pair.server)
    client = pair.client.port
    stream_id = client.open_stream(unidirectional=True)
    client.send_stream(stream_id, bytes(3_000_000), False)
    sent = 0

    def fill() -> None:
        nonlocal sent
        while sent < 600 and client.send_datagram(bytes(client.max_datagram_payload)):
            sent += 1

    pair.client.on_event = lambda event: fill() if isinstance(event, DatagramsDrained) else None
    fill()
    pair.run_until(
        lambda: len(datagrams(pair.server)) >= 300 or len(pair.server.received(stream_id)) >= 1_000_000, seconds=300
    )
    assert len(datagrams(pair.server)) >= 150
    assert len(pair.server.received(stream_id)) >= 150_000


def test_the_largest_datagram_gets_out_beside_acknowledgements_and_streams_both_ways(make_pair) -> None:
    """An acknowledgement in the same packet leaves no room for it, so it must get another packet."""
    pair: PortPair = make_pair(
        network=Network(loss=0.02, seed=9, delay=0.01),
        client_limits=limits(stream_window=10_000_000, connection_window=10_000_000),
        server_limits=limits(stream_window=10_000_000, connection_window=10_000_000),
    ).connect(seconds=300)
    for end in pair.ends:
        consume_at_once(end)
        stream_id = end.port.open_stream(unidirectional=True)
        end.port.send_stream(stream_id, bytes(1_000_000), False)
    pair.run(0.2)
    client = pair.client.port
    for _ in range(20):
        client.send_datagram(bytes(client.max_datagram_payload))
    pair.run(1.0)
    assert not client._connection._writer.datagrams
    assert len(datagrams(pair.server)) >= 15
    assert client.unsent_bytes(2) > 0, "the stream was over before the datagrams"


def test_datagrams_that_fit_no_longer_do_not_stop_the_rest(pair) -> None:
    """The peer retires its connection ids for one of 20 bytes while a datagram of the largest size is queued."""
    client = pair.client.port
    stream_id = client.open_stream(unidirectional=True)
    client.send_stream(stream_id, bytes(10_000), False)
    largest = client.max_datagram_payload
    for _ in range(3):
        assert client.send_datagram(bytes(largest))
    assert client.send_datagram(b"small")
    sequence_number = 50
    new_connection_id = bytes([0x18, sequence_number, sequence_number, 20]) + bytes(20) + bytes(16)
    pair.inject(pair.server, new_connection_id)
    assert client.max_datagram_payload == largest - 12
    assert client.datagrams_dropped == 0
    pair.run(0.1)
    assert client.datagrams_dropped == 3
    assert not client._connection._writer.datagrams
    assert client.unsent_bytes(stream_id) == 0


@pytest.mark.parametrize("padding", [1, 2, 900])
def test_padding_ends_where_the_next_frame_begins(pair, padding) -> None:
    pair.inject(pair.client, bytes(padding) + b"\x31\x01a" + bytes(padding) + b"\x31\x00" + bytes(padding))
    assert datagrams(pair.server) == [b"a", b""]
