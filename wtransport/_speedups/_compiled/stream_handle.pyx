# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic, auto_pickle=False
"""The part of a stream's handle that runs for every stream; the specification is the twin in ``_pure/stream_handle.py``."""

from __future__ import annotations

from cpython.object cimport PyObject, PyTypeObject

from .data_stream cimport DataStream

from asyncio import _get_running_loop, get_running_loop
from time import time

from .._constants import STREAM_HEADER_MAX

cdef int _HEADER_MAX = STREAM_HEADER_MAX
cdef object _running_loop = get_running_loop
cdef object _time = time
cdef tuple _NOTHING = ()


cdef inline object read_from(object core, max_bytes):
    return (<DataStream> core).take_out(max_bytes) if isinstance(core, DataStream) else core.read(max_bytes)


cdef inline int write_to(object core, data, bint end_stream) except -1:
    if isinstance(core, DataStream):
        return (<DataStream> core).put(data, end_stream)
    core.write(data, end_stream=end_stream)
    return 0


cdef inline int set_wants_readable(object core, bint wanted) except -1:
    if isinstance(core, DataStream):
        (<DataStream> core).wants_readable = wanted
    else:
        core.wants_readable = wanted
    return 0


cdef inline int set_handle(object core, handle) except -1:
    if isinstance(core, DataStream):
        (<DataStream> core).handle = handle
    else:
        core.handle = handle
    return 0


cdef inline bint has_room(object core, Py_ssize_t size, limit) except -1:
    """Whether so many bytes fit; the first look needs no word of the transport, and is enough for most streams."""
    sent = (<DataStream> core).bytes_sent if isinstance(core, DataStream) else core.bytes_sent
    return sent + size <= limit - _HEADER_MAX or core.unsent + size <= limit


cdef StreamHandle new_handle(type cls):
    return (<PyTypeObject*> cls).tp_new(cls, <PyObject*> _NOTHING, NULL)


cdef class StreamHandle:
    """StreamHandle()\n--\n\nWhat a program holds of a stream, and what the stream wakes."""

    @classmethod
    def _adopt(cls, session, core):
        """Make the handle of a core that may have left the engine's tables since the event that brought it."""
        cdef StreamHandle stream = new_handle(cls)
        stream.bind_to(session, core)
        return stream

    def _bind(self, session, core):
        self.bind_to(session, core)

    def __del__(self):
        # A program may drop a stream half read. The unread bytes would keep their credit for ever, and so wear out the
        # window of the whole connection.
        cdef object core = self._core  # None when the constructor refused
        if core is None or not ((<DataStream> core)._inbox._size if isinstance(core, DataStream) else core.buffered):
            return
        if _get_running_loop() is not None:
            core.stop(0)

    # Writing.

    def _write_now(self, data, end_stream):
        """Queue bytes for which there is room and nobody waits; False, and nothing happened, when they must wait."""
        cdef object core = self._core
        cdef Py_ssize_t size = len(data)
        if not ((<DataStream> core).can_send if isinstance(core, DataStream) else core.can_send):
            raise self._not_writable()
        if not size and not end_stream:
            return True
        if self._writers is not None and self._writers:
            return False
        if size and not has_room(core, size, self._session._config.max_stream_write_buffer):
            return False
        write_to(core, data, end_stream)
        return True

    # Reading.

    def _begin(self, operation):
        """Become the one reader."""
        if self._reader is not None:
            raise self._busy(operation)
        self._reader = operation

    def _read_now(self, max_bytes):
        """Take what can be read now, at most `max_bytes`; None when there is nothing yet."""
        if self._reader is not None:
            raise self._busy("read")
        if max_bytes < 1 and max_bytes != -1:
            if max_bytes < 0:
                raise ValueError(f"max_bytes must be -1 or more, not {max_bytes}")
            return b""
        return read_from(self._core, max_bytes)

    def _collect(self, list chunks not None):
        """Take all that can be read now; True when that was the end of the stream."""
        cdef object core = self._core, data
        while True:
            data = read_from(core, -1)
            if data is None:
                return False
            if not data:
                return True
            chunks.append(data)

    def _sleep(self):
        """Return the future that is set when bytes, the FIN or a reset come."""
        self._reader_future = future = _running_loop().create_future()
        set_wants_readable(self._core, True)
        return future

    def _end_reading(self):
        """Be no reader any more."""
        self._reader = self._reader_future = None
        set_wants_readable(self._core, False)

    # What the stream tells.

    def _on_readable(self):
        """Bytes, the FIN or a reset came while a reader waits."""
        self.wake_sleeper()

    def _on_finished(self):
        """Both sides are over: wake whoever waits, let go of the engine, tell the program."""
        if self._closed_at is not None:
            return
        self.let_go()
        if self._events is not None:
            self._tell_closed()

    def _finish_unheard(self):
        """Do what `_on_finished` does if nobody can listen to this stream; False when it must be told."""
        return self.finish_unheard()

    def _wake_sleeper(self):
        """Wake the reader that sleeps; False when there is none."""
        return self.wake_sleeper()

    # What a subclass has to say.

    def _busy(self, operation):
        raise NotImplementedError

    def _not_writable(self):
        raise NotImplementedError

    def _tell_closed(self):
        raise NotImplementedError

    cdef int bind_to(self, session, core) except -1:
        self._session = session
        self._core = core
        self._created_at = _time()
        set_handle(core, self)
        return 0

    cdef bint wake_sleeper(self) except -1:
        cdef object future = self._reader_future
        if future is None:
            return False
        if not future.done():
            future.set_result(True)
        return True

    cdef bint finish_unheard(self) except -1:
        if self._events is not None:
            return False
        if self._closed_at is None:
            self.let_go()
        return True

    cdef int let_go(self) except -1:
        self._closed_at = _time()
        set_handle(self._core, None)
        if self.wake_sleeper():
            set_wants_readable(self._core, False)
        if self._writers is not None:
            self._writers.wake_all()
        return 0
