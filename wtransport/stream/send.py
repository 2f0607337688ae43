"""The sending side of a stream.

Bytes are accepted when they are buffered. A write that finds room is done at once; only more than
`max_stream_write_buffer` unsent bytes make it wait, and then it queues no more than fits, so that a huge write is
never held twice.
"""

from __future__ import annotations

from copy import copy

from ..constants import ErrorCodes
from ..exceptions import StreamError
from ..types import Data, StreamDirection, StreamState
from ..utils import ensure_bytes
from ._base import _BaseStream, checked_code
from ._waiter import WaitLine, timed_out

__all__ = ["WebTransportSendStream"]


class WebTransportSendStream(_BaseStream):
    """A stream on which this end sends and the peer reads. Use it in `async with`, which ends it with a FIN."""

    __slots__ = ()

    _DIRECTION = StreamDirection.SEND_ONLY

    @property
    def can_write(self) -> bool:
        """Tell whether the sending side is open: no FIN, no reset, and the peer still wants it."""
        return self._core.can_send

    async def write(self, *, data: Data, end_stream: bool = False) -> None:
        """Send `data`; it is accepted as soon as it is buffered.

        Waits while more than `max_stream_write_buffer` bytes would be unsent. Data that is not larger than this buffer
        is queued whole or, on a time-out or when cancelled, not at all; of larger data the first part may have been
        queued, as `details["bytes_accepted"]` of the error says. Writers take turns in the order in which they came.

        Args:
            data: bytes-like or ``str``, which is sent as UTF-8. Bytes are not copied; do not change a ``bytearray``
                before this returns. Empty data without `end_stream` does nothing.
            end_stream: end the sending side with a FIN after the data.

        Raises:
            StreamError: the sending side is over: FIN or reset by this end, STOP_SENDING by the peer, session ended.
            TimeoutError: for `write_timeout` seconds nothing went out.
            TypeError: data has another type.
        """
        payload = data if type(data) is bytes else ensure_bytes(data=data)
        if not self._write_now(payload, end_stream):
            await self._write_in_turn(payload, end_stream)

    async def write_all(self, *, data: bytes, chunk_size: int = 65536) -> None:
        """Send `data` in pieces of `chunk_size` bytes, then the FIN.

        Raises:
            StreamError: as for `write`.
            TimeoutError: as for `write`.
            ValueError: chunk_size is below 1.
        """
        if chunk_size < 1:
            raise ValueError(f"chunk_size must be at least 1, not {chunk_size}")
        payload = data if type(data) is bytes else ensure_bytes(data=data)
        if len(payload) <= chunk_size:
            await self.write(data=payload, end_stream=True)
            return
        for start in range(0, len(payload), chunk_size):
            end = start + chunk_size
            await self.write(data=payload[start:end], end_stream=end >= len(payload))

    async def stop_sending(self, *, error_code: int = ErrorCodes.NO_ERROR) -> None:
        """Reset the sending side: what was not delivered is abandoned. No effect when it is over.

        Args:
            error_code: the application code the peer sees, 0..2**32-1.
        """
        self._reset(checked_code(error_code))

    async def close(self, *, error_code: int | None = None) -> None:
        """End the sending side. No effect on a closed stream.

        Args:
            error_code: None sends the FIN after what was written; a code resets the stream with it (0..2**32-1).
        """
        if error_code is None:
            self._close()
        else:
            self._abort(checked_code(error_code))

    def _close(self) -> None:
        self._finish()

    def _abort(self, error_code: int) -> None:
        self._reset(error_code)

    def _finish(self) -> None:
        """Send the FIN, unless the sending side is over."""
        core = self._core
        if core.can_send:
            core.write(b"", end_stream=True)
            if self._writers is not None:
                self._writers.wake_all()

    def _reset(self, error_code: int) -> None:
        """Reset the sending side, unless all of it was delivered."""
        self._core.reset(error_code)
        if self._writers is not None:
            self._writers.wake_all()

    def _not_writable(self) -> StreamError:
        """Return why nothing can be sent."""
        core = self._core
        if core.send_error is not None:
            return copy(core.send_error)  # each writer gets its own: details and traceback differ
        reason = "it was reset" if core.state is StreamState.RESET_SENT else "its sending side was closed"
        return StreamError(
            f"cannot write to stream {core.stream_id}: {reason}", stream_id=core.stream_id, stream_state=self.state
        )

    async def _write_in_turn(self, payload: bytes, end_stream: bool) -> None:
        """Queue `payload` in pieces as room appears, after the writers that came before."""
        core = self._core
        config = self._session._config
        limit = config.max_stream_write_buffer
        timeout = config.write_timeout
        size = len(payload)
        # Data that fits the buffer goes in one piece; more than that by halves, so that one half is always under way.
        least = size if size <= limit else max(1, limit // 2)
        accepted = 0
        left_behind = core.bytes_sent - core.unsent

        def advance() -> bool | None:
            """Queue what there is room for; True once everything is queued."""
            nonlocal accepted
            while True:
                if not core.can_send:
                    raise self._interrupted(accepted)
                needed = min(least, size - accepted)
                room = limit - core.unsent
                if room < needed:
                    core.wants_writable = True
                    core.watch_writable(min(limit // 2, limit - needed))
                    return None
                end = min(size, accepted + max(room, needed))
                piece = payload if end - accepted == size else payload[accepted:end]
                accepted = end
                core.write(piece, end_stream=end_stream and end == size)
                if end == size:
                    return True

        def made_progress() -> bool:
            """Tell whether anything went out since last asked."""
            nonlocal left_behind
            before, left_behind = left_behind, core.bytes_sent - core.unsent
            return left_behind != before

        if self._writers is None:
            self._writers = WaitLine()
        if not self._writers and advance():
            return
        done = await self._writers.until(
            advance, seconds=timeout, made_progress=made_progress, subject=(payload, end_stream)
        )
        if not done:
            raise timed_out(
                f"write on stream {self.stream_id}", timeout, stream_id=self.stream_id, bytes_accepted=accepted
            )

    def _interrupted(self, accepted: int) -> StreamError:
        error = self._not_writable()
        error.details = {**error.details, "bytes_accepted": accepted}
        return error
