# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""What a connection lets go of: when its handshake is confirmed, and at its end.

The specification is in `frugal_connection` and `hardened_connection`.
"""

from __future__ import annotations

from libc.math cimport INFINITY

from .negotiation cimport Negotiation
from .recovery cimport Recovery

from aioquic.quic.connection import QuicConnectionState
from aioquic.tls import Epoch

from ..frugal_connection import (
    _NO_CRYPTOS, _NO_SPACES, _NO_STREAMS, _TLS_ATTRIBUTES, _no_initial_keys, _ShortQueue,
)
from ..hardened_connection import _ignore

cdef object _INITIAL = Epoch.INITIAL
cdef object _HANDSHAKE = Epoch.HANDSHAKE
cdef object _TERMINATED = QuicConnectionState.TERMINATED


cdef class Releasing(Negotiation):
    """What a connection lets go of; see the module's docstring."""

    def _confirm_handshake(self):
        """Forget what only the handshake needed (RFC 9001, 4.9)."""
        cdef Recovery loss = self._loss
        cdef dict own = self.__dict__
        cdef list known
        cdef dict spaces, values
        if self._key_update_pending or self._quic_logger is not None:
            super()._confirm_handshake()
            return
        spaces = self._spaces
        self._discard_epoch(_HANDSHAKE)
        self._handshake_confirmed = True
        loss.handshake_confirmed = True
        loss.peer_completed_address_validation = True
        self._discard_epoch(_INITIAL)
        known = loss.spaces
        known.remove(spaces[_INITIAL])
        known.remove(spaces[_HANDSHAKE])
        spaces.update(_NO_SPACES)
        self._crypto_streams.update(_NO_STREAMS)
        self._cryptos.update(_NO_CRYPTOS)
        own["_cryptos_initial"] = _no_initial_keys(*self._cryptos_initial)
        own["_crypto_buffers"] = {}  # nothing that comes from now on has an answer
        tls = self.tls
        if tls.new_session_ticket_cb is None:  # a ticket's secrets come from the handshake's
            values = tls.__dict__
            tls.__dict__ = {name: values[name] for name in _TLS_ATTRIBUTES}
        for path in self._network_paths:
            path.local_challenges = _ShortQueue(path.local_challenges)
            path.remote_challenges = _ShortQueue(path.remote_challenges)

    def clear(self):
        """Let go of what only packets need: nothing will be sent or received any more.

        Most of it refers to the connection, so that it would wait for the garbage collector.
        """
        cdef Recovery loss = self._loss
        cdef dict own = self.__dict__
        self._state = _TERMINATED
        self.close_at = INFINITY
        self._close_pending = False
        own["_QuicConnection__frame_handlers"] = {}
        for space in loss.spaces:
            loss.discard_space(space)  # what was sent has handlers here
        loss.watch_large_packets(0, None)
        loss.leave()
        loss.spaces = []
        self._cryptos.clear()
        self._crypto_streams.clear()
        self._spaces.clear()
        own["_cryptos_initial"] = {}
        own["_crypto_buffers"] = {}
        own.pop("receive_datagram", None)
        if self._connect_called or self._network_paths:
            tls = self.tls
            tls.alpn_cb = None
            tls.update_traffic_key_cb = _ignore
        self.let_go()
