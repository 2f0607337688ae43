"""aioquic's connection without what only the handshake needed, once that is confirmed; knows aioquic's privates.

The keys of the handshake must go then (RFC 9001, 4.9). With them go the packet number spaces and the messages of those
keys, the buffers in which TLS wrote them, nearly all of the TLS context, and the bound methods of frames that may never
come: four fifths of the memory of a connection that does nothing. What aioquic still looks up by epoch or by version is
one for all connections, and holds nothing.
"""

from __future__ import annotations

from functools import lru_cache
from types import MethodType
from typing import Any, cast

from aioquic.quic.connection import QuicConnection
from aioquic.quic.crypto import CryptoPair
from aioquic.quic.stream import QuicStream
from aioquic.tls import Epoch

from .recovering_connection import DISCARDED_SPACE, NO_KEYS, RecoveringConnection

__all__ = ["FrugalConnection"]

_NO_MESSAGES = QuicStream()
"""The CRYPTO stream of such keys."""

_TLS_ATTRIBUTES = frozenset(
    {
        "_Context__logger",
        "_peer_certificate",
        "_receive_buffer",
        "_session_resumed",
        "alpn_negotiated",
        "client_random",
        "early_data_accepted",
        "new_session_ticket_cb",
        "state",
    }
)
"""What aioquic's TLS context needs to take messages after the handshake: session tickets, which nobody keeps."""

_Handler = tuple[Any, Any]


_functions: dict[type, dict[int, _Handler]] = {}
"""The handlers of frames, not bound, by the class of connections."""


class _ShortQueue(list[bytes]):
    """What aioquic asks of a deque, in a tenth of its size, for what hardly ever holds anything."""

    __slots__ = ()

    def popleft(self) -> bytes:
        """Take the first one out."""
        return self.pop(0)


class _FrameHandlers(dict[int, _Handler]):
    """Handlers of frames by type, bound to their connection when a frame of the type comes."""

    __slots__ = ("_connection", "_functions")

    def __init__(self, connection: QuicConnection, functions: dict[int, _Handler]) -> None:
        super().__init__()
        self._connection = connection
        self._functions = functions

    def __missing__(self, frame_type: int) -> _Handler:
        function, epochs = self._functions[frame_type]
        self[frame_type] = bound = MethodType(function, self._connection), epochs
        return bound


class FrugalConnection(RecoveringConnection):
    """A `QuicConnection` that is small while nothing happens."""

    _QuicConnection__frame_handlers: dict[int, _Handler]

    def _confirm_handshake(self) -> None:
        super()._confirm_handshake()
        self._discard_epoch(Epoch.INITIAL)
        for epoch in (Epoch.INITIAL, Epoch.HANDSHAKE):
            self._loss.spaces.remove(self._spaces[epoch])
            self._spaces[epoch] = DISCARDED_SPACE
            self._crypto_streams[epoch] = _NO_MESSAGES
        for epoch in (Epoch.INITIAL, Epoch.ZERO_RTT, Epoch.HANDSHAKE):
            self._cryptos[epoch] = NO_KEYS
        self._cryptos_initial = _no_initial_keys(*self._cryptos_initial)
        self._crypto_buffers = {}  # nothing that comes from now on has an answer
        self._shrink_tls()
        self._shrink_queues()
        self._shrink_handlers()

    def _shrink_tls(self) -> None:
        if self.tls.new_session_ticket_cb is None:  # a ticket's secrets come from the handshake's
            values = vars(self.tls)
            kept = [(name, values[name]) for name in _TLS_ATTRIBUTES]
            values.clear()
            values.update(kept)

    def _shrink_queues(self) -> None:
        for path in cast("list[Any]", self._network_paths):
            path.local_challenges = _ShortQueue(path.local_challenges)
            path.remote_challenges = _ShortQueue(path.remote_challenges)
        vars(self).pop("_datagrams_pending", None)  # aioquic has no part in datagrams here

    def _shrink_handlers(self) -> None:
        handlers = self._QuicConnection__frame_handlers
        others = {kind: each for kind, each in handlers.items() if not isinstance(each[0], MethodType)}
        functions = _functions.get(type(self))
        if functions is None:
            if others:
                return  # not what this class has
            functions = {kind: (handler.__func__, epochs) for kind, (handler, epochs) in handlers.items()}
            _functions[type(self)] = functions
        self._QuicConnection__frame_handlers = _FrameHandlers(self, functions)
        self._QuicConnection__frame_handlers.update(others)  # somebody who wants to know of each frame


@lru_cache(maxsize=16)
def _no_initial_keys(*versions: int) -> dict[int, CryptoPair]:
    return dict.fromkeys(versions, NO_KEYS)
