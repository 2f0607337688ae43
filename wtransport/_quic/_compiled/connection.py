"""The connection of the compiled data path: our connection on aioquic, with its packets read and written in C."""

from __future__ import annotations

from ..aioquic_connection import StreamingConnection
from .connection_setup import ConnectionSetup  # type: ignore[import-not-found]
from .debug_log import DebugLog  # type: ignore[import-not-found]


class CompiledConnection(ConnectionSetup, StreamingConnection):  # type: ignore[misc]  # the kernel has no types
    """A `StreamingConnection` whose packets go through the data path wherever that knows all of what is in them."""

    _LOG = DebugLog

    # What aioquic calls whenever keys change: at the handshake, at a key update, at the end.

    def _log_key_updated(self, key_type: str, trigger: str) -> None:
        self.forget_keys()
        super()._log_key_updated(key_type, trigger)

    def _log_key_retired(self, key_type: str, trigger: str) -> None:
        self.forget_keys()
        super()._log_key_retired(key_type, trigger)
