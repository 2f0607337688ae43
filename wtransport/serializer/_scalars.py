"""From plain values back to numbers, text, bytes, dates and their like.

`exact` means that nothing but what an encoder would have made of such a value will do.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

__all__ = ["GRADED", "PARSED", "MismatchError", "name_of", "shown"]

_MAX_SHOWN = 60  # characters of a peer's value in a message


class MismatchError(Exception):
    """A value does not fit the type that was asked for."""


class _Graded(Protocol):
    def __call__(self, data: Any, *, exact: bool) -> Any:
        """Return the value; raises MismatchError, TypeError or ValueError."""


def name_of(target: Any) -> str:
    """Return what a message calls a type."""
    return target.__name__ if isinstance(target, type) else str(target)


def shown(data: Any) -> str:
    """Return what a message may say of a value that a peer sent: its type, and no more of it than fits a line."""
    text = reprlib.repr(data)  # looks only at the beginning of what is large
    return text if len(text) <= _MAX_SHOWN else f"a {type(data).__name__}"


def _integer(data: Any, *, exact: bool) -> int:
    if isinstance(data, int) and not isinstance(data, bool):
        return data
    if exact or isinstance(data, bool):
        raise MismatchError(f"{shown(data)} is not an int")
    number = int(data)
    if isinstance(data, float) and number != data:
        raise MismatchError(f"{data} is not an int")
    return number


def _real(data: Any, *, exact: bool) -> float:
    if isinstance(data, float):
        return data
    if exact or isinstance(data, bool):
        raise MismatchError(f"{shown(data)} is not a float")
    return float(data)


def _boolean(data: Any, *, exact: bool) -> bool:
    if isinstance(data, bool):
        return data
    if exact or not (isinstance(data, int) and data in (0, 1)):
        raise MismatchError(f"{shown(data)} is not a bool")
    return bool(data)


def _text(data: Any, *, exact: bool) -> str:
    if isinstance(data, str):
        return data
    if exact or not isinstance(data, int | float):
        raise MismatchError(f"{shown(data)} is not a str")
    return str(data)


def _decimal(data: Any, *, exact: bool) -> Decimal:
    if isinstance(data, Decimal):
        return data
    if isinstance(data, bool) or not isinstance(data, str if exact else str | int | float):
        raise MismatchError(f"{shown(data)} is not a Decimal")
    try:
        return Decimal(str(data))
    except ArithmeticError:
        raise MismatchError(f"{shown(data)} is not a Decimal") from None


def _binary(kind: type[bytes | bytearray]) -> Callable[[Any], Any]:
    def convert(data: Any) -> bytes | bytearray:
        if not isinstance(data, bytes | bytearray | memoryview):
            raise MismatchError(f"{shown(data)} is not {kind.__name__}")
        return data if type(data) is kind else kind(data)

    return convert


def _from_text(kind: type[Any], parse: Callable[[str], Any]) -> Callable[[Any], Any]:
    def convert(data: Any) -> Any:
        if isinstance(data, kind):
            return data
        if not isinstance(data, str):
            raise MismatchError(f"{shown(data)} is not a {kind.__name__}")
        return parse(data)

    return convert


def _duration(data: Any) -> timedelta:
    if isinstance(data, timedelta):
        return data
    if isinstance(data, bool) or not isinstance(data, int | float):
        raise MismatchError(f"{shown(data)} is not a number of seconds")
    return timedelta(seconds=data)


GRADED: dict[type[Any], _Graded] = {
    bool: _boolean,
    int: _integer,
    float: _real,
    str: _text,
    Decimal: _decimal,
}
"""Types that other values can be converted to, or not."""

PARSED: dict[type[Any], Callable[[Any], Any]] = {
    bytes: _binary(bytes),
    bytearray: _binary(bytearray),
    datetime: _from_text(datetime, datetime.fromisoformat),
    date: _from_text(date, date.fromisoformat),
    time: _from_text(time, time.fromisoformat),
    timedelta: _duration,
    UUID: _from_text(UUID, UUID),
}
"""Types that have one plain form."""
