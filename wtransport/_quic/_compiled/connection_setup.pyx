# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""How a connection begins: what its constructor makes, and its handshake, in one go where that is what nearly all make.

The specification is what the classes do that stand behind this one among the bases, from `aioquic_connection` to
`fresh_connection` and `recovering_connection`. What they do in any other way than usual is left to them.
"""

from __future__ import annotations

from libc.stdint cimport int64_t

from .crypto_sender cimport MessageStream
from .frames cimport FrameWriter
from .packet_keys cimport PacketPair
from .recovery cimport Recovery
from .releasing cimport Releasing
from .space cimport PacketSpace
from .table cimport StreamTable

import logging
import os
from collections import deque

from aioquic._buffer import Buffer
from aioquic.quic.connection import (
    CRYPTO_BUFFER_SIZE, MAX_EARLY_DATA, QuicConnectionId, QuicConnectionState, QuicNetworkPath,
)
from aioquic.tls import Epoch, ExtensionType, Group

from .. import fresh_connection
from ..initial_keys import InitialCryptoPair
from ..path_mtu import BASE_UDP_PAYLOAD, PathMtu
from ..path_mtu_connection import NO_SEARCH
from ..recovering_connection import NO_KEYS
from ..tls_context import HandshakeContext
from .debug_log import DebugLog

cdef object _FIRSTFLIGHT = QuicConnectionState.FIRSTFLIGHT
cdef object _INITIAL = Epoch.INITIAL
cdef object _ZERO_RTT = Epoch.ZERO_RTT
cdef object _HANDSHAKE = Epoch.HANDSHAKE
cdef object _ONE_RTT = Epoch.ONE_RTT
cdef object _PARAMETERS = ExtensionType.QUIC_TRANSPORT_PARAMETERS
cdef object _X25519 = Group.X25519
cdef object _P256 = Group.SECP256R1
cdef object _logger = logging.getLogger("quic")
cdef int64_t _BASE_SIZE = BASE_UDP_PAYLOAD
cdef int _BUFFER_SIZE = CRYPTO_BUFFER_SIZE


cdef class FrameHandlers(dict):
    """FrameHandlers(connection, functions)\n--\n\nHandlers of frames by type, bound to their connection when asked for."""

    cdef object _connection
    cdef dict _functions

    def __init__(self, connection, dict functions not None):
        self._connection = connection
        self._functions = functions

    def __missing__(self, frame_type):
        function, epochs = self._functions[frame_type]
        return function.__get__(self._connection), epochs


cdef class ConnectionSetup(Releasing):
    """What a connection begins with; see the module's docstring."""

    def __init__(
        self, *, configuration, limits, client_certificates=None, bytes original_destination_connection_id=None,
        bytes retry_source_connection_id=None, reset_tokens=None,
    ):
        if not fresh_connection.is_made_here(
            configuration, original_destination_connection_id, retry_source_connection_id
        ):
            super().__init__(
                configuration=configuration,
                limits=limits,
                client_certificates=client_certificates,
                original_destination_connection_id=original_destination_connection_id,
                retry_source_connection_id=retry_source_connection_id,
                reset_tokens=reset_tokens,
            )
            return
        self._begin_to_exist(configuration, limits, original_destination_connection_id, reset_tokens)
        if client_certificates is not None:
            self._client_certificates = client_certificates
        if retry_source_connection_id is not None:
            self._retry_source_connection_id = retry_source_connection_id

    cdef int _begin_to_exist(self, configuration, limits, bytes original, reset_tokens) except -1:
        """Do what the constructors do, in their order."""
        cdef dict own = self.__dict__
        cdef int size = configuration.connection_id_length
        cdef bint is_client = original is None
        cdef bytes cid, peer_cid
        queue = deque()
        self._configuration = configuration
        self._is_client = is_client
        self.host_cid = cid = os.urandom(size)
        own["_reset_tokens"] = reset_tokens
        token = None if is_client else self._new_reset_token(cid)
        own["_local_initial_source_connection_id"] = cid
        own["_host_cids"] = [QuicConnectionId(cid, 0, token, True)]
        peer_cid = os.urandom(size)
        self._peer_cid = QuicConnectionId(peer_cid, None)
        own["_peer_cid_available"] = []
        own["_peer_cid_sequence_numbers"] = {0}
        own["_original_destination_connection_id"] = original = original or peer_cid
        own["_logger"] = DebugLog(_logger, {"id": original.hex()})
        self._state = _FIRSTFLIGHT
        self._network_paths = []
        self._ping_pending = []
        self._retire_connection_ids = []
        for name in ("_cryptos", "_cryptos_initial", "_crypto_buffers", "_crypto_streams", "_spaces"):
            own[name] = {}
        self._max_datagram_size = configuration.max_datagram_size
        self._loss = Recovery(
            congestion_control_algorithm=configuration.congestion_control_algorithm,
            initial_rtt=configuration.initial_rtt,
            max_datagram_size=configuration.max_datagram_size,
            peer_completed_address_validation=not is_client,
            send_probe=self._send_probe,
        )
        own["_QuicConnection__frame_handlers"] = FrameHandlers(self, fresh_connection._functions_of(type(self)))
        # And what is our own.
        own["_limits"] = limits
        own["_largest_payload"] = own["_peer_limit"] = limits.max_udp_payload_size
        self._path_mtu = NO_SEARCH
        own["_events"] = self._queue = queue
        self.table = StreamTable(is_client=is_client, limits=limits, emit=queue.append, queue=queue)
        own["_stream_bytes"] = self.table.arrived
        self._writer = FrameWriter(self.table)
        self._max_queued_datagrams = limits.max_queued_datagrams
        return 0

    def connect(self, addr, double now):
        """Begin the handshake with a server."""
        configuration = self._configuration
        if not self._is_client or self._connect_called or self._quic_logger is not None:
            super().connect(addr, now)
            return
        self._connect_called = True
        self._network_paths = [QuicNetworkPath(addr, True)]
        self._version = configuration.original_version
        if self._version is None:
            self._version = configuration.supported_versions[0]
        self.close_at = now + self._idle_timeout()
        self._initialize(self._peer_cid.cid)
        self.tls.handle_message(b"", self._crypto_buffers)
        self._push_answers()

    def _initialize(self, bytes peer_cid not None):
        """Make what a handshake needs: TLS, keys, packet number spaces, and streams of messages."""
        cdef dict own = self.__dict__
        cdef PacketSpace initial, handshake, application
        cdef PacketPair keys
        cdef MessageStream messages
        configuration = self._configuration
        if self._quic_logger is not None or configuration.session_ticket is not None:
            super()._initialize(peer_cid)
            return
        own["tls"] = self._new_tls(configuration)
        own["_cryptos_initial"] = initial_keys = {}
        versions = configuration.supported_versions
        for version in versions:
            initial_keys[version] = pair = InitialCryptoPair()
            pair.setup_initial(peer_cid, self._is_client, version)
        changed = self._on_keys_changed
        keys = InitialCryptoPair(changed, changed, changed, changed)
        own["_cryptos"] = {
            _INITIAL: initial_keys[self._version or versions[0]],
            _ZERO_RTT: NO_KEYS,
            _HANDSHAKE: InitialCryptoPair(),
            _ONE_RTT: keys,
        }
        own["_crypto_buffers"] = {
            _INITIAL: Buffer(_BUFFER_SIZE), _HANDSHAKE: Buffer(_BUFFER_SIZE), _ONE_RTT: Buffer(_BUFFER_SIZE),
        }
        messages = MessageStream()
        own["_crypto_streams"] = {_INITIAL: MessageStream(), _HANDSHAKE: MessageStream(), _ONE_RTT: messages}
        initial, handshake, application = PacketSpace(), PacketSpace(), PacketSpace(is_application_data=True)
        own["_spaces"] = {_INITIAL: initial, _HANDSHAKE: handshake, _ONE_RTT: application}
        self._loss.spaces = [initial, handshake, application]
        if not self._is_client and self._retry_source_connection_id is not None:
            self._network_paths[0].is_validated = True  # the token came back from there
        self._application_keys = keys
        self._application_space = application
        self._application_tls = messages

    cdef object _new_tls(self, configuration):
        cdef bint is_client = self._is_client
        context = HandshakeContext(
            alpn_protocols=configuration.alpn_protocols,
            cadata=configuration.cadata,
            cafile=configuration.cafile,
            capath=configuration.capath,
            cipher_suites=configuration.cipher_suites,
            is_client=is_client,
            logger=self._logger,
            max_early_data=None if is_client else MAX_EARLY_DATA,
            server_name=configuration.server_name,
            verify_mode=configuration.verify_mode,
        )
        values = context.__dict__
        values["certificate"] = configuration.certificate
        values["certificate_chain"] = configuration.certificate_chain
        values["certificate_private_key"] = configuration.private_key
        values["handshake_extensions"] = [(_PARAMETERS, self._serialize_transport_parameters())]
        values["alpn_cb"] = self._alpn_handler
        values["update_traffic_key_cb"] = self._update_traffic_key
        if is_client:
            # Every server has one of these; aioquic's own context makes a key of each.
            values["_supported_groups"] = [_X25519, _P256]
        elif self._client_certificates is not None:
            values["_request_client_certificate"] = True
        return context

    def _on_keys_changed(self, trigger):
        self.forget_keys()

    def _take_path(self, path):
        """Begin to send on a path; on the first one, with packets of the base size."""
        cdef Recovery loss = self._loss
        cdef int64_t largest = self._largest_payload
        host = path.addr[0]
        if largest <= _BASE_SIZE or self._path_mtus or self._black_hole is not None or ":" in host:
            super()._take_path(path)
            return
        self._path = path
        self._path_mtu = path_mtu = PathMtu(min(largest, <int64_t> self._peer_limit), sent=path.bytes_sent)
        self._path_mtus = {host: path_mtu}
        self._max_datagram_size = _BASE_SIZE
        loss.set_datagram_size(_BASE_SIZE)
