"""Capsules (RFC 9297, section 3.2): what travels inside the DATA frames of a CONNECT stream."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from .._inputs import Buffer, check_varint, copy_droppable
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
        max_sizes: the types that are delivered, each with the largest value accepted, in bytes. The value of every
            other type is skipped, never kept ("MUST silently drop", RFC 9297, section 3.2).
        droppable: types of max_sizes that are skipped when they are over their limit, instead of failing: what a
            DATAGRAM that is too large calls for ("without buffering its contents", RFC 9297, section 3.5).

    Raises:
        TypeError: max_sizes is no mapping of ``int`` to ``int``, or droppable no collection of ``int``.
        ValueError: a type or a size is not in 0..2**62-1, or a droppable type is not in max_sizes.

    Source: RFC 9297, sections 3.2 and 3.5.
    """

    __slots__ = ()

    _noun = "capsule"

    def __init__(self, max_sizes: Mapping[int, int], droppable: Collection[int] = ()) -> None:
        """Begin at a capsule boundary."""
        super().__init__(max_sizes)
        self._droppable = copy_droppable(droppable, self._limits)

    def feed(self, data: Buffer) -> list[tuple[int, bytes | None]]:
        """Take the next bytes of the stream and return what they complete, as ``(type, value)``.

        A capsule that is skipped comes once, as ``(type, None)``, as soon as its header is complete: its type may be
        one that must not appear at all.

        Raises:
            TypeError: data is not bytes.
            ValueError: a capsule is over its limit. Capsules before it are returned first, and the error is raised by
                the next call (``failed`` tells), and by every call after that; or data is not contiguous.
        """
        return [(capsule_type, value if ended else None) for capsule_type, value, ended in self._feed(data)]
