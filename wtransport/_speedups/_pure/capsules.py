"""Capsules (RFC 9297, section 3.2): what travels inside the DATA frames of a CONNECT stream."""

from __future__ import annotations

from .._inputs import Buffer, check_varint
from .records import RecordParser, encode_record

__all__ = ["CapsuleParser", "encode_capsule"]


def encode_capsule(capsule_type: int, value: Buffer) -> bytes:
    """Return one whole capsule.

    Raises:
        TypeError: capsule_type is not an ``int``, or value is not bytes.
        ValueError: capsule_type is not in 0..2**62-1, or value is not contiguous.

    Source: RFC 9297, section 3.2.
    """
    check_varint("capsule_type", capsule_type)
    return encode_record(capsule_type, value)


class CapsuleParser(RecordParser):
    """Reads the capsules of one CONNECT stream, however its bytes are cut.

    Args:
        max_sizes: the types that are delivered, each with the largest value accepted, in bytes. Every other type is
            skipped silently, never kept ("MUST silently drop", RFC 9297, section 3.3).

    Raises:
        TypeError: max_sizes is no mapping of ``int`` to ``int``.
        ValueError: a type or a size is not in 0..2**62-1.

    Source: RFC 9297, sections 3.2 and 3.3.
    """

    __slots__ = ()

    _noun = "capsule"

    def feed(self, data: Buffer) -> list[tuple[int, bytes]]:
        """Take the next bytes of the stream and return the capsules they complete, as ``(type, value)``.

        Raises:
            TypeError: data is not bytes.
            ValueError: a capsule is over its limit. Capsules before it are returned first, and the error is raised by
                the next call (``failed`` tells), and by every call after that; or data is not contiguous.
        """
        return [(capsule_type, value) for capsule_type, value, _ended in self._feed(data)]
