# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic, auto_pickle=False
"""Telling handlers of the streams that a peer opens; the specification is the twin in ``_pure/arrivals.py``."""

from __future__ import annotations

from .data_stream cimport DataStream
from .handlers cimport HandlerCaller
from .stream_handle cimport StreamHandle, new_handle


cdef class KeptStreams:
    """KeptStreams()\n--\n\nWhat nobody has taken yet of the streams of one direction."""


cdef class StreamArrivals:
    """StreamArrivals(caller, event_type, *, session, session_id, incoming, handles)\n--\n\nTells of streams without an event of the engine."""

    def __init__(self, HandlerCaller caller not None, event_type, *, session, session_id, tuple incoming not None, tuple handles not None):
        self._caller = caller
        self._event_type = event_type
        self._session = session
        self._incoming_bidi, self._incoming_uni = <KeptStreams?> incoming[0], <KeptStreams?> incoming[1]
        (self._bidi, bidi_direction), (self._uni, uni_direction) = handles
        self._bidi_data = {"stream": None, "stream_id": None, "session_id": session_id, "direction": bidi_direction}
        self._uni_data = {"stream": None, "stream_id": None, "session_id": session_id, "direction": uni_direction}

    def announce(self, DataStream stream not None):
        """Tell of a stream; False, and nothing has happened, when that is not simple."""
        return self.tell(stream)

    cdef bint tell(self, DataStream stream) except -1:
        cdef bint is_one_way = stream.stream_id & 2 != 0
        cdef KeptStreams incoming = self._incoming_uni if is_one_way else self._incoming_bidi
        cdef HandlerCaller caller = self._caller  # handlers can end the session, and this with it
        cdef object event_type = self._event_type
        cdef tuple route = caller.plain_route(event_type)
        cdef StreamHandle handle
        cdef dict data
        if route is None or incoming.is_pulled or self._incoming_bidi.kept or self._incoming_uni.kept:
            return False
        handle = new_handle(self._uni if is_one_way else self._bidi)
        handle.bind_to(self._session, stream)
        stream._take()
        data = (self._uni_data if is_one_way else self._bidi_data).copy()
        data["stream"] = handle
        data["stream_id"] = stream.stream_id
        try:
            caller.emit_on(route, event_type, data, self._session)
        except Exception as error:
            caller._log_refusal(error, event_type)
        return True
