"""JSON."""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from typing import Any

from ..exceptions import SerializationError
from ._base import _BaseDataclassSerializer
from ._plain import base64_text, plain, with_text_keys

__all__ = ["JSONSerializer"]


def _bytes_of_text(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from None


class JSONSerializer(_BaseDataclassSerializer):
    """Objects as JSON in UTF-8.

    Dataclasses become objects, sets and tuples lists, enums their values, bytes base64 text, dates and times ISO 8601
    text, durations seconds, UUID, Decimal and paths text. JSON says nothing of these types, so they come back when
    `deserialize` is told the type.

    Args:
        kwargs: for `json.dumps`, such as ``indent`` or ``sort_keys``. A ``default`` is asked for objects that this
            class does not know.
    """

    _FORMAT = "JSON"
    _bytes_of_text = staticmethod(_bytes_of_text)

    def __init__(self, **kwargs: Any) -> None:
        self._kwargs = dict(kwargs)
        self._further_default = self._kwargs.pop("default", None)
        if self._further_default is not None and not callable(self._further_default):
            raise TypeError(f"default must be callable, not {type(self._further_default).__name__}")

    def serialize(self, *, obj: Any) -> bytes:
        """Return `obj` as JSON.

        Raises:
            SerializationError: something in it has no JSON form.
        """
        try:
            try:
                text = json.dumps(obj, default=self._default, **self._kwargs)
            except TypeError:
                # Also what JSON does not take as a key, such as an enum or a UUID; this way is slower.
                text = json.dumps(with_text_keys(obj, self._default), default=self._default, **self._kwargs)
            return text.encode("utf-8")
        except (TypeError, ValueError, RecursionError) as error:
            raise SerializationError(
                f"object of type {type(obj).__name__} cannot be serialized as JSON: {error}", original_exception=error
            ) from error

    def deserialize(self, *, data: bytes, obj_type: Any = None) -> Any:
        """Return the object in `data`.

        Args:
            data: JSON in UTF-8.
            obj_type: the class or type hint that it is to be; None gives what JSON has: dict, list, str and so on.
                None passes for every type, keys that a dataclass does not have are ignored, and numbers and text are
                converted where nothing is lost.

        Raises:
            SerializationError: the data is no JSON, or does not fit `obj_type`.
        """
        try:
            decoded = json.loads(data)
        except (TypeError, ValueError, RecursionError) as error:
            raise SerializationError(f"data is not valid JSON: {error}", original_exception=error) from error
        return self._typed(decoded, obj_type)

    def _default(self, obj: Any) -> Any:
        if isinstance(obj, bytes | bytearray | memoryview):
            return base64_text(obj)
        try:
            return plain(obj)
        except TypeError:
            if self._further_default is None:
                raise
            return self._further_default(obj)
