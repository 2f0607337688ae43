"""A peer that holds the keys and sends what it likes: the port ends the connection at worst, and never raises."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from port_pair import PortPair, limits, packets_with

from wtransport._quic import hardened_connection
from wtransport._quic.port import DatagramsArrived, StreamBytes, Terminated
from wtransport._speedups import encode_varint
from wtransport.constants import ErrorCodes

INTEGER = st.one_of(
    st.integers(0, 20), st.sampled_from([63, 64, 16_383, 16_384, 2**30 - 1, 2**60, 2**60 + 1, 2**62 - 1])
)
FIELDS = st.lists(INTEGER.map(encode_varint), max_size=6).map(b"".join)
FRAME = st.one_of(
    st.builds(
        lambda kind, fields, rest: bytes([kind]) + fields + rest, st.integers(0, 0x31), FIELDS, st.binary(max_size=40)
    ),
    st.binary(min_size=1, max_size=60),
)
STREAM_FRAME = st.builds(
    lambda stream_id, offset, data, fin: (
        bytes([0x0E | fin]) + encode_varint(stream_id) + encode_varint(offset) + encode_varint(len(data)) + data
    ),
    st.sampled_from([0, 4, 2, 6, 1, 3, 400]),
    INTEGER,
    st.binary(max_size=20),
    st.booleans(),
)
CONTROL_FRAME = st.builds(
    lambda kind, fields: bytes([kind]) + b"".join(map(encode_varint, fields)),
    st.sampled_from([0x04, 0x05, 0x10, 0x11, 0x12, 0x13, 0x15, 0x16, 0x17]),
    st.lists(INTEGER, min_size=3, max_size=3),
)


def hold_within_limits(pair: PortPair) -> None:
    """Check what a server keeps on behalf of its client."""
    port = pair.server.port
    table = port._table
    assert table.receive_window.received <= table.receive_window.limit
    assert len(table.streams) <= 2 * 16 + 4
    for stream in table.streams.values():
        assert stream.receive.window.received <= stream.receive.window.limit
        assert sum(end - start for start, end in stream.receive.kept) <= stream.receive.window.window


@settings(max_examples=150)
@given(st.lists(st.lists(st.one_of(FRAME, STREAM_FRAME, CONTROL_FRAME), min_size=1, max_size=4), max_size=8))
def test_no_packet_makes_the_port_raise(certificate, packets) -> None:
    pair = PortPair(tuple(certificate), client_limits=limits(), server_limits=limits()).connect()
    server = pair.server.port
    own = server.open_stream(unidirectional=False)
    server.send_stream(own, bytes(100), False)
    server.send_datagram(b"x")
    for packet in packets:
        pair.inject(pair.client, b"".join(packet))
        server.datagrams_to_send(pair.now)
        pair.server.collect()
        hold_within_limits(pair)
        if pair.server.of(Terminated):
            break
    pair.run(1.0)
    ends = pair.server.of(Terminated)
    assert len(ends) <= 1
    if ends:
        assert pair.server.events[-1] is ends[0]


@settings(max_examples=150)
@given(st.lists(st.one_of(STREAM_FRAME, CONTROL_FRAME), max_size=30))
def test_stream_frames_keep_to_the_limits(certificate, frames) -> None:
    pair = PortPair(tuple(certificate)).connect()
    server = pair.server.port
    server.open_stream(unidirectional=False)
    for frame in frames:
        pair.inject(pair.client, frame)
        hold_within_limits(pair)
        for event in pair.server.events:
            if isinstance(event, StreamBytes) and event.data:
                server.consume(event.stream_id, len(event.data))
        if pair.server.of(Terminated):
            return
        pair.server.events.clear()


@given(st.binary(max_size=1500))
def test_packets_of_strangers_are_ignored(certificate, data) -> None:
    pair = PortPair(tuple(certificate)).connect()
    for prefix in (b"", b"\x40" + pair.server.port.connection_id, b"\xc0\x00\x00\x00\x01\x08" + bytes(8)):
        pair.server.port.receive_datagram(prefix + data, pair.client.address, pair.now)
        pair.client.port.receive_datagram(prefix + data, pair.server.address, pair.now)
    pair.client.port.send_datagram(b"alive")
    pair.settle()
    assert pair.server.of(DatagramsArrived) == [DatagramsArrived([b"alive"])]
    assert not pair.server.of(Terminated)
    assert not pair.client.of(Terminated)


@pytest.mark.parametrize("unidirectional", [False, True])
def test_a_peer_cannot_have_more_streams_than_the_limit_alive(pair, unidirectional) -> None:
    kind = 2 if unidirectional else 0
    pair.inject(pair.client, b"\x0a" + encode_varint((15 << 2) | kind) + b"\x01x")
    assert len(pair.server.port._table.streams) == 16
    assert not pair.server.of(Terminated)
    pair.inject(pair.client, b"\x0a" + encode_varint((16 << 2) | kind) + b"\x01x")
    (end,) = pair.server.of(Terminated)
    assert end.error_code == 0x04


@pytest.mark.parametrize(
    ("who", "frame"),
    [("server", b"\x07\x00"), ("client", b"\x18\x08\x09\x08" + bytes(8 + 16))],
    ids=["an empty token", "more connection ids retired than given"],
)
def test_frames_that_contradict_themselves_are_encoded_wrongly(pair, who, frame) -> None:
    """RFC 9000, sections 19.7 and 19.15."""
    pair.inject(getattr(pair, who), frame)
    (end,) = (pair.client if who == "server" else pair.server).of(Terminated)
    assert end.error_code == ErrorCodes.FRAME_ENCODING_ERROR


@pytest.mark.parametrize("frame", [b"\x01", b"\x1a" + bytes(8)], ids=["ping", "path challenge"])
def test_packets_that_come_at_the_same_moment_are_not_taken_for_forged_ones(pair, frame) -> None:
    packets = [packets_with(pair.client.port, frame)[0] for _ in range(3)]
    pair.server.port.receive_datagrams([(data, pair.client.address) for data in packets], pair.now)
    assert pair.server.port._connection._unread == 0


@pytest.mark.parametrize("flipped", [0, 0x04], ids=["in this key phase", "in the next one"])
def test_forged_packets_end_the_connection_before_they_tell_of_its_keys(pair, monkeypatch, flipped) -> None:
    """RFC 9001, section 6.6."""
    monkeypatch.setattr(hardened_connection, "MAX_UNREAD", 3)
    client, server = pair.client, pair.server
    for _count in range(4):
        assert not server.of(Terminated)
        genuine = packets_with(client.port, b"\x01")[0]
        forged = bytes([genuine[0] ^ flipped]) + genuine[1:-1] + bytes([genuine[-1] ^ 1])
        server.port.receive_datagram(forged, client.address, pair.now)
        pair.run(0.1)
    pair.settle()
    assert [(event.error_code, event.by_peer) for event in client.of(Terminated)] == [
        (ErrorCodes.AEAD_LIMIT_REACHED, True)
    ]
