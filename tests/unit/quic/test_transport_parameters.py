"""Transport parameters read here: reset_stream_at (draft-ietf-quic-reliable-stream-reset-10, 3) and numbers."""

from __future__ import annotations

import pytest

from wtransport._quic.transport_parameters import (
    ack_delay_exponent_of,
    encode_reset_stream_at,
    has_reset_stream_at,
    max_udp_payload_size_of,
    split_parameters,
)
from wtransport._quic.violations import TransportViolation
from wtransport.constants import ErrorCodes

OTHERS = bytes.fromhex("200480010000 09024064")
"""max_datagram_frame_size 65536, initial_max_streams_uni 100."""


def test_both_codepoints_are_sent_without_a_value() -> None:
    assert encode_reset_stream_at() == bytes.fromhex("1d00 c017f7586d2cb57100")


@pytest.mark.parametrize("parameter", ["1d00", "c017f7586d2cb57100", "401d4000"])
def test_either_codepoint_says_it_wherever_it_stands(parameter) -> None:
    encoded = bytes.fromhex(parameter)
    for parameters in (encoded, OTHERS + encoded, encoded + OTHERS):
        assert has_reset_stream_at(split_parameters(parameters))


@pytest.mark.parametrize("parameters", ["", OTHERS.hex(), "c017f7586d2cb57000", "1e00"])
def test_without_it_the_peer_takes_plain_resets_only(parameters) -> None:
    assert not has_reset_stream_at(split_parameters(bytes.fromhex(parameters)))


@pytest.mark.parametrize(
    "parameters",
    ["1d0100", "c017f7586d2cb571 0100", "1d00 1d00", "0902406409024064", "1d", "40", "1d00 c017"],
    ids=["value", "value-legacy", "twice", "another-twice", "no-length", "half-a-length", "half-an-id"],
)
def test_a_malformed_one_is_an_error(parameters) -> None:
    with pytest.raises(TransportViolation) as caught:
        has_reset_stream_at(split_parameters(bytes.fromhex(parameters)))
    assert caught.value.error_code == ErrorCodes.TRANSPORT_PARAMETER_ERROR


@pytest.mark.parametrize(
    ("parameters", "size"),
    [("", 65527), (OTHERS.hex(), 65527), ("030245c0", 1472), ("1d00 030244b0", 1200), ("0304 80010000", 65536)],
)
def test_the_largest_udp_payload_that_the_peer_takes(parameters, size) -> None:
    assert max_udp_payload_size_of(split_parameters(bytes.fromhex(parameters))) == size


@pytest.mark.parametrize(("parameters", "exponent"), [("", 3), (OTHERS.hex(), 3), ("0a0108", 8), ("1d00 0a0114", 20)])
def test_the_exponent_of_what_acknowledgements_wait(parameters, exponent) -> None:
    assert ack_delay_exponent_of(split_parameters(bytes.fromhex(parameters))) == exponent


@pytest.mark.parametrize(("read", "identifier"), [(max_udp_payload_size_of, "03"), (ack_delay_exponent_of, "0a")])
@pytest.mark.parametrize("rest", ["00", "0145", ""], ids=["no-value", "half-a-value", "no-length"])
def test_a_malformed_number_is_an_error(read, identifier, rest) -> None:
    with pytest.raises(TransportViolation) as caught:
        read(split_parameters(bytes.fromhex(identifier + rest)))
    assert caught.value.error_code == ErrorCodes.TRANSPORT_PARAMETER_ERROR
