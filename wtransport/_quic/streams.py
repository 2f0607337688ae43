"""The two halves of a QUIC stream: what is to be sent, and what arrived (RFC 9000, sections 2 to 4).

A sent frame keeps its own bytes until it is acknowledged, so acknowledgements move no memory; a lost frame goes
back to the half that sent it. Nothing here knows packets, clocks or sockets.
"""

from __future__ import annotations

from bisect import bisect_right
from heapq import heappop, heappush, heapreplace

from .._speedups import ChunkQueue
from .flow import ReceiveWindow
from .port import StreamStopped

MAX_PIECES = 4096
"""Most pieces of one stream kept while bytes before them are missing. Adjacent pieces are joined when the number is
reached; whoever then still has so many gaps open is attacking our memory, since a lost packet leaves one gap."""


class FinalSizeError(Exception):
    """The peer contradicted a stream's final size (RFC 9000, section 4.5)."""


class ResetCodeError(Exception):
    """The peer reset a stream again with another code (RESET_STREAM_AT, section 4)."""


class TooManyGapsError(Exception):
    """The peer scattered a stream over more pieces than `MAX_PIECES`."""


class SendHalf:
    """The sending side of a stream.

    It is finished when every byte and the FIN was acknowledged, or the reset and the bytes that it does not take back.
    """

    __slots__ = (
        "_acknowledged",
        "_fin_acknowledged",
        "_fin_pending",
        "_lost",
        "_queue",
        "_reliable_acknowledged",
        "_reset_acknowledged",
        "blocked_at",
        "final_size",
        "is_finished",
        "limit",
        "low_water",
        "offset",
        "reliable_size",
        "reset_code",
        "reset_pending",
        "taken_back",
        "wants_room",
    )

    def __init__(self, *, limit: int, writable: bool = True) -> None:
        """`limit` is the peer's credit in bytes."""
        self.limit = limit
        self.blocked_at = -1  # the limit that the peer was told of as holding us back
        self.offset = 0
        self.final_size: int | None = None
        self.reliable_size = 0
        """Bytes from the beginning that arrive even if the stream is reset."""
        self.reset_code: int | None = None
        self.reset_pending = False
        self.is_finished = not writable
        self.low_water = -1
        self.wants_room = False
        self.taken_back = 0  # bytes that a reset dropped before they were sent
        self._queue = ChunkQueue()
        self._lost: list[tuple[int, bytes, bool]] = []  # a heap: the reader waits for the lowest offset
        self._fin_pending = False
        self._acknowledged = 0
        self._fin_acknowledged = False
        self._reliable_acknowledged = 0
        self._reset_acknowledged = False

    @property
    def unsent(self) -> int:
        """Return the number of bytes that were never sent."""
        return len(self._queue)

    @property
    def room(self) -> int:
        """Return how many more bytes could be written that the peer's credit covers; 0 when none can be written."""
        return max(self.limit - self.offset - len(self._queue), 0) if self.is_open else 0

    @property
    def is_open(self) -> bool:
        """Tell whether more may be written."""
        return self.final_size is None and self.reset_code is None and not self.is_finished

    def write_header(self, data: bytes) -> None:
        """Queue the bytes that a new stream begins with, which a reset does not take back."""
        self._queue.append(data)
        self.reliable_size = len(self._queue)

    def write(self, data: bytes, end_stream: bool) -> None:
        """Queue bytes; the caller has checked `is_open`."""
        if data:
            self._queue.append(data)
        if end_stream:
            self.final_size = self.offset + len(self._queue)
            self._fin_pending = True

    def reset(self, error_code: int) -> bool:
        """Drop what is queued beyond the header, and have the reset sent; False when the half is already over."""
        if self.reset_code is not None or self.is_finished:
            return False
        self.reset_code = error_code
        self.reset_pending = True
        self._fin_pending = False
        unsent_header = self._queue.take(self.reliable_size - self.offset) if self.offset < self.reliable_size else b""
        self.taken_back = len(self._queue)
        self._queue.clear()
        if unsent_header:
            self._queue.append(unsent_header)
        lost, self._lost = self._lost, []
        for offset, data, _ in lost:
            self._send_again(offset, data, fin=False)
        return True

    def is_reset_due(self, *, peer_takes_reset_stream_at: bool) -> bool:
        """Tell whether the reset may go out now.

        With RESET_STREAM_AT that is as soon as the header was sent, which is repeated if need be. A plain RESET_STREAM
        would stop the header's delivery, and waits until that is acknowledged.
        """
        sent = self.offset if peer_takes_reset_stream_at else self._reliable_acknowledged
        return self.reset_pending and sent >= self.reliable_size

    def has_frame(self, connection_credit: int) -> bool:
        """Tell whether `next_frame` would give something, with this much connection-level credit."""
        if self._lost:
            return True
        if self._queue:
            return self.offset < self.limit and connection_credit > 0
        return self._fin_pending

    @property
    def next_size(self) -> int:
        """Return how many bytes of data the next frame could carry."""
        if self._lost:
            return len(self._lost[0][1])
        return min(len(self._queue), self.limit - self.offset)

    @property
    def next_offset(self) -> int:
        """Return the offset of the next frame, which its header must hold."""
        return self._lost[0][0] if self._lost else self.offset

    def next_frame(self, max_size: int, connection_credit: int) -> tuple[int, bytes, bool, int] | None:
        """Take the next STREAM frame of at most `max_size` bytes of data.

        Returns ``(offset, data, fin, new_bytes)``, where `new_bytes` is what counts against connection credit, or
        None when nothing may be sent.
        """
        if max_size < 0:
            return None
        if self._lost:
            return self._next_lost(max_size)
        if self._queue:
            size = min(max_size, self.limit - self.offset, connection_credit)
            if size <= 0:
                return None
            data = self._queue.take(size)
        elif self._fin_pending:
            data = b""
        else:
            return None
        offset = self.offset
        self.offset = end = offset + len(data)
        fin = self._fin_pending and end == self.final_size
        if fin:
            self._fin_pending = False
        return offset, data, fin, len(data)

    def _next_lost(self, max_size: int) -> tuple[int, bytes, bool, int] | None:
        offset, data, fin = self._lost[0]
        if len(data) <= max_size:
            heappop(self._lost)
            return offset, data, fin, 0
        if not max_size:
            return None
        heapreplace(self._lost, (offset + max_size, data[max_size:], fin))
        return offset, data[:max_size], False, 0

    def on_frame_delivery(self, acknowledged: bool, offset: int, data: bytes, fin: bool) -> None:
        """Settle a STREAM frame that was acknowledged, or declared lost and is now to be sent again."""
        if not acknowledged:
            self._send_again(offset, data, fin=fin)
            return
        if offset < self.reliable_size:
            self._reliable_acknowledged += min(len(data), self.reliable_size - offset)
        if self.reset_code is not None:
            self._check_reset_finished()
            return
        self._acknowledged += len(data)
        self._fin_acknowledged |= fin
        if self._fin_acknowledged and self._acknowledged == self.final_size:
            self.is_finished = True

    def on_reset_delivery(self, acknowledged: bool) -> None:
        """Settle a frame with the reset that was acknowledged, or declared lost and is now to be sent again."""
        if acknowledged:
            self._reset_acknowledged = True
            self._check_reset_finished()
        else:
            self.reset_pending = True

    def _send_again(self, offset: int, data: bytes, *, fin: bool) -> None:
        """Put a lost frame in line, or what a reset left of it (RESET_STREAM_AT, section 5)."""
        if self.reset_code is None:
            heappush(self._lost, (offset, data, fin))
        elif offset < self.reliable_size:
            heappush(self._lost, (offset, data[: self.reliable_size - offset], False))

    def _check_reset_finished(self) -> None:
        if self._reset_acknowledged and self._reliable_acknowledged == self.reliable_size:
            self.is_finished = True


class ReceiveHalf:
    """The receiving side of a stream: puts bytes in order and accounts for every one of them.

    It is finished when all bytes up to the FIN were handed out, or those that come before the peer's reset.
    """

    __slots__ = ("_ends", "_pieces", "_reliable_size", "_starts", "final_size", "is_finished", "is_stopped",
                 "next_offset", "reset_code", "stop_code", "stop_pending", "window")  # fmt: skip

    def __init__(self, *, window: int, readable: bool = True) -> None:
        self.window = ReceiveWindow(window)
        self.next_offset = 0
        self.final_size: int | None = None
        self.reset_code: int | None = None
        """The code of the peer's reset, which takes effect when the bytes that come before it are here."""
        self.is_finished = not readable
        self.is_stopped = False
        self.stop_code = 0
        self.stop_pending = False
        self._reliable_size = 0
        # Pieces beyond a gap: disjoint, ordered by start.
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._pieces: list[bytes] = []

    @property
    def kept(self) -> list[tuple[int, int]]:
        """Return where the bytes begin and end that are kept while some before them are missing; in order."""
        return list(zip(self._starts, self._ends, strict=True))

    def stop(self, error_code: int) -> bool:
        """Have STOP_SENDING sent; False when there is nothing to stop.

        A reset that waited for bytes, which now nobody will read, is then in effect, and nothing is sent.
        """
        if self.is_stopped or self.is_finished:
            return False
        self.is_stopped = True
        self.stop_code = error_code
        self.is_finished = self.reset_code is not None
        self.stop_pending = not self.is_finished
        self._forget_pieces()
        return True

    def receive(self, offset: int, data: bytes, fin: bool) -> bytes | None:
        """Take one frame's bytes; return the bytes that are now in order, or None when there is nothing new.

        An empty result means that the FIN was reached. `is_finished` tells whether the stream ended with it: by its
        FIN, or with `reset_code` by a reset that had to wait for these bytes.

        Raises:
            FinalSizeError: the frame contradicts the final size.
            TooManyGapsError: the stream is scattered over too many pieces.
        """
        end = offset + len(data)
        self._check_final_size(end, fin)
        if end > self.window.received:
            self.window.received = end
        if self.is_finished:
            return None
        if self.is_stopped:
            # Nobody will read it: once the final size is known, missing bytes are of no interest.
            self.is_finished = self.final_size is not None
            return b"" if self.is_finished else None
        if offset <= self.next_offset:
            ready = self._advance(data[self.next_offset - offset :] if offset < self.next_offset else data)
        elif data:
            self._keep(offset, data)
            return None
        else:
            return None
        if self.reset_code is not None:
            self._try_reset()
        elif self.next_offset == self.final_size:
            self.is_finished = True
            return ready
        return ready or None

    def reset(self, error_code: int, final_size: int, reliable_size: int = 0) -> bool:
        """Take the peer's reset, to take effect once `reliable_size` bytes were handed out.

        Returns whether it takes effect now. It never does when the stream had already ended for us.

        Raises:
            FinalSizeError: the final size contradicts what is known.
            ResetCodeError: another code than in a reset before.
        """
        if self.final_size is not None and final_size != self.final_size:
            raise FinalSizeError("the final size of a stream changed")
        if final_size < self.window.received:
            raise FinalSizeError("bytes were received beyond the final size")
        if self.reset_code is not None and error_code != self.reset_code:
            raise ResetCodeError("the code of a stream's reset changed")
        self.window.received = self.final_size = final_size
        if self.is_finished:
            return False
        if self.reset_code is None or reliable_size < self._reliable_size:
            self._reliable_size = reliable_size  # a later frame may ask for less, never for more
        self.reset_code = error_code
        return self._try_reset()

    def _try_reset(self) -> bool:
        """Let the peer's reset take effect if nothing that comes before it is missing."""
        if self.is_stopped or self.next_offset >= self._reliable_size:
            self.is_finished = True
            self._forget_pieces()
        return self.is_finished

    def _check_final_size(self, end: int, fin: bool) -> None:
        if self.final_size is not None and (end > self.final_size or (fin and end != self.final_size)):
            raise FinalSizeError("bytes beyond the final size of a stream, or another final size")
        if fin:
            if end < self.window.received:
                raise FinalSizeError("bytes were received beyond the final size")
            self.final_size = end

    def _advance(self, data: bytes) -> bytes:
        self.next_offset += len(data)
        if not self._starts or self._starts[0] > self.next_offset:
            return data
        parts = [data]
        used = 0
        while used < len(self._starts) and self._starts[used] <= self.next_offset:
            if self._ends[used] > self.next_offset:
                parts.append(self._pieces[used][self.next_offset - self._starts[used] :])
                self.next_offset = self._ends[used]
            used += 1
        del self._starts[:used], self._ends[:used], self._pieces[:used]
        return b"".join(parts)

    def _keep(self, offset: int, data: bytes) -> None:
        end = offset + len(data)
        index = bisect_right(self._starts, offset)
        if index and self._ends[index - 1] > offset:
            if self._ends[index - 1] >= end:
                return
            data = data[self._ends[index - 1] - offset :]
            offset = self._ends[index - 1]
        while index < len(self._starts) and self._ends[index] <= end:
            del self._starts[index], self._ends[index], self._pieces[index]
        if index < len(self._starts) and self._starts[index] < end:
            end = self._starts[index]
            if end == offset:
                return  # the piece before and the one after have it all
            data = data[: end - offset]
        self._starts.insert(index, offset)
        self._ends.insert(index, end)
        self._pieces.insert(index, data)
        if len(self._starts) > MAX_PIECES:
            self._join_adjacent()

    def _join_adjacent(self) -> None:
        runs: list[list[int]] = []  # [index of the first piece, index after the last]
        for index, start in enumerate(self._starts):
            if runs and self._ends[index - 1] == start:
                runs[-1][1] = index + 1
            else:
                runs.append([index, index + 1])
        if len(runs) > MAX_PIECES // 2:
            raise TooManyGapsError(f"a stream has more than {MAX_PIECES // 2} gaps")
        self._pieces = [b"".join(self._pieces[first:stop]) for first, stop in runs]
        self._ends = [self._ends[stop - 1] for _, stop in runs]
        self._starts = [self._starts[first] for first, _ in runs]

    def _forget_pieces(self) -> None:
        self._starts.clear()
        self._ends.clear()
        self._pieces.clear()


class QuicStream:
    """One QUIC stream: two halves, and whether it waits to be served by the packet writer."""

    __slots__ = ("early_stop", "is_queued", "is_released", "owes_stop", "receive", "send", "stream_id")

    def __init__(self, stream_id: int, send: SendHalf, receive: ReceiveHalf) -> None:
        self.stream_id = stream_id
        self.send = send
        self.receive = receive
        self.is_queued = False
        self.is_released = False  # its place is another stream's as soon as it is over
        self.early_stop: StreamStopped | None = None
        """The peer's STOP_SENDING that came before its first bytes, and is told of after them."""
        self.owes_stop = False  # bytes were dropped that nobody up there has heard of; until then it is known

    @property
    def is_finished(self) -> bool:
        """Tell whether both halves are over, so that the state may go."""
        return self.send.is_finished and self.receive.is_finished
