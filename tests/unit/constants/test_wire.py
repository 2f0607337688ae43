"""Wire numbers against the vectors of the documents, and against each other."""

from __future__ import annotations

import pytest

from wtransport import constants
from wtransport._speedups import encode_varint


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("SETTINGS_ENABLE_WEBTRANSPORT_DRAFT02", "ab603742"),
        ("SETTINGS_WT_MAX_SESSIONS_DRAFT07", "c0000000c671706a"),
        ("SETTINGS_WT_MAX_SESSIONS_DRAFT14", "94e9cd29"),
        ("SETTINGS_WT_ENABLED", "ac7cf000"),
        ("SETTINGS_WT_INITIAL_MAX_DATA", "6b61"),
        ("SETTINGS_WT_INITIAL_MAX_STREAMS_UNI", "6b64"),
        ("SETTINGS_WT_INITIAL_MAX_STREAMS_BIDI", "6b65"),
        ("SETTINGS_H3_DATAGRAM_DRAFT04", "80ffd277"),
        ("CLOSE_WEBTRANSPORT_SESSION_TYPE", "6843"),
        ("DRAIN_WEBTRANSPORT_SESSION_TYPE", "800078ae"),
        ("WT_MAX_DATA_TYPE", "990b4d3d"),
        ("WT_MAX_STREAM_DATA_TYPE", "990b4d3e"),
        ("WT_MAX_STREAMS_BIDI_TYPE", "990b4d3f"),
        ("WT_MAX_STREAMS_UNI_TYPE", "990b4d40"),
        ("WT_DATA_BLOCKED_TYPE", "990b4d41"),
        ("WT_STREAM_DATA_BLOCKED_TYPE", "990b4d42"),
        ("WT_STREAMS_BLOCKED_BIDI_TYPE", "990b4d43"),
        ("WT_STREAMS_BLOCKED_UNI_TYPE", "990b4d44"),
        ("H3_STREAM_TYPE_WEBTRANSPORT", "4054"),
        ("H3_FRAME_TYPE_WEBTRANSPORT_STREAM", "4041"),
        ("TRANSPORT_PARAMETER_RESET_STREAM_AT_LEGACY", "c017f7586d2cb571"),
        ("MAX_GOAWAY_STREAM_ID", "fffffffffffffffc"),
        ("MAX_QUARTER_STREAM_ID", "cfffffffffffffff"),
        ("MAX_PROTOCOL_STREAMS_LIMIT", "d000000000000000"),
        ("MAX_VARINT", "ffffffffffffffff"),
    ],
)
def test_numbers_encode_as_the_drafts_print_them(name: str, encoded: str) -> None:
    assert encode_varint(getattr(constants, name)).hex() == encoded


@pytest.mark.parametrize("prefix", ["SETTINGS_", "H3_FRAME_TYPE_", "H3_STREAM_TYPE_", "WT_PROFILE_", "TRANSPORT_"])
def test_numbers_of_one_space_differ(prefix: str) -> None:
    values = [v for n, v in vars(constants).items() if n.startswith(prefix) and isinstance(v, int)]
    assert values
    assert len(set(values)) == len(values)


def test_capsule_types_differ() -> None:
    values = [v for n, v in vars(constants).items() if n.endswith("_TYPE")]
    assert len(values) == 11
    assert len(set(values)) == 11


def test_profiles_go_from_the_highest_to_the_lowest() -> None:
    assert constants.WT_PROFILES == (16, 14, 7, 2)
    assert max(constants.WT_PROFILES) == constants.WT_DRAFT


def test_a_close_capsule_holds_a_code_and_the_longest_reason() -> None:
    assert constants.MAX_CLOSE_CAPSULE_BYTES == 1028


def test_every_listed_name_is_there_once() -> None:
    assert len(set(constants.__all__)) == len(constants.__all__)
    for name in constants.__all__:
        assert hasattr(constants, name)
