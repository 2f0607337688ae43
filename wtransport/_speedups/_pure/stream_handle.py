"""The part of a stream's handle that runs for every stream: how it is bound, written to, woken and let go of."""

from __future__ import annotations

import asyncio
from time import time
from typing import Any, Self

from .._constants import STREAM_HEADER_MAX

__all__ = ["StreamHandle"]


class StreamHandle:
    """What a program holds of a stream, and what the stream wakes.

    What comes seldom is left to a subclass, which has these methods: ``_busy(operation)`` and ``_not_writable()``
    return errors, ``_tell_closed()`` emits. The session has ``_config.max_stream_write_buffer``. The core has
    ``buffered``, ``bytes_sent``, ``can_send``, ``handle``, ``unsent`` and ``wants_readable``, and ``read(max_bytes)``,
    ``stop(code)`` and ``write(data, end_stream=...)``.
    """

    # All slots are here: of two bases with slots of their own, WebTransportStream could not inherit.
    __slots__ = (
        "_closed_at",
        "_core",
        "_created_at",
        "_events",
        "_reader",
        "_reader_future",
        "_session",
        "_writers",
    )

    _session: Any
    _core: Any
    _created_at: float
    _closed_at: float | None
    _events: Any  # an emitter, once somebody asked for it
    _reader: str | None  # the operation that reads
    _reader_future: asyncio.Future[bool] | None
    _writers: Any  # a line, once a writer had to wait

    @classmethod
    def _adopt(cls, session: Any, core: Any) -> Self:
        """Make the handle of a core that may have left the engine's tables since the event that brought it."""
        stream = cls.__new__(cls)
        stream._bind(session, core)
        return stream

    def _bind(self, session: Any, core: Any) -> None:
        self._session = session
        self._core = core
        self._created_at = time()
        self._closed_at = None
        self._events = None
        self._reader = None
        self._reader_future = None
        self._writers = None
        core.handle = self

    def __del__(self) -> None:
        # A program may drop a stream half read. The unread bytes would keep their credit for ever, and so wear out the
        # window of the whole connection.
        core = getattr(self, "_core", None)  # there is none when the constructor refused
        if core is not None and core.buffered and asyncio._get_running_loop() is not None:
            core.stop(0)

    # Writing.

    def _write_now(self, data: bytes, end_stream: bool) -> bool:
        """Queue bytes for which there is room and nobody waits; False, and nothing happened, when they must wait."""
        core = self._core
        if not core.can_send:
            raise self._not_writable()
        size = len(data)
        if not size and not end_stream:
            return True
        if self._writers:
            return False
        if size:
            # The first look needs no word of the transport, and is enough for most streams.
            limit = self._session._config.max_stream_write_buffer
            if core.bytes_sent + size > limit - STREAM_HEADER_MAX and core.unsent + size > limit:
                return False
        core.write(data, end_stream=end_stream)
        return True

    # Reading.

    def _begin(self, operation: str) -> None:
        """Become the one reader."""
        if self._reader is not None:
            raise self._busy(operation)
        self._reader = operation

    def _read_now(self, max_bytes: int) -> bytes | None:
        """Take what can be read now, at most `max_bytes`; None when there is nothing yet.

        Raises:
            ValueError: max_bytes is below -1.
        """
        if self._reader is not None:
            raise self._busy("read")
        if max_bytes < 1 and max_bytes != -1:
            if max_bytes < 0:
                raise ValueError(f"max_bytes must be -1 or more, not {max_bytes}")
            return b""
        data: bytes | None = self._core.read(max_bytes)
        return data

    def _collect(self, chunks: list[bytes]) -> bool:
        """Take all that can be read now; True when that was the end of the stream."""
        read = self._core.read
        while (data := read(-1)) is not None:
            if not data:
                return True
            chunks.append(data)
        return False

    def _sleep(self) -> asyncio.Future[bool]:
        """Return the future that is set when bytes, the FIN or a reset come."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._reader_future = future
        self._core.wants_readable = True
        return future

    def _end_reading(self) -> None:
        """Be no reader any more."""
        self._reader = self._reader_future = None
        self._core.wants_readable = False

    # What the stream tells.

    def _on_readable(self) -> None:
        """Bytes, the FIN or a reset came while a reader waits."""
        self._wake_sleeper()

    def _on_finished(self) -> None:
        """Both sides are over: wake whoever waits, let go of the engine, tell the program."""
        if self._closed_at is not None:
            return
        self._let_go()
        if self._events is not None:
            self._tell_closed()

    def _finish_unheard(self) -> bool:
        """Do what `_on_finished` does if nobody can listen to this stream; False when it must be told."""
        if self._events is not None:
            return False
        if self._closed_at is None:
            self._let_go()
        return True

    def _let_go(self) -> None:
        self._closed_at = time()
        self._core.handle = None  # the engine has forgotten the core; from here on only the program holds both
        if self._wake_sleeper():
            self._core.wants_readable = False  # it need not be told again
        if self._writers is not None:
            self._writers.wake_all()

    def _wake_sleeper(self) -> bool:
        """Wake the reader that sleeps; False when there is none."""
        future = self._reader_future
        if future is None:
            return False
        if not future.done():
            future.set_result(True)
        return True

    # What a subclass has to say.

    def _busy(self, operation: str) -> Exception:
        raise NotImplementedError

    def _not_writable(self) -> Exception:
        raise NotImplementedError

    def _tell_closed(self) -> None:
        raise NotImplementedError
