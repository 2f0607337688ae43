"""Plain values as typed objects: what fits a hint, what is made to fit, and what is refused."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import InitVar, dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Generic, Literal, NamedTuple, NewType, Optional, TypedDict, TypeVar, Union

import pytest

from wtransport.exceptions import SerializationError
from wtransport.serializer import JSONSerializer, MsgPackSerializer

T = TypeVar("T")
UserId = NewType("UserId", int)


class Size(enum.Enum):
    BIG = 1
    NONE = "none"


class Pair(NamedTuple):
    size: Size
    number: int = 0


class Movie(TypedDict, total=False):
    size: Size


class Strict(TypedDict):
    number: int


@dataclass
class Cat:
    name: str
    lives: int = 9


@dataclass
class Dog:
    name: str
    owner: str


@dataclass(frozen=True, slots=True)
class Node:
    value: int
    children: list[Node] = field(default_factory=list)


@dataclass
class Box(Generic[T]):
    content: T
    label: Final[str] = "box"


@dataclass
class Computed:
    a: int
    double: int = field(init=False)
    extra: InitVar[int] = 0

    def __post_init__(self, extra: int) -> None:
        self.double = 2 * self.a + extra


class Celsius:
    """A class of a program: what its constructor takes, it gets."""

    def __init__(self, degrees: float) -> None:
        self.degrees = float(degrees)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Celsius) and other.degrees == self.degrees

    __hash__ = None  # type: ignore[assignment]


def typed(value: Any, kind: Any) -> Any:
    serializer = JSONSerializer()
    return serializer.deserialize(data=serializer.serialize(obj=value), obj_type=kind)


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ({"name": "Tom"}, Cat, Cat("Tom")),
        ({"name": "Tom", "unknown": 1}, Cat, Cat("Tom")),
        ({"name": "Tom", "lives": None}, Cat, Cat("Tom", None)),  # type: ignore[arg-type]
        ({"value": 1, "children": [{"value": 2}]}, Node, Node(1, [Node(2)])),
        ({"content": 5}, Box[int], Box(5)),
        ({"a": 2, "double": 9}, Computed, Computed(2)),
        (None, Cat, None),
        (5, Any, 5),
        (5, object, 5),
        (5, float, 5.0),
        (5.0, int, 5),
        ("5", int, 5),
        (5, str, "5"),
        (1, bool, True),
        ("1.5", float, 1.5),
        (1.5, Decimal, Decimal("1.5")),
        ("none", Size, Size.NONE),
        ({"1": 2}, dict[int, int], {1: 2}),
        ({"1": 2}, dict[Size, int], {Size.BIG: 2}),
        ({"true": 2}, dict[bool, int], {True: 2}),
        ({"a": 2}, Mapping[str, float], {"a": 2.0}),
        ({"a": 2}, dict, {"a": 2}),
        ([1, 2], set, {1, 2}),
        ([1, 2], Sequence[float], [1.0, 2.0]),
        ([1, 2], AbstractSet[int], {1, 2}),
        ([1, 2], tuple, (1, 2)),
        ([1, 2], tuple[int, ...], (1, 2)),
        ([1, "2"], tuple[int, int], (1, 2)),
        ([1, 2, 3], tuple[int], (1, 2, 3)),
        (["none", 3], Pair, Pair(Size.NONE, 3)),
        (["none"], Pair, Pair(Size.NONE)),
        ({"size": 1}, Movie, {"size": Size.BIG}),
        ({"number": "1", "more": 2}, Strict, {"number": 1, "more": 2}),
        (5, UserId, 5),
        (5, Annotated[float, "unit"], 5.0),
        ("a", Literal["a", "b"], "a"),
        (1, Literal[Size.BIG], Size.BIG),
        (20, Celsius, Celsius(20)),
        ("cold", Celsius, "cold"),
        ([20, 21], list[Celsius], [Celsius(20), Celsius(21)]),
        (5, T, 5),
        (None, Optional[int], None),  # noqa: UP045 - the old spelling is in use
        ("5", Optional[int], 5),  # noqa: UP045
        (5, Union[str, int], 5),  # noqa: UP007
        (5, str | float, "5"),
        ("5", int | str, "5"),
        ("2026-01-02", datetime | str, datetime(2026, 1, 2)),
        ("tomorrow", datetime | str, "tomorrow"),
        ({"name": "Rex", "owner": "Eve"}, Cat | Dog, Dog("Rex", "Eve")),
        ({"name": "Tom"}, Dog | Cat, Cat("Tom")),
        (None, Cat | None, None),
        ([{"name": "Tom"}, None, 5], list[Cat | int | None], [Cat("Tom"), None, 5]),
    ],
)
def test_what_fits(value: Any, kind: Any, expected: Any) -> None:
    found = typed(value, kind)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        ({}, Cat, "Cat.name is missing"),
        ([], Cat, "not a Cat"),
        ({"name": []}, Cat, r"Cat.name: \[\] is not a str"),
        ({"value": 1, "children": [{"value": "x"}]}, Node, "Node.children: Node.value: invalid literal"),
        ({"value": 1, "children": 5}, Node, "not a list"),
        (1.5, int, "not an int"),
        (True, int, "not an int"),
        (True, float, "not a float"),
        (5, bool, "not a bool"),
        ("true", bool, "not a bool"),
        ("x", Decimal, "not a Decimal"),
        (5, datetime, "not a datetime"),
        ("x", datetime, "isoformat"),
        (5, bytes, "not bytes"),
        ("%", bytes, "base64"),
        (7, Size, "7"),
        ([1], tuple[int, int], "1 items"),
        ([[]], set[Any], "unhashable"),
        ([], dict[str, int], "not a dict"),
        ({"x": 1}, dict[Size, int], "x"),
        ({}, Strict, "number"),
        (5, Strict, "not a"),
        (1, Pair, "1 is not a Pair"),
        ("none", Pair, "not a Pair"),
        ({"size": 1}, Pair, "not a Pair"),
        (5, list[int] | Pair, "none of"),
        ("c", Literal["a", "b"], "none of"),
        ("x", int | bytes | None, "none of"),
        ({"a": 1}, Cat | Dog, "none of"),
        ("x" * 500, int | None, "a str is none of|none of"),
    ],
)
def test_what_is_refused(value: Any, kind: Any, text: str) -> None:
    with pytest.raises(SerializationError, match=text):
        typed(value, kind)


def test_hints_that_cannot_be_resolved_say_nothing() -> None:
    @dataclass
    class Local:
        a: Elsewhere  # noqa: F821 - that is the point
        b: Any = None

    assert typed({"a": 1}, Local) == Local(1)


def test_messagepack_has_bytes_of_its_own() -> None:
    serializer = MsgPackSerializer()
    assert serializer.deserialize(data=serializer.serialize(obj=b"\xff"), obj_type=bytes) == b"\xff"
    assert serializer.deserialize(data=serializer.serialize(obj=b"\xff"), obj_type=bytearray) == bytearray(b"\xff")
    with pytest.raises(SerializationError, match="not bytes"):
        serializer.deserialize(data=serializer.serialize(obj="text"), obj_type=bytes)
