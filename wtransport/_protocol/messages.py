"""The frames of one HTTP/3 request stream, in the order in which they may come (RFC 9114, sections 4.1, 4.4 and 7).

Reads what the peer sends on the stream. Field sections come out compressed (`qpack` decodes them) and unchecked
(`fields` does that); what is in the DATA frames of a tunnel is for `capsules`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, TypeAlias

from .._speedups import FrameParser, decode_varint
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
    ErrorCodes,
)
from .settings import MAX_FIELD_SECTION_SIZE
from .violations import ConnectionViolation, StreamViolation

__all__ = ["DataRead", "HeadersRead", "MessageEnded", "MessageItem", "MessageReader"]

# Frames of the control stream, and those that only HTTP/2 has (RFC 9114, sections 7.2 and 7.2.8; RFC 9218, 7.2).
_NEVER_ON_REQUESTS: Final = H3_FRAME_TYPES_RESERVED_HTTP2 | {
    H3_FRAME_TYPE_CANCEL_PUSH,
    H3_FRAME_TYPE_SETTINGS,
    H3_FRAME_TYPE_GOAWAY,
    H3_FRAME_TYPE_MAX_PUSH_ID,
    H3_FRAME_TYPE_PRIORITY_UPDATE_REQUEST,
    H3_FRAME_TYPE_PRIORITY_UPDATE_PUSH,
}


# What a frame of each type begins with, unless its sender takes more bytes than it needs.
_HEADERS: Final = bytes((H3_FRAME_TYPE_HEADERS,))
_DATA: Final = bytes((H3_FRAME_TYPE_DATA,))


@dataclass(frozen=True, slots=True)
class HeadersRead:
    """A HEADERS frame: a request, a response (interim ones too), or with `is_trailers` what follows the content."""

    payload: bytes
    is_trailers: bool = False


@dataclass(frozen=True, slots=True)
class DataRead:
    """Content, never empty; a DATA frame may come in several pieces."""

    data: bytes


@dataclass(frozen=True, slots=True)
class MessageEnded:
    """The stream ended after a complete message; the last item."""


MessageItem: TypeAlias = HeadersRead | DataRead | MessageEnded


class _State(Enum):
    INITIAL = auto()  # no header section yet
    CONTENT = auto()  # DATA or trailers may come
    TRAILERS = auto()  # nothing known may come
    TUNNEL = auto()  # CONNECT succeeded: DATA only
    ENDED = auto()


# Before Python 3.12 a member takes half a microsecond to get at by its class.
_INITIAL, _CONTENT, _TRAILERS, _TUNNEL, _ENDED = _State


class MessageReader:
    """Reads one direction of a request stream: the request on a server, the response on a client.

    Call `feed` with what arrives and act on each item before taking the next: after the headers of a response say
    `interim` or `tunnel` when they are that, after those of a request `tunnel` when its CONNECT is accepted.

    Args:
        is_client: whether we are the client, so that this is a response.
        max_field_section_size: largest HEADERS payload accepted, in bytes; a larger one is not kept.
    """

    __slots__ = ("_content_length", "_frames", "_is_client", "_max_size", "_state", "idle_frames")

    def __init__(self, *, is_client: bool, max_field_section_size: int = MAX_FIELD_SECTION_SIZE) -> None:
        """Begin before the header section."""
        self._is_client = is_client
        self._max_size = max_field_section_size
        self._frames: FrameParser | None = None  # not needed while each piece is one whole frame
        self._state = _INITIAL
        self._content_length: int | None = None
        self.idle_frames = 0
        """Frames so far that brought nothing: empty, unknown, or an interim response."""

    @property
    def _parser(self) -> FrameParser:
        parser = self._frames
        if parser is None:
            parser = self._frames = FrameParser({H3_FRAME_TYPE_HEADERS: self._max_size})
        return parser

    @property
    def has_ended(self) -> bool:
        """Whether `MessageEnded` was read."""
        return self._state is _ENDED

    def interim(self) -> None:
        """Note that the headers just read were a 1xx response: those of the final one still come."""
        self._state = _INITIAL
        self.idle_frames += 1

    def tunnel(self) -> None:
        """Note that the CONNECT of this stream succeeded: from here on DATA is the only known frame allowed."""
        if self._state is _CONTENT:
            self._state = _TUNNEL

    def expect_content(self, length: int) -> None:
        """Hold the content to the Content-Length of the headers just read, in bytes."""
        self._content_length = length

    def whole_headers(self, data: bytes) -> bytes | None:
        """Take the first bytes of the stream if they are its HEADERS and nothing else, as nearly always: the payload.

        None, and nothing has happened, otherwise: then `feed` reads them.
        """
        if self._state is not _INITIAL or self._frames is not None or data[:1] != _HEADERS:
            return None
        payload = self._whole_payload(data)
        if payload is not None:
            self._state = _CONTENT
        return payload

    def whole_data(self, data: bytes) -> bytes | None:
        """Take the next bytes of a tunnel if they are one DATA frame, as is usual: the content. As `whole_headers`."""
        if self._state is not _TUNNEL or self._content_length is not None or data[:1] != _DATA:
            return None
        if self._frames is not None and not self._frames.at_boundary:
            return None
        return self._whole_payload(data) or None

    def _whole_payload(self, data: bytes) -> bytes | None:
        length = decode_varint(data, 1)
        if length is None or length[0] > self._max_size or length[0] + length[1] != len(data):
            return None
        return data[length[1] :]

    def feed(self, data: bytes, end_stream: bool) -> Iterator[MessageItem]:
        """Take the next bytes of the stream, and yield what they complete. Exhaust it before the next call.

        Raises:
            ConnectionViolation: H3_FRAME_UNEXPECTED, H3_FRAME_ERROR or H3_ID_ERROR; items before it come first.
            StreamViolation: H3_EXCESSIVE_LOAD for a field section over the limit, H3_REQUEST_INCOMPLETE or
                H3_MESSAGE_ERROR for a stream that ends too early.
        """
        if data:
            yield from self._read(data)
        if end_stream and self.end():
            yield MessageEnded()

    def _read(self, data: bytes) -> Iterator[MessageItem]:
        try:
            frames = self._parser.feed(data)
        except ValueError:
            frames = []  # the parser has failed, and says so below
        for frame_type, payload, ended in frames:
            if frame_type == H3_FRAME_TYPE_DATA:
                self._check_data(len(payload))
                if payload:
                    yield DataRead(payload)
                elif ended:
                    self.idle_frames += 1
            elif frame_type == H3_FRAME_TYPE_HEADERS and ended:
                yield self._read_headers(payload)
            else:
                self._check_other(frame_type)
        if self._parser.failed:
            # QPACK has no dynamic table here, so an unread section does no harm to the connection.
            raise StreamViolation(ErrorCodes.H3_EXCESSIVE_LOAD, "field section is too large")

    def _read_headers(self, payload: bytes) -> HeadersRead:
        if self._state is _INITIAL:
            self._state = _CONTENT
            return HeadersRead(payload)
        if self._state is _CONTENT:
            self._state = _TRAILERS
            return HeadersRead(payload, is_trailers=True)
        where = "in a tunnel" if self._state is _TUNNEL else "after trailers"
        raise ConnectionViolation(ErrorCodes.H3_FRAME_UNEXPECTED, f"HEADERS frame {where}")

    def _check_data(self, size: int) -> None:
        if self._state not in (_CONTENT, _TUNNEL):
            where = "before HEADERS" if self._state is _INITIAL else "after trailers"
            raise ConnectionViolation(ErrorCodes.H3_FRAME_UNEXPECTED, f"DATA frame {where}")
        if self._content_length is not None:
            self._content_length -= size
            if self._content_length < 0:
                raise StreamViolation(ErrorCodes.H3_MESSAGE_ERROR, "content is longer than content-length")

    def _check_other(self, frame_type: int) -> None:
        """Refuse a known frame that has no place here; the payloads of unknown ones are skipped (RFC 9114, 9)."""
        if frame_type == H3_FRAME_TYPE_WEBTRANSPORT_STREAM:
            # "Any other use [than at the start of a stream] is H3_FRAME_ERROR" (draft-16, section 4.3).
            raise ConnectionViolation(ErrorCodes.H3_FRAME_ERROR, "WebTransport stream signal inside a request stream")
        if frame_type == H3_FRAME_TYPE_PUSH_PROMISE and self._is_client and self._state is not _TUNNEL:
            # We never send MAX_PUSH_ID, so every push id is above the limit (RFC 9114, section 7.2.5).
            raise ConnectionViolation(ErrorCodes.H3_ID_ERROR, "PUSH_PROMISE frame, but push was never allowed")
        if frame_type == H3_FRAME_TYPE_PUSH_PROMISE or frame_type in _NEVER_ON_REQUESTS:
            raise ConnectionViolation(
                ErrorCodes.H3_FRAME_UNEXPECTED, f"frame of type {frame_type:#x} on a request stream"
            )
        self.idle_frames += 1

    def end(self) -> bool:
        """Take the end of the stream; False when it was taken already.

        Raises:
            ConnectionViolation, StreamViolation: as `feed`.
        """
        if self._state is _ENDED:
            return False
        if self._frames is not None and not self._frames.at_boundary:
            raise ConnectionViolation(ErrorCodes.H3_FRAME_ERROR, "stream ends inside a frame")
        if self._state is _INITIAL:
            if self._is_client:
                raise StreamViolation(ErrorCodes.H3_MESSAGE_ERROR, "stream ends without a response")
            raise StreamViolation(ErrorCodes.H3_REQUEST_INCOMPLETE, "stream ends without a request")
        if self._content_length:
            raise StreamViolation(ErrorCodes.H3_MESSAGE_ERROR, "content is shorter than content-length")
        self._state = _ENDED
        return True
