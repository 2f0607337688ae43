"""aioquic's connection, made in a fifth of the time and half of the memory; knows aioquic's privates.

Nearly all of what aioquic's constructor sets is the same for every connection: here such attributes belong to the
class, and a connection has its own as soon as it changes one. What connections must not share is made for each, and
handlers of frames are bound when a frame comes. Where aioquic's constructor sets anything else, or a log is asked for,
aioquic does it.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from functools import cache
from types import MethodType
from typing import Any, ClassVar

from aioquic.quic import connection as aioquic_module
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection, QuicConnectionId
from aioquic.quic.packet import STATELESS_RESET_TOKEN_SIZE

from .members import FIRSTFLIGHT

__all__ = ["FreshConnection", "is_made_here"]

_Handler = tuple[Any, Any]

_OWN = frozenset(
    {
        "_QuicConnection__frame_handlers",
        "_configuration",
        "_crypto_buffers",
        "_crypto_streams",
        "_cryptos",
        "_cryptos_initial",
        "_events",
        "_host_cids",
        "_is_client",
        "_local_initial_source_connection_id",
        "_logger",
        "_loss",
        "_max_datagram_size",
        "_network_paths",
        "_original_destination_connection_id",
        "_peer_cid",
        "_peer_cid_available",
        "_peer_cid_sequence_numbers",
        "_ping_pending",
        "_retire_connection_ids",
        "_spaces",
        "_state",
        "host_cid",
    }
)
"""What each connection has for itself."""

_LEFT_OUT = frozenset(
    {
        "_datagrams_pending",
        "_local_max_data",
        "_local_max_streams_bidi",
        "_local_max_streams_uni",
        "_local_next_stream_id_bidi",
        "_local_next_stream_id_uni",
        "_streams",
        "_streams_blocked_bidi",
        "_streams_blocked_uni",
        "_streams_queue",
    }
)
"""What aioquic keeps of streams, their limits and datagrams, which here are ours."""


def _made_by_aioquic() -> tuple[QuicConnection, QuicConnection]:
    """Return a client's and a server's connection."""
    server = QuicConfiguration(is_client=False, certificate=object(), private_key=object())
    return (
        QuicConnection(configuration=QuicConfiguration()),
        QuicConnection(configuration=server, original_destination_connection_id=bytes(8)),
    )


def _shared_attributes(client: QuicConnection, server: QuicConnection) -> dict[str, Any] | None:
    """Return what is the same for all connections; None where the attributes are not those that are known."""
    ours, theirs = vars(client), vars(server)
    if ours.keys() != theirs.keys() or not ours.keys() >= _OWN | _LEFT_OUT:
        return None
    shared = {name: ours[name] for name in ours.keys() - _OWN - _LEFT_OUT}
    for name, value in shared.items():
        if not isinstance(value, bool | int | float | str | bytes | None) or theirs[name] != value:
            return None
    return shared


class _FrameHandlers(dict[int, _Handler]):
    """Handlers of frames by type, bound to their connection when a frame of the type comes."""

    __slots__ = ("_connection", "_functions")

    def __init__(self, connection: QuicConnection, functions: dict[int, _Handler]) -> None:
        self._connection = connection
        self._functions = functions

    def __missing__(self, frame_type: int) -> _Handler:
        function, epochs = self._functions[frame_type]
        self[frame_type] = bound = MethodType(function, self._connection), epochs
        return bound


class FreshConnection(QuicConnection):
    """A `QuicConnection` that costs little to make."""

    _FURTHER_FRAMES: ClassVar[dict[int, tuple[str, str]]] = {}
    """By type, the handlers' names of frames that aioquic does not know, and the epochs in which they may come."""

    _LOG: ClassVar[type[Any]]
    _RECOVERY: ClassVar[type[Any]]
    """What logs and recovers losses is made by."""

    _QuicConnection__frame_handlers: dict[int, _Handler]

    _is_fresh = True
    """Not made by aioquic, so that it has nothing of `_LEFT_OUT`."""

    def __init__(
        self,
        *,
        configuration: QuicConfiguration,
        original_destination_connection_id: bytes | None = None,
        retry_source_connection_id: bytes | None = None,
    ) -> None:
        """Take what aioquic's constructor takes, but for callbacks."""
        if not is_made_here(configuration, original_destination_connection_id, retry_source_connection_id):
            super().__init__(
                configuration=configuration,
                original_destination_connection_id=original_destination_connection_id,
                retry_source_connection_id=retry_source_connection_id,
            )
            self._is_fresh = False
            self._logger = self._LOG(self._logger.logger, self._logger.extra)
            if not configuration.is_client:
                self._host_cids[0].stateless_reset_token = self._new_reset_token(self.host_cid)
        else:
            self._make(configuration, original_destination_connection_id)
            if retry_source_connection_id is not None:
                self._retry_source_connection_id = retry_source_connection_id
        kind: Any = type(self)
        self._QuicConnection__frame_handlers = _FrameHandlers(self, _functions_of(kind))

    def _make(self, configuration: QuicConfiguration, original_destination_connection_id: bytes | None) -> None:
        """Do what aioquic's constructor does, in its order."""
        self._configuration = configuration
        self._is_client = is_client = original_destination_connection_id is None
        self._cryptos = {}
        self._cryptos_initial = {}
        self._crypto_buffers = {}
        self._crypto_streams = {}
        self._events = deque()
        cid = os.urandom(configuration.connection_id_length)
        token: Any = None if is_client else self._new_reset_token(cid)
        self._host_cids = [QuicConnectionId(cid, 0, token, True)]
        self.host_cid = self._local_initial_source_connection_id = cid
        self._max_datagram_size = size = configuration.max_datagram_size
        self._network_paths = []
        peer_cid = os.urandom(configuration.connection_id_length)
        self._peer_cid = QuicConnectionId(peer_cid, None)  # type: ignore[arg-type]  # as aioquic has it
        self._peer_cid_available = []
        self._peer_cid_sequence_numbers = {0}
        self._spaces = {}
        self._state = FIRSTFLIGHT
        original = original_destination_connection_id or peer_cid
        self._original_destination_connection_id = original
        self._logger = self._LOG(_logger, {"id": original.hex()})
        self._loss = self._RECOVERY(
            congestion_control_algorithm=configuration.congestion_control_algorithm,
            initial_rtt=configuration.initial_rtt,
            max_datagram_size=size,
            peer_completed_address_validation=not is_client,
            send_probe=self._send_probe,
        )
        self._ping_pending = []
        self._retire_connection_ids = []

    def _new_reset_token(self, connection_id: bytes) -> bytes:
        """Return the token of a stateless reset that goes with one of our connection ids."""
        return os.urandom(STATELESS_RESET_TOKEN_SIZE)


def is_made_here(
    configuration: QuicConfiguration,
    original_destination_connection_id: bytes | None,
    retry_source_connection_id: bytes | None,
) -> bool:
    """Tell whether a connection is as nearly all are; others are made, or refused, by aioquic's constructor."""
    is_client = configuration.is_client
    return _IS_KNOWN and not (
        is_client is not (original_destination_connection_id is None)
        or configuration.quic_logger is not None
        or configuration.quantum_readiness_test
        or (not is_client and (configuration.certificate is None or configuration.private_key is None))
        or configuration.token
        or (is_client and retry_source_connection_id is not None)
    )


@cache
def _functions_of(kind: Any) -> dict[int, _Handler]:
    """Return the handlers of frames, not bound, of a class of connections."""
    handlers = {frame: (getattr(kind, name), epochs) for frame, (name, epochs) in _HANDLERS.items()}
    for frame, (name, epochs) in kind._FURTHER_FRAMES.items():
        handlers[frame] = getattr(kind, name), aioquic_module.EPOCHS(epochs)
    return handlers


_logger = logging.getLogger("quic")
"""aioquic's."""

_client, _server = _made_by_aioquic()
_HANDLERS: dict[int, tuple[str, Any]] = {
    frame: (handler.__name__, epochs)
    for frame, (handler, epochs) in vars(_client)["_QuicConnection__frame_handlers"].items()
}
_shared = _shared_attributes(_client, _server)
_IS_KNOWN = _shared is not None
for _name, _value in (_shared or {}).items():
    setattr(FreshConnection, _name, _value)
for _name in ("_streams_blocked_bidi", "_streams_blocked_uni"):  # aioquic looks there after each CRYPTO frame
    setattr(FreshConnection, _name, ())
del _client, _server
