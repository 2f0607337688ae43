"""MessagePack, with the library ``msgpack`` (the extra of that name)."""

from __future__ import annotations

from typing import Any

from ..exceptions import SerializationError
from ._base import _BaseDataclassSerializer, missing_library
from ._plain import plain

__all__ = ["MsgPackSerializer"]


class MsgPackSerializer(_BaseDataclassSerializer):
    """Objects as MessagePack. Bytes stay bytes; other types go the way they go in `JSONSerializer`.

    Args:
        pack_kwargs: for `msgpack.packb`. A ``default`` is asked for objects that this class does not know.
        unpack_kwargs: for `msgpack.unpackb`. Keys that are neither text nor bytes are refused unless
            ``strict_map_key`` is False: a peer could choose numbers that make a dict slow.

    Raises:
        ConfigurationError: ``msgpack`` is not installed.
    """

    _FORMAT = "MessagePack"

    def __init__(
        self, *, pack_kwargs: dict[str, Any] | None = None, unpack_kwargs: dict[str, Any] | None = None
    ) -> None:
        try:
            import msgpack  # late: an optional dependency
        except ImportError as error:
            raise missing_library("msgpack", user=type(self).__name__, error=error) from error
        self._msgpack = msgpack
        self._pack_kwargs = dict(pack_kwargs or {})
        self._unpack_kwargs = {"raw": False, **(unpack_kwargs or {})}
        self._further_default = self._pack_kwargs.pop("default", None)
        if self._further_default is not None and not callable(self._further_default):
            raise TypeError(f"default must be callable, not {type(self._further_default).__name__}")

    def serialize(self, *, obj: Any) -> bytes:
        """Return `obj` as MessagePack.

        Raises:
            SerializationError: something in it has no MessagePack form.
        """
        try:
            packed: bytes = self._msgpack.packb(obj, default=self._default, **self._pack_kwargs)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise SerializationError(
                f"object of type {type(obj).__name__} cannot be serialized as MessagePack: {error}",
                original_exception=error,
            ) from error
        return packed

    def deserialize(self, *, data: bytes, obj_type: Any = None) -> Any:
        """Return the object in `data`; see `JSONSerializer.deserialize`.

        Raises:
            SerializationError: the data is no MessagePack, or does not fit `obj_type`.
        """
        try:
            decoded = self._msgpack.unpackb(data, **self._unpack_kwargs)
        except (self._msgpack.UnpackException, TypeError, ValueError, RecursionError) as error:
            raise SerializationError(f"data is not valid MessagePack: {error}", original_exception=error) from error
        return self._typed(decoded, obj_type)

    def _default(self, obj: Any) -> Any:
        try:
            return plain(obj)
        except TypeError:
            if self._further_default is None:
                raise
            return self._further_default(obj)
