"""Packets of a server without a connection, judged by aioquic."""

from random import Random

import pytest
from aioquic.buffer import Buffer
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated
from aioquic.quic.packet import QuicErrorCode, QuicPacketType, QuicProtocolVersion, pull_quic_header

from wtransport._adapter.packets import (
    CONNECTION_ID_SIZE,
    MIN_INITIAL_DATAGRAM,
    MIN_RESET_TRIGGER,
    RESET_SIZE,
    InitialPacket,
    encode_refusal,
    encode_retry,
    encode_stateless_reset,
    encode_version_negotiation,
    is_initial,
    read_long_header,
)

SERVER = ("192.0.2.9", 443)


def begin(version=QuicProtocolVersion.VERSION_1):
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=["h3"], supported_versions=[version], server_name="localhost"
    )
    client = QuicConnection(configuration=configuration)
    client.connect(SERVER, now=0.0)
    return client, client.datagrams_to_send(0.0)[0][0]


@pytest.mark.parametrize("version", [QuicProtocolVersion.VERSION_1, QuicProtocolVersion.VERSION_2])
def test_the_header_of_a_first_packet(version):
    _, data = begin(version)
    theirs = pull_quic_header(Buffer(data=data), host_cid_length=CONNECTION_ID_SIZE)
    header = read_long_header(data)
    assert header == (theirs.version, theirs.destination_cid, theirs.source_cid)
    assert len(data) >= MIN_INITIAL_DATAGRAM
    assert is_initial(data, header)


@pytest.mark.parametrize("bits", [0xE0, 0xD0, 0xF0, 0x80])
def test_other_packets_are_not_first_ones(bits):
    data = bytes([bits]) + begin()[1][1:]
    assert not is_initial(data, read_long_header(data))


def test_a_truncated_header_is_none_and_never_an_error():
    data = begin()[1]
    end = 6 + data[5] + 1 + data[6 + data[5]]
    for length in range(end):
        assert read_long_header(data[:length]) is None
    assert read_long_header(data[:end]) is not None


def test_version_negotiation_echoes_both_connection_ids_of_any_length():
    data = bytes([0xC0]) + (0x0A0A0A0A).to_bytes(4, "big") + bytes([30]) + b"d" * 30 + bytes([255]) + b"s" * 255
    header = read_long_header(data.ljust(1200, b"\0"))
    answer = encode_version_negotiation(header, [QuicProtocolVersion.VERSION_1])
    assert read_long_header(answer) == (0, b"s" * 255, b"d" * 30)
    assert answer.endswith(bytes([0, 0, 0, 1]))
    assert len(answer) <= MIN_INITIAL_DATAGRAM


def test_a_client_takes_version_negotiation_to_heart():
    client, data = begin(QuicProtocolVersion.VERSION_2)
    client.receive_datagram(encode_version_negotiation(read_long_header(data), [0x1A2A3A4A]), SERVER, now=0.1)
    assert client._close_event is not None or isinstance(client.next_event(), ConnectionTerminated)


@pytest.mark.parametrize("version", [QuicProtocolVersion.VERSION_1, QuicProtocolVersion.VERSION_2])
def test_a_refused_client_learns_the_reason(version):
    client, data = begin(version)
    refusal = encode_refusal(read_long_header(data))
    assert len(refusal) <= len(data)
    assert pull_quic_header(Buffer(data=refusal)).packet_type is QuicPacketType.INITIAL
    client.receive_datagram(refusal, SERVER, now=0.1)
    client.handle_timer(client.get_timer())
    events = []
    while (event := client.next_event()) is not None:
        events.append(event)
    end = events[-1]
    assert isinstance(end, ConnectionTerminated)
    assert end.error_code == 2


@pytest.mark.parametrize("version", [QuicProtocolVersion.VERSION_1, QuicProtocolVersion.VERSION_2])
def test_a_client_takes_retry_to_heart(version):
    client, data = begin(version)
    retry = encode_retry(read_long_header(data), source_cid=b"retry-id", token=b"token" * 10)
    assert len(retry) < len(data)
    client.receive_datagram(retry, SERVER, now=0.1)
    again = client.datagrams_to_send(0.1)[0][0]
    packet = InitialPacket.read(again, read_long_header(again))
    assert packet.token == b"token" * 10
    assert packet.header.destination_cid == b"retry-id"
    assert packet.is_authentic


@pytest.mark.parametrize("version", [QuicProtocolVersion.VERSION_1, QuicProtocolVersion.VERSION_2])
def test_a_first_packet_is_authentic_whatever_the_datagram_has_behind_it(version):
    _, data = begin(version)
    packet = InitialPacket.read(data + b"more", read_long_header(data))
    assert packet.token == b""
    assert packet.is_authentic
    changed = packet.data[:-1] + bytes([packet.data[-1] ^ 1])
    assert not InitialPacket.read(changed.ljust(1200, b"\0"), read_long_header(data)).is_authentic


def test_a_refusal_says_why():
    client, data = begin()
    client.receive_datagram(encode_refusal(read_long_header(data), QuicErrorCode.INVALID_TOKEN), SERVER, now=0.1)
    assert client._close_event.error_code == QuicErrorCode.INVALID_TOKEN


@pytest.mark.parametrize("size", range(MIN_RESET_TRIGGER, 60))
def test_a_reset_is_smaller_than_its_trigger_and_looks_like_a_packet(size):
    token = b"0123456789abcdef"
    reset = encode_stateless_reset(token, trigger_size=size)
    assert 21 <= len(reset) == min(size - 1, RESET_SIZE)
    assert reset.endswith(token)
    header = pull_quic_header(Buffer(data=reset), host_cid_length=0)
    assert header.packet_type is QuicPacketType.ONE_RTT


def test_a_first_packet_is_read_as_aioquic_reads_it():
    random = Random(7)
    _, data = begin()
    start = 6 + data[5] + 1 + data[6 + data[5]]
    token = b"\x40\x45" + bytes(69)
    samples = [data, data[:start] + token + data[start + 1 :]]
    for sample in list(samples):
        samples += [sample[:size] for size in (*range(start, start + 80), len(sample) - 1)]
        for _ in range(300):
            changed = bytearray(sample)
            changed[random.randrange(5, start + 80)] = random.randrange(256)
            samples.append(bytes(changed))
    for sample in samples:
        header = read_long_header(sample)
        if header is None:
            continue
        buffer = Buffer(data=sample)
        try:
            expected = pull_quic_header(buffer)
        except ValueError:
            assert InitialPacket.read(sample, header) is None
            continue
        packet = InitialPacket.read(sample, header)
        assert packet is not None
        assert (packet.token, len(packet.data), packet.payload_offset) == (
            expected.token,
            expected.packet_length,
            buffer.tell(),
        )
