"""aioquic's connection with a loss recovery that our connections can talk to: the compiled one, or aioquic's own.

Knows aioquic's privates. Which of the two it is, is `backend`'s choice, for the whole process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aioquic._buffer import Buffer, BufferReadError
from aioquic.quic import connection as aioquic_module
from aioquic.quic.connection import ACK_FRAME_CAPACITY, QuicConnectionError, QuicReceiveContext
from aioquic.quic.packet import QuicErrorCode, QuicFrameType, QuicPacketType
from aioquic.quic.packet_builder import QuicDeliveryState, QuicPacketBuilder
from aioquic.quic.recovery import QuicPacketRecovery, QuicPacketSpace
from aioquic.tls import Epoch

from .backend import IS_COMPILED
from .fresh_connection import FreshConnection
from .initial_keys import InitialCryptoPair
from .members import ACKED, HANDSHAKE, INITIAL, ONE_RTT
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

NO_KEYS = InitialCryptoPair()
"""Stands for keys that are not there: of 0-RTT packets, which nobody sends or reads here, and discarded ones."""


class _RecoveringConnection(FreshConnection):
    """A `QuicConnection` whose `_loss` has the methods of both kinds of recovery."""

    _RECOVERY = Recovery
    _loss: Recovery


def _make_recovery(
    *, send_probe: Callable[[], None], quic_logger: Any = None, logger: Any = None, **options: Any
) -> QuicPacketRecovery:
    """Return what a connection that is made is to have: ours, or aioquic's own for other users of aioquic."""
    if isinstance(getattr(send_probe, "__self__", None), _RecoveringConnection):
        return Recovery(send_probe=send_probe, **options)
    made: QuicPacketRecovery = _of_others(send_probe=send_probe, quic_logger=quic_logger, logger=logger, **options)
    return made


# aioquic's own; or, where this package is there twice in one process, what the other one put there.
_of_others = vars(aioquic_module)["QuicPacketRecovery"]
# It is made in the middle of aioquic's constructor; one that is thrown away costs as much.
vars(aioquic_module)["QuicPacketRecovery"] = _make_recovery


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
        initial, handshake, application = PacketSpace(), PacketSpace(), PacketSpace(is_application_data=True)
        self._spaces = {INITIAL: initial, HANDSHAKE: handshake, ONE_RTT: application}
        self._loss.spaces = [initial, handshake, application]

    def _write_handshake(self, builder: QuicPacketBuilder, epoch: Epoch, now: float) -> None:
        """Write packets of one epoch as aioquic does, but begin none for which there is nothing."""
        keys = self._cryptos[epoch]
        if not keys.send.is_valid():
            return
        space: Any = self._spaces[epoch]
        stream = self._crypto_streams[epoch]
        is_initial = epoch is INITIAL
        has_ack, has_data = space.ack_at is not None, not stream.sender.buffer_is_empty
        while has_ack or has_data or self._probe_pending:
            builder.start_packet(QuicPacketType.INITIAL if is_initial else QuicPacketType.HANDSHAKE, keys)
            if has_ack:
                self._write_ack_frame(builder=builder, space=space, now=now)
            if has_data and self._write_crypto_frame(builder=builder, space=space, stream=stream):
                self._probe_pending = False
            if (
                self._probe_pending
                and not self._handshake_complete
                and not (is_initial and self._cryptos[HANDSHAKE].send.is_valid())
            ):
                self._write_ping_frame(builder, comment="probe")
                self._probe_pending = False
            if builder.packet_is_empty:
                break
            has_ack, has_data = space.ack_at is not None, not stream.sender.buffer_is_empty

    def _payload_received(
        self, context: QuicReceiveContext, plain: bytes, crypto_frame_required: bool = False
    ) -> tuple[bool, bool]:
        received: tuple[bool, bool] = super()._payload_received(context, plain, crypto_frame_required)
        if received[0] and context.epoch is ONE_RTT:
            space: Any = self._spaces[ONE_RTT]
            space.note_ack_eliciting(context.time)
        return received

    def _handle_ack_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        loss: Any = self._loss
        if not loss.peer_completed_address_validation and context.epoch in (HANDSHAKE, ONE_RTT):
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
        if delivery is ACKED:
            space.ack_queue.subtract(0, highest_acked + 1)


if TYPE_CHECKING:
    RecoveringConnection = StockRecoveringConnection
else:
    RecoveringConnection = CompiledRecoveringConnection if IS_COMPILED else StockRecoveringConnection
