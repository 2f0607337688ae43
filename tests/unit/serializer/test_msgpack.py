"""MessagePack: what objects become, what comes back, and what happens without the library."""

from __future__ import annotations

import enum
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgpack
import pytest

from wtransport.exceptions import ConfigurationError, SerializationError
from wtransport.serializer import MsgPackSerializer
from wtransport.types import Serializer


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Item:
    colour: Colour
    blob: bytes
    at: datetime
    identity: UUID
    tags: set[str]
    inner: Item | None = None


ITEM = Item(Colour.RED, b"\x00\xff", datetime(2026, 1, 2, tzinfo=UTC), UUID(int=1), {"a"})


def test_it_is_a_serializer() -> None:
    assert isinstance(MsgPackSerializer(), Serializer)


def test_objects_come_back_as_what_they_were() -> None:
    serializer = MsgPackSerializer()
    item = Item(ITEM.colour, ITEM.blob, ITEM.at, ITEM.identity, ITEM.tags, inner=ITEM)
    assert serializer.deserialize(data=serializer.serialize(obj=item), obj_type=Item) == item


def test_what_objects_become() -> None:
    assert msgpack.unpackb(MsgPackSerializer().serialize(obj=ITEM)) == {
        "colour": "red",
        "blob": b"\x00\xff",
        "at": "2026-01-02T00:00:00+00:00",
        "identity": "00000000-0000-0000-0000-000000000001",
        "tags": ["a"],
        "inner": None,
    }


def test_options_go_to_the_library() -> None:
    serializer = MsgPackSerializer(
        pack_kwargs={"use_single_float": True, "default": lambda obj: f"<{obj}>"},
        unpack_kwargs={"strict_map_key": False, "use_list": False},
    )
    assert serializer.deserialize(data=serializer.serialize(obj={1: [1.5, 2j]})) == {1: (1.5, "<2j>")}
    with pytest.raises(TypeError, match="default"):
        MsgPackSerializer(pack_kwargs={"default": 1})


@pytest.mark.parametrize("obj", [object(), 1 << 70, [Colour], "\ud800"])
def test_what_cannot_be_serialized(obj: Any) -> None:
    with pytest.raises(SerializationError, match="cannot be serialized as MessagePack"):
        MsgPackSerializer().serialize(obj=obj)


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x01\x01", b"\xa5ab", b"\x81\x01\x02", b"\x91" * 5000])
def test_what_is_no_messagepack(data: bytes) -> None:
    with pytest.raises(SerializationError, match="not valid MessagePack"):
        MsgPackSerializer().deserialize(data=data)


def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "msgpack", None)
    with pytest.raises(ConfigurationError, match=r"wtransport\[msgpack\]") as raised:
        MsgPackSerializer()
    assert raised.value.config_key == "dependency.msgpack"
