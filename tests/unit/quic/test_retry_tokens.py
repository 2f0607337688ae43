"""Tokens of Retry packets: good for one address, one connection id and half a minute; anything else is told apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wtransport._quic.retry_tokens import InvalidToken, RetryTokens, ValidatedAddress

ADDRESS = ("192.0.2.1", 5000)
TOKENS = RetryTokens()
TOKEN = TOKENS.create(addr=ADDRESS, original_cid=b"original", retry_cid=b"retry-id", now=100.0)


def check(token=TOKEN, *, addr=ADDRESS, cid=b"retry-id", now=100.5):
    return TOKENS.check(token, addr=addr, destination_cid=cid, now=now)


def test_a_good_token_names_the_original_connection_id():
    assert check() == ValidatedAddress(b"original")
    assert check(now=130.0) == ValidatedAddress(b"original")


@pytest.mark.parametrize(
    "changes",
    [{"now": 130.1}, {"addr": ("192.0.2.2", 5000)}, {"addr": ("192.0.2.1", 5001)}, {"cid": b"original"}],
    ids=["late", "host", "port", "id"],
)
def test_ours_for_something_else_is_invalid(changes):
    assert isinstance(check(**changes), InvalidToken)


def test_that_of_another_process_is_none():
    assert RetryTokens().check(TOKEN, addr=ADDRESS, destination_cid=b"retry-id", now=100.5) is None


@given(st.binary(max_size=200))
def test_noise_is_none(token):
    assert check(token) is None


@given(st.integers(0, 8 * len(TOKEN) - 1))
def test_no_bit_can_be_changed(bit):
    changed = bytearray(TOKEN)
    changed[bit >> 3] ^= 1 << (bit & 7)
    assert check(bytes(changed)) is None


@given(st.integers(0, len(TOKEN) - 1))
def test_no_part_of_it_will_do(length):
    assert check(TOKEN[:length]) is None


@pytest.mark.parametrize(
    "addr", [("fe80::1%eth0", 5000, 0, 2), ("2001:db8::1", 5000, 0, 0), ("::ffff:192.0.2.1", 1, 0, 0)]
)
def test_ipv6_addresses_with_all_their_parts(addr):
    token = TOKENS.create(addr=addr, original_cid=b"original", retry_cid=b"retry-id", now=0.0)
    assert check(token, addr=addr, now=1.0) == ValidatedAddress(b"original")
