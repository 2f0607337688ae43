"""Protocol Buffers, with the library ``protobuf`` (the extra of that name)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..exceptions import SerializationError
from ..types import Serializer
from ._base import missing_library

if TYPE_CHECKING:
    from google.protobuf.message import Message as MessageType

__all__ = ["ProtobufSerializer"]


class ProtobufSerializer(Serializer):
    """Messages of one generated class.

    Args:
        message_class: the class that protoc generated.

    Raises:
        ConfigurationError: ``protobuf`` is not installed.
        TypeError: message_class is not a class of messages.
    """

    def __init__(self, *, message_class: type[MessageType]) -> None:
        try:
            from google.protobuf.message import DecodeError, EncodeError, Message  # late: an optional dependency
        except ImportError as error:
            raise missing_library("protobuf", user=type(self).__name__, error=error) from error
        if not (isinstance(message_class, type) and issubclass(message_class, Message)):
            raise TypeError(f"message_class must be a class of protobuf messages, not {message_class!r}")
        self._message_class = message_class
        self._decode_errors: tuple[type[Exception], ...] = (DecodeError, TypeError, ValueError)
        self._encode_errors: tuple[type[Exception], ...] = (EncodeError, TypeError, ValueError)

    def serialize(self, *, obj: Any) -> bytes:
        """Return a message as bytes.

        Raises:
            SerializationError: it is not a message of this serializer's class, or required fields are not set.
        """
        if not isinstance(obj, self._message_class):
            raise SerializationError(
                f"this serializer is for {self._message_class.__name__}, not for {type(obj).__name__}"
            )
        try:
            data: bytes = obj.SerializeToString()
        except self._encode_errors as error:
            raise SerializationError(
                f"{type(obj).__name__} cannot be serialized: {error}", original_exception=error
            ) from error
        return data

    def deserialize(self, *, data: bytes, obj_type: Any = None) -> MessageType:
        """Return the message in `data`.

        Args:
            data: a serialized message.
            obj_type: the class of this serializer, or None for the same.

        Raises:
            SerializationError: obj_type is another class, or the data is no such message.
        """
        if obj_type is not None and obj_type is not self._message_class:
            name = obj_type.__name__ if isinstance(obj_type, type) else str(obj_type)
            raise SerializationError(f"this serializer is for {self._message_class.__name__}, not for {name}")
        message = self._message_class()
        try:
            message.ParseFromString(data)
        except self._decode_errors as error:
            raise SerializationError(
                f"data is not a {self._message_class.__name__}: {error}", original_exception=error
            ) from error
        return message
