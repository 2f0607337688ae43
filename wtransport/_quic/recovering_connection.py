"""aioquic's connection with a loss recovery that our connections can talk to: the compiled one, or aioquic's own.

Knows aioquic's privates. Which of the two it is, is `backend`'s choice, for the whole process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aioquic._buffer import Buffer, BufferReadError
from aioquic.quic.connection import ACK_FRAME_CAPACITY, QuicConnection, QuicConnectionError, QuicReceiveContext
from aioquic.quic.packet import QuicErrorCode, QuicFrameType
from aioquic.quic.packet_builder import QuicDeliveryState, QuicPacketBuilder
from aioquic.quic.recovery import QuicPacketSpace
from aioquic.tls import Epoch

from .backend import IS_COMPILED
from .stock_recovery import StockRecovery
from .violations import TransportViolation

if TYPE_CHECKING:
    Recovery = StockRecovery
    PacketSpace = QuicPacketSpace
elif IS_COMPILED:
    from ._compiled.recovery import Recovery
    from ._compiled.space import PacketSpace
else:
    Recovery = StockRecovery
    PacketSpace = QuicPacketSpace

DISCARDED_SPACE = PacketSpace()
"""Stands for the packet number spaces of discarded keys, in which no packet is sent or read."""
DISCARDED_SPACE.discarded = True


class _RecoveringConnection(QuicConnection):
    """A `QuicConnection` whose `_loss` has the methods of both kinds of recovery."""

    _loss: Recovery

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        configuration = self._configuration
        self._loss = Recovery(
            congestion_control_algorithm=configuration.congestion_control_algorithm,
            initial_rtt=configuration.initial_rtt,
            max_datagram_size=self._max_datagram_size,
            peer_completed_address_validation=not self._is_client,
            send_probe=self._send_probe,
        )


class StockRecoveringConnection(_RecoveringConnection):
    """A `QuicConnection` over aioquic's recovery; nobody acknowledges what was not sent (RFC 9000, 13.1)."""

    def _handle_ack_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        try:
            super()._handle_ack_frame(context, frame_type, buf)
        except (BufferReadError, QuicConnectionError) as exc:  # in the words of the compiled recovery
            reason = "ACK frame is cut, or has negative packet numbers"
            raise QuicConnectionError(QuicErrorCode.FRAME_ENCODING_ERROR, frame_type, reason) from exc
        if self._spaces[context.epoch].largest_acked_packet >= self._packet_number:
            # What is sent until that number comes would count as lost, and be sent again.
            raise QuicConnectionError(
                QuicErrorCode.PROTOCOL_VIOLATION, frame_type, "a packet was acknowledged that was never sent"
            )


class CompiledRecoveringConnection(_RecoveringConnection):
    """A `QuicConnection` over the compiled recovery, which reads and writes acknowledgements by itself."""

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        self._spaces = {epoch: PacketSpace(is_application_data=epoch is Epoch.ONE_RTT) for epoch in self._spaces}
        self._loss.spaces = list(self._spaces.values())

    def _payload_received(
        self, context: QuicReceiveContext, plain: bytes, crypto_frame_required: bool = False
    ) -> tuple[bool, bool]:
        received: tuple[bool, bool] = super()._payload_received(context, plain, crypto_frame_required)
        if received[0] and context.epoch is Epoch.ONE_RTT:
            space: Any = self._spaces[Epoch.ONE_RTT]
            space.note_ack_eliciting(context.time)
        return received

    def _handle_ack_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        loss: Any = self._loss
        if not loss.peer_completed_address_validation and context.epoch in (Epoch.HANDSHAKE, Epoch.ONE_RTT):
            loss.peer_completed_address_validation = True
        start = buf.tell()
        try:
            size = loss.on_ack_frame(
                self._spaces[context.epoch],
                buf.data_slice(start, buf.capacity),
                frame_type == QuicFrameType.ACK_ECN,
                self._packet_number,
                context.time,
            )
        except TransportViolation as exc:
            raise QuicConnectionError(exc.error_code, frame_type, exc.reason) from exc
        buf.seek(start + size)

    def _write_ack_frame(self, builder: QuicPacketBuilder, space: Any, now: float) -> None:
        ranges = space.ack_queue
        buf = builder.start_frame(
            QuicFrameType.ACK,
            capacity=ACK_FRAME_CAPACITY,
            handler=self._on_ack_delivery,
            handler_args=(space, ranges[-1].stop - 1),
        )
        # The builder has written the type.
        room = builder.remaining_buffer_space + 1
        buf.push_bytes(space.ack_frame(room, now, self._local_ack_delay_exponent)[1:])
        # Only what asks for an acknowledgement of the acknowledgement makes the ranges fewer.
        if len(ranges) > 1 and builder.packet_number % 8 == 0:
            self._write_ping_frame(builder, comment="ACK-of-ACK trigger")

    def _on_ack_delivery(self, delivery: QuicDeliveryState, space: Any, highest_acked: int) -> None:
        if delivery is QuicDeliveryState.ACKED:
            space.ack_queue.subtract(0, highest_acked + 1)


if TYPE_CHECKING:
    RecoveringConnection = StockRecoveringConnection
else:
    RecoveringConnection = CompiledRecoveringConnection if IS_COMPILED else StockRecoveringConnection
