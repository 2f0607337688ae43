"""The QUIC port on top of aioquic: commands in, typed events out, deadlines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING

from aioquic.quic import events as aioquic_events
from aioquic.quic.configuration import QuicConfiguration

from .aioquic_connection import StreamingConnection
from .backend import IS_COMPILED
from .client_certificates import ClientCertificates
from .datagram_sender import DatagramSender as PortSender
from .limits import MAX_CLOSE_REASON_BYTES, TransportLimits
from .port import DatagramSender, HandshakeFinished, HandshakeStarted, NetworkAddress, QuicEvent, Terminated
from .reset_tokens import ResetTokens

if TYPE_CHECKING or not IS_COMPILED:
    from .stream_commands import StreamCommands

    Connection = StreamingConnection
    CompiledSender = None
else:
    from ._compiled.connection import CompiledConnection as Connection
    from ._compiled.datagram_sender import DatagramSender as CompiledSender
    from ._compiled.stream_commands import StreamCommands

DATAGRAM_HEADER_MIN = 1 + 1
"""Bytes of a DATAGRAM frame's type and length."""

ONE_BYTE_LENGTH_MAX = 63
"""Bytes of the largest payload whose length takes one byte; a packet never holds more than two bytes can say."""

QUIET_TIME = 1.0
"""Seconds of silence after bytes of streams, from which a client with keep-alive asks once whether anybody is there. If
an address translator forgot it, the server goes on sending to nobody until it hears the client from its new address."""


def _ignore(*_: object) -> None:
    """Stand in for a hook that nobody set."""


class AioquicPort(StreamCommands):
    """Implements `QuicPort` with aioquic's TLS, loss recovery and packet protection."""

    on_cid_issued: Callable[[bytes], None] = staticmethod(_ignore)
    on_cid_retired: Callable[[bytes], None] = staticmethod(_ignore)
    _asked_at = -inf  # when the last PING to keep the connection alive was sent
    _bytes_received = 0  # of streams, by then
    _timed_out = False

    def __init__(
        self,
        *,
        configuration: QuicConfiguration,
        limits: TransportLimits,
        keep_alive_interval: float | None = None,
        client_certificates: ClientCertificates | None = None,
        original_destination_connection_id: bytes | None = None,
        retry_source_connection_id: bytes | None = None,
        reset_tokens: ResetTokens | None = None,
    ) -> None:
        """Make one end of a connection.

        Args:
            configuration: aioquic's configuration; may be shared by many connections.
            limits: what the peer is granted.
            keep_alive_interval: seconds of silence after which a PING is sent; None sends none.
            client_certificates: server only, the rule for certificates of clients; None asks for none.
            original_destination_connection_id: server only, from the client's first packet.
            retry_source_connection_id: server only, of the Retry packet that the client's address was validated with.
            reset_tokens: server only, the tokens of its stateless resets; None makes random ones.
        """
        super().__init__(
            Connection(
                configuration=configuration,
                limits=limits,
                client_certificates=client_certificates,
                original_destination_connection_id=original_destination_connection_id,
                retry_source_connection_id=retry_source_connection_id,
                reset_tokens=reset_tokens,
            ),
            inf if keep_alive_interval is None else min(keep_alive_interval, QUIET_TIME),
        )
        self.is_client: bool = configuration.is_client
        # Of the connection itself, as every packet asks for them.
        self.receive_datagrams: Callable[[Sequence[tuple[bytes, NetworkAddress]], float], None]
        self.receive_datagrams = self._connection.take_datagrams
        self.datagrams_to_send: Callable[[float], list[tuple[bytes, NetworkAddress]]]
        self.datagrams_to_send = self._connection.datagrams_to_send
        self.has_events: Callable[[], bool] = self._connection.has_events
        self.has_room: Callable[[], bool] = self._connection.has_room
        self._keep_alive_interval = keep_alive_interval

    # Inputs.

    def connect(self, addr: NetworkAddress, now: float) -> None:
        """Client only: begin the handshake; without effect when the port was closed before."""
        if self._connection.close_event is None:
            self._connection.connect(addr, now)
            self.request_flush()

    def path_changed(self) -> None:
        """Client only: packets leave from another address from now on."""
        self._connection.path_changed()
        self.request_flush()

    def receive_datagram(self, data: bytes, addr: NetworkAddress, now: float) -> None:
        """Take one UDP payload."""
        self.receive_datagrams(((data, addr),), now)

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
        connection = self._connection
        if self._keep_alive_interval is not None and now >= self._keep_alive_at(self._keep_alive_interval):
            self._asked_at = now
            self._bytes_received = self._table.receive_window.received
            if connection.is_connected:
                connection.send_ping(0)
        timer = connection.deadline
        if timer is not None and now >= timer:
            was_open = connection.close_event is None
            connection.handle_timer(now)
            self._timed_out |= was_open and connection.is_terminated

    def clear(self) -> None:
        """Let go of what only packets need: nothing is sent or received any more. Getters go on to answer."""
        self._connection.clear()

    # Outputs.

    def _kept_alive(self, timer: float) -> float:
        interval = self._keep_alive_interval
        return timer if interval is None else min(timer, self._keep_alive_at(interval))

    def _keep_alive_at(self, interval: float) -> float:
        """Return when to ask whether the peer is there; infinity before it was heard.

        Found out when somebody wants to know, as every packet moves it.
        """
        heard_at = self._connection.heard_at
        if self._asked_at >= heard_at:
            return self._asked_at + interval
        has_read = self._table.receive_window.received != self._bytes_received
        return heard_at + (self._least_quiet if has_read and self.is_client else interval)

    # Commands.

    def close(self, error_code: int, reason: str, *, is_application: bool = True) -> None:
        """Close the connection with an application or a transport error code; a long reason is cut."""
        text = reason.encode("utf-8", "replace")[:MAX_CLOSE_REASON_BYTES].decode("utf-8", "ignore")
        self._connection.end(error_code, text, is_application=is_application)
        self.request_flush()

    def watch_unsent(self, stream_id: int, low_water: int) -> None:
        """Ask for one `StreamDrained` when at most `low_water` bytes of the stream are unsent."""
        stream = self._table.streams.get(stream_id)
        if stream is not None and self._table.watch_unsent(stream, low_water):
            self.request_flush()

    def watch_room(self, stream_id: int) -> None:
        """Ask for one `StreamRoomRaised` when the peer raises that credit."""
        stream = self._table.streams.get(stream_id)
        if stream is not None:
            stream.send.wants_room = True

    def reset_stream(self, stream_id: int, error_code: int) -> None:
        """Reset the sending side, but for its header."""
        stream = self._table.streams.get(stream_id)
        if stream is not None:
            self._table.reset(stream, error_code)
            self.request_flush()

    def stop_stream(self, stream_id: int, error_code: int) -> None:
        """Ask the peer to stop sending."""
        stream = self._table.streams.get(stream_id)
        if stream is not None:
            self._table.stop(stream, error_code)
            self.request_flush()

    def allow_streams(self, count: int, *, unidirectional: bool) -> None:
        """Let the peer have at least so many streams of a direction open at a time."""
        if self._table.allow_streams(count, unidirectional=unidirectional):
            self.request_flush()

    def send_datagram(self, data: bytes) -> bool:
        """Queue a DATAGRAM frame payload; False when the queue is full."""
        accepted = self._connection.queue_datagram(data)
        self.flush_promptly(is_whole=True)
        return accepted

    def datagram_sender(self, prefix: bytes) -> DatagramSender:
        """Return a way to send datagrams that all begin with the same bytes."""
        return PortSender(self, prefix) if CompiledSender is None else CompiledSender(self, self._connection, prefix)

    def export_keying_material(self, label: bytes, context: bytes, length: int) -> bytes:
        """Return bytes of the TLS exporter.

        Raises:
            ConnectionError: the handshake has not come as far as its 1-RTT keys.
        """
        return self._connection.export_keying_material(label, context, length)

    # Getters.

    @property
    def connection_id(self) -> bytes:
        """Return the connection id that we chose first."""
        return self._connection.host_cid

    @property
    def peer_certificate(self) -> bytes | None:
        """Return the peer's certificate as DER, once the handshake is over; None when it sent none."""
        return self._connection.peer_certificate

    @property
    def is_terminated(self) -> bool:
        """Tell whether the connection is over and nothing is left to send or wait for."""
        connection = self._connection
        return connection.is_terminated or (connection.close_event is not None and not connection.has_path)

    @property
    def max_datagram_payload(self) -> int:
        """Return the largest DATAGRAM frame payload that can be sent now, in bytes; 0 when the peer takes none."""
        frame_room = min(self._connection.packet_room, self._connection.remote_max_datagram_frame_size)
        payload = frame_room - DATAGRAM_HEADER_MIN
        if payload > ONE_BYTE_LENGTH_MAX:
            payload = max(payload - 1, ONE_BYTE_LENGTH_MAX)
        return max(payload, 0)

    @property
    def remote_max_datagram_frame_size(self) -> int:
        """Return the peer's max_datagram_frame_size, in bytes; 0 when absent."""
        return self._connection.remote_max_datagram_frame_size

    @property
    def remote_has_reset_stream_at(self) -> bool:
        """Tell whether the peer takes RESET_STREAM_AT frames."""
        return self._table.remote.reset_stream_at

    @property
    def remote_address(self) -> NetworkAddress | None:
        """Return the address that datagrams are sent to now."""
        return self._connection.get_peer_address()

    @property
    def local_max_streams_bidi(self) -> int:
        """Return the total number of bidirectional streams the peer may open so far."""
        return self._table.peer_limits[0].limit

    @property
    def remote_max_streams_bidi(self) -> int:
        """Return the total number of bidirectional streams that the peer lets us open so far (MAX_STREAMS)."""
        return self._table.remote_max_streams(unidirectional=False)

    @property
    def datagrams_dropped(self) -> int:
        """Return how many queued datagrams were never sent, as packets had become too small for them."""
        return self._connection.datagrams_dropped

    @property
    def probe_timeout(self) -> float:
        """Return the probe timeout, in seconds."""
        return self._connection.probe_timeout

    @property
    def round_trip_time(self) -> float:
        """Return the smoothed round-trip time, in seconds; 0.0 before the first measurement."""
        return self._connection.round_trip_time

    def _end(self) -> QuicEvent:
        end = self._connection.close_event
        return Terminated(
            error_code=int(end.error_code),
            reason=end.reason_phrase,
            is_application=end.frame_type is None,
            by_peer=self._connection.closed_by_peer,
            timed_out=self._timed_out,
        )

    def _translate(self, event: aioquic_events.QuicEvent) -> QuicEvent | None:
        if isinstance(event, aioquic_events.ProtocolNegotiated):
            return HandshakeStarted(event.alpn_protocol)
        if isinstance(event, aioquic_events.HandshakeCompleted):
            return HandshakeFinished()
        if isinstance(event, aioquic_events.ConnectionIdIssued):
            self.on_cid_issued(event.connection_id)
        elif isinstance(event, aioquic_events.ConnectionIdRetired):
            self.on_cid_retired(event.connection_id)
        return None
