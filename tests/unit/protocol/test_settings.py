"""RFC 9114, section 7.2.4; the settings of the drafts."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wtransport._protocol.settings import MAX_FIELD_SECTION_SIZE, decode_settings, encode_settings, local_settings
from wtransport._protocol.violations import ConnectionViolation
from wtransport.constants import ErrorCodes

PROFILE_A = {0x01: 0, 0x07: 0, 0x08: 1, 0x33: 1, 0xFFD277: 1, 0x2B603742: 1, 0xC671706A: 1, 0x2C7CF000: 1}

VECTORS = {
    "server, profile A": (
        PROFILE_A,
        "01 00 07 00 08 01 33 01 80 ff d2 77 01 ab 60 37 42 01 c0 00 00 00 c6 71 70 6a 01 ac 7c f0 00 01",
    ),
    "client, draft-16 only": ({0x01: 0, 0x07: 0, 0x33: 1, 0x2C7CF000: 1}, "01 00 07 00 33 01 ac 7c f0 00 01"),
    "Chromium": (
        {0x01: 65536, 0x06: 16384, 0x07: 100, 0x33: 1, 0xFFD277: 1, 0x2B603742: 1},
        "01 80 01 00 00 06 80 00 40 00 07 40 64 33 01 80 ff d2 77 01 ab 60 37 42 01",
    ),
    "Firefox": (
        {0x01: 65536, 0x07: 20, 0x2B603742: 1, 0xFFD277: 1, 0x33: 1, 0x08: 1},
        "01 80 01 00 00 07 14 ab 60 37 42 01 80 ff d2 77 01 33 01 08 01",
    ),
    "empty": ({}, ""),
}


@pytest.mark.parametrize(("settings", "wire"), VECTORS.values(), ids=VECTORS)
def test_vectors(settings: dict[int, int], wire: str) -> None:
    assert encode_settings(settings) == bytes.fromhex(wire)
    assert decode_settings(bytes.fromhex(wire), sender_is_client=True) == settings


def ours(
    *, is_client: bool, profile_b: bool, max_sessions: int = 1, data: int = 0, streams: int = 0
) -> Mapping[int, int]:
    return local_settings(
        is_client=is_client,
        max_sessions=max_sessions,
        initial_max_data=data,
        initial_max_streams_uni=streams,
        initial_max_streams_bidi=streams,
        profile_b=profile_b,
    )


def without_field_limit(settings: Mapping[int, int]) -> bytes:
    rest = dict(settings)
    assert rest.pop(0x06) == MAX_FIELD_SECTION_SIZE == 65536
    return encode_settings(rest)


@pytest.mark.parametrize("is_client", [True, False])
def test_profile_a_is_what_the_vector_says(is_client: bool) -> None:
    expected = bytes.fromhex(VECTORS["server, profile A"][1])
    assert without_field_limit(ours(is_client=is_client, profile_b=False)) == expected


def test_profile_b_names_drafts_13_and_14_and_flow_control() -> None:
    expected = bytes.fromhex(
        "01 00 07 00 08 01 33 01 80 ff d2 77 01 ab 60 37 42 01 c0 00 00 00 c6 71 70 6a 01 94 e9 cd 29 01"
        "ac 7c f0 00 01 6b 61 80 80 00 00 6b 64 40 64 6b 65 40 64"
    )
    assert without_field_limit(ours(is_client=False, profile_b=True, data=8 << 20, streams=100)) == expected


def test_a_client_of_all_drafts_is_what_the_vector_says() -> None:
    expected = bytes.fromhex(
        "01 00 07 00 08 01 33 01 80 ff d2 77 01 ab 60 37 42 01 c0 00 00 00 c6 71 70 6a 01 94 e9 cd 29 01 ac 7c f0 00 01"
    )
    assert without_field_limit(ours(is_client=True, profile_b=True, max_sessions=100)) == expected


def test_a_server_announces_its_sessions() -> None:
    settings = ours(is_client=False, profile_b=True, max_sessions=1000)
    assert settings[0xC671706A] == settings[0x14E9CD29] == 1000


def test_a_limit_of_zero_is_left_out() -> None:
    assert not {0x2B61, 0x2B64, 0x2B65} & ours(is_client=False, profile_b=False).keys()


def test_ours_are_acceptable_to_ourselves() -> None:
    for is_client in (True, False):
        settings = ours(is_client=is_client, profile_b=True, data=1, streams=1)
        assert decode_settings(encode_settings(settings), sender_is_client=is_client) == settings


def test_no_sessions_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="max_sessions"):
        ours(is_client=False, profile_b=False, max_sessions=0)


def test_values_beyond_a_varint_are_refused() -> None:
    with pytest.raises(ValueError, match=r"2\*\*62"):
        encode_settings({0x2B61: 2**62})


SETTINGS_ERRORS = {
    "an id twice": "08 01 08 01",
    "an id twice, not minimal": "08 01 40 08 01",
    "an unknown id twice": "21 00 21 00",
    "HTTP/2 0x00": "00 00",
    "HTTP/2 0x02": "02 00",
    "HTTP/2 0x03": "03 00",
    "HTTP/2 0x04": "04 00",
    "HTTP/2 0x05": "05 00",
    "ENABLE_CONNECT_PROTOCOL 2": "08 02",
    "H3_DATAGRAM 2": "33 02",
    "old H3_DATAGRAM 2": "80 ff d2 77 02",
    "ENABLE_WEBTRANSPORT 2": "ab 60 37 42 02",
}


@pytest.mark.parametrize("wire", SETTINGS_ERRORS.values(), ids=SETTINGS_ERRORS)
@pytest.mark.parametrize("sender_is_client", [True, False])
def test_forbidden_settings(wire: str, sender_is_client: bool) -> None:
    with pytest.raises(ConnectionViolation) as caught:
        decode_settings(bytes.fromhex(wire), sender_is_client=sender_is_client)
    assert caught.value.error_code == ErrorCodes.H3_SETTINGS_ERROR


def test_wt_enabled_above_1_is_an_error_at_a_client_only() -> None:
    wire = bytes.fromhex("ac 7c f0 00 02")
    assert decode_settings(wire, sender_is_client=True) == {0x2C7CF000: 2}
    with pytest.raises(ConnectionViolation) as caught:
        decode_settings(wire, sender_is_client=False)
    assert caught.value.error_code == ErrorCodes.H3_SETTINGS_ERROR


@pytest.mark.parametrize("wire", ["08", "40", "01 00 33", "01 00 33 40", "ab 60 37", "c0 00 00 00 c6 71 70"])
def test_a_payload_that_ends_inside_a_setting_is_a_frame_error(wire: str) -> None:
    with pytest.raises(ConnectionViolation) as caught:
        decode_settings(bytes.fromhex(wire), sender_is_client=True)
    assert caught.value.error_code == ErrorCodes.H3_FRAME_ERROR


def test_unknown_and_grease_settings_are_kept() -> None:
    assert decode_settings(bytes.fromhex("21 07 40 40 ff ff ff ff ff ff ff ff"), sender_is_client=True) == {
        0x21: 7,
        0x40: 2**62 - 1,
    }


@given(st.dictionaries(st.integers(0x40, 2**32), st.integers(0, 1)))
def test_what_is_written_reads_back(settings: dict[int, int]) -> None:
    assert decode_settings(encode_settings(settings), sender_is_client=True) == settings


@given(st.binary(max_size=40))
def test_any_payload_is_read_or_refused(payload: bytes) -> None:
    try:
        settings = decode_settings(payload, sender_is_client=False)
    except ConnectionViolation:
        return
    assert decode_settings(encode_settings(settings), sender_is_client=False) == settings
