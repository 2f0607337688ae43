"""aioquic's connection with streams, limits and datagrams of our own.

Only this file and those of its base classes, from `negotiating_connection` to `fresh_connection`, know aioquic's
privates.

aioquic keeps TLS, packet protection, connection ids and paths, and where nothing is compiled loss recovery and
congestion control. Replaced, because stock aioquic 1.7 scans every stream for every packet, gives credit on receipt
instead of on reading, and queues datagrams without a bound: the frames of streams, their limits and datagrams, both
ways, and what goes into a 1-RTT packet in which order. The rules of those are in `stream_table` and `frame_writer`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import wraps
from operator import attrgetter
from typing import ClassVar

import aioquic
from aioquic._buffer import Buffer
from aioquic.quic import events as aioquic_events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import (
    NetworkAddress,
    QuicConnectionError,
    QuicConnectionId,
    QuicNetworkPath,
    QuicReceiveContext,
)
from aioquic.quic.packet import QuicErrorCode, QuicFrameType, QuicPacketType
from aioquic.quic.packet_builder import QuicDeliveryState, QuicPacketBuilder, QuicPacketBuilderStop

from . import aioquic_tuning  # noqa: F401 - puts quicker parts into place
from .client_certificates import ClientCertificates
from .frame_writer import turn_bytes
from .limits import TransportLimits
from .members import ONE_RTT, TERMINATED
from .negotiating_connection import NegotiatingConnection
from .path_mtu_connection import NO_SEARCH
from .port import DatagramsArrived, DatagramsDrained, QuicEvent
from .reset_tokens import ResetTokens
from .stream_kernels import FrameWriter, StreamTable
from .transport_parameters import RESET_STREAM_AT
from .violations import TransportViolation

if not aioquic.__version__.startswith("1.7."):
    raise ImportError(f"wtransport knows the internals of aioquic 1.7 only, found {aioquic.__version__}")

ACTIVE_CONNECTION_IDS = 2
"""Connection ids that the peer may give us at a time, the fewest there may be (RFC 9000, 18.2): the one in use, and one
for a migration, which is replaced within a round trip. Each costs a frame and an entry at both ends of every
connection, and aioquic would ask for 8."""

AEAD_TAG_SIZE = 16
PACKET_NUMBER_SIZE = 2
"""Bytes: what aioquic's packet builder uses in every packet."""

ACK_DELAY = 0.002
"""Seconds after which an acknowledgement is sent by itself; far below the 25 ms that we announce (RFC 9000, 13.2.1).
aioquic takes one millisecond."""

RIDE_TIME = 0.0005
"""Seconds before it is due from which an acknowledgement may ride along. One in every packet of a quick exchange would
make both ends work for nothing: writing and reading it takes a fifth of a packet's time."""

MAX_EVENT_DATAGRAMS = 64
"""Datagrams in one event: a packet holds some hundred empty ones, and what is done with an event is done in one go."""

MAX_WAITING_EVENTS = 512
"""Events that may wait when more packets are received, so that those of one batch of packets can come on top. What they
hold is bounded by flow control, but for datagrams, of which none may wait then."""

RIDE_ROOM = 128
"""Bytes that the congestion window must leave for an acknowledgement to go before it is due: with less, the data that
it should ride along with would hardly fit beside it, and a packet of its own for each one received is a waste."""


_FrameHandler = Callable[["StreamingConnection", QuicReceiveContext, int, Buffer], None]


def _translated(violation: TransportViolation, frame_type: int) -> QuicConnectionError:
    return QuicConnectionError(violation.error_code, frame_type, violation.reason)


def _translating(handler: _FrameHandler) -> _FrameHandler:
    """Make a frame's handler raise aioquic's exceptions; for the rarer frames, as it costs a call for each."""

    @wraps(handler)
    def handle(connection: StreamingConnection, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        try:
            handler(connection, context, frame_type, buf)
        except TransportViolation as exc:
            raise _translated(exc, frame_type) from exc

    return handle


class StreamingConnection(NegotiatingConnection):
    """A `QuicConnection` that serves streams from a ready queue and credits what was read."""

    _FURTHER_FRAMES: ClassVar = {RESET_STREAM_AT: ("_handle_reset_stream_at_frame", "01")}

    _ack_delay = ACK_DELAY
    _local_active_connection_id_limit = ACTIVE_CONNECTION_IDS

    _arrived: DatagramsArrived | None = None
    """The event in the queue that takes further datagrams."""
    _connection_ids_due = False
    _datagrams_refused = False

    def __init__(
        self,
        *,
        configuration: QuicConfiguration,
        limits: TransportLimits,
        client_certificates: ClientCertificates | None = None,
        original_destination_connection_id: bytes | None = None,
        retry_source_connection_id: bytes | None = None,
        reset_tokens: ResetTokens | None = None,
    ) -> None:
        super().__init__(
            configuration=configuration,
            original_destination_connection_id=original_destination_connection_id,
            retry_source_connection_id=retry_source_connection_id,
            reset_tokens=reset_tokens,
        )
        self._limits = limits
        self._client_certificates = client_certificates
        self._largest_payload = self._peer_limit = limits.max_udp_payload_size
        self._path_mtu = NO_SEARCH
        # Our events go into the queue of aioquic's own, so that all stay in order; `AioquicPort` tells them apart.
        self._queue: deque[QuicEvent | aioquic_events.QuicEvent] = self._events  # type: ignore[assignment]
        self.table = StreamTable(is_client=self._is_client, limits=limits, emit=self._queue.append, queue=self._queue)
        self._stream_bytes = self.table.arrived
        self._writer = FrameWriter(self.table)
        self._max_queued_datagrams = limits.max_queued_datagrams
        if not self._is_fresh:
            self._local_active_connection_id_limit = ACTIVE_CONNECTION_IDS
            self._ack_delay = ACK_DELAY

    # Asked for each event: no Python function is called.
    close_event = property(attrgetter("_close_event"), doc="Why the connection ends, as soon as that is decided.")
    events = property(attrgetter("_queue"), doc="The queue that `pop_event` takes from.")

    def has_events(self) -> bool:
        """Tell whether there are events, or the connection ends."""
        return bool(self._queue) or self._close_event is not None

    def has_room(self) -> bool:
        """Tell whether more may be received before the events of what was received are taken."""
        return self._arrived is None and len(self._queue) < MAX_WAITING_EVENTS

    def pop_event(self) -> QuicEvent | aioquic_events.QuicEvent | None:
        """Return the next event, ours or aioquic's, or None."""
        if not self._queue:
            return None
        event = self._queue.popleft()
        if event is self._arrived:
            self._arrived = None  # whoever has it now may keep it
        elif event is self._stream_bytes.growing:
            self._stream_bytes.complete()
        return event

    @property
    def deadline(self) -> float | None:
        """Return when `handle_timer` must be called, or None."""
        return None if self._close_at is None else self.get_timer()

    @property
    def is_paced(self) -> bool:
        """Tell whether packets wait for the pacer (RFC 9002, 7.7)."""
        return self._pacing_at is not None

    @property
    def is_terminated(self) -> bool:
        """Tell whether the closing or draining period is over."""
        return self._state is TERMINATED

    @property
    def is_connected(self) -> bool:
        """Tell whether the handshake is complete."""
        return self._handshake_complete

    @property
    def has_path(self) -> bool:
        """Tell whether there is somebody to send to."""
        return bool(self._network_paths)

    @property
    def remote_max_datagram_frame_size(self) -> int:
        """Return the peer's max_datagram_frame_size, 0 when absent."""
        return self._remote_max_datagram_frame_size or 0

    @property
    def datagrams_dropped(self) -> int:
        """Return how many queued datagrams were dropped, as no packet could hold them any more."""
        return self._writer.datagrams_dropped

    @property
    def packet_room(self) -> int:
        """Return how many bytes of frames fit into one 1-RTT packet."""
        header = 1 + len(self._peer_cid.cid) + PACKET_NUMBER_SIZE
        return self._path_mtu.size - header - AEAD_TAG_SIZE

    @property
    def probe_timeout(self) -> float:
        """Return the probe timeout, in seconds."""
        return self._loss.get_probe_timeout()

    @property
    def round_trip_time(self) -> float:
        """Return the smoothed round-trip time, in seconds; 0.0 before the first sample."""
        return self._loss.smoothed_rtt

    def end(self, error_code: int, reason: str, *, is_application: bool) -> None:
        """Close the connection with an application error code or a transport one."""
        super().close(error_code, None if is_application else QuicFrameType.PADDING, reason)

    def close(
        self, error_code: int = QuicErrorCode.NO_ERROR, frame_type: int | None = None, reason_phrase: str = ""
    ) -> None:
        """Close because of what aioquic found: a transport error, also where no frame type could be read."""
        super().close(error_code, QuicFrameType.PADDING if frame_type is None else frame_type, reason_phrase)

    def clear(self) -> None:
        """Let go of what only packets need."""
        super().clear()
        vars(self).pop("_application_keys", None)

    def queue_datagram(self, data: bytes) -> bool:
        """Queue a DATAGRAM frame; False when the queue is full."""
        if len(self._writer.datagrams) >= self._max_queued_datagrams:
            self._datagrams_refused = True
            return False
        self._writer.queue_datagram(data)
        return True

    # Handshake.

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        # Looked up once: the hash of an enumeration's member is a Python function, called for every packet otherwise.
        self._application_keys = self._cryptos[ONE_RTT]
        self._application_space = self._spaces[ONE_RTT]
        self._application_tls = self._crypto_streams[ONE_RTT]

    # Receiving.

    def _handle_stream_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        stream_id = buf.pull_uint_var()
        offset = buf.pull_uint_var() if frame_type & 4 else 0
        length = buf.pull_uint_var() if frame_type & 2 else buf.capacity - buf.tell()
        try:
            self.table.on_stream_frame(stream_id, offset, buf.pull_bytes(length), bool(frame_type & 1))
        except TransportViolation as exc:
            raise _translated(exc, frame_type) from exc

    @_translating
    def _handle_reset_stream_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        stream_id, error_code, final_size = buf.pull_uint_var(), buf.pull_uint_var(), buf.pull_uint_var()
        self.table.on_reset(stream_id, error_code, final_size)

    @_translating
    def _handle_reset_stream_at_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        stream_id, error_code, final_size = buf.pull_uint_var(), buf.pull_uint_var(), buf.pull_uint_var()
        self.table.on_reset(stream_id, error_code, final_size, buf.pull_uint_var())

    @_translating
    def _handle_stop_sending_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        stream_id, error_code = buf.pull_uint_var(), buf.pull_uint_var()
        self.table.on_stop_sending(stream_id, error_code)

    def _handle_max_data_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        self.table.on_max_data(buf.pull_uint_var())

    @_translating
    def _handle_max_stream_data_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        stream_id, limit = buf.pull_uint_var(), buf.pull_uint_var()
        self.table.on_max_stream_data(stream_id, limit)

    @_translating
    def _handle_max_streams_bidi_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        self.table.on_max_streams(buf.pull_uint_var(), unidirectional=False)

    @_translating
    def _handle_max_streams_uni_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        self.table.on_max_streams(buf.pull_uint_var(), unidirectional=True)

    @_translating
    def _handle_stream_data_blocked_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        stream_id = buf.pull_uint_var()
        buf.pull_uint_var()
        self.table.on_stream_data_blocked(stream_id)

    def _handle_datagram_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        start = buf.tell()
        length = buf.pull_uint_var() if frame_type == QuicFrameType.DATAGRAM_WITH_LENGTH else buf.capacity - start
        data = buf.pull_bytes(length)
        # The limit is on the whole frame, type and length included (RFC 9221, 3).
        if 1 + buf.tell() - start > (self._configuration.max_datagram_frame_size or 0):
            raise QuicConnectionError(
                QuicErrorCode.PROTOCOL_VIOLATION, frame_type, "DATAGRAM frame larger than was announced"
            )
        if self._arrived is None or len(self._arrived.datagrams) >= MAX_EVENT_DATAGRAMS:
            self._arrived = DatagramsArrived([data])
            self._queue.append(self._arrived)
        else:
            self._arrived.datagrams.append(data)

    def _handle_connection_close_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        was_open = self._close_event is None
        super()._handle_connection_close_frame(context, frame_type, buf)
        self.closed_by_peer |= was_open

    # Sending.

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, NetworkAddress]]:
        """Return the UDP payloads to send; without building a packet first when there is nothing to put into one."""
        if not self._network_paths:
            return []
        if (
            self._handshake_confirmed
            and not self._close_pending
            and len(self._network_paths) == 1
            and not self._has_frames(self._network_paths[0], now)
        ):
            self._pacing_at = None
            return []
        if self._close_pending:
            return self.close_datagrams(now)
        path = self._network_paths[0]
        if self._handshake_complete and not (path.is_validated or path.local_challenge_sent):
            # The challenge goes out at once, although what went to the old address still fills the congestion window.
            self._probe_pending = True
        is_probing = self._probe_pending and self._handshake_confirmed and path.is_validated
        datagrams = super().datagrams_to_send(now)
        if is_probing and not self._probe_pending and self._loss.pto_count > 1:
            # A second packet: if the only one is lost again, the next has to wait twice as long (RFC 9002, 6.2.4).
            self._probe_pending = True
            datagrams += super().datagrams_to_send(now)
            self._probe_pending = False
        return datagrams

    def _has_frames(self, path: QuicNetworkPath, now: float) -> bool:
        """Tell whether a 1-RTT packet is due for a frame or an acknowledgement."""
        space = self._application_space
        return bool(
            self._writer.has_work
            or (space.ack_at is not None and space.ack_at <= now)
            or self._probe_pending
            or self._ping_pending
            or self._connection_ids_due
            or self._retire_connection_ids
            or self._handshake_done_pending
            or path.remote_challenges
            or not path.is_validated
            or not self._application_tls.sender.buffer_is_empty
        )

    def _has_data(self) -> bool:
        return self._writer.has_work

    def _idle_timeout(self) -> float:
        # As aioquic has it (RFC 9000, 10.1), but without two calls for every packet.
        timeout: float = self._configuration.idle_timeout
        remote = self._remote_max_idle_timeout
        if remote is not None and remote < timeout:
            timeout = remote
        return max(timeout, 3 * self._loss.get_probe_timeout())

    def _replenish_connection_ids(self) -> None:
        super()._replenish_connection_ids()
        self._connection_ids_due = True

    def _on_new_connection_id_delivery(self, delivery: QuicDeliveryState, connection_id: QuicConnectionId) -> None:
        super()._on_new_connection_id_delivery(delivery, connection_id)
        self._connection_ids_due |= not connection_id.was_sent

    def _write_application(self, builder: QuicPacketBuilder, network_path: QuicNetworkPath, now: float) -> None:
        try:
            self._write_packets(builder, network_path, now)
        finally:
            if self._datagrams_refused and len(self._writer.datagrams) <= self._max_queued_datagrams // 2:
                self._datagrams_refused = False
                self._queue.append(DatagramsDrained())

    def _write_packets(self, builder: QuicPacketBuilder, network_path: QuicNetworkPath, now: float) -> None:
        """Write 1-RTT packets until there is nothing to write, or no more may be sent now.

        Raises:
            QuicPacketBuilderStop: the anti-amplification limit leaves no room for another packet.
        """
        crypto = self._application_keys
        if not crypto.send.is_valid():
            return
        space, loss, writer = self._application_space, self._loss, self._writer
        writer.turn_bytes = turn_bytes(loss.congestion_window)
        while True:
            ack_at = space.ack_at
            if ack_at is None or ack_at > now:
                # Acknowledgements that are due are not paced (RFC 9002, 7.7).
                self._pacing_at = loss.next_send_time(now)
                if self._pacing_at is not None:
                    break
            builder.start_packet(QuicPacketType.ONE_RTT, crypto)
            has_more = True
            try:
                # An acknowledgement that is due soon rides along with whatever goes out anyway. A probe repeats the
                # latest, whose loss would show no other way.
                if (
                    (ack_at is not None and ack_at <= now)
                    or (self._probe_pending and self._handshake_confirmed and len(space.ack_queue))
                    or (ack_at is not None and ack_at <= now + RIDE_TIME and self._can_ride(builder))
                ):
                    self._write_ack_frame(builder=builder, space=space, now=now)
                if self._handshake_complete:
                    self._write_connection_frames(builder, network_path, now)
                self._write_probes_and_crypto(builder)
                writer.write(builder)
                has_more = writer.has_work
            except QuicPacketBuilderStop:
                if builder.packet_is_empty:
                    if writer.drop_oversized_datagrams(self.packet_room):
                        continue
                    break  # the congestion window or the anti-amplification limit is used up
            if builder.packet_is_empty:
                break
            loss.on_paced(now)
            if not has_more and self._handshake_complete:
                self._pacing_at = None
                break

    def _can_ride(self, builder: QuicPacketBuilder) -> bool:
        return self._writer.has_work and builder.remaining_flight_space >= RIDE_ROOM

    def _write_connection_frames(self, builder: QuicPacketBuilder, network_path: QuicNetworkPath, now: float) -> None:
        """Write what concerns the connection as a whole; all of it is rare."""
        if not (network_path.is_validated or network_path.local_challenge_sent):
            self._write_path_challenge_frame(builder=builder, network_path=network_path)
            if network_path.validation_deadline is None:
                # RFC 9000, 8.2.4: three times the larger of this path's and a new path's probe timeout.
                new_path_timeout = 2 * self._configuration.initial_rtt
                network_path.validation_deadline = now + 3 * max(self.probe_timeout, new_path_timeout)
        if self._handshake_done_pending:
            self._write_handshake_done_frame(builder=builder)
            self._handshake_done_pending = False
        while network_path.remote_challenges:
            self._write_path_response_frame(builder=builder, challenge=network_path.remote_challenges[0])
            network_path.remote_challenges.popleft()
        if self._connection_ids_due:
            for connection_id in self._host_cids:
                if not connection_id.was_sent:
                    self._write_new_connection_id_frame(builder=builder, connection_id=connection_id)
            self._connection_ids_due = False
        while self._retire_connection_ids:
            self._write_retire_connection_id_frame(builder=builder, sequence_number=self._retire_connection_ids[0])
            self._retire_connection_ids.pop(0)
        self._writer.write_limits(builder)

    def _write_probes_and_crypto(self, builder: QuicPacketBuilder) -> None:
        if self._ping_pending:
            self._write_ping_frame(builder, self._ping_pending)
            self._ping_pending.clear()
        if self._probe_pending:
            self._write_ping_frame(builder, comment="probe")
            self._probe_pending = False
        crypto_stream = self._application_tls
        if not crypto_stream.sender.buffer_is_empty:
            self._write_crypto_frame(builder=builder, space=self._application_space, stream=crypto_stream)
