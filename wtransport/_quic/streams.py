"""The two halves of a QUIC stream: what is to be sent, and what arrived (RFC 9000, sections 2 to 4).

A sent frame keeps its own bytes until it is acknowledged, so acknowledgements move no memory; a lost frame goes
back to the half that sent it. Nothing here knows packets, clocks or sockets.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque

from .._speedups import ChunkQueue
from .flow import ReceiveWindow
from .port import StreamStopped

MAX_PIECES = 4096
"""Most pieces of one stream kept while bytes before them are missing. Adjacent pieces are joined when the number is
reached; whoever then still has so many gaps open is attacking our memory, since a lost packet leaves one gap."""


class FinalSizeError(Exception):
    """The peer contradicted a stream's final size (RFC 9000, section 4.5)."""


class TooManyGapsError(Exception):
    """The peer scattered a stream over more pieces than `MAX_PIECES`."""


class SendHalf:
    """The sending side of a stream.

    It is finished when every byte and the FIN, or the reset, was acknowledged.
    """

    __slots__ = (
        "_acknowledged",
        "_fin_acknowledged",
        "_fin_pending",
        "_lost",
        "_queue",
        "final_size",
        "is_finished",
        "limit",
        "low_water",
        "offset",
        "reset_code",
        "reset_pending",
    )

    def __init__(self, *, limit: int, writable: bool = True) -> None:
        """`limit` is the peer's credit in bytes."""
        self.limit = limit
        self.offset = 0
        self.final_size: int | None = None
        self.reset_code: int | None = None
        self.reset_pending = False
        self.is_finished = not writable
        self.low_water = -1
        self._queue = ChunkQueue()
        self._lost: deque[tuple[int, bytes, bool]] = deque()
        self._fin_pending = False
        self._acknowledged = 0
        self._fin_acknowledged = False

    @property
    def unsent(self) -> int:
        """Return the number of bytes that were never sent."""
        return len(self._queue)

    @property
    def is_open(self) -> bool:
        """Tell whether more may be written."""
        return self.final_size is None and self.reset_code is None and not self.is_finished

    def write(self, data: bytes, end_stream: bool) -> None:
        """Queue bytes; the caller has checked `is_open`."""
        if data:
            self._queue.append(data)
        if end_stream:
            self.final_size = self.offset + len(self._queue)
            self._fin_pending = True

    def reset(self, error_code: int) -> bool:
        """Drop what is queued and have RESET_STREAM sent; False when the half is already over."""
        if self.reset_code is not None or self.is_finished:
            return False
        self.reset_code = error_code
        self.reset_pending = True
        self._queue.clear()
        self._lost.clear()
        self._fin_pending = False
        return True

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
        offset, data, fin = self._lost.popleft()
        if len(data) > max_size:
            if not max_size:
                self._lost.appendleft((offset, data, fin))
                return None
            self._lost.appendleft((offset + max_size, data[max_size:], fin))
            return offset, data[:max_size], False, 0
        return offset, data, fin, 0

    def on_frame_delivery(self, acknowledged: bool, offset: int, data: bytes, fin: bool) -> None:
        """Settle a STREAM frame that was acknowledged, or declared lost and is now to be sent again."""
        if self.reset_code is not None:
            return
        if not acknowledged:
            self._lost.append((offset, data, fin))
            return
        self._acknowledged += len(data)
        self._fin_acknowledged |= fin
        if self._fin_acknowledged and self._acknowledged == self.final_size:
            self.is_finished = True

    def on_reset_delivery(self, acknowledged: bool) -> None:
        """Settle a RESET_STREAM frame that was acknowledged, or declared lost and is now to be sent again."""
        if acknowledged:
            self.is_finished = True
        else:
            self.reset_pending = True


class ReceiveHalf:
    """The receiving side of a stream: puts bytes in order and accounts for every one of them.

    It is finished when all bytes up to the FIN were handed out, or the peer reset it.
    """

    __slots__ = ("_ends", "_pieces", "_starts", "final_size", "is_finished", "is_stopped", "next_offset", "stop_code",
                 "stop_pending", "window")  # fmt: skip

    def __init__(self, *, window: int, readable: bool = True) -> None:
        self.window = ReceiveWindow(window)
        self.next_offset = 0
        self.final_size: int | None = None
        self.is_finished = not readable
        self.is_stopped = False
        self.stop_code = 0
        self.stop_pending = False
        # Pieces beyond a gap: disjoint, ordered by start.
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._pieces: list[bytes] = []

    def stop(self, error_code: int) -> bool:
        """Have STOP_SENDING sent; False when there is nothing to stop."""
        if self.is_stopped or self.is_finished:
            return False
        self.is_stopped = True
        self.stop_code = error_code
        self.stop_pending = True
        self._forget_pieces()
        return True

    def receive(self, offset: int, data: bytes, fin: bool) -> bytes | None:
        """Take one frame's bytes; return the bytes that are now in order, or None when there is nothing new.

        An empty result means that the FIN was reached. `is_finished` tells whether the stream ended with it.

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
        if self.next_offset == self.final_size:
            self.is_finished = True
            return ready
        return ready or None

    def reset(self, final_size: int) -> bool:
        """Take the peer's reset; False when the stream had already ended for us.

        Raises:
            FinalSizeError: the final size contradicts what is known.
        """
        if self.final_size is not None and final_size != self.final_size:
            raise FinalSizeError("the final size of a stream changed")
        if final_size < self.window.received:
            raise FinalSizeError("bytes were received beyond the final size")
        self.window.received = self.final_size = final_size
        if self.is_finished:
            return False
        self.is_finished = True
        self._forget_pieces()
        return True

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

    __slots__ = ("early_stop", "is_queued", "receive", "send", "stream_id")

    def __init__(self, stream_id: int, send: SendHalf, receive: ReceiveHalf) -> None:
        self.stream_id = stream_id
        self.send = send
        self.receive = receive
        self.is_queued = False
        self.early_stop: StreamStopped | None = None
        """The peer's STOP_SENDING that came before its first bytes, and is told of after them."""

    @property
    def is_finished(self) -> bool:
        """Tell whether both halves are over, so that the state may go."""
        return self.send.is_finished and self.receive.is_finished
