# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""What two ends tell each other once: transport parameters and connection ids.

The specification is in `negotiating_connection` and `hardened_connection`, which deal with all that is not as in nearly
every handshake: what was not seen before, or breaks a rule.
"""

from __future__ import annotations

from .packet_writer cimport PacketWriter
from .recovery cimport Recovery

import os

from aioquic.quic import connection as aioquic_connection
from aioquic.quic.connection import QuicConnectionId
from aioquic.quic.events import ProtocolNegotiated
from aioquic.quic.packet import CONNECTION_ID_MAX_SIZE, STATELESS_RESET_TOKEN_SIZE
from aioquic.tls import ExtensionType

from .. import negotiating_connection
from ..hardened_connection import MAX_HOST_IDS, MAX_KNOWN_IDS
from ..transport_parameters import (
    INITIAL_SOURCE_CONNECTION_ID, ORIGINAL_DESTINATION_CONNECTION_ID, PREFERRED_ADDRESS, RETRY_SOURCE_CONNECTION_ID,
    STATELESS_RESET_TOKEN, common_parameters, encode_reset_stream_at, identifying_parameters,
)
from .tls_blocks import split_parameters

cdef object _PARAMETERS = ExtensionType.QUIC_TRANSPORT_PARAMETERS
cdef Py_ssize_t _TOKEN_SIZE = STATELESS_RESET_TOKEN_SIZE
cdef Py_ssize_t _MAX_ID = CONNECTION_ID_MAX_SIZE
cdef Py_ssize_t _MAX_HOST_IDS = MAX_HOST_IDS
cdef Py_ssize_t _MAX_KNOWN_IDS = MAX_KNOWN_IDS
cdef Py_ssize_t _MAX_KNOWN_BYTES = negotiating_connection.MAX_KNOWN_BYTES


cdef class Negotiation(PacketWriter):
    """What a connection tells and is told once; see the module's docstring."""

    # Transport parameters.

    def _alpn_handler(self, alpn_protocol):
        """Take what came with the choice of a protocol."""
        tls = self.tls
        if self._is_client or not tls.legacy_session_id:
            for kind, data in tls.received_extensions:
                if kind == _PARAMETERS:
                    self._parse_transport_parameters(data)
                    if self._keeps_version():
                        self._queue.append(ProtocolNegotiated(alpn_protocol))
                        return
                    break
        super()._alpn_handler(alpn_protocol)

    cdef bint _keeps_version(self) except -1:
        """Take note that a server stays with the version that it was spoken to in; False when there is more to see."""
        if self._is_client or self._version_negotiated_compatible:
            return True
        information = self._remote_version_information
        if information is not None and information.available_versions[:1] != [self._version]:
            return False
        self._version_negotiated_compatible = True
        self._logger.info("Negotiated protocol version %s", aioquic_connection.pretty_protocol_version(self._version))
        return True

    def _serialize_transport_parameters(self):
        """Return our transport parameters."""
        configuration = self._configuration
        if not self._is_fresh:
            return super()._serialize_transport_parameters()
        common = common_parameters(
            self._limits,
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
        return common + identifying_parameters(
            source,
            self._original_destination_connection_id,
            self._retry_source_connection_id,
            self._host_cids[0].stateless_reset_token,
        ) + encode_reset_stream_at()

    def _parse_transport_parameters(self, bytes data not None, from_session_ticket=False):
        """Take the peer's transport parameters."""
        if (
            from_session_ticket or len(data) > _MAX_KNOWN_BYTES or self._quic_logger is not None
            or not self._take_known(data)
        ):
            super()._parse_transport_parameters(data, from_session_ticket)

    cdef bint _take_known(self, bytes data) except -1:
        """Take parameters like those of others before; False when these are the first, or not in order."""
        cdef Recovery loss = self._loss
        cdef list pairs = split_parameters(data)
        cdef dict values
        if pairs is None:
            return False
        values = dict(pairs)
        if len(values) != len(pairs) or PREFERRED_ADDRESS in values:
            return False
        if values.pop(INITIAL_SOURCE_CONNECTION_ID, None) != self._remote_initial_source_connection_id:
            return False
        original = values.pop(ORIGINAL_DESTINATION_CONNECTION_ID, None)
        retry = values.pop(RETRY_SOURCE_CONNECTION_ID, None)
        token = values.pop(STATELESS_RESET_TOKEN, None)
        if self._is_client:
            if (
                (token is not None and len(token) != _TOKEN_SIZE)
                or original != self._original_destination_connection_id
                or retry != self._retry_source_connection_id
            ):
                return False
        elif original is not None or retry is not None or token is not None:
            return False
        key = self._is_client, self._crypto_packet_version, frozenset(values.items())
        known = negotiating_connection._known.get(key)
        if known is None:
            return False
        (<dict> self.__dict__).update(known.attributes)
        self._remote_max_idle_timeout = known.idle_timeout
        loss.max_ack_delay = known.max_ack_delay
        loss.ack_delay_exponent = self._remote_ack_delay_exponent
        if token is not None and self._peer_cid.sequence_number == 0:
            self._peer_cid.stateless_reset_token = token
        self._limit_payload(known.payload)
        self.table.remote = known.limits
        return True

    # Connection ids.

    def _replenish_connection_ids(self):
        """Make as many ids as the peer takes."""
        cdef list ids = self._host_cids
        cdef Py_ssize_t most = min(_MAX_HOST_IDS, self._remote_active_connection_id_limit)
        cdef int size = self._configuration.connection_id_length
        number = self._host_cid_seq
        while len(ids) < most:
            connection_id = os.urandom(size)
            ids.append(QuicConnectionId(connection_id, number, self._new_reset_token(connection_id)))
            number += 1
        self._host_cid_seq = number
        self._connection_ids_due = True

    def _handle_new_connection_id_frame(self, context, frame_type, buf):
        """Take an id of the peer's."""
        cdef Py_ssize_t start = buf.tell()
        cdef Py_ssize_t size
        number = buf.pull_uint_var()
        if not buf.pull_uint_var() and not self._peer_retire_prior_to and self._has_room_for(number):
            size = buf.pull_uint8()
            cid = buf.pull_bytes(size)
            token = buf.pull_bytes(_TOKEN_SIZE)
            if 0 < size <= _MAX_ID:
                self._peer_cid_available.append(QuicConnectionId(cid, number, token))
                self._peer_cid_sequence_numbers.add(number)
                return
        buf.seek(start)
        super()._handle_new_connection_id_frame(context, frame_type, buf)

    cdef bint _has_room_for(self, number) except -1:
        """Tell whether an id of that number is one more, and nothing else comes of it."""
        cdef set numbers = self._peer_cid_sequence_numbers
        cdef list available = self._peer_cid_available
        return (
            number not in numbers
            and len(self._network_paths) == 1
            and 1 + len(available) < self._local_active_connection_id_limit
            and len(numbers) < _MAX_KNOWN_IDS
            and not self._retire_connection_ids
            and self._network_paths[0].peer_cid is None
            and self._quic_logger is None
        )
