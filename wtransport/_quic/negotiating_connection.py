"""aioquic's connection with transport parameters, both ways, that are the same for many; knows aioquic's privates.

What an end of one make and configuration announces differs from connection to connection only in connection ids and
reset tokens. The rest is written once, and what aioquic made of a peer's is remembered with all that it checks.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, NamedTuple

from aioquic.quic.connection import QuicConnectionError
from aioquic.quic.packet import STATELESS_RESET_TOKEN_SIZE, QuicFrameType

from .._remembered import Remembered
from .backend import IS_COMPILED
from .limits import PeerLimits, TransportLimits
from .path_mtu_connection import PathMtuConnection
from .stream_kernels import StreamTable
from .transport_parameters import (
    INITIAL_SOURCE_CONNECTION_ID,
    ORIGINAL_DESTINATION_CONNECTION_ID,
    PREFERRED_ADDRESS,
    RETRY_SOURCE_CONNECTION_ID,
    STATELESS_RESET_TOKEN,
    ack_delay_exponent_of,
    common_parameters,
    encode_reset_stream_at,
    has_reset_stream_at,
    identifying_parameters,
    max_udp_payload_size_of,
    split_parameters,
)
from .violations import TransportViolation

if TYPE_CHECKING or not IS_COMPILED:
    from . import tls_blocks as blocks
else:
    from ._compiled import tls_blocks as blocks

__all__ = ["NegotiatingConnection"]

MAX_KNOWN_BYTES = 512
"""Bytes of parameters that are remembered; what is usual takes some 120."""

_ATTRIBUTES = (
    "_remote_active_connection_id_limit",
    "_remote_ack_delay_exponent",
    "_remote_max_data",
    "_remote_max_datagram_frame_size",
    "_remote_max_stream_data_bidi_local",
    "_remote_max_stream_data_bidi_remote",
    "_remote_max_stream_data_uni",
    "_remote_max_streams_bidi",
    "_remote_max_streams_uni",
    "_remote_version_information",
)
"""What aioquic makes of them, but for what is of one connection, and the idle timeout."""


class _Known(NamedTuple):
    """What parameters come to that were found to be in order."""

    attributes: dict[str, Any]
    idle_timeout: float | None
    max_ack_delay: float
    payload: int
    limits: PeerLimits


_known: Remembered[object, _Known] = Remembered()


class NegotiatingConnection(PathMtuConnection):
    """A `QuicConnection` that looks once at what it was told often."""

    table: StreamTable
    _limits: TransportLimits

    def _serialize_transport_parameters(self) -> bytes:
        configuration, limits = self._configuration, self._limits
        if not self._is_fresh:
            self._local_max_data.value = limits.connection_window
            self._local_max_stream_data_bidi_local = limits.stream_window
            self._local_max_stream_data_bidi_remote = limits.stream_window
            self._local_max_stream_data_uni = limits.stream_window
            self._local_max_streams_bidi.value = limits.max_streams_bidi
            self._local_max_streams_uni.value = limits.max_streams_uni
            return bytes(super()._serialize_transport_parameters()) + encode_reset_stream_at()
        common = common_parameters(
            limits,
            configuration.idle_timeout,
            configuration.max_datagram_frame_size,
            self._local_ack_delay_exponent,
            self._local_active_connection_id_limit,
            self._version,
            tuple(configuration.supported_versions),
        )
        source = self._local_initial_source_connection_id
        if self._is_client:
            return common + identifying_parameters(source) + encode_reset_stream_at()
        identifying = identifying_parameters(
            source,
            self._original_destination_connection_id,
            self._retry_source_connection_id,
            self._host_cids[0].stateless_reset_token,
        )
        return common + identifying + encode_reset_stream_at()

    def _parse_transport_parameters(self, data: bytes, from_session_ticket: bool = False) -> None:
        key = token = None
        pairs = blocks.split_parameters(data) if len(data) <= MAX_KNOWN_BYTES else None
        if pairs is not None and not from_session_ticket and self._quic_logger is None:
            values = dict(pairs)
            is_plain = len(values) == len(pairs) and PREFERRED_ADDRESS not in values
            source = values.pop(INITIAL_SOURCE_CONNECTION_ID, None)
            original = values.pop(ORIGINAL_DESTINATION_CONNECTION_ID, None)
            retry = values.pop(RETRY_SOURCE_CONNECTION_ID, None)
            token = values.pop(STATELESS_RESET_TOKEN, None)
            if self._is_client:
                is_plain &= token is None or len(token) == STATELESS_RESET_TOKEN_SIZE
                is_plain &= original == self._original_destination_connection_id
                is_plain &= retry == self._retry_source_connection_id
            else:
                is_plain &= original is retry is token is None
            if is_plain and source == self._remote_initial_source_connection_id:
                key = self._is_client, self._crypto_packet_version, frozenset(values.items())
        known = None if key is None else _known.get(key)
        if known is None:
            known = self._look_at_parameters(data, from_session_ticket=from_session_ticket)
            if key is not None:
                _known.remember(key, known)
        else:
            vars(self).update(known.attributes)
            self._remote_max_idle_timeout = known.idle_timeout
            self._loss.max_ack_delay = known.max_ack_delay
            if token is not None and self._peer_cid.sequence_number == 0:
                self._peer_cid.stateless_reset_token = token
        self._loss.ack_delay_exponent = self._remote_ack_delay_exponent
        self._limit_payload(known.payload)
        self.table.remote = copy(known.limits)  # where nothing is compiled, MAX_DATA and the like change it

    def _look_at_parameters(self, data: bytes, *, from_session_ticket: bool) -> _Known:
        """Have aioquic take the peer's parameters, and look for what it leaves out."""
        super()._parse_transport_parameters(data, from_session_ticket)
        if self._remote_max_idle_timeout == 0.0:
            self._remote_max_idle_timeout = None  # "disabled", as if it were absent (RFC 9000, 18.2)
        try:
            parameters = split_parameters(data)
            reset_stream_at = has_reset_stream_at(parameters)
            payload = max_udp_payload_size_of(parameters)
            self._remote_ack_delay_exponent = ack_delay_exponent_of(parameters)
        except TransportViolation as exc:
            raise QuicConnectionError(exc.error_code, QuicFrameType.CRYPTO, exc.reason) from exc
        return _Known(
            {name: getattr(self, name) for name in _ATTRIBUTES},
            self._remote_max_idle_timeout,
            self._loss.max_ack_delay,
            payload,
            PeerLimits(
                self._remote_max_data,
                self._remote_max_stream_data_bidi_local,
                self._remote_max_stream_data_bidi_remote,
                self._remote_max_stream_data_uni,
                self._remote_max_streams_bidi,
                self._remote_max_streams_uni,
                reset_stream_at,
            ),
        )
