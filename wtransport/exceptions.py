"""The exceptions of the package: one tree, so that one `except` catches everything of ours.

    WebTransportError
    ├── AuthenticationError     a middleware or the peer refused who we are
    ├── CertificateError        a certificate or key file is missing or unusable
    ├── ClientError             connecting failed, or the client was used wrongly
    ├── ConfigurationError      a setting has a wrong type or value
    ├── ConnectionError         the connection failed or is over (also builtins.ConnectionError)
    ├── DatagramError           a datagram cannot be sent
    │   └── DatagramTooLargeError   because of its size (also ValueError)
    ├── FlowControlError        a flow-control limit was broken
    ├── HandshakeError          the QUIC, TLS or WebTransport handshake failed
    ├── ProtocolError           the peer broke the protocol
    ├── SerializationError      an object could not be turned into bytes, or back
    ├── ServerError             the server could not start, or was used wrongly
    ├── SessionError            the session is closed or not ready
    ├── StreamError             the stream is closed or was reset
    └── TimeoutError            a time-out of ours expired (also builtins.TimeoutError)

Every class has a default code (`ErrorCodes`), on which `is_fatal_error` and `is_retriable_error` depend.
"""

from __future__ import annotations

import builtins
from typing import Any, ClassVar

from .constants import ErrorCodes
from .types import SessionState, StreamState

__all__ = [
    "AuthenticationError",
    "CertificateError",
    "ClientError",
    "ConfigurationError",
    "ConnectionError",
    "DatagramError",
    "DatagramTooLargeError",
    "FlowControlError",
    "HandshakeError",
    "ProtocolError",
    "SerializationError",
    "ServerError",
    "SessionError",
    "StreamError",
    "TimeoutError",
    "WebTransportError",
    "certificate_not_found",
    "datagram_too_large",
    "get_error_category",
    "invalid_config",
    "is_fatal_error",
    "is_retriable_error",
    "session_not_ready",
    "stream_closed",
]

_FATAL_CODES = frozenset(
    {
        ErrorCodes.PROTOCOL_VIOLATION,
        ErrorCodes.FRAME_ENCODING_ERROR,
        ErrorCodes.CRYPTO_BUFFER_EXCEEDED,
        ErrorCodes.APP_AUTHENTICATION_FAILED,
        ErrorCodes.APP_PERMISSION_DENIED,
    }
)
_RETRIABLE_CODES = frozenset(
    {ErrorCodes.APP_CONNECTION_TIMEOUT, ErrorCodes.APP_SERVICE_UNAVAILABLE, ErrorCodes.FLOW_CONTROL_ERROR}
)


class WebTransportError(Exception):
    """Base of every error of this package.

    Args:
        message: what happened, for people.
        error_code: the code that classifies it; None gives the class's default, an explicit 0 stays 0.
        details: further facts, kept as a copy.
    """

    default_error_code: ClassVar[int] = ErrorCodes.INTERNAL_ERROR
    category: ClassVar[str] = "unknown"
    _own_attributes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, message: str, *, error_code: int | None = None, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.error_code: int = self.default_error_code if error_code is None else error_code
        self.details: dict[str, Any] = dict(details) if details else {}

    def __str__(self) -> str:
        return f"[{self.error_code:#x}] {self.message}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}(message={self.message!r}, error_code={self.error_code:#x})"

    def to_dict(self) -> dict[str, Any]:
        """Return type, message, error_code and details, and the class's own attributes by their names."""
        result: dict[str, Any] = {
            "type": type(self).__name__,
            "message": self.message,
            "error_code": self.error_code,
            "details": self.details,
        }
        for name in self._own_attributes:
            result[name] = getattr(self, name)
        return result


class AuthenticationError(WebTransportError):
    """Authentication was refused; `auth_method` names how it was tried."""

    default_error_code = ErrorCodes.APP_AUTHENTICATION_FAILED
    category = "authentication"
    _own_attributes = ("auth_method",)

    def __init__(
        self,
        message: str,
        *,
        error_code: int | None = None,
        auth_method: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, error_code=error_code, details=details)
        self.auth_method = auth_method


class CertificateError(WebTransportError):
    """A certificate or key file is missing or unusable; `certificate_error` says how in a word."""

    default_error_code = ErrorCodes.APP_AUTHENTICATION_FAILED
    category = "certificate"
    _own_attributes = ("certificate_path", "certificate_error")

    def __init__(
        self,
        message: str,
        *,
        error_code: int | None = None,
        certificate_path: str | None = None,
        certificate_error: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, error_code=error_code, details=details)
        self.certificate_path = certificate_path
        self.certificate_error = certificate_error


class ClientError(WebTransportError):
    """A client could not connect, or was used wrongly.

    After a refused session ``details["status"]`` holds the HTTP status.
    """

    default_error_code = ErrorCodes.APP_INVALID_REQUEST
    category = "client"
    _own_attributes = ("target_url",)

    def __init__(
        self,
        message: str,
        *,
        error_code: int | None = None,
        target_url: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, error_code=error_code, details=details)
        self.target_url = target_url


class ConfigurationError(WebTransportError):
    """A setting is wrong: `config_key` names it, `config_value` is what it was given."""

    default_error_code = ErrorCodes.APP_INVALID_REQUEST
    category = "configuration"
    _own_attributes = ("config_key", "config_value")

    def __init__(
        self,
        message: str,
        *,
        error_code: int | None = None,
        config_key: str | None = None,
        config_value: Any | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, error_code=error_code, details=details)
        self.config_key = config_key
        self.config_value = config_value


class ConnectionError(WebTransportError, builtins.ConnectionError):
    """The connection could not be made, or is over. Also caught as the built-in of this name."""

    default_error_code = ErrorCodes.CONNECTION_REFUSED
    category = "connection"
    _own_attributes = ("remote_address",)

    def __init__(
        self,
        message: str,
        *,
        error_code: int | None = None,
        remote_address: tuple[str, int] | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, error_code=error_code, details=details)
        self.remote_address = remote_address


class DatagramError(WebTransportError):
    """A datagram cannot be sent; sizes are payload bytes."""

    category = "datagram"
    _own_attributes = ("datagram_size", "max_size")

    def __init__(
        self,
        message: str,
        *,
        error_code: int | None = None,
        datagram_size: int | None = None,
        max_size: int | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, error_code=error_code, details=details)
        self.datagram_size = datagram_size
        self.max_size = max_size


class DatagramTooLargeError(DatagramError, ValueError):
    """A datagram is larger than the peer, the path or the configuration allows; made by `datagram_too_large`."""


class FlowControlError(WebTransportError):
    """A flow-control limit was exceeded: `current_value` against `limit_exceeded`, in bytes or streams."""

    default_error_code = ErrorCodes.FLOW_CONTROL_ERROR
    category = "flow_control"
    _own_attributes = ("stream_id", "limit_exceeded", "current_value")

    def __init__(
        self,
        message: str,
        *,
        error_code: int | None = None,
        stream_id: int | None = None,
        limit_exceeded: int | None = None,
        current_value: int | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, error_code=error_code, details=details)
        self.stream_id = stream_id
        self.limit_exceeded = limit_exceeded
        self.current_value = current_value


class HandshakeError(WebTransportError):
    """The handshake failed in the stage `handshake_stage`."""

    category = "handshake"
    _own_attributes = ("handshake_stage",)

    def __init__(
        self,
        message: str,
        *,
        error_code: int | None = None,
        handshake_stage: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, error_code=error_code, details=details)
        self.handshake_stage = handshake_stage


class ProtocolError(WebTransportError):
    """The peer broke a rule of QUIC, HTTP/3 or WebTransport, in a frame of type `frame_type` if one is to blame."""

    default_error_code = ErrorCodes.PROTOCOL_VIOLATION
    category = "protocol"
    _own_attributes = ("frame_type",)

    def __init__(
        self,
        message: str,
        *,
        error_code: int | None = None,
        frame_type: int | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, error_code=error_code, details=details)
        self.frame_type = frame_type


class SerializationError(WebTransportError):
    """An object could not be turned into bytes, or back, because of `original_exception`."""

    category = "serialization"

    def __init__(
        self,
        message: str,
        *,
        error_code: int | None = None,
        details: dict[str, Any] | None = None,
        original_exception: Exception | None = None,
    ) -> None:
        super().__init__(message, error_code=error_code, details=details)
        self.original_exception = original_exception

    def to_dict(self) -> dict[str, Any]:
        """Return the fields of the base class, and the text of `original_exception` (None without one)."""
        result = super().to_dict()
        result["original_exception"] = None if self.original_exception is None else str(self.original_exception)
        return result


class ServerError(WebTransportError):
    """A server could not start on `bind_address`, or was used wrongly."""

    default_error_code = ErrorCodes.APP_SERVICE_UNAVAILABLE
    category = "server"
    _own_attributes = ("bind_address",)

    def __init__(
        self,
        message: str,
        *,
        error_code: int | None = None,
        bind_address: tuple[str, int] | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, error_code=error_code, details=details)
        self.bind_address = bind_address


class SessionError(WebTransportError):
    """The session is closed, ended abnormally, or is not ready for what was asked."""

    category = "session"
    _own_attributes = ("session_id", "session_state")

    def __init__(
        self,
        message: str,
        *,
        session_id: str | None = None,
        error_code: int | None = None,
        session_state: SessionState | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, error_code=error_code, details=details)
        self.session_id = session_id
        self.session_state = session_state


class StreamError(WebTransportError):
    """The stream is closed, or one end aborted it.

    `application_code` is the 32-bit code that the peer gave with its reset or stop request, and then `error_code` is
    the same number. It is None when the error began here, or when the peer's code is not an application's.
    """

    default_error_code = ErrorCodes.STREAM_STATE_ERROR
    category = "stream"
    _own_attributes = ("stream_id", "stream_state", "application_code")

    def __init__(
        self,
        message: str,
        *,
        stream_id: int | None = None,
        error_code: int | None = None,
        stream_state: StreamState | None = None,
        details: dict[str, Any] | None = None,
        application_code: int | None = None,
    ) -> None:
        super().__init__(message, error_code=application_code if error_code is None else error_code, details=details)
        self.stream_id = stream_id
        self.stream_state = stream_state
        self.application_code = application_code


class TimeoutError(WebTransportError, builtins.TimeoutError):
    """`operation` did not finish within `timeout_duration` seconds. Also caught as the built-in of this name."""

    default_error_code = ErrorCodes.APP_CONNECTION_TIMEOUT
    category = "timeout"
    _own_attributes = ("timeout_duration", "operation")

    def __init__(
        self,
        message: str,
        *,
        error_code: int | None = None,
        timeout_duration: float | None = None,
        operation: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, error_code=error_code, details=details)
        self.timeout_duration = timeout_duration
        self.operation = operation


def certificate_not_found(*, path: str) -> CertificateError:
    """Return the error for a certificate, key or CA file that does not exist."""
    return CertificateError(
        f"Certificate file not found: {path}", certificate_path=path, certificate_error="file_not_found"
    )


def datagram_too_large(*, size: int, max_size: int) -> DatagramError:
    """Return the error for a payload of `size` bytes where `max_size` is the limit; it is a ValueError too."""
    return DatagramTooLargeError(
        f"Datagram size {size} exceeds maximum {max_size}", datagram_size=size, max_size=max_size
    )


def invalid_config(*, key: str, value: Any, reason: str) -> ConfigurationError:
    """Return the error for the setting `key`, which was given `value`; `reason` says what it should have been."""
    return ConfigurationError(f"Invalid configuration for '{key}': {reason}", config_key=key, config_value=value)


def session_not_ready(*, session_id: str, current_state: SessionState) -> SessionError:
    """Return the error for an operation that needs a connected session."""
    return SessionError(
        f"Session {session_id} not ready, current state: {current_state}",
        session_id=session_id,
        session_state=current_state,
    )


def stream_closed(*, stream_id: int, reason: str = "Stream was closed") -> StreamError:
    """Return the error for an operation on a closed stream."""
    return StreamError(f"Stream {stream_id} closed: {reason}", stream_id=stream_id, stream_state=StreamState.CLOSED)


def get_error_category(*, exception: Exception) -> str:
    """Return the category of `exception` (``"stream"``, ``"timeout"``, ...), or ``"unknown"`` if it is not ours."""
    return exception.category if isinstance(exception, WebTransportError) else "unknown"


def is_fatal_error(*, exception: Exception) -> bool:
    """Tell whether trying again is pointless. An exception that is not ours is fatal."""
    if not isinstance(exception, WebTransportError):
        return True
    return exception.error_code in _FATAL_CODES and not _is_peers_code(exception)


def is_retriable_error(*, exception: Exception) -> bool:
    """Tell whether trying again later may succeed. An exception that is not ours is not retriable."""
    if not isinstance(exception, WebTransportError):
        return False
    return exception.error_code in _RETRIABLE_CODES and not _is_peers_code(exception)


def _is_peers_code(exception: WebTransportError) -> bool:
    """Tell whether the code was chosen by the peer's program: it then means nothing in our table."""
    return isinstance(exception, StreamError) and exception.application_code == exception.error_code
