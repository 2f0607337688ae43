"""The packet builder in C writes what aioquic's writes: both are given the same, and judged by every byte."""

from __future__ import annotations

import random
from typing import Any

import pytest
from aioquic._buffer import BufferWriteError
from aioquic.quic.crypto import CryptoPair
from aioquic.quic.packet import QuicPacketType
from aioquic.quic.packet_builder import QuicPacketBuilder, QuicPacketBuilderStop
from aioquic.tls import CipherSuite
from wtransport._quic._compiled.frame_buffer import FrameBuffer
from wtransport._quic._compiled.packet_builder import PacketBuilder, make_builder
from wtransport._quic._compiled.packet_keys import PacketPair

INITIAL, ZERO_RTT, HANDSHAKE, ONE_RTT = (
    QuicPacketType.INITIAL,
    QuicPacketType.ZERO_RTT,
    QuicPacketType.HANDSHAKE,
    QuicPacketType.ONE_RTT,
)
FRAMES = [0x00, 0x01, 0x02, 0x03, 0x06, 0x08, 0x18, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x30]
RECORDED = ["epoch", "in_flight", "is_ack_eliciting", "is_crypto_packet", "packet_number", "packet_type", "sent_bytes"]


def builders(seed: int, **options: Any) -> list[Any]:
    """Return aioquic's builder and ours, with the keys of each."""
    source = random.Random(seed)
    arguments = {
        "host_cid": source.randbytes(8),
        "peer_cid": source.randbytes(source.choice([0, 8, 20])),
        "version": source.choice([1, 0x6B3343CF]),
        "is_client": source.random() < 0.5,
        "max_datagram_size": 1200,
        "packet_number": source.choice([0, 255, 65535, 1 << 20]),
        "spin_bit": source.random() < 0.5,
    }
    if source.random() < 0.3:
        arguments["peer_token"] = source.randbytes(source.choice([1, 63, 64, 100]))
    secrets = {kind: source.randbytes(32) for kind in (INITIAL, ZERO_RTT, HANDSHAKE, ONE_RTT)}
    made = []
    for kind, pair in ((QuicPacketBuilder, CryptoPair), (PacketBuilder, PacketPair)):
        keys = {packet_type: pair() for packet_type in secrets}
        for packet_type, secret in secrets.items():
            for context in (keys[packet_type].send, keys[packet_type].recv):
                context.setup(cipher_suite=CipherSuite.AES_128_GCM_SHA256, secret=secret, version=arguments["version"])
        made.append((kind(**(arguments | options)), keys))
    return made


def results_of(builder: Any) -> tuple[Any, ...]:
    datagrams, packets = builder.flush()
    records = [[getattr(packet, name) for name in RECORDED] + packet.delivery_handlers for packet in packets]
    return datagrams, records, builder.packet_number


def handler() -> None:
    """Stand in for a delivery handler."""


def work(builder: Any, keys: dict[QuicPacketType, Any], source: random.Random) -> list[Any]:
    """Write packets as the seed has it, and return all there is to see."""
    seen: list[Any] = []
    for attribute in ("max_flight_bytes", "max_total_bytes"):
        if source.random() < 0.5:
            setattr(builder, attribute, source.choice([-5, 0, 40, 700, 1200, 1500, 5000]))
    for _ in range(source.randrange(1, 12)):
        kind = source.choice([INITIAL, HANDSHAKE, ONE_RTT, ONE_RTT, ZERO_RTT])
        if kind is ONE_RTT and source.random() < 0.2:
            keys[kind].update_key()
        try:
            builder.start_packet(kind, keys[kind])
        except QuicPacketBuilderStop:
            seen.append("no packet")
            break
        seen.append((builder.packet_is_empty, builder.remaining_buffer_space, builder.remaining_flight_space))
        for _ in range(source.randrange(4)):
            size = source.choice([0, 0, 1, 5, 60, 300, 1100])
            frame_type, told, number = source.choice(FRAMES), source.random() < 0.3, source.randrange(1 << 30)
            try:
                if told:
                    buf = builder.start_frame(frame_type, 11 + size, handler=handler, handler_args=(1,))
                else:
                    buf = builder.start_frame(frame_type, capacity=11 + size)
            except QuicPacketBuilderStop:
                seen.append("no frame")
                continue
            buf.push_uint8(number & 0xFF)
            buf.push_uint16(number & 0xFFFF)
            buf.push_uint_var(number)
            buf.push_bytes(bytes(size))
            seen.append((builder.packet_is_empty, builder.remaining_buffer_space, builder.packet_number))
        if source.random() < 0.1:
            seen.append(results_of(builder))
    seen.append(results_of(builder))
    return seen


@pytest.mark.parametrize("block", range(20))
def test_whatever_is_written(block):
    for seed in range(block * 100, block * 100 + 100):
        theirs, ours = (work(*pair, random.Random(seed)) for pair in builders(seed))
        assert theirs == ours, seed


@pytest.mark.parametrize("frame_type", [0x01, 0x02, 0x1C])
@pytest.mark.parametrize("is_client", [True, False])
def test_the_shortest_packets(frame_type, is_client):
    seen = []
    for builder, keys in builders(1, is_client=is_client):
        for kind in (INITIAL, HANDSHAKE, ONE_RTT):
            builder.start_packet(kind, keys[kind])
            builder.start_frame(frame_type)
        seen.append(results_of(builder))
    assert seen[0] == seen[1]


def test_without_keys_nothing_is_sent():
    (builder, _) = builders(1)[1]
    builder.start_packet(HANDSHAKE, PacketPair())
    builder.start_frame(0x01)
    with pytest.raises(AssertionError):
        builder.flush()


def test_a_frame_needs_a_packet():
    for builder, _ in builders(1):
        with pytest.raises((AssertionError, AttributeError)):
            builder.start_frame(0x01)


def test_a_frame_cannot_leave_its_datagram():
    buf = FrameBuffer(4)
    buf.push_bytes(bytearray(b"abc"))
    for write, value in ((buf.push_uint16, 1), (buf.push_bytes, b"ab"), (buf.push_uint_var, 64)):
        with pytest.raises(BufferWriteError):
            write(value)
    for value in (-1, 1 << 62):
        with pytest.raises(ValueError, match="too big"):
            buf.push_uint_var(value)
    buf.push_uint8(1)


def test_a_connection_with_a_log_has_aioquics_builder():
    arguments = {"host_cid": b"", "peer_cid": b"", "version": 1, "is_client": True, "max_datagram_size": 1200}
    assert type(make_builder(**arguments)) is PacketBuilder
    assert type(make_builder(**arguments, quic_logger=object())) is QuicPacketBuilder
