"""Requests and responses, and what they are on the wire: a 4-byte big-endian length, then JSON.

A request is ``{"id", "method", "params"}``, a response ``{"id", "result"}`` or ``{"id", "error"}`` with an error object
``{"code", "message"}``. A request whose id is null or missing is a notification: nobody answers it. The notification
``$/cancelRequest`` with the parameters ``[id]`` says that the caller waits no more.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

from ..exceptions import SerializationError
from ..serializer import JSONSerializer
from ..stream import WebTransportStream
from ..stream._messages import patiently
from .exceptions import RpcError, RpcErrorCode

__all__ = [
    "CANCEL_METHOD",
    "RESERVED_PREFIX",
    "RpcErrorResponse",
    "RpcRequest",
    "RpcSuccessResponse",
    "encode_cancellation",
    "encode_message",
    "read_message",
]

CANCEL_METHOD = "$/cancelRequest"
RESERVED_PREFIX = "$/"
"""Methods of the protocol itself, as in the Language Server Protocol; an end that does not know one ignores it."""

_LENGTH = struct.Struct("!I")
_MAX_LENGTH = 0xFFFF_FFFF  # what four bytes can say

_serializer = JSONSerializer(separators=(",", ":"))


@dataclass(kw_only=True)
class RpcErrorResponse:
    """The answer to a call that failed."""

    id: str | int | None
    error: dict[str, Any]


@dataclass(kw_only=True)
class RpcRequest:
    """A call: parameters by position in a list, or by name in a dict."""

    id: str | int
    method: str
    params: list[Any] | dict[str, Any]


@dataclass(kw_only=True)
class RpcSuccessResponse:
    """The answer to a call that succeeded."""

    id: str | int
    result: Any


def encode_message(message: RpcRequest | RpcSuccessResponse | RpcErrorResponse, *, limit: int) -> bytes:
    """Return a message as it goes on the wire.

    Args:
        message: what to send.
        limit: most bytes of JSON.

    Raises:
        RpcError: it is larger than `limit`.
        SerializationError: something in it has no JSON form.
    """
    payload = _serializer.serialize(obj=message)
    if len(payload) > min(limit, _MAX_LENGTH):
        raise RpcError(
            f"message of {len(payload)} bytes is larger than max_message_size ({limit})",
            error_code=RpcErrorCode.INVALID_REQUEST,
        )
    return _LENGTH.pack(len(payload)) + payload


def encode_cancellation(call_id: str | int) -> bytes:
    """Return the notification that nobody waits for the answer to this call."""
    payload = _serializer.serialize(obj={"method": CANCEL_METHOD, "params": [call_id]})
    return _LENGTH.pack(len(payload)) + payload


async def read_message(stream: WebTransportStream, *, limit: int) -> tuple[Any, int]:
    """Return the next message, whatever JSON it is, and its size in bytes; waits for its beginning as long as it takes.

    Raises:
        asyncio.IncompleteReadError: the stream has ended.
        RpcError: it is larger than `limit`.
        SerializationError: it is not JSON; the next one can be read.
        StreamError: the stream was reset.
        TimeoutError: the rest of it did not come for `read_timeout` seconds.
    """
    (length,) = _LENGTH.unpack(await patiently(lambda: stream.readexactly(n=_LENGTH.size)))
    if length > limit:
        raise RpcError(f"incoming message of {length} bytes is larger than max_message_size ({limit})")
    payload = await stream.readexactly(n=length)
    try:
        return json.loads(payload), length
    except (ValueError, RecursionError) as error:
        raise SerializationError(f"message is not JSON: {error}", original_exception=error) from error
