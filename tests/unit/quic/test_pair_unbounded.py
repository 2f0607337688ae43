"""What no flow control bounds, connection ids and CRYPTO frames, has limits of its own; whoever breaks one is left."""

from __future__ import annotations

from typing import Any

import pytest
from aioquic.tls import Epoch
from port_pair import PortPair, packets_with

from wtransport._quic.port import Terminated
from wtransport._quic.reset_tokens import ResetTokens
from wtransport._speedups import encode_varint

PROTOCOL_VIOLATION = 0x0A
CRYPTO_BUFFER_EXCEEDED = 0x0D
CLIENT_HELLO, NEW_SESSION_TICKET = 1, 4  # messages of TLS (RFC 8446, 4)


def crypto(offset: int, data: bytes) -> bytes:
    return b"\x06" + encode_varint(offset) + encode_varint(len(data)) + data


def new_connection_id(number: int, retire_prior_to: int = 0) -> bytes:
    return b"\x18" + encode_varint(number) + encode_varint(retire_prior_to) + b"\x08" + number.to_bytes(8) + bytes(16)


def retire(number: int) -> bytes:
    return b"\x19" + encode_varint(number)


def message(kind: int, length: int) -> bytes:
    """Return the beginning of a TLS message that says how long it is."""
    return bytes([kind]) + length.to_bytes(3)


def end_code(pair: PortPair, end: Any) -> int | None:
    """Return with which error code the connection of an end is over, if it is."""
    end.collect()
    return next((event.error_code for event in end.of(Terminated)), None)


def kept(port: Any) -> int:
    """Return how many bytes of the handshake a port keeps."""
    connection = port._connection
    streams = connection._crypto_streams.values()
    return len(connection.tls._receive_buffer) + sum(len(stream.receiver._buffer) for stream in streams)


# CRYPTO frames.


def test_a_first_message_without_an_end_is_not_kept(make_pair) -> None:
    """Anybody can send this: nothing was validated yet."""
    pair = make_pair()
    client = pair.client.port
    client.connect(pair.server.address, pair.now)
    client.datagrams_to_send(pair.now)  # the real first packet never arrives
    (first,) = packets_with(client, crypto(0, message(CLIENT_HELLO, 1 << 23)), epoch=Epoch.INITIAL)
    pair.network.send("client", first, pair.server.address, pair.now)
    pair.run(0.02)
    for offset in range(4, 100_000, 1000):
        (data,) = packets_with(client, crypto(offset, bytes(1000)), epoch=Epoch.INITIAL)
        pair.server.port.receive_datagram(data, pair.client.address, pair.now)
        assert kept(pair.server.port) <= 16_384
    assert end_code(pair, pair.server) == CRYPTO_BUFFER_EXCEEDED


@pytest.mark.parametrize("kind", ["server", "client"])
def test_a_message_without_an_end_is_not_kept(pair, kind) -> None:
    end, other = (pair.server, pair.client) if kind == "server" else (pair.client, pair.server)
    offset = end.port._connection._crypto_streams[Epoch.ONE_RTT].receiver.starting_offset()
    pair.inject(other, crypto(offset, message(NEW_SESSION_TICKET, 1 << 23)))
    offset += 4
    for _ in range(100):
        pair.inject(other, crypto(offset, bytes(1000)))
        offset += 1000
        assert kept(end.port) <= 16_384
    assert end_code(pair, end) == CRYPTO_BUFFER_EXCEEDED


def test_a_byte_far_beyond_a_gap_is_not_kept(pair) -> None:
    pair.inject(pair.client, crypto(10_000, b"x"))
    assert end_code(pair, pair.server) is None
    pair.inject(pair.client, crypto(400_000, b"x"))
    assert kept(pair.server.port) <= 16_384
    assert end_code(pair, pair.server) == CRYPTO_BUFFER_EXCEEDED


def test_crumbs_with_gaps_between_are_few(pair) -> None:
    for number in range(1, 1000):
        pair.inject(pair.client, crypto(2 * number, b"x"))
        if end_code(pair, pair.server) is not None:
            break
    assert 64 <= number < 300
    assert end_code(pair, pair.server) == CRYPTO_BUFFER_EXCEEDED


# Connection ids.


def test_an_id_that_was_not_issued_yet_cannot_be_retired(pair) -> None:
    """RFC 9000, 19.16. Each one retired makes another one, which costs more than the frame."""
    before = pair.server.port._connection._host_cid_seq
    newest = before - 1
    pair.inject(pair.client, b"".join(retire(number) for number in range(1, newest + 1)))
    assert end_code(pair, pair.server) is None
    pair.inject(pair.client, b"".join(retire(number) for number in range(before, before + 300)))
    assert pair.server.port._connection._host_cid_seq <= before + 8
    assert end_code(pair, pair.server) == PROTOCOL_VIOLATION


def test_ids_can_be_retired_as_they_are_issued(make_pair) -> None:
    tokens = ResetTokens(private_key=b"secret", port=443)
    pair = make_pair(reset_tokens=tokens).connect()
    server, client = pair.server.port._connection, pair.client.port._connection
    issued: set[bytes] = set()
    for _ in range(100):
        client.change_connection_id()
        pair.client.port.send_datagram(b"with the new id")
        pair.run(0.1)
        for each in server._host_cids:
            assert each.stateless_reset_token == tokens.token(each.cid)
        issued |= {each.cid for each in server._host_cids}
        assert len(server._host_cids) <= 8
    assert len(issued) > 100
    assert end_code(pair, pair.server) is end_code(pair, pair.client) is None


def use_up(pair: PortPair, number: int) -> None:
    """Have the server use another id of the client's, which gives it a new one and hears of the old one's end."""
    server = pair.server.port._connection
    server.change_connection_id()
    server._retire_connection_ids.clear()
    pair.inject(pair.client, new_connection_id(number))


@pytest.mark.parametrize("ahead", [0, 1])
def test_ids_that_are_used_up_are_forgotten(pair, ahead) -> None:
    """Whether their numbers follow each other, as they must, or not."""
    pair.settle()
    server = pair.server.port._connection
    number = max(server._peer_cid_sequence_numbers)
    for _ in range(1000):
        number += 1 + ahead
        use_up(pair, number)
        assert end_code(pair, pair.server) is None
        assert len(server._peer_cid_sequence_numbers) <= 100
    assert server._peer_cid_available


@pytest.mark.parametrize(
    "numbers",
    [range(1_000_000, 0, -1), [number for each in range(500) for number in (10_000 + each, 10 + each)]],
    ids=["backwards", "high and low in turns"],
)
def test_ids_in_another_order_are_not_kept_for_ever(pair, numbers) -> None:
    pair.settle()
    server = pair.server.port._connection
    for number in numbers[:1000]:
        use_up(pair, number)
        assert len(server._peer_cid_sequence_numbers) <= 100
        if end_code(pair, pair.server) is not None:
            break
    assert end_code(pair, pair.server) == (None if isinstance(numbers, range) else PROTOCOL_VIOLATION)


def test_an_id_that_is_repeated_after_its_use_is_not_used_again(pair) -> None:
    """A frame that was lost and is repeated may come when its id is long over."""
    pair.settle()
    server = pair.server.port._connection
    number = max(server._peer_cid_sequence_numbers)
    for _ in range(200):
        number += 1
        use_up(pair, number)
    for old in range(number - len(server._peer_cid_available) - 1):
        pair.inject(pair.client, new_connection_id(old))
    assert end_code(pair, pair.server) is None
    assert len(server._peer_cid_available) <= 3


# Acknowledgements.


@pytest.mark.parametrize("ahead", [0, 1, 1 << 40])
def test_a_packet_that_was_never_sent_cannot_be_acknowledged(pair, ahead) -> None:
    """RFC 9000, 13.1. Whatever is sent afterwards would count as lost."""
    pair.settle()
    next_number = pair.server.port._connection._packet_number
    ack = b"\x02" + encode_varint(next_number + ahead) + b"\x00\x00\x00"
    pair.inject(pair.client, ack)
    assert end_code(pair, pair.server) == PROTOCOL_VIOLATION


def test_the_last_packet_that_was_sent_can_be_acknowledged_again(pair) -> None:
    pair.settle()
    ack = b"\x02" + encode_varint(pair.server.port._connection._packet_number - 1) + b"\x00\x00\x00"
    pair.inject(pair.client, ack * 2)
    assert end_code(pair, pair.server) is None
