"""The bytes of a stream that have arrived and that nobody has read yet."""

from __future__ import annotations

from collections import deque

from .._inputs import Buffer, as_bytes, check_int

__all__ = ["ChunkQueue"]


class ChunkQueue:
    """A queue of bytes that keeps the chunks as they came and copies only where a read cuts or joins them.

    It has no limit of its own: what may arrive is bounded by flow control, which grants credit for what was read.
    """

    __slots__ = ("_chunks", "_offset", "_size")

    def __init__(self) -> None:
        """Create an empty queue."""
        self._chunks: deque[bytes] = deque()
        self._offset = 0  # bytes of the first chunk already taken
        self._size = 0

    def __len__(self) -> int:
        """Return how many bytes are kept."""
        return self._size

    def append(self, data: Buffer) -> None:
        """Add bytes at the end; ``bytes`` are kept as they are, anything else is copied.

        Raises:
            TypeError: data is not bytes.
            ValueError: data is not contiguous.
        """
        if type(data) is not bytes:
            data = as_bytes(data)
        if data:
            self._chunks.append(data)
            self._size += len(data)

    def take(self, max_bytes: int = -1) -> bytes:
        """Remove and return bytes from the front.

        Args:
            max_bytes: most bytes to return, -1 for all.

        Returns:
            ``min(max_bytes, len(self))`` bytes; the very chunk that was appended if it is exactly these.

        Raises:
            TypeError: max_bytes is not an ``int``.
            ValueError: max_bytes is below -1.
        """
        check_int("max_bytes", max_bytes)
        if max_bytes < -1:
            raise ValueError("max_bytes must be -1 or more")
        count = self._size if max_bytes == -1 or max_bytes > self._size else max_bytes
        if not count:
            return b""
        offset = self._offset
        end = offset + count
        chunk = self._chunks[0]
        if end > len(chunk):
            return self._join(count)
        self._size -= count
        if end < len(chunk):
            self._offset = end
        else:
            self._offset = 0
            self._chunks.popleft()
        return chunk[offset:end]

    def find(self, separator: Buffer, start: int = 0) -> int:
        """Return the index of the first separator at or after start, or -1.

        Args:
            separator: what to look for, at least one byte; it may lie across chunks.
            start: first index at which it may begin; past the end finds nothing.

        Raises:
            TypeError: separator is not bytes, or start is not an ``int``.
            ValueError: separator is empty or not contiguous, or start is negative.
        """
        separator = as_bytes(separator)
        check_int("start", start)
        if not separator:
            raise ValueError("separator must not be empty")
        if start < 0:
            raise ValueError("start must not be negative")
        if start + len(separator) > self._size:
            return -1
        overlap = len(separator) - 1
        tail = b""  # the last bytes before a chunk, one fewer than the separator has
        chunks, begin = self._from(start)
        position = start - begin
        for chunk in chunks:
            if tail:
                found = (tail + chunk[:overlap]).find(separator)
                if found >= 0:
                    return begin - len(tail) + found
            found = chunk.find(separator, position)
            if found >= 0:
                return begin + found
            if len(chunk) - position >= overlap:
                tail = chunk[len(chunk) - overlap :]
            else:
                tail = (tail + chunk[position:])[-overlap:]
            begin += len(chunk)
            position = 0
        return -1

    def clear(self) -> None:
        """Forget all bytes."""
        self._chunks.clear()
        self._offset = 0
        self._size = 0

    def _from(self, start: int) -> tuple[list[bytes], int]:
        """Return the chunks from the one that holds index start on, and the index of that one's first byte.

        That index is negative if the chunk has been taken in part. A reader that waits for a separator asks again
        from where it stopped, near the end, so the walk begins at the end: with many tiny chunks, such a call must
        not walk all of them.
        """
        chunks = []
        begin = self._size
        backwards = reversed(self._chunks)
        while begin > start:
            chunk = next(backwards)
            chunks.append(chunk)
            begin -= len(chunk)
        chunks.reverse()
        return chunks, begin

    def _join(self, count: int) -> bytes:
        """Take count bytes that lie in more than one chunk."""
        chunks = self._chunks
        parts = []
        remaining = count
        if self._offset:
            parts.append(chunks.popleft()[self._offset :])
            remaining -= len(parts[0])
        while remaining and len(chunks[0]) <= remaining:
            parts.append(chunks.popleft())
            remaining -= len(parts[-1])
        if remaining:
            parts.append(chunks[0][:remaining])
        self._offset = remaining
        self._size -= count
        return b"".join(parts)
