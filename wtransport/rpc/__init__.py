"""Remote procedure calls over a stream, both ways."""

from __future__ import annotations

from .exceptions import InvalidParamsError, MethodNotFoundError, RpcError, RpcErrorCode, RpcTimeoutError
from .manager import RpcManager
from .protocol import RpcErrorResponse, RpcRequest, RpcSuccessResponse

__all__ = [
    "InvalidParamsError",
    "MethodNotFoundError",
    "RpcError",
    "RpcErrorCode",
    "RpcErrorResponse",
    "RpcManager",
    "RpcRequest",
    "RpcSuccessResponse",
    "RpcTimeoutError",
]
