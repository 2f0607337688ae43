"""HTTP/3 frames (RFC 9114, section 7.1) and the header that puts a stream into a WebTransport session."""

from __future__ import annotations

from .._constants import FRAME_TYPE_DATA, NO_SESSION_ID
from .._inputs import Buffer, check_buffer, check_varint
from .records import RecordParser, encode_record
from .varint import decode_varint, encode_varint

__all__ = ["FrameParser", "decode_stream_header", "encode_frame", "encode_frame_header", "encode_stream_header"]


def encode_stream_header(signal: int, session_id: int) -> bytes:
    """Return the bytes that open a WebTransport stream.

    Args:
        signal: 0x54 for a unidirectional stream, 0x41 for a bidirectional one.
        session_id: id of the session's CONNECT stream.

    Raises:
        TypeError: an argument is not an ``int``.
        ValueError: an argument is not in 0..2**62-1.

    Source: draft-ietf-webtrans-http3, sections 4.2 and 4.3.
    """
    check_varint("signal", signal)
    check_varint("session_id", session_id)
    return encode_varint(signal) + encode_varint(session_id)


def decode_stream_header(data: Buffer, signal: int) -> tuple[int, int, int] | None:
    """Read the beginning of a stream.

    Args:
        data: the stream's first bytes; read, never kept.
        signal: the stream type or signal value that is followed by a session id.

    Returns:
        ``(signal, session_id, end)`` for a WebTransport stream, ``(type, -1, end)`` for any other, end being the index
        after what was read, or ``None`` if more bytes are needed.

    Raises:
        TypeError: data is not bytes, or signal is not an ``int``.
        ValueError: signal is not in 0..2**62-1, or data is not contiguous.

    Source: draft-ietf-webtrans-http3, sections 4.2 and 4.3; RFC 9114, section 6.2.
    """
    check_buffer(data)
    check_varint("signal", signal)
    stream_type = decode_varint(data)
    if stream_type is None:
        return None
    if stream_type[0] != signal:
        return stream_type[0], NO_SESSION_ID, stream_type[1]
    session_id = decode_varint(data, stream_type[1])
    if session_id is None:
        return None
    return stream_type[0], session_id[0], session_id[1]


def encode_frame_header(frame_type: int, length: int) -> bytes:
    """Return the header of a frame whose payload of length bytes the caller writes itself.

    Raises:
        TypeError: an argument is not an ``int``.
        ValueError: an argument is not in 0..2**62-1.

    Source: RFC 9114, section 7.1.
    """
    check_varint("frame_type", frame_type)
    check_varint("length", length)
    return encode_varint(frame_type) + encode_varint(length)


def encode_frame(frame_type: int, payload: Buffer) -> bytes:
    """Return one whole frame.

    Raises:
        TypeError: frame_type is not an ``int``, or payload is not bytes.
        ValueError: frame_type is not in 0..2**62-1, or payload is not contiguous.

    Source: RFC 9114, section 7.1.
    """
    check_varint("frame_type", frame_type)
    return encode_record(frame_type, payload)


class FrameParser(RecordParser):
    """Reads the frames of one HTTP/3 stream, however its bytes are cut.

    Args:
        max_sizes: the types that are delivered whole, each with the largest payload accepted, in bytes. DATA is
            delivered in pieces unless it is listed; the payload of every other type is skipped, never kept.

    Raises:
        TypeError: max_sizes is no mapping of ``int`` to ``int``.
        ValueError: a type or a size is not in 0..2**62-1.

    Source: RFC 9114, section 7.1.
    """

    __slots__ = ()

    _noun = "frame"
    _streamed_type = FRAME_TYPE_DATA

    def feed(self, data: Buffer) -> list[tuple[int, bytes, bool]]:
        """Take the next bytes of the stream and return what they complete, as ``(type, payload, ended)``.

        A type of max_sizes comes once, whole, with ended True. DATA comes in pieces as the bytes arrive, ended True
        with the last one. Any other type comes once, as ``(type, b"", False)``, as soon as its header is complete.

        Raises:
            TypeError: data is not bytes.
            ValueError: a frame is over its limit. Frames before it are returned first, and the error is raised by the
                next call (``failed`` tells), and by every call after that; or data is not contiguous.
        """
        return self._feed(data)
