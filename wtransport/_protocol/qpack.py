"""Field sections, compressed (RFC 9204), with no dynamic table in either direction.

Our settings announce a table of 0 bytes and no blocked streams, so a section decodes at once or never, and our encoder
uses the static table only. What the peer's QPACK streams may then say is next to nothing, and checked.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain
from typing import ClassVar, Final

import pylsqpack

from .._remembered import Remembered
from ..constants import ErrorCodes
from .settings import MAX_FIELD_SECTION_SIZE
from .violations import ConnectionViolation, StreamViolation

__all__ = ["FieldDecoder", "FieldEncoder", "Fields", "field_section_size", "may_be_remembered"]

Fields = list[tuple[bytes, bytes]]
"""The lines of a field section, in order: names and values."""

# What each line counts beside its name and value (RFC 9114, section 4.2.2).
_LINE_OVERHEAD: Final = 32

# What a section begins with when it needs no inserts, and the bytes of a Delta Base: the sign, and where the number
# goes on in more bytes (RFC 9204, section 4.5.1).
_NO_INSERTS: Final = 0x00
_BASE_SIGN: Final = 0x80
_BASE_CONTINUES: Final = 0x7F

# Set Dynamic Table Capacity with 0 (RFC 9204, section 4.3.1): the only instruction that fits a table of 0 bytes.
_CAPACITY_0: Final = b"\x20"


# Without tables a section stands for the same lines whatever came before, and peers of one kind send the same ones.
# So short ones are remembered; none with fields that tell who somebody is, which are not to outlive their connection.
_MAX_KNOWN_SIZE: Final = 1024  # as `field_section_size` counts
_PERSONAL: Final = frozenset({b"authorization", b"cookie", b"proxy-authorization", b"set-cookie"})


def field_section_size(fields: Collection[tuple[bytes, bytes]]) -> int:
    """Return the size of a field section as MAX_FIELD_SECTION_SIZE counts it, in bytes (RFC 9114, section 4.2.2)."""
    return sum(map(len, chain.from_iterable(fields))) + _LINE_OVERHEAD * len(fields)


def may_be_remembered(fields: Collection[tuple[bytes, bytes]]) -> bool:
    """Tell whether what is made of a field section may be kept for the next one of the same lines."""
    return field_section_size(fields) <= _MAX_KNOWN_SIZE and _PERSONAL.isdisjoint(name for name, _ in fields)


class FieldEncoder:
    """Compresses the field sections that we send on one connection."""

    __slots__ = ("_encoder",)

    _known: ClassVar[Remembered[tuple[tuple[bytes, bytes], ...], bytes]] = Remembered()

    def __init__(self) -> None:
        """Begin with a dynamic table of 0 bytes, and leave it so whatever the peer would allow."""
        self._encoder = pylsqpack.Encoder()

    def encode(self, stream_id: int, headers: Fields) -> bytes:
        """Return the payload of a HEADERS frame."""
        lines = tuple(headers)
        payload = self._known.get(lines)
        if payload is None:
            _, payload = self._encoder.encode(stream_id, headers)
            if may_be_remembered(lines):
                self._known.remember(lines, payload)
        return payload

    def feed_decoder_stream(self, data: bytes) -> None:
        """Take bytes of the peer's QPACK decoder stream, after its stream type.

        Raises:
            ConnectionViolation: QPACK_DECODER_STREAM_ERROR, for it can acknowledge nothing that we never sent.
        """
        try:
            self._encoder.feed_decoder(data)
        except pylsqpack.DecoderStreamError as error:
            code = ErrorCodes.QPACK_DECODER_STREAM_ERROR
            raise ConnectionViolation(code, "invalid instruction on the QPACK decoder stream") from error


class FieldDecoder:
    """Reads the field sections that the peer sends on one connection.

    Args:
        max_field_section_size: the limit we announced, in bytes as `field_section_size` counts them.
    """

    __slots__ = ("_max_field_section_size",)

    # One for all connections, as without tables nothing is kept from one section to the next; each has 4 KiB.
    _decoder: ClassVar[pylsqpack.Decoder] = pylsqpack.Decoder(0, 0)
    _known: ClassVar[Remembered[bytes, tuple[Fields, int]]] = Remembered()

    def __init__(self, *, max_field_section_size: int = MAX_FIELD_SECTION_SIZE) -> None:
        """Begin with the tables empty."""
        self._max_field_section_size = max_field_section_size

    def decode(self, stream_id: int, payload: bytes) -> Fields:
        """Return the lines of the field section in a HEADERS payload.

        Raises:
            ConnectionViolation: QPACK_DECOMPRESSION_FAILED.
            StreamViolation: H3_EXCESSIVE_LOAD when the section is larger than we announced to accept.
        """
        known = self._known.get(payload) if len(payload) <= _MAX_KNOWN_SIZE else None
        if known is None:
            fields = self._decode(stream_id, payload)
            known = fields, field_section_size(fields)
            if may_be_remembered(fields):
                self._known.remember(bytes(payload), known)
        fields, size = known
        if size > self._max_field_section_size:
            raise StreamViolation(ErrorCodes.H3_EXCESSIVE_LOAD, "field section is too large")
        return list(fields)

    def _decode(self, stream_id: int, payload: bytes) -> Fields:
        if len(payload) >= 2 and payload[0] == _NO_INSERTS:
            # ls-qpack takes a base below 0, which "an endpoint MUST treat as invalid" (RFC 9204, section 4.5.1.2), and
            # refuses a section without lines, which is legal.
            if payload[1] & _BASE_SIGN:
                raise ConnectionViolation(ErrorCodes.QPACK_DECOMPRESSION_FAILED, "field section with a negative base")
            if len(payload) == 2 and payload[1] != _BASE_CONTINUES:
                return []
        try:
            _, fields = self._decoder.feed_header(stream_id, payload)
        except (pylsqpack.DecompressionFailed, pylsqpack.StreamBlocked) as error:
            FieldDecoder._decoder = pylsqpack.Decoder(0, 0)  # no other connection depends on what a failure leaves
            code = ErrorCodes.QPACK_DECOMPRESSION_FAILED
            raise ConnectionViolation(code, "field section cannot be decompressed") from error
        return fields

    def feed_encoder_stream(self, data: bytes) -> None:
        """Take bytes of the peer's QPACK encoder stream, after its stream type.

        Raises:
            ConnectionViolation: QPACK_ENCODER_STREAM_ERROR, for nothing fits into a table of 0 bytes.
        """
        # Not left to ls-qpack, which waits for the end of strings that have no place here, and takes an empty entry.
        if data.strip(_CAPACITY_0):
            code = ErrorCodes.QPACK_ENCODER_STREAM_ERROR
            raise ConnectionViolation(code, "invalid instruction on the QPACK encoder stream")
