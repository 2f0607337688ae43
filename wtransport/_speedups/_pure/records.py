"""Type-length-value records, read incrementally: what HTTP/3 frames and capsules have in common.

A record is two varints, type and length, and then the payload (RFC 9114, section 7.1; RFC 9297, section 3.2).
Only payloads of types with a limit are kept until they are whole, so what a peer can make us hold is bounded by
the largest limit, however long the records are that it announces.
"""

from __future__ import annotations

from collections.abc import Mapping

from .._constants import NO_SESSION_ID
from .._inputs import Buffer, as_bytes, copy_limits
from .varint import decode_varint, encode_varint

__all__ = ["RecordParser", "encode_record"]

# Between two records, or inside a record header that is not complete.
_IN_HEADER = 0
# Inside a payload that is handed on piece by piece.
_IN_STREAMED = 1
# Inside a payload that is kept until it is whole.
_IN_WHOLE = 2
# Inside a payload that nobody asked for.
_IN_SKIPPED = 3

# What `_streamed_type` is when no type is streamed; no record has this type.
_NO_TYPE = NO_SESSION_ID


def encode_record(record_type: int, payload: Buffer) -> bytes:
    """Return one record, its header in the fewest bytes."""
    payload = as_bytes(payload)
    return b"".join((encode_varint(record_type), encode_varint(len(payload)), payload))


class RecordParser:
    """Reads a byte stream as records and returns them as ``(type, payload, ended)``.

    A type of max_sizes comes once, whole, with ended True; the streamed type in pieces, ended True with the last one.
    A record that is skipped comes once, at its header, with no payload and ended False.

    Args:
        max_sizes: the types that are delivered whole, each with the largest payload accepted, in bytes.
    """

    __slots__ = ("_droppable", "_error", "_limits", "_partial", "_payload", "_remaining", "_state", "_type")

    _noun = "record"
    _streamed_type = _NO_TYPE

    def __init__(self, max_sizes: Mapping[int, int]) -> None:
        """Begin at a record boundary."""
        self._limits = copy_limits(max_sizes)
        self._droppable: frozenset[int] = frozenset()  # skipped when over their limit, instead of failing
        self._error: str | None = None
        self._partial = b""  # the beginning of a header, at most 15 bytes
        self._payload = bytearray()  # the beginning of a whole payload
        self._remaining = 0  # payload bytes that have not arrived
        self._state = _IN_HEADER
        self._type = _NO_TYPE

    @property
    def at_boundary(self) -> bool:
        """Whether the bytes so far end with a complete record, so that the stream may end here."""
        return self._state == _IN_HEADER and not self._partial and self._error is None

    @property
    def failed(self) -> bool:
        """Whether a record was over its limit; the next ``feed()`` raises."""
        return self._error is not None

    def _feed(self, data: Buffer) -> list[tuple[int, bytes, bool]]:
        """Take the next bytes of the stream and return what they complete."""
        chunk = as_bytes(data)
        if self._error is not None:
            raise ValueError(self._error)
        if self._partial:
            chunk = self._partial + chunk
            self._partial = b""
        results: list[tuple[int, bytes, bool]] = []
        position = 0
        size = len(chunk)
        while position < size:
            if self._state != _IN_HEADER:
                position = self._read_payload(chunk, position, results)
                continue
            record_type = decode_varint(chunk, position)
            length = None if record_type is None else decode_varint(chunk, record_type[1])
            if record_type is None or length is None:
                self._partial = chunk[position:]
                break
            position = length[1]
            if not self._begin(record_type[0], length[0], results):
                break
        if self._error is not None and not results:
            raise ValueError(self._error)
        return results

    def _begin(self, record_type: int, length: int, results: list[tuple[int, bytes, bool]]) -> bool:
        """Enter the payload of a record; False when it is over a limit that fails."""
        limit = self._limits.get(record_type)
        if limit is None:
            state = _IN_STREAMED if record_type == self._streamed_type else _IN_SKIPPED
        elif length <= limit:
            state = _IN_WHOLE
        elif record_type in self._droppable:
            state = _IN_SKIPPED
        else:
            self._error = f"{self._noun} of type {record_type:#x} has {length} bytes, the limit is {limit}"
            return False
        if state == _IN_SKIPPED:
            results.append((record_type, b"", False))
        if length:
            self._type = record_type
            self._remaining = length
            self._state = state
        elif state != _IN_SKIPPED:
            results.append((record_type, b"", True))
        return True

    def _read_payload(self, chunk: bytes, position: int, results: list[tuple[int, bytes, bool]]) -> int:
        """Take payload bytes of the current record and return the index after them."""
        end = min(position + self._remaining, len(chunk))
        self._remaining -= end - position
        ended = not self._remaining
        if self._state == _IN_STREAMED:
            results.append((self._type, chunk[position:end], ended))
        elif self._state == _IN_WHOLE:
            if ended and not self._payload:
                results.append((self._type, chunk[position:end], True))
            else:
                self._payload += chunk[position:end]
                if ended:
                    results.append((self._type, bytes(self._payload), True))
                    self._payload = bytearray()
        if ended:
            self._state = _IN_HEADER
        return end
