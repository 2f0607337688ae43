"""aioquic's connection without what only the handshake needed, once that is confirmed; knows aioquic's privates.

The keys of the handshake must go then (RFC 9001, 4.9). With them go the packet number spaces and the messages of those
keys, the buffers in which TLS wrote them and nearly all of the TLS context: most of the memory of a connection that
does nothing. What aioquic still looks up by epoch or by version is one for all connections, and holds nothing.
"""

from __future__ import annotations

from functools import lru_cache
from operator import itemgetter
from typing import Any

from aioquic.quic.crypto import CryptoPair
from aioquic.quic.stream import QuicStream

from .members import HANDSHAKE, INITIAL, ZERO_RTT
from .recovering_connection import DISCARDED_SPACE, NO_KEYS, RecoveringConnection

__all__ = ["FrugalConnection"]

_NO_MESSAGES = QuicStream()
"""The CRYPTO stream of such keys."""

_TLS_ATTRIBUTES = (
    "_Context__logger",
    "_peer_certificate",
    "_receive_buffer",
    "_session_resumed",
    "alpn_negotiated",
    "client_random",
    "early_data_accepted",
    "new_session_ticket_cb",
    "state",
)
"""What aioquic's TLS context needs to take messages after the handshake: session tickets, which nobody keeps."""

_of_tls = itemgetter(*_TLS_ATTRIBUTES)

_NO_SPACES = {INITIAL: DISCARDED_SPACE, HANDSHAKE: DISCARDED_SPACE}
_NO_STREAMS = {INITIAL: _NO_MESSAGES, HANDSHAKE: _NO_MESSAGES}
_NO_CRYPTOS = {INITIAL: NO_KEYS, ZERO_RTT: NO_KEYS, HANDSHAKE: NO_KEYS}


class _ShortQueue(list[bytes]):
    """What aioquic asks of a deque, in a tenth of its size, for what hardly ever holds anything."""

    __slots__ = ()

    def popleft(self) -> bytes:
        """Take the first one out."""
        return self.pop(0)


class FrugalConnection(RecoveringConnection):
    """A `QuicConnection` that is small while nothing happens."""

    def _confirm_handshake(self) -> None:
        super()._confirm_handshake()
        self._discard_epoch(INITIAL)
        spaces = self._loss.spaces
        spaces.remove(self._spaces[INITIAL])
        spaces.remove(self._spaces[HANDSHAKE])
        self._spaces.update(_NO_SPACES)
        self._crypto_streams.update(_NO_STREAMS)
        self._cryptos.update(_NO_CRYPTOS)
        self._cryptos_initial = _no_initial_keys(*self._cryptos_initial)
        self._crypto_buffers = {}  # nothing that comes from now on has an answer
        if self.tls.new_session_ticket_cb is None:  # a ticket's secrets come from the handshake's
            self.tls.__dict__ = dict(zip(_TLS_ATTRIBUTES, _of_tls(vars(self.tls)), strict=True))
        self._shrink_queues()

    def _shrink_queues(self) -> None:
        path: Any
        for path in self._network_paths:
            path.local_challenges = _ShortQueue(path.local_challenges)
            path.remote_challenges = _ShortQueue(path.remote_challenges)


@lru_cache(maxsize=16)
def _no_initial_keys(*versions: int) -> dict[int, CryptoPair]:
    return dict.fromkeys(versions, NO_KEYS)
