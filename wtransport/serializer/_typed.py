"""From plain values back to typed objects: the half of a conversion that follows type hints.

What fits is taken as it is, what can be converted without loss is converted, and anything else is refused: a receiver
that asked for a type gets that type. As in the 0.9 API, None passes everywhere and unknown keys are ignored.
"""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections import OrderedDict, deque
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Mapping,
    MutableMapping,
    MutableSequence,
    MutableSet,
    Sequence,
)
from collections.abc import (
    Set as AbstractSet,
)
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

if sys.version_info >= (3, 14):
    import annotationlib

from ._scalars import GRADED, PARSED, MismatchError, name_of, shown

__all__ = ["to_type"]

_LISTS: dict[Any, Callable[[list[Any]], Any]] = {
    list: list,
    set: set,
    frozenset: frozenset,
    deque: deque,
    Sequence: list,
    MutableSequence: list,
    Iterable: list,
    Collection: list,
    AbstractSet: set,
    MutableSet: set,
}
_MAPS: dict[Any, Callable[[dict[Any, Any]], Any]] = {
    dict: dict,
    OrderedDict: OrderedDict,
    Mapping: dict,
    MutableMapping: dict,
}
_MAX_CLASSES = 1024  # classes whose hints are remembered


def to_type(data: Any, target: Any, *, bytes_of_text: Callable[[str], bytes] | None) -> Any:
    """Return `data` as a `target`.

    Args:
        data: plain values, as a decoder gave them.
        target: a class or a type hint.
        bytes_of_text: what bytes look like in a format that has none of its own.

    Raises:
        MismatchError: it does not fit.
    """
    return _Converter(bytes_of_text).convert(data, target, exact=False)


class _Converter:
    """The walk over data and hints; `exact` means that nothing but what the encoder would have made will do."""

    __slots__ = ("_bytes_of_text",)

    def __init__(self, bytes_of_text: Callable[[str], bytes] | None) -> None:
        self._bytes_of_text = bytes_of_text

    def convert(self, data: Any, target: Any, *, exact: bool) -> Any:
        """Return `data` as a `target`."""
        target = _unwrapped(target)
        if target is Any or target is object or isinstance(target, str | TypeVar | typing.ForwardRef):
            return data  # a hint that nobody can resolve says nothing
        if data is None:
            if exact and target not in (None, types.NoneType):
                raise MismatchError(f"None is not a {name_of(target)}")
            return None
        if target in (None, types.NoneType):
            raise MismatchError(f"{shown(data)} is not None")
        origin = get_origin(target)
        if origin is Union or origin is types.UnionType:
            return self._one_of(data, get_args(target))
        if origin is Literal:
            return _literal(data, get_args(target))
        kind = target if origin is None else origin
        if kind in _LISTS:
            return self._items(data, kind, get_args(target), exact=exact)
        if kind is tuple:
            return self._tuple(data, get_args(target), exact=exact)
        if kind in _MAPS:
            return self._map(data, kind, get_args(target), exact=exact)
        if typing.is_typeddict(kind):
            return self._typed_dict(data, kind, exact=exact)
        if isinstance(kind, type):
            return self._instance(data, kind, exact=exact)
        return data if exact or not callable(kind) else _called(kind, data)

    def _one_of(self, data: Any, members: tuple[Any, ...]) -> Any:
        """Return `data` as the first member that it fits exactly, else as the first that it can be made to fit."""
        for exact in (True, False):
            for member in members:
                try:
                    return self.convert(data, member, exact=exact)
                except (MismatchError, TypeError, ValueError):
                    continue
        raise MismatchError(f"{shown(data)} is none of {', '.join(map(name_of, members))}")

    def _items(self, data: Any, kind: Any, args: tuple[Any, ...], *, exact: bool) -> Any:
        items = _list_of(data, kind)
        if args:
            items = [self.convert(item, args[0], exact=exact) for item in items]
        return _LISTS[kind](items)

    def _tuple(self, data: Any, args: tuple[Any, ...], *, exact: bool) -> tuple[Any, ...]:
        items = _list_of(data, tuple)
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(self.convert(item, args[0], exact=exact) for item in items)
        if not args:
            return tuple(items)
        if len(args) == 1 and len(items) != 1 and not exact:
            # 0.9 programs write tuple[int] for what is tuple[int, ...]
            return tuple(self.convert(item, args[0], exact=exact) for item in items)
        if len(items) != len(args):
            raise MismatchError(f"{len(items)} items where the tuple has {len(args)}")
        return tuple(self.convert(item, arg, exact=exact) for item, arg in zip(items, args, strict=True))

    def _map(self, data: Any, kind: Any, args: tuple[Any, ...], *, exact: bool) -> Any:
        if not isinstance(data, dict):
            raise MismatchError(f"{shown(data)} is not a {name_of(kind)}")
        if len(args) != 2:
            return _MAPS[kind](data)
        key_type, value_type = args
        return _MAPS[kind](
            {self._key(key, key_type): self.convert(value, value_type, exact=exact) for key, value in data.items()}
        )

    def _key(self, key: Any, key_type: Any) -> Any:
        """Return a key as a `key_type`; a format may have made text of what was a number."""
        if isinstance(key, str) and isinstance(key_type, type) and issubclass(key_type, Enum):
            for member in key_type:
                if str(member.value) == key:
                    return member
        if isinstance(key, str) and key_type is bool and key in ("true", "false"):
            return key == "true"
        return self.convert(key, key_type, exact=False)

    def _typed_dict(self, data: Any, kind: Any, *, exact: bool) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise MismatchError(f"{shown(data)} is not a {name_of(kind)}")
        missing = kind.__required_keys__ - data.keys()
        if missing:
            raise MismatchError(f"{name_of(kind)} needs {', '.join(sorted(missing))}")
        hints = _hints(kind)
        return {key: self.convert(value, hints.get(key, Any), exact=exact) for key, value in data.items()}

    def _instance(self, data: Any, kind: type[Any], *, exact: bool) -> Any:
        if is_dataclass(kind):
            return self._dataclass(data, kind, exact=exact)
        if issubclass(kind, Enum):
            return _member(data, kind)
        if issubclass(kind, tuple):
            if not isinstance(data, list | tuple):
                raise MismatchError(f"{shown(data)} is not a {name_of(kind)}")  # nor the first field of one
            hints = list(_hints(kind).values())  # a NamedTuple; without hints the items are taken as they are
            hints += [Any] * (len(data) - len(hints))
            return kind(*(self.convert(item, hint, exact=exact) for item, hint in zip(data, hints, strict=False)))
        if kind in (bytes, bytearray) and isinstance(data, str):
            if self._bytes_of_text is None:
                raise MismatchError(f"{shown(data)} is not {name_of(kind)}")
            return kind(self._bytes_of_text(data))
        if kind in GRADED:
            return GRADED[kind](data, exact=exact)
        if kind in PARSED:
            return PARSED[kind](data)
        if isinstance(data, kind):
            return data
        if exact:
            raise MismatchError(f"{shown(data)} is not a {name_of(kind)}")
        return _called(kind, data)

    def _dataclass(self, data: Any, kind: Any, *, exact: bool) -> Any:
        if isinstance(data, kind):
            return data
        if not isinstance(data, dict):
            raise MismatchError(f"{shown(data)} is not a {name_of(kind)}")
        hints = _hints(kind)
        known = fields(kind)
        if exact and data.keys() - {each.name for each in known}:
            raise MismatchError(f"{name_of(kind)} has no such fields")
        values = {}
        for each in known:
            if not each.init:
                continue
            if each.name in data:
                try:
                    values[each.name] = self.convert(data[each.name], hints.get(each.name, Any), exact=exact)
                except (MismatchError, TypeError, ValueError) as error:
                    raise MismatchError(f"{name_of(kind)}.{each.name}: {error}") from error
            elif each.default is MISSING and each.default_factory is MISSING:
                raise MismatchError(f"{name_of(kind)}.{each.name} is missing")
        return kind(**values)


def _unwrapped(target: Any) -> Any:
    """Return what is inside Annotated, Final, NewType and `type` aliases."""
    while True:
        if get_origin(target) in (Annotated, Final):
            target = get_args(target)[0]
        elif isinstance(target, NewType):
            target = target.__supertype__
        elif sys.version_info >= (3, 12) and isinstance(target, typing.TypeAliasType):
            target = target.__value__
        else:
            return target


def _member(data: Any, kind: type[Enum]) -> Enum:
    try:
        return kind(data)
    except ValueError:
        raise MismatchError(f"{shown(data)} is not a {kind.__name__}") from None


def _literal(data: Any, choices: tuple[Any, ...]) -> Any:
    for choice in choices:
        value = choice.value if isinstance(choice, Enum) else choice
        if type(value) is type(data) and value == data:
            return choice
    raise MismatchError(f"{shown(data)} is none of {', '.join(map(repr, choices))}")


def _called(kind: Callable[[Any], Any], data: Any) -> Any:
    """Return ``kind(data)``; as in the 0.9 API, data that the class of a program does not take stays what it is."""
    try:
        return kind(data)
    except (TypeError, ValueError):
        return data


def _list_of(data: Any, kind: Any) -> list[Any]:
    if isinstance(data, list):
        return data
    if isinstance(data, tuple | set | frozenset):
        return list(data)
    raise MismatchError(f"{shown(data)} is not a {name_of(kind)}")


@lru_cache(maxsize=_MAX_CLASSES)
def _hints(kind: type[Any]) -> dict[str, Any]:
    """Return the resolved hints of a class; those that cannot be resolved say nothing."""
    try:
        return get_type_hints(kind)
    except (NameError, TypeError, AttributeError):
        # A name that only type checkers see, or a class made in a function: `convert` takes what is left as it is.
        return {name: hint for base in reversed(kind.__mro__) for name, hint in _own_hints(base).items()}


def _own_hints(kind: type[Any]) -> dict[str, Any]:
    """Return the hints of a class itself; those that cannot be resolved as text or as a forward reference."""
    if sys.version_info >= (3, 14):
        return annotationlib.get_annotations(kind, format=annotationlib.Format.FORWARDREF)
    return inspect.get_annotations(kind)
