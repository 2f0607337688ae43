# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic, auto_pickle=False
"""The events of a QUIC port on their way; the specification is the twin in ``_pure/port_events.py``."""

from __future__ import annotations

from libc.stdint cimport int64_t

from .data_stream cimport DataStream, StreamBytes
from .datagrams cimport DatagramInbox, one_session
from .slots cimport slot_offset, slot_value

from collections import deque


cdef class PortEvents:
    """PortEvents(receive_datagrams, next_event, readers, classes)\n--\n\nTakes a port's events one by one: what nearly all packets bring goes straight to its reader or its session."""

    def __init__(self, receive_datagrams, next_event, dict readers not None, tuple classes not None):
        self._receive_datagrams = receive_datagrams
        self._next_event = next_event
        self._readers = readers
        self._violation, self._stream_bytes, self._datagrams_arrived = classes
        self._datagrams_at = slot_offset(self._datagrams_arrived, "datagrams")
        self.now = 0.0
        self.sessions = {}
        self.events = deque()

    def receive_datagrams(self, datagrams, now):
        """Take UDP payloads with their senders' addresses, in the order in which they came."""
        self.now = now
        self._receive_datagrams(datagrams, now)

    def step(self):
        """Take one event of the port, which may give events for the program; False when there is none."""
        cdef object event = self._next_event(), kind
        cdef StreamBytes piece
        if event is None:
            return False
        if not self.has_failed:
            kind = type(event)
            if kind is self._stream_bytes:
                piece = <StreamBytes> event if isinstance(event, StreamBytes) else None
                reader = self._readers.get(event.stream_id if piece is None else piece.stream_id)
                try:
                    if piece is not None and isinstance(reader, DataStream):
                        (<DataStream> reader).take_data(piece.data, piece.end_stream)
                        return True
                    if reader is not None:
                        reader.on_data(event.data, event.end_stream)
                        return True
                    if self.opens_stream is not None and self.opens_stream(event):
                        return True
                except self._violation as violation:
                    self._on_violation(event, violation)
                    return True
            elif kind is self._datagrams_arrived and not self.events:
                if self.deliver(slot_value(event, self._datagrams_at, "datagrams")):
                    return True
        self._on_event(event)
        return True

    # What a subclass has to say.

    def _on_event(self, event):
        raise NotImplementedError

    def _on_violation(self, event, violation):
        raise NotImplementedError

    cdef bint deliver(self, list datagrams) except -1:
        """Give datagrams to the one session whose program waits for them; False when it is not that simple."""
        cdef list payloads = []
        cdef int64_t quarter = one_session(datagrams, payloads)
        cdef DatagramInbox inbox
        if quarter < 0:
            return False
        session = self.sessions.get(quarter << 2)
        if session is None:
            return False
        inbox = session.datagrams
        if not inbox.is_open or inbox.announce is None:
            return False
        if inbox.take_in(payloads):
            inbox.announce()
        return True
