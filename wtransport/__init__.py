"""WebTransport over HTTP/3 for asyncio: client and server, streams and datagrams.

The names of the public API are loaded when they are first used (PEP 562), so that ``import wtransport`` costs next to
nothing and no import runs in a circle. The kernels are loaded at once: a build that is broken, or not the one that
``WTRANSPORT_REQUIRE_EXTENSIONS`` asks for, fails here. `BACKEND` is ``"cython"`` or ``"python"``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ._speedups import BACKEND
from .version import __version__

if TYPE_CHECKING:
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

_EXPORTS = {
    "client": ["WebTransportClient"],
    "config": ["ClientConfig", "ServerConfig"],
    "datagram": ["StructuredDatagramTransport"],
    "events": ["Event", "EventEmitter"],
    "exceptions": [
        "ClientError",
        "ConfigurationError",
        "ConnectionError",
        "DatagramError",
        "ProtocolError",
        "ServerError",
        "SessionError",
        "StreamError",
        "TimeoutError",
        "WebTransportError",
    ],
    "server": ["ServerApp"],
    "session": ["WebTransportSession"],
    "stream": ["StructuredStream", "WebTransportReceiveStream", "WebTransportSendStream", "WebTransportStream"],
    "types": ["URL", "Address", "Headers", "Serializer"],
}
_HOMES = {name: module for module, names in _EXPORTS.items() for name in names}
# Public modules, found without an import statement.
_MODULES = {*_EXPORTS, "connection", "constants", "manager", "pubsub", "rpc", "serializer", "utils"}

if not TYPE_CHECKING:  # a type checker would believe that every name exists

    def __getattr__(name: str) -> object:
        """Load a public name from the module that has it."""
        home = _HOMES.get(name)
        if home is not None:
            value = getattr(import_module(f".{home}", __name__), name)
        elif name in _MODULES:
            value = import_module(f".{name}", __name__)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value  # the next time it is found without coming here
        return value


def __dir__() -> list[str]:
    """Return the module's names, those that are not loaded yet among them."""
    return sorted({*globals(), *__all__, *_MODULES})
