"""Typed objects that messages are asked to be: something of every kind that a type hint can name."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any, Literal, NamedTuple, TypedDict
from uuid import UUID

__all__ = ["HINTS", "REGISTRY"]


class Color(Enum):
    """Members of different types."""

    RED = "red"
    ONE = 1
    NONE = 2.5


class Level(IntEnum):
    """Members that are numbers."""

    LOW = 0
    HIGH = 9


class Point(NamedTuple):
    """A tuple with names."""

    x: int
    y: float = 0.0


class Options(TypedDict, total=False):
    """A dict with known keys."""

    name: str
    sizes: list[int]


@dataclass
class Leaf:
    """A small dataclass."""

    number: int
    text: str = ""
    data: bytes = b""


@dataclass
class Node:
    """A dataclass that holds others, of its own class too."""

    leaf: Leaf
    children: list[Node] = field(default_factory=list)
    by_name: dict[str, Leaf] = field(default_factory=dict)
    either: int | str | Leaf | None = None
    color: Color | None = None


HINTS: list[Any] = [
    *(None, int, float, bool, str, bytes, bytearray, Decimal, UUID, datetime, date, time, timedelta, object, Any),
    *(Color, Level, Point, Options, Leaf, Node, list, tuple, dict, set, frozenset, deque, OrderedDict, type(None)),
    *(list[int], set[str], frozenset[Leaf], tuple[int, ...], tuple[int, str], deque[float], dict[int, str]),
    *(dict[UUID, list[Leaf]], dict[Color, int], dict[bool, int], Mapping[date, int], Sequence[Point], int | None),
    *(Leaf | int, bytes | str, list[Leaf] | dict[str, int], Literal["a", 1, True], Literal[Level.HIGH]),
]

REGISTRY: dict[int, type[Any]] = {0: Leaf, 1: Node, 7: Point, 0xFFFF: dict}
