"""The receive queue of a stream: taking, joining, finding across chunks."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest


def filled(kernels: ModuleType, *chunks: bytes) -> Any:
    queue = kernels.ChunkQueue()
    for chunk in chunks:
        queue.append(chunk)
    return queue


def test_empty(kernels: ModuleType) -> None:
    queue = kernels.ChunkQueue()
    assert (len(queue), queue.take(), queue.take(0), queue.take(10), queue.find(b"x")) == (0, b"", b"", b"", -1)
    queue.append(b"")
    assert (len(queue), queue.take()) == (0, b"")
    queue.clear()


def test_a_chunk_that_fits_comes_back_as_it_is(kernels: ModuleType) -> None:
    chunk = bytes(range(256))
    for count in (-1, 256, 257, 2**64):
        queue = filled(kernels, chunk)
        assert queue.take(count) is chunk
    queue = filled(kernels, chunk, b"more")
    assert queue.take(256) is chunk
    assert queue.take() == b"more"


def test_takes_what_was_asked_for_across_chunks(kernels: ModuleType) -> None:
    data = bytes(range(100))
    chunks = [data[:1], data[1:40], data[40:41], data[41:99], data[99:]]
    for count in range(1, 101):
        queue = filled(kernels, *chunks)
        taken = [queue.take(count) for _ in range(0, 100, count)]
        assert b"".join(taken) == data
        assert all(len(piece) == count for piece in taken[:-1])
        assert len(queue) == 0


def test_takes_all_after_a_part(kernels: ModuleType) -> None:
    queue = filled(kernels, b"abc", b"def", b"ghi")
    assert queue.take(1) == b"a"
    assert queue.take(1) == b"b"
    assert len(queue) == 7
    assert queue.take() == b"cdefghi"


def test_many_chunks_wrap_around(kernels: ModuleType) -> None:
    queue = kernels.ChunkQueue()
    expected = bytearray()
    for number in range(500):
        piece = bytes([number % 256]) * (number % 7 + 1)
        queue.append(piece)
        expected += piece
        taken = queue.take(3)
        assert taken == expected[:3]
        del expected[:3]
        assert len(queue) == len(expected)
    assert queue.take() == expected


def test_finds_within_and_across_chunks(kernels: ModuleType) -> None:
    data = b"first\r\n\r\nsecond\r\n\r\n\r"
    for size in range(1, len(data) + 1):
        queue = filled(kernels, *(data[index : index + size] for index in range(0, len(data), size)))
        for separator in (
            b"\r",
            b"\r\n",
            b"\r\n\r\n",
            b"st",
            b"second",
            b"d\r\n\r\n\r",
            b"\r\r",
            b"x",
            data,
            data + b"x",
        ):
            for start in range(len(data) + 2):
                assert queue.find(separator, start) == data.find(separator, start), (size, separator, start)


def test_finds_after_a_part_was_taken(kernels: ModuleType) -> None:
    data = b"aa,bb,cc,dd"
    for size in range(1, len(data) + 1):
        for taken in range(len(data)):
            queue = filled(kernels, *(data[index : index + size] for index in range(0, len(data), size)))
            assert queue.take(taken) == data[:taken]
            for start in range(len(data)):
                assert queue.find(b",", start) == data[taken:].find(b",", start)
                assert queue.find(b"b,c", start) == data[taken:].find(b"b,c", start)


def test_find_takes_every_buffer_and_huge_starts(kernels: ModuleType) -> None:
    queue = filled(kernels, b"abc")
    assert queue.find(bytearray(b"b")) == queue.find(memoryview(b"b")) == 1
    assert queue.find(b"b", 2**64) == -1


def test_clear(kernels: ModuleType) -> None:
    queue = filled(kernels, b"abc", b"def")
    queue.take(1)
    queue.clear()
    assert (len(queue), queue.take()) == (0, b"")
    queue.append(b"new")
    assert queue.take(2) == b"ne"


def test_keeps_a_copy_of_what_may_change(kernels: ModuleType) -> None:
    queue = kernels.ChunkQueue()
    changing = bytearray(b"abc")
    queue.append(changing)
    changing[0] = 0
    queue.append(memoryview(b"def"))
    assert queue.take() == b"abcdef"


@pytest.mark.parametrize("data", [None, "text", 7, [1]])
def test_refuses_what_is_no_buffer(kernels: ModuleType, data: Any) -> None:
    queue = filled(kernels, b"abc")
    with pytest.raises(TypeError, match="data must be bytes"):
        queue.append(data)
    with pytest.raises(TypeError, match="data must be bytes"):
        queue.find(data)
    assert queue.take() == b"abc"


@pytest.mark.parametrize(
    ("call", "error", "name"),
    [
        (lambda queue: queue.take(-2), ValueError, "max_bytes"),
        (lambda queue: queue.take(-(2**64)), ValueError, "max_bytes"),
        (lambda queue: queue.take(None), TypeError, "max_bytes"),
        (lambda queue: queue.take(1.0), TypeError, "max_bytes"),
        (lambda queue: queue.find(b""), ValueError, "separator"),
        (lambda queue: queue.find(b"a", -1), ValueError, "start"),
        (lambda queue: queue.find(b"a", -(2**64)), ValueError, "start"),
        (lambda queue: queue.find(b"a", None), TypeError, "start"),
    ],
)
def test_refuses_wrong_arguments(kernels: ModuleType, call: Any, error: type[Exception], name: str) -> None:
    queue = filled(kernels, b"abc")
    with pytest.raises(error, match=name):
        call(queue)
    assert queue.take() == b"abc"
