"""JSON: what objects become, and what comes back."""

from __future__ import annotations

import enum
import json
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wtransport.exceptions import SerializationError
from wtransport.serializer import JSONSerializer
from wtransport.types import Serializer


class Colour(enum.Enum):
    RED = "red"
    TWO = 2


class Level(enum.IntEnum):
    LOW = 1


class Word(enum.StrEnum):
    YES = "yes"


@dataclass
class Point:
    x: int
    y: float = 0.0


@dataclass
class Everything:
    point: Point
    points: list[Point]
    by_name: dict[str, Point]
    by_colour: dict[Colour, int]
    by_number: dict[int, str]
    colour: Colour
    level: Level
    word: Word
    blob: bytes
    at: datetime
    day: date
    hour: time
    lasted: timedelta
    identity: UUID
    price: Decimal
    pair: tuple[int, str]
    many: tuple[int, ...]
    unique: set[int]
    frozen: frozenset[str]
    maybe: Point | None
    free: Any
    path: PurePosixPath
    later: deque[int] = field(default_factory=deque)


EVERYTHING = Everything(
    point=Point(1, 2.5),
    points=[Point(1), Point(2)],
    by_name={"a": Point(3)},
    by_colour={Colour.RED: 1, Colour.TWO: 2},
    by_number={1: "one"},
    colour=Colour.TWO,
    level=Level.LOW,
    word=Word.YES,
    blob=b"\x00\xff",
    at=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    day=date(2026, 1, 2),
    hour=time(3, 4),
    lasted=timedelta(milliseconds=1500),
    identity=UUID(int=5),
    price=Decimal("1.10"),
    pair=(1, "a"),
    many=(1, 2, 3),
    unique={1, 2},
    frozen=frozenset("ab"),
    maybe=None,
    free={"a": [1]},
    path=PurePosixPath("/a/b"),
    later=deque([1]),
)


def test_it_is_a_serializer() -> None:
    assert isinstance(JSONSerializer(), Serializer)


def test_everything_comes_back_as_what_it_was() -> None:
    serializer = JSONSerializer()
    data = serializer.serialize(obj=EVERYTHING)
    assert serializer.deserialize(data=data, obj_type=Everything) == EVERYTHING


def test_without_a_type_it_is_what_json_has() -> None:
    serializer = JSONSerializer()
    plain = serializer.deserialize(data=serializer.serialize(obj=EVERYTHING))
    assert plain == json.loads(serializer.serialize(obj=EVERYTHING))
    assert (plain["point"], plain["blob"], plain["lasted"]) == ({"x": 1, "y": 2.5}, "AP8=", 1.5)
    assert (plain["by_colour"], plain["at"]) == ({"red": 1, "2": 2}, "2026-01-02T03:04:05.000006+00:00")


@pytest.mark.parametrize(
    ("obj", "text"),
    [
        ({"a": 1}, '{"a": 1}'),
        ((1, 2), "[1, 2]"),
        (Word.YES, '"yes"'),
        (Level.LOW, "1"),
        (memoryview(b"ab"), '"YWI="'),
        (MappingProxyType({"a": Colour.RED}), '{"a": "red"}'),
        ({UUID(int=1): 1}, '{"00000000-0000-0000-0000-000000000001": 1}'),
        ({b"ab": [Colour.RED]}, '{"YWI=": ["red"]}'),
        ({date(2026, 1, 2): Point(1)}, '{"2026-01-02": {"x": 1, "y": 0.0}}'),
        ("ü", '"\\u00fc"'),
    ],
)
def test_what_objects_become(obj: Any, text: str) -> None:
    assert JSONSerializer().serialize(obj=obj) == text.encode()


def test_options_go_to_json() -> None:
    assert JSONSerializer(sort_keys=True, separators=(",", ":")).serialize(obj={"b": 1, "a": 2}) == b'{"a":2,"b":1}'
    assert JSONSerializer(ensure_ascii=False).serialize(obj="ü") == '"ü"'.encode()
    assert JSONSerializer(default=lambda obj: f"<{obj}>").serialize(obj=[Colour.RED, 1j]) == b'["red", "<1j>"]'
    with pytest.raises(TypeError, match="default"):
        JSONSerializer(default=5)


def _loop() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    "obj", [object(), 1j, {(1, 2): 3}, {Point(1).__class__: 1}, _loop(), [{"a": object()}], Point, {frozenset([1]): 1}]
)
def test_what_cannot_be_serialized(obj: Any) -> None:
    with pytest.raises(SerializationError, match="cannot be serialized as JSON") as raised:
        JSONSerializer().serialize(obj=obj)
    assert raised.value.original_exception is not None


def test_text_that_is_not_utf8_cannot_be_serialized() -> None:
    with pytest.raises(SerializationError):
        JSONSerializer(ensure_ascii=False).serialize(obj="\ud800")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b"9" * 5000, b"{} {}"])
def test_what_is_no_json(data: bytes) -> None:
    with pytest.raises(SerializationError, match="not valid JSON"):
        JSONSerializer().deserialize(data=data)


def test_an_unordered_dict_of_ours_is_what_was_asked_for() -> None:
    found = JSONSerializer().deserialize(data=b'{"b": 1, "a": 2}', obj_type=OrderedDict[str, int])
    assert found == OrderedDict(b=1, a=2)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(json_values)
def test_plain_values_come_back(value: Any) -> None:
    serializer = JSONSerializer()
    assert serializer.deserialize(data=serializer.serialize(obj=value)) == value


@given(json_values)
def test_no_value_of_a_peer_raises_anything_else(value: Any) -> None:
    serializer = JSONSerializer()
    data = serializer.serialize(obj=value)
    for kind in (Everything, Point, list[Point], dict[Colour, Point], Colour, bytes, datetime, set[int], int | Point):
        try:
            serializer.deserialize(data=data, obj_type=kind)
        except SerializationError as error:
            assert len(str(error)) < 1000  # noqa: PT017 - most values raise nothing
