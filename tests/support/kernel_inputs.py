"""What the kernels are fed with: usual and odd arguments, cuts of a byte stream, and the outcome of a call."""

from __future__ import annotations

import array
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

__all__ = [
    "buffers",
    "cuts",
    "integers",
    "odd_buffers",
    "odd_droppable",
    "odd_integers",
    "odd_limits",
    "outcome",
    "records",
    "seconds",
]

_EDGES = [0, 1, 0x3F, 0x40, 0x3FFF, 0x4000, 2**30 - 1, 2**30, 2**60 - 1, 2**60, 2**62 - 1]
_OUTSIDE = [-1, -2, -(2**31), -(2**63), -(2**63) - 1, -(2**64), 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**200]


class Bytes(bytes):
    """A subclass, which is bytes but not exactly."""


class Integer(int):
    """A subclass, which is an int but not exactly."""


class Indexable:
    """Something that has an index but is no int."""

    def __index__(self) -> int:
        return 3


def outcome(call: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[str, Any, str]:
    """Return what a call returned, with its exact type, or the type and the words of what it raised."""
    try:
        result = call(*args, **kwargs)
    except Exception as error:
        words = "" if "argument" in str(error) else str(error)  # arity errors are worded by whoever parses arguments
        return "raised", type(error), words
    return "returned", result, _types(result)


def _types(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}[{', '.join(_types(item) for item in value)}]"
    return type(value).__name__


def integers() -> st.SearchStrategy[int]:
    """Integers of every encoded length, and those just outside."""
    return st.one_of(
        st.sampled_from(_EDGES + _OUTSIDE), st.integers(0, 70), st.integers(0, 2**62 - 1), st.integers(-(2**70), 2**70)
    )


def odd_integers() -> st.SearchStrategy[Any]:
    """Integers, and what somebody might pass instead."""
    return st.one_of(
        integers(),
        st.sampled_from([None, True, False, 1.0, -0.5, float("nan"), "1", b"1", [], Integer(7), Indexable(), object()]),
    )


def seconds() -> st.SearchStrategy[Any]:
    """Times and ages, and what somebody might pass instead."""
    return st.one_of(
        st.floats(-1.0, 100.0),
        st.sampled_from([0, 5, True, None, "1", float("nan"), float("inf"), -1, 2**2000, Indexable()]),
    )


def buffers(max_size: int = 64) -> st.SearchStrategy[Any]:
    """Bytes in every form that is accepted."""
    plain = st.binary(max_size=max_size)
    return st.one_of(
        plain,
        plain.map(Bytes),
        plain.map(bytearray),
        plain.map(lambda data: memoryview(data)),  # noqa: PLW0108 - the class itself is generic
        plain.map(lambda data: memoryview(bytearray(b"\xaa" + data + b"\xbb"))[1:-1]),
    )


def odd_buffers(max_size: int = 64) -> st.SearchStrategy[Any]:
    """Bytes in every form, and what somebody might pass instead."""
    plain = st.binary(max_size=max_size)
    return st.one_of(
        buffers(max_size),
        st.sampled_from([None, 0, 5, "text", "", [1, 2], (), object(), array.array("B", [1, 2])]),
        plain.map(lambda data: memoryview(data)[::2]),
        plain.map(lambda data: memoryview(data)[::-1]),
        plain.map(lambda data: memoryview(data).cast("b")),
        plain.map(lambda data: memoryview(data + bytes(-len(data) % 4)).cast("I")),
        plain.map(lambda data: memoryview(data + b"\x00").cast("B", (1, len(data) + 1))),
        plain.map(_released),
    )


def _released(data: bytes) -> memoryview:
    view = memoryview(data)
    view.release()
    return view


def odd_limits() -> st.SearchStrategy[Any]:
    """Tables of limits, and what somebody might pass instead."""
    return st.one_of(
        st.dictionaries(odd_integers().filter(_is_hashable), odd_integers(), max_size=3),
        st.sampled_from([None, 1, "ab", b"ab", [], [(1, 2)], {1: 2}.items()]),
    )


def odd_droppable() -> st.SearchStrategy[Any]:
    """Collections of record types, and what somebody might pass instead."""
    types = st.lists(st.one_of(st.sampled_from([0, 1, 2**62 - 1]), odd_integers()), max_size=3)
    return st.one_of(
        types,
        types.map(tuple),
        types.map(lambda values: frozenset(filter(_is_hashable, values))),
        types.map(iter),
        st.sampled_from([None, 1, "ab", "", b"", b"\x00\x01", object()]),
    )


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def records() -> st.SearchStrategy[list[tuple[int, bytes]]]:
    """Frames or capsules: mostly of the types that the tests' parsers know."""
    types = st.one_of(st.sampled_from([0x00, 0x01, 0x04, 0x2843]), st.integers(0, 2**62 - 1))
    return st.lists(st.tuples(types, st.binary(max_size=40)), max_size=8)


def cuts(data: bytes, points: list[int]) -> Iterator[bytes]:
    """Cut data at points, which are taken modulo its length; some pieces may be empty."""
    places = sorted(point % (len(data) + 1) for point in points)
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        yield data[start:end]
