"""What a call did, in a form that both twins of the kernels can be compared by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any

__all__ = ["Trace", "check", "every_way", "outcome"]

Trace = list[Any]
"""All that a target saw, in order: numbers, text, bytes, and tuples and lists of them."""


def check(condition: object, what: str) -> None:
    """Fail unless an invariant holds; an `assert` would go away under ``-O``."""
    if not condition:
        raise AssertionError(what)


def outcome(call: Callable[..., Any], *args: Any, documented: tuple[type[Exception], ...], **kwargs: Any) -> Any:
    """Return what a call returned, with its type, or the type's name and the words of what it raised.

    Anything but the documented exceptions gets through: it is a finding.
    """
    try:
        result = call(*args, **kwargs)
    except documented as error:
        return "raised", type(error).__name__, str(error)
    return "returned", type(result).__name__, result


def every_way(data: bytes, places: Iterable[int]) -> Iterator[list[bytes]]:
    """Yield a byte stream whole, byte by byte, and cut at some places (taken modulo its length)."""
    yield [data]
    yield [data[index : index + 1] for index in range(len(data))] or [b""]
    bounds = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    yield [data[start:end] for start, end in pairwise(bounds)] or [b""]
