"""A peer that has lost the connection says so with a stateless reset (RFC 9000, section 10.3); nothing else counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from network import CLIENT_ADDRESS, SERVER_ADDRESS
from port_pair import PortPair

from wtransport._adapter.packets import encode_stateless_reset
from wtransport._quic.hardened_connection import STATELESS_RESET_REASON
from wtransport._quic.port import Terminated
from wtransport._quic.reset_tokens import ResetTokens

TOKENS = ResetTokens(private_key=b"key", port=443)
ENDED = Terminated(0, STATELESS_RESET_REASON, is_application=False, by_peer=True)


class Pair(PortPair):
    """A pair whose server's tokens are known."""

    def reset(self, connection_id: bytes, size: int = 100, source=SERVER_ADDRESS) -> None:
        data = encode_stateless_reset(TOKENS.token(connection_id), trigger_size=size)
        self.client.port.receive_datagram(data, source, self.now)
        self.client.collect()


@pytest.fixture
def unconnected(certificate) -> Pair:
    return Pair(tuple(certificate), reset_tokens=TOKENS)


@pytest.fixture
def pair(unconnected) -> Pair:
    unconnected.connect()
    unconnected.settle()
    return unconnected


def used_by_client(pair: Pair) -> bytes:
    return pair.client.port._connection._peer_cid.cid


@pytest.mark.parametrize("size", [22, 42, 1200])
def test_a_reset_ends_the_connection_at_once_and_silently(pair, size) -> None:
    pair.client.port.send_datagram(b"on its way")
    pair.reset(used_by_client(pair), size)
    assert pair.client.of(Terminated) == [ENDED]
    assert pair.client.port.datagrams_to_send(pair.now) == []
    began = pair.now
    pair.run(10.0)
    assert pair.client.port.is_terminated
    assert pair.client.port.next_deadline() is None
    assert pair.client.port.datagrams_to_send(began) == []


def test_the_token_of_a_later_connection_id_counts_once_it_is_in_use(pair) -> None:
    connection = pair.client.port._connection
    later = connection._peer_cid_available[0]
    pair.reset(later.cid)
    assert pair.client.of(Terminated) == []
    connection.change_connection_id()
    pair.reset(later.cid)
    assert pair.client.of(Terminated) == [ENDED]


def test_the_token_of_a_retired_connection_id_counts_no_longer(pair) -> None:
    before = used_by_client(pair)
    pair.client.port._connection.change_connection_id()
    pair.reset(before)
    assert pair.client.of(Terminated) == []


def test_a_reset_from_elsewhere_is_nobodys(pair) -> None:
    pair.reset(used_by_client(pair), source=("192.0.2.99", 443))
    assert pair.client.of(Terminated) == []


def test_a_reset_before_the_handshake_is_over_is_nobodys(unconnected) -> None:
    pair = unconnected
    pair.client.port.connect(SERVER_ADDRESS, 0.0)
    pair.run(0.015)
    pair.reset(pair.server.port.connection_id)
    pair.reset(b"")
    assert pair.client.of(Terminated) == []


def test_a_reset_after_the_end_changes_nothing(pair) -> None:
    pair.client.port.close(5, "over")
    pair.client.collect()
    pair.reset(used_by_client(pair))
    assert [end.reason for end in pair.client.of(Terminated)] == ["over"]


def test_a_shorter_datagram_is_no_reset(pair) -> None:
    data = encode_stateless_reset(TOKENS.token(used_by_client(pair)), trigger_size=100)
    pair.client.port.receive_datagram(data[-20:], SERVER_ADDRESS, pair.now)
    pair.client.collect()
    assert pair.client.of(Terminated) == []


def test_a_client_can_reset_its_server_too(pair) -> None:
    connection = pair.server.port._connection
    connection.change_connection_id()  # the first id of a client has no token
    data = bytes(30) + connection._peer_cid.stateless_reset_token
    pair.server.port.receive_datagram(data, CLIENT_ADDRESS, pair.now)
    pair.server.collect()
    assert pair.server.of(Terminated) == [ENDED]


def test_a_server_is_not_reset_by_a_client_without_tokens(pair) -> None:
    for data in (bytes(40), b"\x40" * 40):
        pair.server.port.receive_datagram(data, CLIENT_ADDRESS, pair.now)
    pair.server.collect()
    assert pair.server.of(Terminated) == []


def test_servers_without_a_key_still_have_tokens(certificate) -> None:
    pair = PortPair(tuple(certificate)).connect()
    pair.settle()
    connection = pair.client.port._connection
    assert len(connection._peer_cid.stateless_reset_token) == 16
    assert connection._peer_cid.stateless_reset_token != TOKENS.token(connection._peer_cid.cid)


@pytest.fixture(scope="module")
def long_lived(certificate):
    """One pair for all examples: what is fed to it must leave it as it is."""
    pair = Pair(tuple(certificate), reset_tokens=TOKENS)
    pair.connect()
    pair.settle()
    return pair


@given(noise=st.binary(max_size=1500), token=st.binary(min_size=16, max_size=16), first=st.integers(0, 255))
def test_garbage_is_never_a_reset(long_lived, noise, token, first) -> None:
    client = long_lived.client
    for data in (noise, bytes([first]) + noise + token, noise + bytes(16)):
        client.port.receive_datagram(data, SERVER_ADDRESS, long_lived.now)
        client.collect()
    assert client.of(Terminated) == []


@given(st.integers(0, 8 * 16 - 1))
def test_no_bit_of_the_token_may_differ(long_lived, bit) -> None:
    token = bytearray(TOKENS.token(used_by_client(long_lived)))
    token[bit >> 3] ^= 1 << (bit & 7)
    data = encode_stateless_reset(bytes(token), trigger_size=100)
    long_lived.client.port.receive_datagram(data, SERVER_ADDRESS, long_lived.now)
    long_lived.client.collect()
    assert long_lived.client.of(Terminated) == []
