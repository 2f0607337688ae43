"""What a confirmed handshake leaves: little, and nothing that a late packet or a message of TLS could stumble over."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from aioquic.tls import Epoch
from port_pair import PortPair

from wtransport._quic.port import StreamBytes, Terminated
from wtransport._speedups import encode_varint

UNEXPECTED_MESSAGE, DECODE_ERROR = 0x100 + 10, 0x100 + 50  # alerts of TLS as errors of QUIC (RFC 9001, 4.8)
FINISHED, NEW_SESSION_TICKET = 20, 4

PAIRS = 30
PAIR_BYTES = 56 * 1024
"""Of Python's memory, for both ends' ports and what the test keeps; what the handshake needs is twice that."""


def recorded(pair: PortPair) -> list[tuple[str, bytes, Any]]:
    """Return a list that takes all packets from now on."""
    packets: list[tuple[str, bytes, Any]] = []
    send = pair.network.send

    def record(side: str, data: bytes, addr: Any, now: float) -> None:
        packets.append((side, data, addr))
        send(side, data, addr, now)

    pair.network.send = record  # type: ignore[method-assign]
    return packets


def message(kind: int, body: bytes) -> bytes:
    """Return a CRYPTO frame with a message of TLS, the first one of the epoch."""
    data = bytes([kind]) + len(body).to_bytes(3) + body
    return b"\x06\x00" + encode_varint(len(data)) + data


def works(pair: PortPair) -> bool:
    """Tell whether bytes get from the client to the server."""
    stream_id = pair.client.port.open_stream(unidirectional=True)
    assert stream_id is not None
    pair.client.port.send_stream(stream_id, b"hello", True)
    pair.settle()
    return pair.server.received(stream_id) == b"hello" and not pair.server.of(Terminated)


@pytest.mark.parametrize("version", [None, 2])
def test_late_packets_of_the_handshake_change_nothing(make_pair: Callable[..., PortPair], version: int | None) -> None:
    pair = make_pair()
    packets = recorded(pair)
    pair.connect().settle()
    long_headers = [packet for packet in packets if packet[1][0] & 0x80]
    assert {side for side, _, _ in long_headers} == {"client", "server"}
    for side, data, addr in long_headers:
        if version is not None:
            data = data[:1] + version.to_bytes(4) + data[5:]  # noqa: PLW2901 - a copy damaged on its way
        pair.network.send(side, data, addr, pair.now)
        pair.network.send(side, data[:-1] + b"?", addr, pair.now)
    pair.settle()
    assert works(pair)


def test_keys_of_the_handshake_are_gone(pair: PortPair) -> None:
    """RFC 9001, 4.9."""
    pair.settle()
    for end in pair.ends:
        connection = end.port._connection
        initial = connection._cryptos_initial.values()
        old = [connection._cryptos[epoch] for epoch in (Epoch.INITIAL, Epoch.HANDSHAKE, Epoch.ZERO_RTT)]
        for keys in (*initial, *old):
            assert not keys.recv.is_valid()
            assert not keys.send.is_valid()
            assert keys.recv.secret is keys.send.secret is None
        assert not [name for name, value in vars(connection.tls).items() if name.endswith("key") and value]


def test_a_client_takes_session_tickets(pair: PortPair) -> None:
    pair.settle()
    ticket = bytes(8) + b"\x00" + b"\x00\x03abc" + b"\x00\x00"  # RFC 8446, 4.6.1
    pair.inject(pair.server, message(NEW_SESSION_TICKET, ticket))
    assert works(pair)


@pytest.mark.parametrize("side", ["client", "server"])
def test_other_messages_of_tls_end_the_connection(pair: PortPair, side: str) -> None:
    pair.settle()
    sender, receiver = (pair.client, pair.server) if side == "client" else (pair.server, pair.client)
    pair.inject(sender, message(FINISHED, bytes(32)))
    assert [event.error_code for event in receiver.of(Terminated)] == [UNEXPECTED_MESSAGE]


def test_a_broken_session_ticket_ends_the_connection(pair: PortPair) -> None:
    pair.settle()
    pair.inject(pair.server, message(NEW_SESSION_TICKET, b"\x00"))
    assert [event.error_code for event in pair.client.of(Terminated)] == [DECODE_ERROR]


def test_an_idle_connection_is_small(make_pair: Callable[..., PortPair]) -> None:
    def connected() -> PortPair:
        pair = make_pair().connect()
        pair.settle()
        assert works(pair)
        for end in pair.ends:
            end.events.clear()
        assert not pair.server.of(StreamBytes)
        return pair

    kept = [connected() for _ in range(3)]  # what is made once is made
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept += [connected() for _ in range(PAIRS)]
        gc.collect()
        each = (tracemalloc.get_traced_memory()[0] - before) / PAIRS
    finally:
        tracemalloc.stop()
    assert each < PAIR_BYTES, f"{each / 1024:.0f} KiB"
