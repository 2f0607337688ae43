"""The payload of the SETTINGS frame, and the settings that we send (RFC 9114, section 7.2.4).

Which draft two sets of settings amount to is decided in `profiles`; where the frame may stand in `control`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from .._speedups import decode_varint, encode_varint
from ..constants import (
    SETTINGS_ENABLE_CONNECT_PROTOCOL,
    SETTINGS_ENABLE_WEBTRANSPORT_DRAFT02,
    SETTINGS_H3_DATAGRAM,
    SETTINGS_H3_DATAGRAM_DRAFT04,
    SETTINGS_MAX_FIELD_SECTION_SIZE,
    SETTINGS_QPACK_BLOCKED_STREAMS,
    SETTINGS_QPACK_MAX_TABLE_CAPACITY,
    SETTINGS_RESERVED_HTTP2,
    SETTINGS_WT_ENABLED,
    SETTINGS_WT_INITIAL_MAX_DATA,
    SETTINGS_WT_INITIAL_MAX_STREAMS_BIDI,
    SETTINGS_WT_INITIAL_MAX_STREAMS_UNI,
    SETTINGS_WT_MAX_SESSIONS_DRAFT07,
    SETTINGS_WT_MAX_SESSIONS_DRAFT14,
    ErrorCodes,
)
from .violations import ConnectionViolation

__all__ = ["MAX_FIELD_SECTION_SIZE", "decode_settings", "encode_settings", "local_settings"]

# Bytes of one field section, counted as name + value + 32 for each line (RFC 9114, section 4.2.2). Four times what
# Chromium accepts: no header that a browser can send or take is refused.
MAX_FIELD_SECTION_SIZE: Final = 65536

_MAX_SHARED_SIZE: Final = 256  # bytes of a payload; ours has some fifty

# RFC 9220, section 3; RFC 9297, section 2.1.1; draft-02, section 3.1.
_BOOLEAN_SETTINGS: Final = frozenset(
    {
        SETTINGS_ENABLE_CONNECT_PROTOCOL,
        SETTINGS_H3_DATAGRAM,
        SETTINGS_H3_DATAGRAM_DRAFT04,
        SETTINGS_ENABLE_WEBTRANSPORT_DRAFT02,
    }
)


def encode_settings(settings: Mapping[int, int]) -> bytes:
    """Return the payload of a SETTINGS frame, in the order of the mapping.

    Raises:
        ValueError: an id or a value is not in 0..2**62-1.
    """
    return _encode(tuple(settings.items()))


@lru_cache(maxsize=64)
def _encode(settings: tuple[tuple[int, int], ...]) -> bytes:
    return b"".join(encode_varint(number) for pair in settings for number in pair)


def decode_settings(payload: bytes, *, sender_is_client: bool) -> Mapping[int, int]:
    """Read the payload of a SETTINGS frame; unknown ids (GREASE too) are kept.

    Peers of one kind send the same ones, which share a mapping then.

    Raises:
        ConnectionViolation: H3_FRAME_ERROR when the payload ends inside a setting; H3_SETTINGS_ERROR when an id stands
            twice, is left over from HTTP/2, or has a value that it must not have.

    Source: RFC 9114, section 7.2.4; draft-ietf-webtrans-http3-16, section 3.1.
    """
    decode = _decode if len(payload) <= _MAX_SHARED_SIZE else _decode.__wrapped__
    return decode(payload, sender_is_client)


@lru_cache(maxsize=64)
def _decode(payload: bytes, sender_is_client: bool) -> Mapping[int, int]:
    settings: dict[int, int] = {}
    position = 0
    while position < len(payload):
        identifier = decode_varint(payload, position)
        value = None if identifier is None else decode_varint(payload, identifier[1])
        if identifier is None or value is None:
            raise ConnectionViolation(ErrorCodes.H3_FRAME_ERROR, "settings frame ends inside a setting")
        position = value[1]
        if identifier[0] in settings:
            raise ConnectionViolation(ErrorCodes.H3_SETTINGS_ERROR, f"setting {identifier[0]:#x} stands twice")
        _check_setting(identifier[0], value[0], sender_is_client=sender_is_client)
        settings[identifier[0]] = value[0]
    return MappingProxyType(settings)


def _check_setting(identifier: int, value: int, *, sender_is_client: bool) -> None:
    if identifier in SETTINGS_RESERVED_HTTP2:
        raise ConnectionViolation(ErrorCodes.H3_SETTINGS_ERROR, f"setting {identifier:#x} is reserved for HTTP/2")
    # "A client MUST treat a value greater than 1 as H3_SETTINGS_ERROR" (draft-16, 3.1); clients may follow draft-15.
    is_boolean = identifier in _BOOLEAN_SETTINGS or (identifier == SETTINGS_WT_ENABLED and not sender_is_client)
    if is_boolean and value > 1:
        raise ConnectionViolation(ErrorCodes.H3_SETTINGS_ERROR, f"setting {identifier:#x} is {value}, not 0 or 1")


@lru_cache(maxsize=64)
def local_settings(
    *,
    is_client: bool,
    max_sessions: int,
    initial_max_data: int,
    initial_max_streams_uni: int,
    initial_max_streams_bidi: int,
    profile_b: bool = False,
) -> Mapping[int, int]:
    """Return the settings that we send, in sending order; the same mapping for the same arguments.

    Args:
        is_client: a client announces one session where a draft asks both sides for a number, since it gets none.
        max_sessions: how many sessions one connection may hold, at least 1.
        initial_max_data: bytes that the peer may send in each session at first; 0 leaves the setting out, as do the
            next two. With all three left out, session flow control is off.
        initial_max_streams_uni: unidirectional streams that the peer may open in each session at first.
        initial_max_streams_bidi: bidirectional ones.
        profile_b: announce drafts 13 and 14 too. Their peers (Safari) insist on RESET_STREAM_AT, so only a transport
            that has it may say so.

    Raises:
        ValueError: max_sessions is below 1.
    """
    if max_sessions < 1:
        raise ValueError(f"max_sessions must be at least 1, not {max_sessions}")
    announced_sessions = 1 if is_client else max_sessions
    settings = {
        # No dynamic table: nothing to keep in step, and no field section can be blocked (RFC 9204, section 5).
        SETTINGS_QPACK_MAX_TABLE_CAPACITY: 0,
        SETTINGS_MAX_FIELD_SECTION_SIZE: MAX_FIELD_SECTION_SIZE,
        SETTINGS_QPACK_BLOCKED_STREAMS: 0,
        # Means nothing from a client, but some servers look for it there.
        SETTINGS_ENABLE_CONNECT_PROTOCOL: 1,
        SETTINGS_H3_DATAGRAM: 1,
        SETTINGS_H3_DATAGRAM_DRAFT04: 1,
        SETTINGS_ENABLE_WEBTRANSPORT_DRAFT02: 1,
        SETTINGS_WT_MAX_SESSIONS_DRAFT07: announced_sessions,
    }
    if profile_b:
        settings[SETTINGS_WT_MAX_SESSIONS_DRAFT14] = announced_sessions
    settings[SETTINGS_WT_ENABLED] = 1
    limits = {
        SETTINGS_WT_INITIAL_MAX_DATA: initial_max_data,
        SETTINGS_WT_INITIAL_MAX_STREAMS_UNI: initial_max_streams_uni,
        SETTINGS_WT_INITIAL_MAX_STREAMS_BIDI: initial_max_streams_bidi,
    }
    settings.update({identifier: limit for identifier, limit in limits.items() if limit})
    return MappingProxyType(settings)
