"""Which class has which number on the wire, for structured streams and datagrams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..exceptions import ConfigurationError, SerializationError

__all__ = ["TypeRegistry"]

_MAX_TYPE_ID = 0xFFFF  # two bytes on the wire


class TypeRegistry:
    """The classes that may be sent and received, each with its id.

    Args:
        registry: class by id, 0..65535; copied.

    Raises:
        ConfigurationError: a class has two ids, or an id is out of range.
    """

    __slots__ = ("_by_id", "_ids")

    def __init__(self, registry: Mapping[int, type[Any]]) -> None:
        self._by_id = dict(registry)
        self._ids = {kind: type_id for type_id, kind in self._by_id.items()}
        for type_id in self._by_id:
            if not (isinstance(type_id, int) and 0 <= type_id <= _MAX_TYPE_ID):
                raise ConfigurationError(
                    f"registry: type ids are ints in 0..{_MAX_TYPE_ID}, not {type_id!r}",
                    config_key="registry",
                    config_value=type_id,
                )
        if len(self._ids) != len(self._by_id):
            raise ConfigurationError("registry: every type must be there once", config_key="registry")

    def id_of(self, obj: Any) -> int:
        """Return the id of the class of `obj`; it must be that very class, not one derived from it.

        Raises:
            SerializationError: the class is not registered.
        """
        type_id = self._ids.get(type(obj))
        if type_id is None:
            raise SerializationError(f"type {type(obj).__name__} is not registered")
        return type_id

    def type_of(self, type_id: int) -> type[Any]:
        """Return the class with this id.

        Raises:
            SerializationError: there is none.
        """
        kind = self._by_id.get(type_id)
        if kind is None:
            raise SerializationError(f"unknown message type id {type_id}", details={"type_id": type_id})
        return kind
