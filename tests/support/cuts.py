"""Feeding a parser the same bytes in every cut: whole, byte by byte, and in two at each offset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


def every_cut(data: bytes) -> Iterator[list[bytes]]:
    """Yield the ways to cut `data` that are worth trying."""
    yield [data]
    yield [data[index : index + 1] for index in range(len(data))]
    for index in range(1, len(data)):
        yield [data[:index], data[index:]]


def random_cuts(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """Cut `data` at any number of places; empty pieces happen too."""

    def cut(places: list[int]) -> list[bytes]:
        bounds = [0, *sorted(places), len(data)]
        return [data[start:end] for start, end in pairwise(bounds)]

    return st.lists(st.integers(0, len(data)), max_size=8).map(cut)


def read_pieces(
    feed: Callable[[bytes], Iterable[T]], pieces: Iterable[bytes], error_type: type[Exception]
) -> tuple[list[T], Exception | None]:
    """Feed all pieces; return what came out, and the error that ended it."""
    items: list[T] = []
    try:
        for piece in pieces:
            for item in feed(piece):
                items.append(item)  # one by one: what comes before an error must not be lost with it
    except error_type as error:
        return items, error
    return items, None
