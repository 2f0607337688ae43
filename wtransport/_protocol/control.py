"""Control streams: the peer's is read, the opening of ours and GOAWAY are written (RFC 9114, sections 6.2.1 and 7.2).

That there is exactly one and that it never ends is the engine's to watch; bytes here begin after the stream type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from .._speedups import FrameParser, decode_varint, encode_frame, encode_varint
from ..constants import (
    H3_FRAME_TYPE_CANCEL_PUSH,
    H3_FRAME_TYPE_DATA,
    H3_FRAME_TYPE_GOAWAY,
    H3_FRAME_TYPE_HEADERS,
    H3_FRAME_TYPE_MAX_PUSH_ID,
    H3_FRAME_TYPE_PRIORITY_UPDATE_PUSH,
    H3_FRAME_TYPE_PRIORITY_UPDATE_REQUEST,
    H3_FRAME_TYPE_PUSH_PROMISE,
    H3_FRAME_TYPE_SETTINGS,
    H3_FRAME_TYPE_WEBTRANSPORT_STREAM,
    H3_FRAME_TYPES_RESERVED_HTTP2,
    H3_STREAM_TYPE_CONTROL,
    ErrorCodes,
)
from .settings import decode_settings, encode_settings
from .violations import ConnectionViolation

__all__ = [
    "ControlItem",
    "ControlReader",
    "GoawayRead",
    "SettingsRead",
    "control_stream_opening",
    "goaway",
    "read_opening",
]

# Bytes of a SETTINGS payload. A peer that sends every setting there is needs less than 200; the rest is for GREASE.
_MAX_SETTINGS_BYTES: Final = 8192

# Bytes of a stream's beginning that is remembered; ours has some fifty.
_MAX_SHARED_OPENING: Final = 256

# Payload bytes of a frame that is one varint (RFC 9000, section 16).
_MAX_VARINT_BYTES: Final = 8

# Frames of request streams, and those that only HTTP/2 has (RFC 9114, sections 7.2 and 7.2.8).
_NEVER_ON_CONTROL: Final = H3_FRAME_TYPES_RESERVED_HTTP2 | {
    H3_FRAME_TYPE_DATA,
    H3_FRAME_TYPE_HEADERS,
    H3_FRAME_TYPE_PUSH_PROMISE,
}
_PRIORITY_UPDATES: Final = (H3_FRAME_TYPE_PRIORITY_UPDATE_REQUEST, H3_FRAME_TYPE_PRIORITY_UPDATE_PUSH)


@dataclass(frozen=True, slots=True)
class SettingsRead:
    """The peer's settings, the first item."""

    settings: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class GoawayRead:
    """The peer winds down. From a server `identifier` is the first request stream it will not process.

    From a client it is a push id, and means nothing where nothing is pushed.
    """

    identifier: int


ControlItem: TypeAlias = SettingsRead | GoawayRead


class ControlReader:
    """Reads the peer's control stream.

    Args:
        is_client: whether we are the client, so that this is a server's stream.
    """

    __slots__ = ("_goaway_id", "_is_client", "_max_push_id", "_parser", "_prefix", "_settings_read", "idle_frames")

    def __init__(self, *, is_client: bool, settings_read: bool = False) -> None:
        """Begin after the stream type, or after the SETTINGS."""
        self._is_client = is_client
        self._parser = FrameParser(
            {
                H3_FRAME_TYPE_SETTINGS: _MAX_SETTINGS_BYTES,
                H3_FRAME_TYPE_GOAWAY: _MAX_VARINT_BYTES,
                H3_FRAME_TYPE_MAX_PUSH_ID: _MAX_VARINT_BYTES,
                H3_FRAME_TYPE_CANCEL_PUSH: _MAX_VARINT_BYTES,
            }
        )
        # What there is of the first frame's type; None once that was seen.
        self._prefix: bytes | None = None if settings_read else b""
        self._settings_read = settings_read
        self._goaway_id: int | None = None
        self._max_push_id = -1
        self.idle_frames = 0
        """Frames so far that brought nothing: unknown, of no use here, or said before."""

    @property
    def is_at_boundary(self) -> bool:
        """Tell whether what came so far ends with a whole frame."""
        return self._prefix is None and self._parser.at_boundary

    def feed(self, data: bytes) -> Iterator[ControlItem]:
        """Take the next bytes of the stream, and yield what they complete. Exhaust it before the next call.

        Raises:
            ConnectionViolation: the stream breaks a rule of RFC 9114, section 7.2; items before it come first.
        """
        if self._prefix is not None:
            data = self._prefix + data
            if not self._check_first_type(data):
                self._prefix = data
                return
            self._prefix = None
        try:
            frames = self._parser.feed(data)
        except ValueError:
            frames = []  # the parser has failed, and says so below
        for frame_type, payload, ended in frames:
            if not ended or frame_type == H3_FRAME_TYPE_DATA:
                self._check_other(frame_type)
            elif frame_type == H3_FRAME_TYPE_SETTINGS:
                yield self._read_settings(payload)
            elif frame_type == H3_FRAME_TYPE_GOAWAY:
                yield self._read_goaway(payload)
            else:
                self._read_push_id(frame_type, payload)
        if self._parser.failed:
            if self._settings_read:
                raise ConnectionViolation(ErrorCodes.H3_FRAME_ERROR, "control frame is longer than its one field")
            raise ConnectionViolation(ErrorCodes.H3_EXCESSIVE_LOAD, "settings frame is too large")

    def _check_first_type(self, data: bytes) -> bool:
        """Check that the stream begins with SETTINGS; False when its first varint is not complete."""
        first = decode_varint(data)
        if first is None:
            return False
        self._check_signal(first[0])
        if first[0] != H3_FRAME_TYPE_SETTINGS:
            raise ConnectionViolation(ErrorCodes.H3_MISSING_SETTINGS, f"control stream begins with frame {first[0]:#x}")
        return True

    def _check_signal(self, frame_type: int) -> None:
        if frame_type == H3_FRAME_TYPE_WEBTRANSPORT_STREAM:
            # "Any other use [than at the start of a stream] is H3_FRAME_ERROR" (draft-16, section 4.3).
            raise ConnectionViolation(ErrorCodes.H3_FRAME_ERROR, "WebTransport stream signal on the control stream")

    def _check_other(self, frame_type: int) -> None:
        """Refuse a known frame that has no place here; unknown ones are skipped (RFC 9114, section 9)."""
        self._check_signal(frame_type)
        # Only clients prioritize (RFC 9218, section 7.2); what they ask for is theirs to wish.
        if frame_type in _NEVER_ON_CONTROL or (self._is_client and frame_type in _PRIORITY_UPDATES):
            raise ConnectionViolation(
                ErrorCodes.H3_FRAME_UNEXPECTED, f"frame of type {frame_type:#x} on the control stream"
            )
        self.idle_frames += 1

    def _read_settings(self, payload: bytes) -> SettingsRead:
        if self._settings_read:
            raise ConnectionViolation(ErrorCodes.H3_FRAME_UNEXPECTED, "second settings frame")
        self._settings_read = True
        return SettingsRead(decode_settings(payload, sender_is_client=not self._is_client))

    def _read_goaway(self, payload: bytes) -> GoawayRead:
        identifier = _read_only_varint(payload)
        if self._is_client and identifier % 4:
            raise ConnectionViolation(
                ErrorCodes.H3_ID_ERROR, f"GOAWAY names stream {identifier}, which no client opens"
            )
        if self._goaway_id is not None and identifier > self._goaway_id:
            raise ConnectionViolation(ErrorCodes.H3_ID_ERROR, "GOAWAY goes up")
        if self._goaway_id is not None:
            self.idle_frames += 1
        self._goaway_id = identifier
        return GoawayRead(identifier)

    def _read_push_id(self, frame_type: int, payload: bytes) -> None:
        if frame_type == H3_FRAME_TYPE_MAX_PUSH_ID and self._is_client:
            raise ConnectionViolation(ErrorCodes.H3_FRAME_UNEXPECTED, "MAX_PUSH_ID from a server")
        push_id = _read_only_varint(payload)
        if frame_type == H3_FRAME_TYPE_CANCEL_PUSH:
            # Neither side pushes: the id is above our limit, or one we never promised (RFC 9114, section 7.2.3).
            raise ConnectionViolation(ErrorCodes.H3_ID_ERROR, f"CANCEL_PUSH for unknown push {push_id}")
        if push_id < self._max_push_id:
            raise ConnectionViolation(ErrorCodes.H3_ID_ERROR, "MAX_PUSH_ID goes down")
        self._max_push_id = push_id
        self.idle_frames += 1


def read_opening(data: bytes, *, is_client: bool) -> Mapping[int, int] | None:
    """Return the settings of a control stream that so far is its type and a SETTINGS frame, as nearly all begin.

    None for everything else, which `ControlReader` has to look at. Peers of one kind send the same bytes, which are
    read once.
    """
    if not data or data[0] != H3_STREAM_TYPE_CONTROL or len(data) > _MAX_SHARED_OPENING:
        return None
    return _read_opening(data, is_client)


@lru_cache(maxsize=64)
def _read_opening(data: bytes, is_client: bool) -> Mapping[int, int] | None:
    reader = ControlReader(is_client=is_client)
    try:
        items = list(reader.feed(data[1:]))
    except ConnectionViolation:
        return None
    is_whole = len(items) == 1 and reader.is_at_boundary and not reader.idle_frames
    return items[0].settings if is_whole and isinstance(items[0], SettingsRead) else None


def _read_only_varint(payload: bytes) -> int:
    """Return the one varint that a payload is; it must be neither cut nor followed by anything (RFC 9114, 7.1)."""
    decoded = decode_varint(payload)
    if decoded is None or decoded[1] != len(payload):
        raise ConnectionViolation(ErrorCodes.H3_FRAME_ERROR, "control frame is not one whole number")
    return decoded[0]


def control_stream_opening(settings: Mapping[int, int]) -> bytes:
    """Return what our control stream begins with: its type and the SETTINGS frame.

    Raises:
        ValueError: an id or a value is not in 0..2**62-1.
    """
    return encode_varint(H3_STREAM_TYPE_CONTROL) + encode_frame(H3_FRAME_TYPE_SETTINGS, encode_settings(settings))


def goaway(identifier: int) -> bytes:
    """Return a GOAWAY frame.

    Args:
        identifier: from a server the first client stream it will not process (2**62-4 announces only that the end is
            near), from a client a push id; never more than the last time (RFC 9114, section 5.2).

    Raises:
        ValueError: identifier is not in 0..2**62-1.
    """
    return encode_frame(H3_FRAME_TYPE_GOAWAY, encode_varint(identifier))
