"""WebTransport over HTTP/3 for asyncio: client and server, streams and datagrams.

Everything that a connection needs is loaded here, QUIC and TLS included: loaded later, it would stop a running event
loop for a quarter of a second. `rpc`, `pubsub`, `pool` and `monitor` are imported by programs that use them. A build of
the kernels that is broken, or not the one that ``WTRANSPORT_REQUIRE_EXTENSIONS`` asks for, fails here too. `BACKEND` is
``"cython"`` or ``"python"``.
"""

from __future__ import annotations

from ._speedups import BACKEND
from .client import WebTransportClient
from .config import ClientConfig, ServerConfig
from .datagram import StructuredDatagramTransport
from .events import Event, EventEmitter
from .exceptions import (
    ClientError,
    ConfigurationError,
    ConnectionError,
    DatagramError,
    ProtocolError,
    ServerError,
    SessionError,
    StreamError,
    TimeoutError,
    WebTransportError,
)
from .server import ServerApp
from .session import WebTransportSession
from .stream import StructuredStream, WebTransportReceiveStream, WebTransportSendStream, WebTransportStream
from .types import URL, Address, Headers, Serializer
from .version import __version__

__all__ = [
    "BACKEND",
    "URL",
    "Address",
    "ClientConfig",
    "ClientError",
    "ConfigurationError",
    "ConnectionError",
    "DatagramError",
    "Event",
    "EventEmitter",
    "Headers",
    "ProtocolError",
    "Serializer",
    "ServerApp",
    "ServerConfig",
    "ServerError",
    "SessionError",
    "StreamError",
    "StructuredDatagramTransport",
    "StructuredStream",
    "TimeoutError",
    "WebTransportClient",
    "WebTransportError",
    "WebTransportReceiveStream",
    "WebTransportSendStream",
    "WebTransportSession",
    "WebTransportStream",
    "__version__",
]
