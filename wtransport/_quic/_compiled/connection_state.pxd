"""What the data path and aioquic's connection both read and write: each has one place, here."""

from libc.stdint cimport int64_t, uint64_t

from .frames cimport FrameWriter
from .protection cimport PacketKeys
from .recovery cimport Recovery
from .space cimport PacketSpace
from .table cimport StreamTable


cdef class ConnectionState:
    # What tests and figures ask for. With one of the first two False, packets are left to aioquic.
    cdef public bint reads_packets
    cdef public bint writes_packets
    cdef readonly uint64_t packets_read
    cdef readonly uint64_t packets_written
    cdef public uint64_t key_update_after  # packets protected with one key
    # aioquic's own attributes, by its names.
    cdef public bint _ack_eliciting_sent_since_receipt
    cdef public bint _close_pending
    cdef public bint _handshake_complete
    cdef public bint _handshake_confirmed
    cdef public bint _handshake_done_pending
    cdef public bint _is_client
    cdef public bint _probe_pending
    cdef public bint _spin_bit
    cdef public int64_t _max_datagram_size
    cdef public int64_t _packet_number
    cdef public int64_t _spin_highest_pn
    cdef public bytes host_cid
    cdef public list _network_paths
    cdef public list _ping_pending
    cdef public list _retire_connection_ids
    cdef public object _close_event
    cdef public object _configuration
    cdef public object _loss
    cdef public object _peer_cid
    cdef public object _quic_logger
    cdef public object _remote_max_idle_timeout
    cdef public object _remote_preferred_address
    cdef public object _state
    # Those of our own connection classes.
    cdef public bint _connection_ids_due
    cdef public bint _datagrams_refused
    cdef public Py_ssize_t _max_queued_datagrams
    cdef public FrameWriter _writer
    cdef public StreamTable table
    cdef public object _application_keys
    cdef public object _application_space
    cdef public object _application_tls
    cdef public object _arrived
    cdef public object _path
    cdef public object _path_mtu
    cdef public object _queue
    cdef object take_first  # its `popleft`, once something was taken
    # Times, in seconds; INFINITY where aioquic says None.
    cdef double close_at
    cdef public double heard_at  # when something was read last; for keep-alive
    cdef double loss_at
    cdef double pacing_at
    # Known since the data path is at work.
    cdef Recovery recovery
    cdef PacketSpace space
    cdef object crypto_sender  # of the bytes of TLS that go into 1-RTT packets
    cdef double local_idle_timeout
    cdef Py_ssize_t max_datagram_frame
    # The path in use, once it is validated.
    cdef object path
    cdef object address
    cdef object challenges
    # Packet protection: None while it has to be taken.
    cdef PacketKeys read_keys
    cdef PacketKeys write_keys
    cdef int key_phase

    cdef object take_event(self)
    cdef bint is_open(self) except -1
    cdef bint take_path(self) except -1
    # When `handle_timer` must be called, or INFINITY.
    cdef double timer_at(self) except -1.0
    cdef double idle_timeout(self) noexcept
    cdef double _timer_of_handshake(self) except -1.0

    cdef bint _take_keys(self) except -1
    cdef int _begin(self) except -1
