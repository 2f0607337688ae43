# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""What the data path and aioquic's connection both read and write: each has one place, here.

The class stands before aioquic's among the bases of a connection, so that its attributes take the places of those in
aioquic's dictionary: whatever one side assigns, the other sees.
"""

from __future__ import annotations

from cpython.bytes cimport PyBytes_GET_SIZE
from libc.math cimport INFINITY, fmax, fmin, isinf
from libc.stdint cimport int64_t

from .frames cimport FrameWriter
from .packet_keys cimport PacketPair
from .protection cimport TAG_SIZE
from .recovery cimport Recovery
from .sent cimport FRAME_ACK, SentFrame
from .space cimport PacketSpace
from .stream_bytes cimport StreamBytesEvents

from aioquic.quic.configuration import SMALLEST_MAX_DATAGRAM_SIZE
from aioquic.quic.connection import ACK_FRAME_CAPACITY, QuicConnectionState

from ..aioquic_connection import MAX_WAITING_EVENTS

KEY_UPDATE_PACKETS = 1 << 22
"""Packets after which keys are updated: half of what AES-GCM may protect with one key (RFC 9001, 6.6)."""

cdef enum:
    SHORT_OVERHEAD = 3  # bytes of a short header, but for the connection id: type and packet number

cdef int64_t _AMPLIFICATION = 3  # RFC 9000, 8.1
cdef int64_t _PROBE_SIZE = SMALLEST_MAX_DATAGRAM_SIZE  # one may carry Initial packets
cdef int64_t _ACK_CAPACITY = ACK_FRAME_CAPACITY
cdef Py_ssize_t _MAX_WAITING_EVENTS = MAX_WAITING_EVENTS
cdef object _FIRSTFLIGHT = QuicConnectionState.FIRSTFLIGHT
cdef object _CONNECTED = QuicConnectionState.CONNECTED
cdef object _TERMINATED = QuicConnectionState.TERMINATED


cdef int _on_fate(object writer, SentFrame* frame, bint acknowledged) except -1:
    # A lost acknowledgement is not sent again: the next one says more.
    return 0 if frame.kind == FRAME_ACK else (<FrameWriter> writer).on_fate(frame, acknowledged)


cdef class ConnectionState:
    """Attributes of a connection; see the module's docstring."""

    def __cinit__(self, *args, **kwargs):
        self.close_at = self.loss_at = self.pacing_at = self.heard_at = INFINITY
        self.reads_packets = self.writes_packets = True
        self.key_update_after = KEY_UPDATE_PACKETS

    def has_events(self):
        """Tell whether there are events, or the connection ends."""
        return len(self._queue) != 0 or self._close_event is not None

    def has_room(self):
        """Tell whether more may be received before the events of what was received are taken; see the twin."""
        return self._arrived is None and len(self._queue) < _MAX_WAITING_EVENTS

    def pop_event(self):
        """Return the next event, or None; see the twin in ``_quic/aioquic_connection.py``."""
        return self.take_event()

    cdef object take_event(self):
        """`pop_event`."""
        cdef StreamBytesEvents stream_bytes
        if not self._queue:
            return None
        if self.take_first is None:
            self.take_first = self._queue.popleft
        event = self.take_first()
        if event is self._arrived:
            self._arrived = None
        else:
            stream_bytes = self.table.arrived
            if event is stream_bytes.growing:
                stream_bytes.settle()
        return event

    @property
    def close_event(self):
        """Return why the connection ends, as soon as that is decided."""
        return self._close_event

    @property
    def is_terminated(self):
        """Tell whether the closing or draining period is over."""
        return self._state is _TERMINATED

    @property
    def is_paced(self):
        """Tell whether packets wait for the pacer (RFC 9002, 7.7)."""
        return not isinf(self.pacing_at)

    @property
    def has_path(self):
        """Tell whether there is somebody to send to."""
        return len(self._network_paths) != 0

    def handle_timer(self, double now):
        """Do what is due; acknowledgements and what was paced are sent by who writes packets."""
        if now < self.close_at and now < self.loss_at and self.is_open() and self.take_path():
            return
        super().handle_timer(now)

    @property
    def _close_at(self):
        return None if isinf(self.close_at) else self.close_at

    @_close_at.setter
    def _close_at(self, value):
        self.close_at = INFINITY if value is None else value

    @property
    def _loss_at(self):
        return None if isinf(self.loss_at) else self.loss_at

    @_loss_at.setter
    def _loss_at(self, value):
        self.loss_at = INFINITY if value is None else value

    @property
    def _pacing_at(self):
        return None if isinf(self.pacing_at) else self.pacing_at

    @_pacing_at.setter
    def _pacing_at(self, value):
        self.pacing_at = INFINITY if value is None else value

    cdef bint is_open(self) except -1:
        """Whether there is nothing but work: the handshake is over, and nobody is about to close."""
        return (
            self._handshake_confirmed
            and not self._close_pending
            and self._state is _CONNECTED
            and self._quic_logger is None
            and (self.read_keys is not None or self._take_keys())
        )

    cdef bint take_path(self) except -1:
        """Take the path in use, whose address, once validated, stays so; False when it is not."""
        path = self._network_paths[0]
        if path is self.path:
            return True
        if not path.is_validated:
            return False
        self.path = path
        self.address = path.addr
        self.challenges = path.remote_challenges
        return True

    cdef double idle_timeout(self) noexcept:
        """How long silence may last (RFC 9000, 10.1), in seconds."""
        return fmax(self.local_idle_timeout, 3 * self.recovery.probe_timeout(self.recovery.max_ack_delay))

    @property
    def deadline(self):
        """Return when `handle_timer` must be called, or None."""
        cdef double at = self.timer_at()
        return None if isinf(at) else at

    cdef double timer_at(self) except -1.0:
        if self.is_open() and self.take_path():
            self.loss_at = self.recovery.timer(False)
            return fmin(fmin(self.close_at, self.space.ack_due), fmin(self.loss_at, self.pacing_at))
        if isinf(self.close_at) or (self._state is not _CONNECTED and self._state is not _FIRSTFLIGHT):
            return self.close_at
        return self._timer_of_handshake()

    cdef double _timer_of_handshake(self) except -1.0:
        """Do what aioquic's ``get_timer`` does, which is asked where the path in use is being validated."""
        cdef Recovery loss = self._loss
        cdef PacketSpace space
        cdef int64_t size
        cdef double at = self.close_at
        cdef bint ack_waits = False, probe_waits = False
        path = self._network_paths[0] if self._network_paths else None
        if path is not None and not path.is_validated:
            if self._handshake_complete or path.validation_deadline is not None:
                return self.get_timer()
            # Nothing is armed for which the anti-amplification limit leaves no room (RFC 9002, 6.2.2.1).
            size = _AMPLIFICATION * <int64_t> path.bytes_received - <int64_t> path.bytes_sent
            probe_waits = size < _PROBE_SIZE
            ack_waits = size < SHORT_OVERHEAD + TAG_SIZE + _ACK_CAPACITY + PyBytes_GET_SIZE(self._peer_cid.cid)
        if not ack_waits:
            for space in loss._spaces:
                at = fmin(at, space.ack_due)
        self.loss_at = loss.timer(probe_waits)
        return fmin(at, fmin(self.loss_at, self.pacing_at))

    def _idle_timeout(self):
        """Return how long silence may last (RFC 9000, 10.1), in seconds."""
        cdef Recovery loss = self._loss
        cdef double timeout = self._configuration.idle_timeout
        if self._remote_max_idle_timeout is not None:
            timeout = fmin(timeout, <double> self._remote_max_idle_timeout)
        return fmax(timeout, 3 * loss.probe_timeout(loss.max_ack_delay))

    # Keys. aioquic owns the secrets, and updates them (RFC 9001, section 6); the key of header protection stays.

    def forget_keys(self):
        """Take note that aioquic's 1-RTT keys changed, or went."""
        self.read_keys = self.write_keys = None

    def let_go(self):
        """Let go of what only packets need: the connection is over."""
        self.forget_keys()
        self._application_keys = None

    cdef bint _take_keys(self) except -1:
        """Take the packet keys of the current phase; False when there are none."""
        cdef PacketPair pair = self._application_keys
        if pair is None or pair.recv.aead is None or pair.send.aead is None:
            return False
        if self.recovery is None:
            self._begin()
        self.key_phase = pair.recv.key_phase
        self.write_keys = pair.send.aead
        self.read_keys = pair.recv.aead
        return True

    cdef int _begin(self) except -1:
        """Take what does not change any more."""
        configuration = self._configuration
        timeout = configuration.idle_timeout
        if self._remote_max_idle_timeout is not None:
            timeout = min(timeout, self._remote_max_idle_timeout)
        self.local_idle_timeout = timeout
        self.max_datagram_frame = configuration.max_datagram_frame_size or 0
        self.crypto_sender = self._application_tls.sender
        self.space = self._application_space
        self.recovery = self._loss
        self.recovery.set_sink(self._writer, _on_fate)
        return 0
