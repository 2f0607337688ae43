"""One WebTransport data stream: what it may still do, and the bytes that wait on it (draft-16, sections 4.2 to 4.4)."""

from __future__ import annotations

from .._speedups import ChunkQueue
from ..exceptions import StreamError, stream_closed
from . import error_codes
from .events import StreamReadable, StreamWritable
from .stream_record import StreamRecord

__all__ = ["StreamCore"]


class StreamCore(StreamRecord):
    """The engine's side of a stream.

    Bytes the program has not read stay in a queue and keep their flow-control credit; bytes that the session's credit
    does not cover yet wait before they reach QUIC. Commands raise `StreamError` when the stream cannot do them.
    """

    __slots__ = ()

    # Reading.

    def expect(self, nbytes: int) -> None:
        """Let credit grow as far as a reader that needs `nbytes` at once requires; 0 ends it."""
        self._expected = nbytes
        if nbytes:
            self._credit_ahead()

    def _credit_ahead(self) -> None:
        held = len(self._inbox)
        if held < self._expected and held > self._credited:
            self.give_credit(held - self._credited)
            self._credited = held

    def stop(self, code: int) -> None:
        """Give up reading: the peer is asked to stop with an application code (STOP_SENDING).

        Raises:
            ValueError: code is out of range.
            StreamError: the stream cannot be read from.
        """
        wire_code = error_codes.to_wire(code)
        if self.is_unidirectional and self.is_local:
            raise StreamError("the stream is send-only", stream_id=self.stream_id, stream_state=self.state)
        self._discard_inbox()
        if not self.receiving_over and self.receive_error is None:
            self.receive_error = stream_closed(stream_id=self.stream_id, reason="reading was stopped here")
            self.session.port.stop_stream(self.stream_id, wire_code)
        self._wake_reader()

    def _discard_inbox(self) -> None:
        self._count_discarded(len(self._inbox))
        unread = len(self._inbox) - self._credited
        self._inbox.clear()
        self._credited = 0
        if unread > 0:
            self.give_credit(unread)
        self.take()

    # Writing.

    @property
    def unsent(self) -> int:
        """Return how many written bytes have not been put into packets."""
        unsent = self.session.port.unsent_bytes(self.stream_id)
        return unsent + len(self._outbox) if self._outbox else unsent

    @property
    def bytes_unsent(self) -> int:
        """Return how many of `bytes_sent` neither went out so far nor were dropped; the header is none of them."""
        return 0 if self.bytes_dropped else min(self.unsent, self.bytes_sent)

    def _write_later(self, data: bytes, end_stream: bool) -> None:
        """Keep bytes that credit does not cover, or that stand behind such."""
        if self._outbox is None:
            self._outbox = ChunkQueue()
        if data:
            self._outbox.append(data)
        self._has_pending_fin = end_stream
        self.can_send = not end_stream
        self.flush()

    def _refuse_write(self) -> None:
        raise self.send_error or self._closed_for_sending()

    def _closed_for_sending(self) -> StreamError:
        return StreamError("the stream is closed for writing", stream_id=self.stream_id, stream_state=self.state)

    def flush(self) -> None:
        """Pass on what the session's credit and the stream's own cover by now; called again when either rises.

        What the stream's own does not cover stays here: it must not use up credit that other streams can use now.
        """
        allowance, port = self.session.flow.send, self.session.port
        credit = min(allowance.data_credit, port.send_room(self.stream_id))
        if credit > 0 and self._outbox:
            data = self._outbox.take(credit)
            allowance.data_sent += len(data)
            port.send_stream(self.stream_id, data, self._has_pending_fin and not self._outbox)
        elif self._has_pending_fin and not self._outbox:
            port.send_stream(self.stream_id, b"", True)
        if self._outbox and allowance.data_credit > 0:
            port.watch_room(self.stream_id)
        elif self._outbox:
            self.session.credit.wait_for_data(self)
        elif self._has_pending_fin:
            self._has_pending_fin = False
            self._end_sending()
        if self.wants_writable:
            self.watch_writable(self._low_water)

    def watch_writable(self, low_water: int) -> None:
        """Have `StreamWritable` sent once at most `low_water` bytes are unsent."""
        self.wants_writable = True
        self._low_water = low_water
        if self.unsent <= low_water:
            self._wake_writer()
            return
        waiting = len(self._outbox) if self._outbox else 0
        if waiting <= low_water:
            self.session.port.watch_unsent(self.stream_id, low_water - waiting)

    def on_room(self) -> None:
        """Take the port's word that it has room for more bytes."""
        self.flush()

    def on_drained(self) -> None:
        """Take the port's word that the unsent bytes fell to the mark."""
        if self.wants_writable:
            self.watch_writable(self._low_water)

    def reset(self, code: int) -> None:
        """Abort the sending side with an application code (RESET_STREAM); what was not sent is dropped.

        Raises:
            ValueError: code is out of range.
            StreamError: the stream cannot be written to.
        """
        wire_code = error_codes.to_wire(code)
        if self.is_unidirectional and not self.is_local:
            raise StreamError("the stream is receive-only", stream_id=self.stream_id, stream_state=self.state)
        # Also after the FIN was written, as long as QUIC has not delivered everything.
        port = self.session.port
        unsent = port.unsent_bytes(self.stream_id)
        port.reset_stream(self.stream_id, wire_code)
        if not self._sending_over:
            self._reset_sent = True
        self._drop_unsent(unsent)

    def reset_unsent(self, wire_code: int) -> None:
        """Reset the sending side if it is over but for bytes that have not gone out; nobody wants them any more."""
        if unsent := self.session.port.unsent_bytes(self.stream_id):
            self.session.port.reset_stream(self.stream_id, wire_code)
            self._drop_unsent(unsent)

    def _drop_unsent(self, nbytes: int) -> None:
        """End the sending side, of whose bytes so many that were passed on never go out (with the header, if that).

        They do not count against the session's credit: the final size leaves them out (draft-16, 5.4).
        """
        taken_back = self._take_back(nbytes)
        self._has_pending_fin = False
        if self._sending_over:
            self._wake_writer()
        else:
            self._end_sending()
        self.session.credit.return_unsent(taken_back)

    def _take_back(self, nbytes: int) -> int:
        """Count what waits here for credit, and what the transport dropped, as never to be sent.

        The transport drops once, but may be asked by both ends. Returns how much of it counted as sent so far.
        """
        waiting = len(self._outbox) if self._outbox else 0
        taken_back = 0 if self.bytes_dropped else min(nbytes, self.bytes_sent - waiting)
        self._outbox = None
        self.bytes_dropped += taken_back + waiting
        self.session.tally.drop(taken_back + waiting, taken_back)
        return taken_back

    def _count_discarded(self, nbytes: int) -> None:
        self.bytes_discarded += nbytes
        self.session.tally.discard(nbytes)

    # What the engine tells.

    def on_reset(self, wire_code: int, final_size: int) -> None:
        """Take the peer's reset; what arrived before it can still be read.

        Raises:
            SessionViolation: the final size is more than the session allows.
        """
        self.reset_code = error_codes.from_wire(wire_code)
        self._reset_received = True
        if self.receive_error is None:
            self.receive_error = self._peer_error("the peer reset the stream", wire_code, self.reset_code)
            self.session.idle_actions.note_abort()
        self._end_receiving(final_size)
        # Credit no longer depends on the program: it may well drop a stream that was reset.
        unread = len(self._inbox) - self._credited
        if unread > 0:
            self._credited += unread
            self.give_credit(unread)
        self._wake_reader()

    def on_discarded(self, final_size: int) -> None:
        """Take the end of a stream whose reading was given up.

        Raises:
            SessionViolation: the final size is more than the session allows.
        """
        self._end_receiving(final_size)

    def on_stopped(self, wire_code: int, unsent: int) -> None:
        """Take the peer's STOP_SENDING; QUIC has already answered with a reset, and dropped what was unsent."""
        self.stop_code = error_codes.from_wire(wire_code)
        if self.send_error is None:
            self.send_error = self._peer_error("the peer stopped reading the stream", wire_code, self.stop_code)
            self.session.idle_actions.note_abort()
        if not self._sending_over:
            self._reset_sent = True
        self._drop_unsent(unsent)

    def abandon(self, error: StreamError, wire_code: int) -> None:
        """End both directions because the session is over (draft-16, section 6)."""
        port = self.session.port
        if not self._sending_over:
            self.session.flow.send.data_sent -= self._take_back(port.unsent_bytes(self.stream_id))
            self._has_pending_fin = False
            self.send_error = self.send_error or error
            port.reset_stream(self.stream_id, wire_code)
            self._sending_over = True
            self.can_send = False
        if not self.receiving_over:
            if self.receive_error is None:
                port.stop_stream(self.stream_id, wire_code)
                self.receive_error = error
            self.receiving_over = True
        self._wake_reader()
        self._wake_writer()

    def _end_receiving(self, final_size: int) -> None:
        """End the receiving side; bytes that were sent and will not arrive count too (draft-16, 5.4)."""
        self.receiving_over = True
        missing = final_size - self.receive_offset
        if missing > 0:
            self._missing += missing
            self._count_discarded(missing)
            self.session.credit.skip(missing)
        if self._sending_over:
            self.session.stream_finished(self)

    def _peer_error(self, message: str, wire_code: int, application_code: int | None) -> StreamError:
        return StreamError(
            message,
            stream_id=self.stream_id,
            error_code=wire_code if application_code is None else application_code,
            stream_state=self.state,
            application_code=application_code,
        )

    def _end_sending(self) -> None:
        self._sending_over = True
        self.can_send = False
        if self.wants_writable:
            self._wake_writer()
        if self.receiving_over:
            self.session.stream_finished(self)

    def _wake_reader(self) -> None:
        if self.wants_readable:
            self.wants_readable = False
            self.session.emit(StreamReadable(self))

    def _wake_writer(self) -> None:
        if self.wants_writable:
            self.wants_writable = False
            self.session.emit(StreamWritable(self))
