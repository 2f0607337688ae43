"""Typed objects over a stream.

Each message is a 2-byte type id and a 4-byte length, big-endian, then the payload that a serializer made.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from typing import Any

from ..constants import ErrorCodes
from ..exceptions import SerializationError, StreamError
from ..serializer._registry import TypeRegistry
from ..types import Serializer, StreamId
from ._messages import write_message
from .bidirectional import WebTransportStream

__all__ = ["StructuredStream"]

_HEADER = struct.Struct("!HI")  # type id, payload length
_MAX_LENGTH = 0xFFFF_FFFF  # what four bytes can say


class StructuredStream:
    """Sends and receives objects of registered classes. ``async for`` receives them up to the end of the stream.

    Args:
        stream: the stream; nobody else may read from it or write to it.
        serializer: turns objects into payloads and back; the peer needs the same.
        registry: class by type id, 0..65535; the peer needs the same.
        max_message_size: largest payload in bytes, both ways.

    Raises:
        ConfigurationError: a class has two ids in the registry, or an id is out of range.
        ValueError: max_message_size is not positive.
    """

    def __init__(
        self,
        *,
        stream: WebTransportStream,
        serializer: Serializer,
        registry: dict[int, type[Any]],
        max_message_size: int,
    ) -> None:
        if max_message_size < 1:
            raise ValueError(f"max_message_size must be at least 1 byte, not {max_message_size}")
        self._stream = stream
        self._serializer = serializer
        self._registry = TypeRegistry(registry)
        self._max_message_size = min(max_message_size, _MAX_LENGTH)
        self._header: bytes | None = None  # of a message whose payload nobody has read yet
        self._was_cut_off = False

    def __repr__(self) -> str:
        return f"<StructuredStream {self._stream!r}>"

    @property
    def is_closed(self) -> bool:
        """Tell whether the stream is over: nothing can be sent, and nothing more can be received."""
        return self._stream.is_closed

    @property
    def stream_id(self) -> StreamId:
        """Return the QUIC stream id."""
        return self._stream.stream_id

    async def send_obj(self, *, obj: Any) -> None:
        """Send an object; several tasks may do so at once.

        Cancelled or timed out, it has sent nothing. Only a message larger than `max_stream_write_buffer` may have been
        sent in part by then, and so the stream is reset.

        Raises:
            SerializationError: its class is not registered, it cannot be serialized, or it is too large.
            StreamError: the sending side is over.
            TimeoutError: for `write_timeout` seconds nothing went out.
        """
        type_id = self._registry.id_of(obj)
        payload = self._serializer.serialize(obj=obj)
        if len(payload) > self._max_message_size:
            raise SerializationError(
                f"message of {len(payload)} bytes is larger than max_message_size ({self._max_message_size})"
            )
        await write_message(self._stream, _HEADER.pack(type_id, len(payload)) + payload)

    async def receive_obj(self) -> Any:
        """Return the next object. Cancelled or timed out, it has lost nothing: the next call goes on from there.

        Raises:
            SerializationError: the payload cannot be deserialized or its type id is unknown, and the next call returns
                the message after it; or it is larger than `max_message_size`, and the stream is reset.
            StreamError: the stream has ended, or as for `WebTransportStream.read`.
            TimeoutError: nothing came within `read_timeout` seconds.
        """
        message = await self._next_message()
        if message is None:
            raise StreamError(f"stream {self.stream_id} has ended", stream_id=self.stream_id)
        return self._decode(*message)

    def __aiter__(self) -> AsyncIterator[Any]:
        """Iterate over the objects up to the end of the stream."""
        return self

    async def __anext__(self) -> Any:
        """Return the next object.

        Raises:
            StopAsyncIteration: the stream has ended after a whole message.
            SerializationError: as for `receive_obj`.
            StreamError: the stream was reset, or has ended inside a message.
            TimeoutError: nothing came within `read_timeout` seconds.
        """
        message = await self._next_message()
        if message is None:
            raise StopAsyncIteration
        return self._decode(*message)

    async def close(self) -> None:
        """Close the stream; what was sent arrives. No effect on a closed one."""
        await self._stream.close()

    async def _next_message(self) -> tuple[int, bytes] | None:
        """Return type id and payload of the next message, or None at the end of the stream."""
        if self._header is None:
            if self._was_cut_off:
                raise self._cut_off()
            try:
                self._header = await self._stream.readexactly(n=_HEADER.size)
            except asyncio.IncompleteReadError as error:
                if not error.partial:
                    return None
                self._was_cut_off = True
                raise self._cut_off() from error
        type_id, length = _HEADER.unpack(self._header)
        if length > self._max_message_size:
            await self._stream.close(error_code=ErrorCodes.APPLICATION_ERROR)
            raise SerializationError(
                f"incoming message of {length} bytes is larger than max_message_size ({self._max_message_size})"
            )
        try:
            payload = await self._stream.readexactly(n=length)
        except asyncio.IncompleteReadError as error:
            raise self._cut_off() from error
        self._header = None
        return type_id, payload

    def _decode(self, type_id: int, payload: bytes) -> Any:
        return self._serializer.deserialize(data=payload, obj_type=self._registry.type_of(type_id))

    def _cut_off(self) -> StreamError:
        return StreamError(f"stream {self.stream_id} has ended inside a message", stream_id=self.stream_id)
