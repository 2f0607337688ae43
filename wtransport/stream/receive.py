"""The reading side of a stream.

Whatever is buffered is returned without a future or a timer; only a reader that finds nothing sleeps, in one future,
for at most `read_timeout` seconds without a byte. A stream has one reader at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from copy import copy

from ..constants import ErrorCodes
from ..exceptions import StreamError
from ..types import StreamDirection
from ._base import _BaseStream, checked_code
from ._waiter import sleep_on, timed_out, wake

__all__ = ["WebTransportReceiveStream"]


def _fresh(error: StreamError) -> StreamError:
    """Return a copy of an error that the stream keeps: its own traceback would grow with every reader, and hold it."""
    return copy(error.with_traceback(None))


class WebTransportReceiveStream(_BaseStream):
    """A stream on which the peer sends and this end reads.

    Use it in `async with`, and read with `read`, `read_all`, `readexactly`, `readuntil`, `readline` or `async for`.
    A peer that resets the stream makes them raise StreamError; its `application_code` is the peer's code.
    """

    __slots__ = ()

    _DIRECTION = StreamDirection.RECEIVE_ONLY

    @property
    def can_read(self) -> bool:
        """Tell whether bytes are buffered or may still come."""
        core = self._core
        return core.buffered > 0 or not (core.receiving_over or core.receive_error is not None)

    async def read(self, *, max_bytes: int = -1) -> bytes:
        """Return bytes that have arrived, at least one; wait if there are none.

        Args:
            max_bytes: most bytes to return; -1 returns all that is buffered.

        Returns:
            The bytes; ``b""`` at the end of the stream, as often as asked (and for `max_bytes` 0).

        Raises:
            StreamError: the peer reset the stream, reading was stopped here, the session ended, or another task is
                reading.
            TimeoutError: nothing came within `read_timeout` seconds.
            ValueError: max_bytes is below -1.
        """
        try:
            data = self._read_now(max_bytes)
        except StreamError as error:
            raise _fresh(error) from None
        if data is not None:
            return data
        self._reader = "read"
        timeout = self._session._config.read_timeout
        try:
            while data is None:
                # As `_more` does it, which would be one more coroutine to be made and passed by for every piece.
                future = self._sleep()
                if not (await future if timeout is None else await sleep_on(future, timeout)):
                    raise timed_out(f"read on stream {self.stream_id}", timeout, stream_id=self.stream_id)
                data = self._core.read(max_bytes)
            return data
        except StreamError as error:
            raise _fresh(error) from None
        finally:
            self._end_reading()

    async def read_all(self) -> bytes:
        """Read up to the end of the stream and return everything.

        The size is up to the peer. What was read is lost when this raises or is cancelled.

        Raises:
            StreamError: as for `read`.
            TimeoutError: nothing came within `read_timeout` seconds.
        """
        self._begin("read_all")
        chunks: list[bytes] = []
        try:
            while not self._collect(chunks):
                future, timeout = self._sleep(), self._session._config.read_timeout  # as in `read`
                if not (await future if timeout is None else await sleep_on(future, timeout)):
                    raise timed_out(f"read_all on stream {self.stream_id}", timeout, stream_id=self.stream_id)
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)
        except StreamError as error:
            raise _fresh(error) from None
        finally:
            self._end_reading()

    async def readexactly(self, *, n: int) -> bytes:
        """Return exactly `n` bytes. Cancelled or timed out, it has read nothing.

        Raises:
            asyncio.IncompleteReadError: the stream ended before; `partial` has what there was, which is read then.
            StreamError: as for `read`.
            TimeoutError: nothing came within `read_timeout` seconds.
            ValueError: n is negative.
        """
        if n < 0:
            raise ValueError(f"n must not be negative, not {n}")
        self._begin("readexactly")
        core = self._core
        try:
            while core.buffered < n:
                self._check_more_can_come(n)
                core.expect(n)
                await self._more("readexactly")
            return (core.read(n) or b"") if n else b""
        finally:
            self._end_expecting()

    async def readuntil(self, *, separator: bytes, limit: int = -1) -> bytes:
        """Return the bytes up to and including `separator`. Cancelled or timed out, it has read nothing.

        Args:
            separator: what ends the piece, at least one byte.
            limit: most bytes to return, the separator included; -1 stands for `max_stream_read_buffer`.

        Raises:
            asyncio.IncompleteReadError: the stream ended before; `partial` has what there was, which is read then.
            StreamError: no separator within `limit` bytes (they stay readable), or as for `read`.
            TimeoutError: nothing came within `read_timeout` seconds.
            ValueError: separator is empty, or limit is below -1.
        """
        return await self._read_piece("readuntil", separator, limit)

    async def readline(self, *, limit: int = -1) -> bytes:
        r"""Return the bytes up to and including ``\n``; see `readuntil`."""
        return await self._read_piece("readline", b"\n", limit)

    async def stop_receiving(self, *, error_code: int = ErrorCodes.NO_ERROR) -> None:
        """Ask the peer to stop sending, and throw away what has come; reading raises StreamError from now on.

        Args:
            error_code: the application code the peer sees, 0..2**32-1.
        """
        self._stop(checked_code(error_code))

    async def close(self) -> None:
        """Read no more; the peer is asked to stop sending if its FIN has not come. No effect on a closed stream."""
        self._close()

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the bytes in pieces as they come, up to the end of the stream."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece.

        Raises:
            StopAsyncIteration: the stream has ended.
            StreamError: as for `read`.
            TimeoutError: nothing came within `read_timeout` seconds.
        """
        data = await self.read()
        if not data:
            raise StopAsyncIteration
        return data

    def _close(self) -> None:
        self._stop(int(ErrorCodes.NO_ERROR))

    def _abort(self, error_code: int) -> None:
        self._stop(error_code)

    def _stop(self, error_code: int) -> None:
        self._core.stop(error_code)  # also at the end of the stream: what was not read gives its credit back
        wake(self._reader_future)

    def _busy(self, operation: str) -> StreamError:
        return StreamError(
            f"{operation} on stream {self.stream_id} while another task is in {self._reader}",
            stream_id=self.stream_id,
            stream_state=self.state,
        )

    def _end_expecting(self) -> None:
        self._reader = None
        self._core.expect(0)

    async def _more(self, operation: str) -> None:
        """Sleep until bytes, the FIN or a reset come, for `read_timeout` seconds at most."""
        timeout = self._session._config.read_timeout
        future = self._sleep()
        try:
            if not (await future if timeout is None else await sleep_on(future, timeout)):
                raise timed_out(f"{operation} on stream {self.stream_id}", timeout, stream_id=self.stream_id)
        finally:
            self._reader_future = None
            self._core.wants_readable = False

    def _check_more_can_come(self, expected: int | None) -> None:
        """Raise if what is buffered is all there will be."""
        core = self._core
        if core.receive_error is not None:
            raise _fresh(core.receive_error)
        if core.receiving_over:
            raise asyncio.IncompleteReadError(core.read() or b"", expected)

    async def _read_piece(self, operation: str, separator: bytes, limit: int) -> bytes:
        if not separator:
            raise ValueError("separator must not be empty")
        if limit < -1:
            raise ValueError(f"limit must be -1 or more, not {limit}")
        most = self._session._config.max_stream_read_buffer if limit == -1 else limit
        self._begin(operation)
        core = self._core
        try:
            searched = 0
            while True:
                index = core.find(separator, searched)
                end = index + len(separator) if index >= 0 else core.buffered + 1
                if end > most and (index >= 0 or core.buffered >= most):
                    raise StreamError(
                        f"no separator within {most} bytes on stream {self.stream_id}", stream_id=self.stream_id
                    )
                if index >= 0:
                    return core.read(end) or b""
                self._check_more_can_come(None)
                searched = max(0, core.buffered - len(separator) + 1)
                core.expect(most)
                await self._more(operation)
        finally:
            self._end_expecting()
