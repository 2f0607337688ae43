"""Capsules, by meaning: what a session's CONNECT stream carries in its DATA frames.

Layout: RFC 9297, section 3.2. Types: draft-ietf-webtrans-http3-16, sections 5.6 and 6. What a limit or a close does to
the session is the session's; here they are checked as far as the capsules alone allow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from .._speedups import CapsuleParser, decode_varint, encode_capsule, encode_frame, encode_varint
from ..constants import (
    CLOSE_WEBTRANSPORT_SESSION_TYPE,
    DATAGRAM_CAPSULE_TYPE,
    DRAIN_WEBTRANSPORT_SESSION_TYPE,
    H3_FRAME_TYPE_DATA,
    MAX_CLOSE_CAPSULE_BYTES,
    MAX_CLOSE_REASON_BYTES,
    MAX_DATAGRAM_SIZE,
    MAX_PROTOCOL_STREAMS_LIMIT,
    WT_DATA_BLOCKED_TYPE,
    WT_MAX_DATA_TYPE,
    WT_MAX_STREAM_DATA_TYPE,
    WT_MAX_STREAMS_BIDI_TYPE,
    WT_MAX_STREAMS_UNI_TYPE,
    WT_STREAM_DATA_BLOCKED_TYPE,
    WT_STREAMS_BLOCKED_BIDI_TYPE,
    WT_STREAMS_BLOCKED_UNI_TYPE,
    ErrorCodes,
)
from .profiles import Profile
from .violations import SessionViolation, StreamViolation

__all__ = [
    "CapsuleItem",
    "CapsuleReader",
    "CloseRead",
    "DataBlockedRead",
    "DatagramRead",
    "DrainRead",
    "MaxDataRead",
    "MaxStreamsRead",
    "StreamsBlockedRead",
    "data_frame",
    "encode_close",
    "encode_data_blocked",
    "encode_drain",
    "encode_max_data",
    "encode_max_streams",
    "encode_streams_blocked",
    "read_whole_close",
]

# The application code of WT_CLOSE_SESSION: four bytes, big-endian (draft-16, section 6).
_CODE_BYTES: Final = 4
# What that capsule begins with, unless its sender takes more bytes than it needs.
_CLOSE_TYPE: Final = encode_varint(CLOSE_WEBTRANSPORT_SESSION_TYPE)
# Value bytes of a capsule that is one varint (RFC 9000, section 16).
_MAX_VARINT_BYTES: Final = 8

_MAX_STREAMS_TYPES: Final = (WT_MAX_STREAMS_BIDI_TYPE, WT_MAX_STREAMS_UNI_TYPE)
_UNIDIRECTIONAL_TYPES: Final = (WT_MAX_STREAMS_UNI_TYPE, WT_STREAMS_BLOCKED_UNI_TYPE)
_LIMIT_TYPES: Final = (
    WT_MAX_DATA_TYPE,
    WT_MAX_STREAMS_BIDI_TYPE,
    WT_MAX_STREAMS_UNI_TYPE,
    WT_DATA_BLOCKED_TYPE,
    WT_STREAMS_BLOCKED_BIDI_TYPE,
    WT_STREAMS_BLOCKED_UNI_TYPE,
)
# Known, although they may be skipped: limits without flow control, and datagrams that are too large.
_SKIPPED_TYPES: Final = (*_LIMIT_TYPES, DATAGRAM_CAPSULE_TYPE)
# QUIC does this for streams of HTTP/3; the capsules are for HTTP/2 alone (draft-16, section 5.4).
_FORBIDDEN_TYPES: Final = (WT_MAX_STREAM_DATA_TYPE, WT_STREAM_DATA_BLOCKED_TYPE)


@dataclass(frozen=True, slots=True)
class CloseRead:
    """WT_CLOSE_SESSION, the last item: the application code and the text."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class DrainRead:
    """WT_DRAIN_SESSION: the peer asks to wind the session down."""


@dataclass(frozen=True, slots=True)
class MaxDataRead:
    """WT_MAX_DATA: how many bytes we may have sent in the session altogether."""

    limit: int


@dataclass(frozen=True, slots=True)
class MaxStreamsRead:
    """WT_MAX_STREAMS: how many streams of one kind we may have opened in the session altogether."""

    limit: int
    unidirectional: bool


@dataclass(frozen=True, slots=True)
class DataBlockedRead:
    """WT_DATA_BLOCKED: the limit of bytes that keeps the peer from sending."""

    limit: int


@dataclass(frozen=True, slots=True)
class StreamsBlockedRead:
    """WT_STREAMS_BLOCKED: the limit of streams that keeps the peer from opening one."""

    limit: int
    unidirectional: bool


@dataclass(frozen=True, slots=True)
class DatagramRead:
    """DATAGRAM: a datagram that came on the stream instead of in a QUIC frame (RFC 9297, section 3.5)."""

    payload: bytes


CapsuleItem: TypeAlias = (
    CloseRead | DrainRead | MaxDataRead | MaxStreamsRead | DataBlockedRead | StreamsBlockedRead | DatagramRead
)


class CapsuleReader:
    """Reads the capsules of one session.

    Args:
        profile: tells whether flow control is on; when it is off its capsules are skipped.
        max_datagram_size: largest DATAGRAM capsule delivered, in bytes; a larger one is dropped, never kept
            (RFC 9297, section 3.5).
    """

    __slots__ = ("_closed", "_has_drained", "_limits", "_must_increase", "_parser", "idle_capsules")

    def __init__(self, profile: Profile, *, max_datagram_size: int = MAX_DATAGRAM_SIZE) -> None:
        """Begin at the first capsule."""
        sizes = {
            # The declared length is checked, so that no overlong text is ever kept (draft-16, section 6).
            CLOSE_WEBTRANSPORT_SESSION_TYPE: MAX_CLOSE_CAPSULE_BYTES,
            DRAIN_WEBTRANSPORT_SESSION_TYPE: 0,
            DATAGRAM_CAPSULE_TYPE: max_datagram_size,
        }
        if profile.flow_control:
            sizes.update(dict.fromkeys(_LIMIT_TYPES, _MAX_VARINT_BYTES))
        self._parser = CapsuleParser(sizes, droppable=(DATAGRAM_CAPSULE_TYPE,))
        self._must_increase = profile.limits_must_increase
        self._limits: dict[int, int] = {}
        self._closed = False
        self._has_drained = False
        self.idle_capsules = 0
        """Capsules of unknown type, and repeated WT_DRAIN_SESSION, that were read; whoever counts them sets it to 0."""

    def feed(self, data: bytes) -> Iterator[CapsuleItem]:
        """Take the next bytes of DATA, and yield what they complete. Exhaust it before the next call.

        Raises:
            StreamViolation: H3_MESSAGE_ERROR for a malformed capsule, or anything after WT_CLOSE_SESSION.
            SessionViolation: WT_FLOW_CONTROL_ERROR for a limit that is impossible or does not go up, or a capsule
                that HTTP/3 forbids. Items before it come first.
        """
        if not data:
            return
        self._check_open()
        try:
            capsules = self._parser.feed(data)
        except ValueError:
            capsules = []  # the parser has failed, and says so below
        for capsule_type, value in capsules:
            self._check_open()
            if value is not None:
                yield self._read_capsule(capsule_type, value)
            elif capsule_type in _FORBIDDEN_TYPES:
                code = ErrorCodes.WT_FLOW_CONTROL_ERROR
                raise SessionViolation(code, f"capsule of type {capsule_type:#x} is forbidden over HTTP/3")
            elif capsule_type not in _SKIPPED_TYPES:
                self.idle_capsules += 1
        if not self._parser.at_boundary:
            self._check_open()  # the beginning of another capsule
        if self._parser.failed:
            raise _malformed("capsule is too long")

    @property
    def has_read_close(self) -> bool:
        """Tell whether WT_CLOSE_SESSION was read."""
        return self._closed

    def finish(self) -> None:
        """Take the end of the stream.

        Raises:
            StreamViolation: H3_MESSAGE_ERROR when it comes inside a capsule (RFC 9297, section 3.3).
        """
        if not self._parser.at_boundary:
            raise _malformed("stream ends inside a capsule")

    def _check_open(self) -> None:
        """Let nothing follow WT_CLOSE_SESSION (draft-16, section 6)."""
        if self._closed:
            raise _malformed("data after WT_CLOSE_SESSION")

    def _read_capsule(self, capsule_type: int, value: bytes) -> CapsuleItem:
        if capsule_type == DATAGRAM_CAPSULE_TYPE:
            return DatagramRead(value)
        if capsule_type == CLOSE_WEBTRANSPORT_SESSION_TYPE:
            self._closed = True
            return _read_close(value)
        if capsule_type == DRAIN_WEBTRANSPORT_SESSION_TYPE:
            self.idle_capsules += self._has_drained
            self._has_drained = True
            return DrainRead()
        limit = _read_only_varint(value)
        if capsule_type == WT_DATA_BLOCKED_TYPE:
            return DataBlockedRead(limit)
        if capsule_type == WT_MAX_DATA_TYPE:
            self._check_increase(capsule_type, limit)
            return MaxDataRead(limit)
        if limit > MAX_PROTOCOL_STREAMS_LIMIT:
            raise SessionViolation(ErrorCodes.WT_FLOW_CONTROL_ERROR, f"stream limit {limit} is above 2**60")
        unidirectional = capsule_type in _UNIDIRECTIONAL_TYPES
        if capsule_type not in _MAX_STREAMS_TYPES:
            return StreamsBlockedRead(limit, unidirectional)
        self._check_increase(capsule_type, limit)
        return MaxStreamsRead(limit, unidirectional)

    def _check_increase(self, capsule_type: int, limit: int) -> None:
        """Hold a limit against the capsule before it; the settings do not count (draft-16, 5.6.2 and 5.6.4)."""
        previous = self._limits.get(capsule_type)
        if previous is not None and (limit < previous or (limit == previous and self._must_increase)):
            code = ErrorCodes.WT_FLOW_CONTROL_ERROR
            raise SessionViolation(code, f"limit of capsule {capsule_type:#x} goes from {previous} to {limit}")
        self._limits[capsule_type] = limit


def read_whole_close(data: bytes) -> CloseRead | None:
    """Return what a session's first capsule says if it is WT_CLOSE_SESSION, whole and well-formed, and nothing else.

    That is all that most sessions get. None for everything else, which `CapsuleReader` has to look at.
    """
    if data[:2] != _CLOSE_TYPE:
        return None
    length = decode_varint(data, 2)
    if length is None or not _CODE_BYTES <= length[0] <= MAX_CLOSE_CAPSULE_BYTES or sum(length) != len(data):
        return None
    try:
        return _read_close(data[length[1] :])
    except StreamViolation:
        return None


def _malformed(reason: str) -> StreamViolation:
    return StreamViolation(ErrorCodes.H3_MESSAGE_ERROR, reason)


def _read_close(value: bytes) -> CloseRead:
    if len(value) < _CODE_BYTES:
        raise _malformed("WT_CLOSE_SESSION without a whole code")
    try:
        reason = value[_CODE_BYTES:].decode("utf-8")
    except UnicodeDecodeError as error:
        raise _malformed("text of WT_CLOSE_SESSION is not UTF-8") from error
    return CloseRead(int.from_bytes(value[:_CODE_BYTES], "big"), reason)


def _read_only_varint(value: bytes) -> int:
    decoded = decode_varint(value)
    if decoded is None or decoded[1] != len(value):
        raise _malformed("capsule is not one whole number")
    return decoded[0]


def data_frame(capsule: bytes) -> bytes:
    """Return capsules as they travel over HTTP/3: in a DATA frame."""
    return encode_frame(H3_FRAME_TYPE_DATA, capsule)


@lru_cache(maxsize=64)
def encode_close(code: int, reason: str) -> bytes:
    """Return WT_CLOSE_SESSION in a DATA frame; FIN must follow it (draft-16, section 6).

    Args:
        code: the application's 32-bit code, not mapped.
        reason: text; cut to at most 1024 bytes of UTF-8 at a character boundary. A lone surrogate becomes ``?``.

    Raises:
        ValueError: code is not in 0..2**32-1.
    """
    if not 0 <= code < 1 << 8 * _CODE_BYTES:
        raise ValueError(f"code must be in 0..2**32-1, not {code}")
    text = reason.encode("utf-8", "replace")[:MAX_CLOSE_REASON_BYTES].decode("utf-8", "ignore").encode()
    return data_frame(encode_capsule(CLOSE_WEBTRANSPORT_SESSION_TYPE, code.to_bytes(_CODE_BYTES, "big") + text))


def encode_drain() -> bytes:
    """Return WT_DRAIN_SESSION in a DATA frame."""
    return data_frame(encode_capsule(DRAIN_WEBTRANSPORT_SESSION_TYPE, b""))


def encode_max_data(limit: int) -> bytes:
    """Return WT_MAX_DATA in a DATA frame; limit counts bytes and must go up from one to the next."""
    return data_frame(encode_capsule(WT_MAX_DATA_TYPE, encode_varint(limit)))


def encode_max_streams(limit: int, *, unidirectional: bool) -> bytes:
    """Return WT_MAX_STREAMS in a DATA frame; limit counts streams and must go up from one to the next.

    Raises:
        ValueError: limit is above 2**60.
    """
    capsule_type = WT_MAX_STREAMS_UNI_TYPE if unidirectional else WT_MAX_STREAMS_BIDI_TYPE
    return data_frame(encode_capsule(capsule_type, _encode_stream_limit(limit)))


def encode_data_blocked(limit: int) -> bytes:
    """Return WT_DATA_BLOCKED in a DATA frame; limit is the one that was hit, in bytes."""
    return data_frame(encode_capsule(WT_DATA_BLOCKED_TYPE, encode_varint(limit)))


def encode_streams_blocked(limit: int, *, unidirectional: bool) -> bytes:
    """Return WT_STREAMS_BLOCKED in a DATA frame; limit is the one that was hit, in streams.

    Raises:
        ValueError: limit is above 2**60.
    """
    capsule_type = WT_STREAMS_BLOCKED_UNI_TYPE if unidirectional else WT_STREAMS_BLOCKED_BIDI_TYPE
    return data_frame(encode_capsule(capsule_type, _encode_stream_limit(limit)))


def _encode_stream_limit(limit: int) -> bytes:
    if limit > MAX_PROTOCOL_STREAMS_LIMIT:
        raise ValueError(f"limit must be at most 2**60 streams, not {limit}")
    return encode_varint(limit)
