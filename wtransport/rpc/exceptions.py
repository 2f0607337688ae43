"""The exceptions of remote procedure calls.

WebTransportError
└── RpcError                the call failed here, there, or on the way
    ├── InvalidParamsError      the method does not take these parameters
    ├── MethodNotFoundError     the other end has no such method
    └── RpcTimeoutError         no answer came in time (also the built-in TimeoutError)
"""

from __future__ import annotations

import builtins
from enum import IntEnum
from typing import Any

from ..exceptions import WebTransportError
from ..types import SessionId

__all__ = ["InvalidParamsError", "MethodNotFoundError", "RpcError", "RpcErrorCode", "RpcTimeoutError"]


class RpcErrorCode(IntEnum):
    """Codes of an error object: JSON-RPC 2.0, section 5.1."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603


class RpcError(WebTransportError):
    """A call failed. A method that raises it chooses the code and the message that the caller sees.

    Args:
        message: what happened.
        error_code: one of `RpcErrorCode`, or a code of the program's own.
        session_id: the session of the call.
        details: further facts; they stay on this end.
    """

    def __init__(
        self,
        message: str,
        *,
        error_code: int = RpcErrorCode.INTERNAL_ERROR,
        session_id: SessionId | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, error_code=error_code, details=details)
        self.session_id = session_id

    def to_dict(self) -> dict[str, Any]:
        """Return the error object as it goes on the wire: code and message."""
        return {"code": int(self.error_code), "message": self.message}


class InvalidParamsError(RpcError):
    """The method does not take these parameters."""

    def __init__(self, message: str, *, session_id: SessionId | None = None) -> None:
        super().__init__(message, error_code=RpcErrorCode.INVALID_PARAMS, session_id=session_id)


class MethodNotFoundError(RpcError):
    """The other end has no method of this name."""

    def __init__(self, message: str, *, session_id: SessionId | None = None) -> None:
        super().__init__(message, error_code=RpcErrorCode.METHOD_NOT_FOUND, session_id=session_id)


class RpcTimeoutError(RpcError, builtins.TimeoutError):
    """No answer came in time. Also caught as the built-in TimeoutError."""

    def __init__(self, message: str, *, session_id: SessionId | None = None) -> None:
        super().__init__(message, error_code=RpcErrorCode.INTERNAL_ERROR, session_id=session_id)
