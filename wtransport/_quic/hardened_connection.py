"""aioquic's connection with what it leaves out of RFC 9000's defences; knows aioquic's privates.

Stateless resets (10.3) with tokens that outlive the process, and noticed when the peer sends one; an address that Retry
has validated (8.1.2) is free of the anti-amplification limit; version negotiation must echo both connection ids (6.2);
an end that closes says so again to whoever still speaks (10.2.1). Bounds where flow control sets none: of what is kept
of the handshake (7.5), of connection ids that are over, and of those that a peer has us make. And of forged packets,
which are guesses at the keys (RFC 9001, 6.6).
"""

from __future__ import annotations

import hmac
import logging
import os
from collections.abc import Sequence
from math import inf
from typing import Any

from aioquic._buffer import Buffer
from aioquic.quic import events as aioquic_events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import (
    NetworkAddress,
    QuicConnection,
    QuicConnectionAdapter,
    QuicConnectionError,
    QuicConnectionId,
    QuicReceiveContext,
)
from aioquic.quic.packet import (
    CONNECTION_ID_MAX_SIZE,
    STATELESS_RESET_TOKEN_SIZE,
    QuicErrorCode,
    QuicFrameType,
    QuicHeader,
)
from aioquic.quic.packet_builder import QuicPacketBuilder

from .frugal_connection import FrugalConnection
from .members import CLOSING, HANDSHAKE, TERMINATED
from .reset_tokens import ResetTokens

MIN_STATELESS_RESET = 21
"""Bytes of the smallest datagram that can be a stateless reset (RFC 9000, 10.3)."""

MAX_HANDSHAKE_BYTES = 16 * 1024
"""Bytes of messages of TLS kept until they are whole, and of CRYPTO frames beyond a gap. Anybody can send them, and
aioquic keeps 16 MiB, copied for each frame. BoringSSL takes messages of this size, and certificates of the next."""

MAX_CERTIFICATE_BYTES = 100 * 1024
"""The same where a message may be the peer's certificates."""

MAX_HANDSHAKE_PIECES = 128
"""Most pieces of the same beyond gaps; a lost packet leaves one gap, and Chromium makes some ten on purpose."""

MAX_HOST_IDS = 8
"""Connection ids of ours that a peer has at a time, if it takes so many; aioquic makes no more."""

MAX_KNOWN_IDS = 64
"""Most numbers of the peer's connection ids that are remembered, so that a repeated frame brings none of them back."""

MAX_UNREAD = 1 << 36
"""Datagrams in which nothing could be read, after which a connection is closed: as many forgeries as ChaCha20-Poly1305
stands, of which AES-GCM stands 2**52 (RFC 9001, 6.6). Duplicates and others that forge nothing count with them."""

STATELESS_RESET_REASON = "stateless reset: the peer has lost the connection, probably it was restarted"
"""What the end of such a connection is told with; nothing of it came over the wire."""


class _DebugLog(QuicConnectionAdapter):
    """aioquic's log without its warnings, of which every broken packet of a stranger could cause one.

    What a peer did wrong is told by the end of its connection, and counted.
    """

    def debug(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log for debugging; a dozen times for each connection, so the logger is asked first."""
        if self.logger.isEnabledFor(logging.DEBUG):
            super().debug(msg, *args, **kwargs)

    warning = debug

    def info(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log for information, asked in the same way."""
        if self.logger.isEnabledFor(logging.INFO):
            super().info(msg, *args, **kwargs)


class HardenedConnection(FrugalConnection):
    """A `QuicConnection` that resets and validates as the RFC has it."""

    _LOG = _DebugLog

    closed_by_peer = False
    heard_at = inf
    """When something was read last, in seconds."""
    _close_packets: Sequence[tuple[bytes, NetworkAddress]] = ()
    _received_closing = 0
    _unread = 0
    _newest_sent_id = 0

    def __init__(
        self,
        *,
        configuration: QuicConfiguration,
        original_destination_connection_id: bytes | None = None,
        retry_source_connection_id: bytes | None = None,
        reset_tokens: ResetTokens | None = None,
    ) -> None:
        self._reset_tokens = reset_tokens
        super().__init__(
            configuration=configuration,
            original_destination_connection_id=original_destination_connection_id,
            retry_source_connection_id=retry_source_connection_id,
        )

    def _handle_padding_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        # aioquic looks at each byte of a padded datagram in a loop of its own.
        rest = buf.data_slice(buf.tell(), buf.capacity)
        buf.seek(buf.capacity - len(rest.lstrip(b"\x00")))

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        if not self._is_client and self._retry_source_connection_id is not None:
            self._network_paths[0].is_validated = True  # the token came back from there

    def _replenish_connection_ids(self) -> None:
        ids, size = self._host_cids, self._configuration.connection_id_length
        while len(ids) < MAX_HOST_IDS and len(ids) < self._remote_active_connection_id_limit:
            connection_id = os.urandom(size)
            ids.append(QuicConnectionId(connection_id, self._host_cid_seq, self._new_reset_token(connection_id)))
            self._host_cid_seq += 1

    def _new_reset_token(self, connection_id: bytes) -> bytes:
        # Nobody knows a random one after a restart.
        tokens = self._reset_tokens
        return super()._new_reset_token(connection_id) if tokens is None else tokens.token(connection_id)

    # What flow control does not bound.

    def _handle_crypto_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        start = buf.tell()
        end = buf.pull_uint_var() + buf.pull_uint_var()
        buf.seek(start)
        receiver = self._crypto_streams[context.epoch].receiver
        may_be_certificates = context.epoch is HANDSHAKE
        limit = MAX_CERTIFICATE_BYTES if may_be_certificates else MAX_HANDSHAKE_BYTES
        if (
            end - receiver.starting_offset() + len(self.tls._receive_buffer) > limit
            or len(receiver._ranges) > MAX_HANDSHAKE_PIECES
        ):
            raise QuicConnectionError(
                error_code=QuicErrorCode.CRYPTO_BUFFER_EXCEEDED,
                frame_type=frame_type,
                reason_phrase="too much of the handshake is missing",
            )
        super()._handle_crypto_frame(context, frame_type, buf)

    def _write_new_connection_id_frame(self, builder: QuicPacketBuilder, connection_id: QuicConnectionId) -> None:
        super()._write_new_connection_id_frame(builder, connection_id)
        self._newest_sent_id = max(self._newest_sent_id, connection_id.sequence_number)

    def _handle_retire_connection_id_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        start = buf.tell()
        if buf.pull_uint_var() > self._newest_sent_id:  # aioquic looks at those as well that were made but not sent
            raise QuicConnectionError(
                error_code=QuicErrorCode.PROTOCOL_VIOLATION,
                frame_type=frame_type,
                reason_phrase="a connection id was retired that was never issued",
            )
        buf.seek(start)
        super()._handle_retire_connection_id_frame(context, frame_type, buf)

    def _handle_new_token_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        start = buf.tell()
        is_empty = buf.pull_uint_var() == 0
        buf.seek(start)
        super()._handle_new_token_frame(context, frame_type, buf)
        if is_empty:
            raise QuicConnectionError(QuicErrorCode.FRAME_ENCODING_ERROR, frame_type, "a token is empty")

    def _handle_new_connection_id_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        start = buf.tell()
        number, retired = buf.pull_uint_var(), buf.pull_uint_var()
        if number < retired:
            reason = "more connection ids are retired than were given"
            raise QuicConnectionError(QuicErrorCode.FRAME_ENCODING_ERROR, frame_type, reason)
        if not retired and not self._peer_retire_prior_to and self._has_room_for_id(number):
            size = buf.pull_uint8()
            cid = buf.pull_bytes(size)
            token = buf.pull_bytes(STATELESS_RESET_TOKEN_SIZE)
            if 0 < size <= CONNECTION_ID_MAX_SIZE:
                self._peer_cid_available.append(QuicConnectionId(cid, number, token))
                self._peer_cid_sequence_numbers.add(number)
                return
        buf.seek(start)
        super()._handle_new_connection_id_frame(context, frame_type, buf)
        if len(self._peer_cid_sequence_numbers) > MAX_KNOWN_IDS:
            self._forget_ids(frame_type)

    def _has_room_for_id(self, number: int) -> bool:
        """Tell whether an id of that number is one more, and nothing else comes of it: as in every handshake."""
        return (
            number not in self._peer_cid_sequence_numbers
            and len(self._network_paths) == 1
            and 1 + len(self._peer_cid_available) < self._local_active_connection_id_limit
            and len(self._peer_cid_sequence_numbers) < MAX_KNOWN_IDS
            and not self._retire_connection_ids
            and self._network_paths[0].peer_cid is None
            and self._quic_logger is None
        )

    def _forget_ids(self, frame_type: int) -> None:
        """Forget the numbers of ids that are over: as if the peer had retired all that came before those in use."""
        in_use = [self._peer_cid.sequence_number or 0, *(each.sequence_number for each in self._peer_cid_available)]
        self._peer_retire_prior_to = first = max(self._peer_retire_prior_to, min(in_use))
        self._peer_cid_sequence_numbers = {number for number in self._peer_cid_sequence_numbers if number >= first}
        if len(self._peer_cid_sequence_numbers) > MAX_KNOWN_IDS:
            raise QuicConnectionError(
                error_code=QuicErrorCode.PROTOCOL_VIOLATION,
                frame_type=frame_type,
                reason_phrase="the numbers of connection ids do not follow each other",
            )

    def _close_end(self) -> None:
        if self._quic_logger is not None or self._close_event is None:
            super()._close_end()
            return
        # As aioquic does; but keys and packets, of which there will be no more, go with all else in `clear`.
        self._close_at = None
        self._events.append(self._close_event)
        self._set_state(TERMINATED)

    def clear(self) -> None:
        """Let go of what only packets need: the connection is over, and nothing will be sent or received any more.

        Most of it refers to the connection, so that it would wait for the garbage collector.
        """
        self._state = TERMINATED
        self._close_at = None
        self._close_pending = False
        self._QuicConnection__frame_handlers = {}
        for space in self._loss.spaces:
            self._loss.discard_space(space)  # what was sent has handlers here
        self._loss.watch_large_packets(0, None)
        self._loss.leave()
        self._loss.spaces = []
        for kept in (self._cryptos, self._crypto_streams, self._spaces):
            kept.clear()
        self._cryptos_initial = {}
        self._crypto_buffers = {}
        vars(self).pop("receive_datagram", None)
        if self._connect_called or self._network_paths:
            self.tls.alpn_cb = None
            self.tls.update_traffic_key_cb = _ignore

    def close_datagrams(self, now: float) -> list[tuple[bytes, NetworkAddress]]:
        """Return the UDP payloads with our CONNECTION_CLOSE, to be asked for while `_close_pending`."""
        if self._is_closing:
            self._close_pending = False
            return self._affordable(self._close_packets)
        finished: list[tuple[bytes, NetworkAddress]] = []
        if self._is_client and self._handshake_complete and not self._handshake_confirmed:
            # The Finished first: without it the server cannot read 1-RTT packets, and only those tell the code of an
            # application (RFC 9000, 10.2.3).
            self._close_pending = False
            finished = QuicConnection.datagrams_to_send(self, now)
            self._close_pending = True
        path = self._network_paths[0]
        sent_before = path.bytes_sent
        self._close_packets = QuicConnection.datagrams_to_send(self, now)
        path.bytes_sent = sent_before
        if self._is_closing:
            # On the instance: packets of a connection that is open do not pay for it.
            self.receive_datagram = self._receive_while_closing
        return finished + self._affordable(self._close_packets)

    def _affordable(self, datagrams: Sequence[tuple[bytes, NetworkAddress]]) -> list[tuple[bytes, NetworkAddress]]:
        """Return what may go to an address: all, or what three times of what came from there allows (RFC 9000, 8.1).

        aioquic sends its CONNECTION_CLOSE whatever was sent before.
        """
        path = self._network_paths[0]
        allowed = []
        for data, addr in datagrams:
            if path.can_send(len(data)):
                path.bytes_sent += len(data)
                allowed.append((data, addr))
        return allowed

    @property
    def _is_closing(self) -> bool:
        return self._state is CLOSING

    def _receive_while_closing(self, data: bytes, addr: NetworkAddress, now: float) -> None:
        """Have the close said again at the first packet, the second, the fourth and so on (RFC 9000, 10.2.1)."""
        self._received_closing += 1
        path = self._network_paths[0]
        if addr == path.addr:
            path.bytes_received += len(data)
        if self._is_closing and not self._received_closing & (self._received_closing - 1):
            self._close_pending = True

    def take_datagrams(self, datagrams: Sequence[tuple[bytes, NetworkAddress]], now: float) -> None:
        """Take UDP payloads with their senders' addresses; one in which nothing can be read may be a reset."""
        unread = [datagram for datagram in datagrams if not self.take_datagram(*datagram, now)]
        if len(unread) < len(datagrams):
            self.heard_at = now
        if unread:
            self.receive_unread(unread, now)

    def take_datagram(self, data: bytes, addr: NetworkAddress, now: float) -> bool:
        """Take one UDP payload; return whether anything in it could be read."""
        closes_at = self._close_at
        self._close_at = unmoved = closes_at and 0.0  # every valid packet moves it, if only back to where it was
        self.receive_datagram(data, addr, now)
        was_read = self._close_at != unmoved
        self._close_at = self._close_at if was_read else closes_at
        return was_read

    def receive_unread(self, datagrams: Sequence[tuple[bytes, NetworkAddress]], now: float) -> None:
        """Take the datagrams in which nothing could be read: forged, damaged or repeated ones, or a stateless reset."""
        for data, addr in datagrams:
            self.receive_stateless_reset(data, addr, now)
        self._unread += len(datagrams)
        if self._unread > MAX_UNREAD and self._close_event is None:
            self.close(QuicErrorCode.AEAD_LIMIT_REACHED, QuicFrameType.PADDING, "too many packets are not authentic")

    def receive_stateless_reset(self, data: bytes, addr: NetworkAddress, now: float) -> bool:
        """Begin the draining period if a datagram in which nothing could be read is a stateless reset.

        Only tokens of connection ids count that we send to now (RFC 9000, 10.3.1). Comparing takes the same time
        whatever the bytes are.

        Args:
            data: a whole UDP payload, after `receive_datagram` made nothing of it.
            addr: where it came from.
            now: the time, in seconds.

        Returns:
            Whether the connection is over.
        """
        if len(data) < MIN_STATELESS_RESET or not self._handshake_complete or self._close_event is not None:
            return False
        if all(path.addr != addr for path in self._network_paths):
            return False
        in_use = [self._peer_cid, *(path.peer_cid for path in self._network_paths if path.peer_cid is not None)]
        last = data[-STATELESS_RESET_TOKEN_SIZE:]
        is_reset = False
        for connection_id in in_use:
            token = connection_id.stateless_reset_token
            if len(token) == STATELESS_RESET_TOKEN_SIZE:  # a server knows none of the first id of its client
                is_reset |= hmac.compare_digest(token, last)
        if is_reset:
            self.closed_by_peer = True
            self._close_event = aioquic_events.ConnectionTerminated(
                error_code=QuicErrorCode.NO_ERROR,
                frame_type=QuicFrameType.PADDING,
                reason_phrase=STATELESS_RESET_REASON,
            )
            self._close_begin(is_initiator=False, now=now)
        return is_reset

    def _receive_version_negotiation_packet(self, header: QuicHeader, now: float) -> None:
        # aioquic has checked one of the two. Who saw our packet knows both; anybody else is guessing.
        if header.source_cid == self._peer_cid.cid:
            super()._receive_version_negotiation_packet(header, now)


def _ignore(*_: object) -> None:
    """Stand in for what a connection that is over was asked for."""
