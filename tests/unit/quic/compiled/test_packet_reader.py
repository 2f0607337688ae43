"""What the data path reads is what aioquic's way makes of the same packets; what it does not take changes nothing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from network import CLIENT_ADDRESS
from port_pair import PortPair, packets_with

from wtransport._quic.port import DatagramsArrived, StreamBytes, Terminated
from wtransport._speedups import encode_varint

INTEGER = st.one_of(st.integers(0, 20), st.sampled_from([63, 64, 16_383, 16_384, 2**30, 2**60, 2**60 + 1, 2**62 - 1]))
STREAM_ID = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 400])


def varints(*numbers: int) -> bytes:
    return b"".join(map(encode_varint, numbers))


def stream_frame(stream_id: int, offset: int, data: bytes, fin: bool, has_length: bool) -> bytes:
    head = bytes([0x0C | has_length << 1 | fin]) + varints(stream_id, offset)
    return head + (varints(len(data)) if has_length else b"") + data


def ack_frame(largest: int, first: int, ranges: list[tuple[int, int]], ecn: bool) -> bytes:
    fields = [largest, 25, len(ranges), first, *(number for pair in ranges for number in pair)]
    return bytes([0x02 | ecn]) + varints(*fields, *([1, 0, 0] if ecn else []))


STREAM_FRAME = st.builds(
    stream_frame,
    STREAM_ID,
    st.one_of(st.integers(0, 40), INTEGER),
    st.binary(max_size=30),
    st.booleans(),
    st.booleans(),
)
CONTROL_FRAME = st.builds(
    lambda kind, stream_id, rest: bytes([kind]) + varints(stream_id, *rest),
    st.sampled_from([0x04, 0x05, 0x11, 0x15, 0x24]),
    STREAM_ID,
    st.lists(INTEGER, min_size=1, max_size=3),
)
LIMIT_FRAME = st.builds(
    lambda kind, limit: bytes([kind]) + varints(limit), st.sampled_from([0x10, 0x12, 0x13, 0x14, 0x16, 0x17]), INTEGER
)
ACK_FRAME = st.builds(
    ack_frame,
    st.integers(0, 12),
    st.integers(0, 4),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=3),
    st.booleans(),
)
DATAGRAM_FRAME = st.builds(
    lambda data, has_length: bytes([0x30 | has_length]) + (varints(len(data)) if has_length else b"") + data,
    st.binary(max_size=40),
    st.booleans(),
)
RARE_FRAME = st.sampled_from(
    [
        b"\x00",
        bytes(5),
        b"\x01",
        b"\x06\x00\x00",
        b"\x1a" + bytes(8),
        b"\x1b" + bytes(8),
        b"\x40\x01",  # PING, with more bytes than it needs
        b"\x1e",
        b"\x1c\x05\x00\x00",
        b"\x21",
        b"\xff",
    ]
)
PACKET = st.lists(
    st.one_of(STREAM_FRAME, CONTROL_FRAME, LIMIT_FRAME, ACK_FRAME, DATAGRAM_FRAME, RARE_FRAME, st.binary(min_size=1)),
    min_size=1,
    max_size=4,
).map(b"".join)


@pytest.fixture
def two_pairs(make_pair) -> list[PortPair]:
    """Return two pairs that have done the same; the server of the second leaves its packets to aioquic."""
    return make_two(make_pair)


def make_two(make_pair: Any) -> list[PortPair]:
    pairs = [make_pair().connect() for _ in range(2)]
    connection = pairs[1].server.port._connection
    connection.reads_packets = connection.writes_packets = False
    for pair in pairs:
        server = pair.server.port
        for unidirectional in (True, False):
            server.send_stream(server.open_stream(unidirectional=unidirectional), bytes(3000), False)
        server.datagrams_to_send(pair.now)
        pair.server.events.clear()
    return pairs


def state_of(pair: PortPair) -> dict[str, Any]:
    """Return what a server has made of its packets so far."""
    connection = pair.server.port._connection
    table, space = connection.table, connection._application_space
    return {
        "events": [(type(event).__name__, asdict(event)) for event in pair.server.events],
        "received": table.receive_window.received,
        "streams": sorted(table.streams),
        "remote": (table.remote.max_data, table.remote.max_streams_bidi, table.remote.max_streams_uni),
        "numbers": [(part.start, part.stop) for part in space.ack_queue],
        "largest": space.largest_received_packet,
        "ack_at": space.ack_at,
        "in flight": connection._loss.bytes_in_flight,
        "closes_at": connection._close_at,
        "deadline": pair.server.port.next_deadline(),
        "spin": connection._spin_bit,
        "close": connection.close_event and (int(connection.close_event.error_code), connection.close_event.frame_type),
    }


@settings(max_examples=200)
@given(
    packets=st.lists(PACKET, min_size=1, max_size=5),
    pauses=st.lists(st.sampled_from([0.0, 0.001, 0.1]), min_size=5, max_size=5),
)
def test_both_ways_make_the_same_of_packets(certificate, packets: list[bytes], pauses: list[float]) -> None:
    pairs = make_two(lambda: PortPair(tuple(certificate)))
    for frames, pause in zip(packets, pauses, strict=False):
        for pair in pairs:
            pair.now += pause
            pair.inject(pair.client, frames)
        assert state_of(pairs[0]) == state_of(pairs[1])
        if pairs[0].server.of(Terminated):
            return
    sent = [pair.server.port.datagrams_to_send(pair.now) for pair in pairs]
    assert bool(sent[0]) == bool(sent[1])


def test_what_is_of_every_day_is_not_left_to_aioquic(pair: PortPair) -> None:
    connection = pair.server.port._connection
    frames = [
        bytes(3),
        b"\x01",
        ack_frame(0, 0, [], False),
        stream_frame(0, 0, b"data", False, True),
        stream_frame(4, 0, b"data", True, False),
        b"\x04" + varints(0, 9, 4),
        b"\x05" + varints(4, 9),
        b"\x10" + varints(2**40),
        b"\x11" + varints(4, 2**40),
        b"\x12" + varints(100),
        b"\x13" + varints(100),
        b"\x14" + varints(7),
        b"\x15" + varints(8, 1),
        b"\x16" + varints(7),
        b"\x17" + varints(7),
        b"\x31" + varints(3) + b"abc",
        b"\x30abc",
    ]
    for number, frame in enumerate(frames):
        before = connection.packets_read
        pair.inject(pair.client, frame)
        assert connection.packets_read == before + 1, number
    assert connection.close_event is None


@pytest.mark.parametrize("rare", [b"\x06\x00\x00", b"\x1a" + bytes(8), b"\x18\x05\x00\x08" + bytes(24), b"\x40\x01"])
def test_what_is_rare_is_left_to_aioquic(pair: PortPair, rare: bytes) -> None:
    connection = pair.server.port._connection
    pair.settle()
    before = connection.packets_read
    pair.inject(pair.client, stream_frame(0, 0, b"with it", False, True) + rare)
    assert connection.packets_read == before
    assert pair.server.received(0) == b"with it"


def test_a_copy_changes_nothing(two_pairs: list[PortPair]) -> None:
    for pair in two_pairs:
        (packet,) = packets_with(pair.client.port, stream_frame(0, 0, b"once", False, True) + b"\x31\x04once")
        for _ in range(3):
            pair.server.port.receive_datagram(packet, CLIENT_ADDRESS, pair.now)
            pair.now += 0.001
        pair.server.collect()
        assert pair.server.received(0) == b"once"
        assert [event.datagrams for event in pair.server.of(DatagramsArrived)] == [[b"once"]]
    assert state_of(two_pairs[0]) == state_of(two_pairs[1])


def test_broken_packets_change_nothing(pair: PortPair) -> None:
    pair.settle()
    (packet,) = packets_with(pair.client.port, stream_frame(0, 0, b"whole", False, True))
    before = state_of(pair)
    read = pair.server.port._connection.packets_read
    broken = [packet[:size] for size in range(len(packet))] + [packet + b"\0", b""]
    for position in range(len(packet)):
        for bit in (0x01, 0x20, 0x80):
            broken.append(packet[:position] + bytes([packet[position] ^ bit]) + packet[position + 1 :])
    pair.now += 0.001
    for data in broken:
        pair.server.port.receive_datagram(data, CLIENT_ADDRESS, pair.now)
        pair.server.collect()
        assert state_of(pair) == before
    assert pair.server.port._connection.packets_read == read
    pair.server.port.receive_datagram(packet, CLIENT_ADDRESS, pair.now)
    pair.server.collect()
    assert pair.server.received(0) == b"whole"


def test_packets_from_elsewhere_are_left_to_aioquic(pair: PortPair) -> None:
    connection = pair.server.port._connection
    pair.settle()
    (packet,) = packets_with(pair.client.port, stream_frame(0, 0, b"moved", False, True))
    before = connection.packets_read
    pair.server.port.receive_datagram(packet, ("192.0.2.77", 4444), pair.now)
    pair.server.collect()
    assert connection.packets_read == before
    assert pair.server.received(0) == b"moved"
    assert len(connection._network_paths) == 2


def test_what_was_closed_reads_no_more(pair: PortPair) -> None:
    connection = pair.server.port._connection
    pair.server.port.close(7, "enough")
    before = connection.packets_read
    pair.inject(pair.client, stream_frame(0, 0, b"too late", False, True))
    pair.server.port.datagrams_to_send(pair.now)
    pair.inject(pair.client, stream_frame(0, 0, b"too late", False, True))
    assert connection.packets_read == before


def test_reserved_bits_end_the_connection(two_pairs: list[PortPair]) -> None:
    for pair in two_pairs:
        connection = pair.client.port._connection
        header = bytes([0x41 | 0x08]) + connection._peer_cid.cid + connection._packet_number.to_bytes(2, "big")
        packet = connection._application_keys.encrypt_packet(header, b"\x01" * 8, connection._packet_number)
        pair.server.port.receive_datagram(packet, CLIENT_ADDRESS, pair.now)
        pair.server.collect()
        assert pair.server.port._connection.close_event is not None
    assert state_of(two_pairs[0]) == state_of(two_pairs[1])


def test_many_datagrams_in_one_packet_are_some_events(pair: PortPair) -> None:
    pair.inject(pair.client, b"\x31\x00" * 100)
    assert [len(event.datagrams) for event in pair.server.of(DatagramsArrived)] == [64, 36]


def test_a_transfer_is_read_without_aioquic(pair: PortPair) -> None:
    client, server = (end.port._connection for end in (pair.client, pair.server))
    before = server.packets_read, client.packets_written
    stream_id = pair.client.port.open_stream(unidirectional=True)
    pair.server.on_event = lambda event: (
        pair.server.port.consume(stream_id, len(event.data)) if isinstance(event, StreamBytes) else None
    )
    pair.client.port.send_stream(stream_id, bytes(500_000), True)
    pair.run_until(lambda: len(pair.server.received(stream_id)) == 500_000)
    assert server.packets_read - before[0] > 400
    assert client.packets_written - before[1] > 400
