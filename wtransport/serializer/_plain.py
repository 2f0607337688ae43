"""From Python objects to what a self-describing format has: the half of a conversion that needs no type.

What every format has (numbers, text, lists, maps) is left to the format's own encoder, which is fast; this is asked
only for the rest.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

__all__ = ["base64_text", "is_instance_of_dataclass", "plain", "with_text_keys"]


def is_instance_of_dataclass(obj: Any) -> bool:
    """Tell whether `obj` is an instance of a dataclass, not the class itself."""
    return is_dataclass(obj) and not isinstance(obj, type)


def base64_text(data: bytes | bytearray | memoryview) -> str:
    """Return bytes as text: base64 with padding, in the alphabet of RFC 4648, section 4."""
    return base64.b64encode(data).decode("ascii")


def plain(obj: Any) -> Any:
    """Return `obj` one step nearer to plain values; what is inside may need the same.

    Dataclasses and mappings become dicts, sets and deques lists, enums their values; dates and times ISO 8601 text,
    durations seconds; UUID, Decimal and paths text.

    Raises:
        TypeError: the type has no plain form.
    """
    if is_instance_of_dataclass(obj):
        return {each.name: getattr(obj, each.name) for each in fields(obj)}
    if isinstance(obj, Enum):
        return obj.value
    if isinstance(obj, datetime | date | time):
        return obj.isoformat()
    if isinstance(obj, timedelta):
        return obj.total_seconds()
    if isinstance(obj, set | frozenset | deque):
        return list(obj)
    if isinstance(obj, UUID | Decimal | PurePath):
        return str(obj)
    if isinstance(obj, Mapping):
        return dict(obj)
    raise TypeError(f"object of type {type(obj).__name__} cannot be serialized")


def with_text_keys(obj: Any, default: Callable[[Any], Any]) -> Any:
    """Return `obj` with the keys of every dict in it turned into what JSON takes as a key.

    Args:
        obj: anything; only what contains other objects is looked into.
        default: what makes other objects plain; raises TypeError when it cannot.

    Raises:
        TypeError: a key has no such form.
    """
    if isinstance(obj, str | int | float | bool | None):
        return obj
    if isinstance(obj, dict):
        return {_text_key(key, default): with_text_keys(value, default) for key, value in obj.items()}
    if isinstance(obj, list | tuple):
        return [with_text_keys(item, default) for item in obj]
    return with_text_keys(default(obj), default)


def _text_key(key: Any, default: Callable[[Any], Any]) -> Any:
    while not isinstance(key, str | int | float | bool | None):
        key = default(key)
        if isinstance(key, dict | list):
            raise TypeError("keys must be str, or of a type that becomes str or a number")
    return key
