"""QUIC variable-length integers (RFC 9000, section 16): sizes, encoding, decoding.

The two top bits of the first byte give the length (1, 2, 4 or 8 bytes), the rest is the value, big-endian. Any
length may carry a small value: decoding accepts it, encoding uses the shortest.
"""

from __future__ import annotations

from .._constants import MAX_VARINT
from .._inputs import Buffer, check_buffer, check_int, check_varint

__all__ = ["decode_varint", "encode_varint", "encode_varint_into", "varint_size"]

# The value's bits, by the length in bytes: all but the two length bits.
_VALUE_MASK = {2: 0x3FFF, 4: 0x3FFF_FFFF, 8: MAX_VARINT}


def varint_size(value: int) -> int:
    """Return how many bytes the shortest encoding of value takes: 1, 2, 4 or 8.

    Raises:
        TypeError: value is not an ``int``.
        ValueError: value is not in 0..2**62-1.

    Source: RFC 9000, section 16.
    """
    check_varint("value", value)
    if value < 0x40:
        return 1
    if value < 0x4000:
        return 2
    if value < 0x4000_0000:
        return 4
    return 8


def encode_varint(value: int) -> bytes:
    """Encode value in the fewest bytes.

    Raises:
        TypeError: value is not an ``int``.
        ValueError: value is not in 0..2**62-1.

    Source: RFC 9000, section 16.
    """
    check_varint("value", value)
    if value < 0x40:
        return value.to_bytes(1, "big")
    if value < 0x4000:
        return (value | 0x4000).to_bytes(2, "big")
    if value < 0x4000_0000:
        return (value | 0x8000_0000).to_bytes(4, "big")
    return (value | 0xC000_0000_0000_0000).to_bytes(8, "big")


def encode_varint_into(buffer: bytearray | memoryview, offset: int, value: int) -> int:
    """Write value in the fewest bytes into a buffer and return the index after its last byte.

    Args:
        buffer: writable bytes; nothing but the varint's own bytes is changed.
        offset: index of the first byte to write, 0..len(buffer).
        value: 0..2**62-1.

    Raises:
        TypeError: buffer is not writable bytes, or offset or value is not an ``int``.
        ValueError: value is out of range, or the varint does not fit at offset; the buffer is unchanged.

    Source: RFC 9000, section 16.
    """
    check_buffer(buffer)
    if isinstance(buffer, bytes) or (isinstance(buffer, memoryview) and buffer.readonly):
        raise TypeError("buffer must be writable")
    check_int("offset", offset)
    encoded = encode_varint(value)
    end = offset + len(encoded)
    if offset < 0 or end > len(buffer):
        raise ValueError("no room in buffer at offset")
    buffer[offset:end] = encoded
    return end


def decode_varint(data: Buffer, offset: int = 0) -> tuple[int, int] | None:
    """Decode one varint.

    Args:
        data: bytes to read from; read, never kept.
        offset: index of the varint's first byte, 0..len(data).

    Returns:
        ``(value, end)``, value in 0..2**62-1 and end the index after its last byte, or ``None`` if more bytes are
        needed.

    Raises:
        TypeError: data is not bytes, or offset is not an ``int``.
        ValueError: offset is out of range, or data is not contiguous.

    Source: RFC 9000, section 16.
    """
    if type(data) is not bytes:
        check_buffer(data)
    check_int("offset", offset)
    size = len(data)
    if not 0 <= offset <= size:
        raise ValueError("offset must be in 0..len(data)")
    if offset == size:
        return None
    first = data[offset]
    if first < 0x40:
        return first, offset + 1
    length = 1 << (first >> 6)
    end = offset + length
    if end > size:
        return None
    return int.from_bytes(data[offset:end], "big") & _VALUE_MASK[length], end
