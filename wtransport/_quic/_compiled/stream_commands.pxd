"""What a connection is asked for every stream and packet."""

from ..._speedups._compiled.stream_port cimport StreamPort
from .connection_state cimport ConnectionState
from .table cimport StreamTable


cdef class StreamCommands(StreamPort):
    cdef public object request_flush
    cdef public object request_prompt_flush
    cdef public object request_flush_at_once
    cdef readonly object unsent_bytes
    cdef readonly object send_room
    cdef readonly ConnectionState _connection
    cdef readonly StreamTable _table
    cdef readonly object _queue
    cdef readonly bint _end_reported
    cdef readonly double _least_quiet
    cdef int _begun  # streams since the last time that a flush was asked for at once

    cdef int ask_promptly(self, bint is_whole) except -1
