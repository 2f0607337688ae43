# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""HTTP/3 frames and stream headers; the specification is the twin in ``_pure/frames.py``."""

from __future__ import annotations

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t

from .arguments cimport as_varint
from .records cimport RecordParser, encode_record
from .wire cimport read_varint, write_varint

from .._constants import FRAME_TYPE_DATA, MAX_RECORD_HEADER_SIZE, NO_SESSION_ID
from .._inputs import check_buffer

cdef int64_t _FRAME_TYPE_DATA = FRAME_TYPE_DATA
cdef int64_t _NO_SESSION_ID = NO_SESSION_ID
cdef Py_ssize_t _HEADER_SIZE = MAX_RECORD_HEADER_SIZE


cdef bytes _two_varints(int64_t first, int64_t second):
    cdef unsigned char[16] out
    cdef int length = write_varint(out, first)
    length += write_varint(out + length, second)
    return PyBytes_FromStringAndSize(<char*> out, length)


def encode_stream_header(signal, session_id):
    """Return the bytes that open a WebTransport stream."""
    cdef int64_t first = as_varint("signal", signal)
    return _two_varints(first, as_varint("session_id", session_id))


def decode_stream_header(data, signal):
    """Read the beginning of a stream; None if more bytes are needed."""
    cdef bytes window
    if type(data) is bytes:
        window = data
    else:
        check_buffer(data)
        window = bytes(data[:_HEADER_SIZE])
    cdef int64_t expected = as_varint("signal", signal)
    cdef int64_t stream_type = 0
    cdef int64_t session_id = 0
    cdef const unsigned char* raw = <const unsigned char*> PyBytes_AS_STRING(window)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(window)
    cdef int used = read_varint(raw, size, &stream_type)
    cdef int more
    if used == 0:
        return None
    if stream_type != expected:
        return stream_type, _NO_SESSION_ID, used
    more = read_varint(raw + used, size - used, &session_id)
    if more == 0:
        return None
    return stream_type, session_id, used + more


def encode_frame_header(frame_type, length):
    """Return the header of a frame whose payload of length bytes the caller writes itself."""
    cdef int64_t first = as_varint("frame_type", frame_type)
    return _two_varints(first, as_varint("length", length))


def encode_frame(frame_type, payload):
    """Return one whole frame."""
    return encode_record(as_varint("frame_type", frame_type), payload)


cdef class FrameParser(RecordParser):
    """FrameParser(max_sizes)\n--\n\nReads the frames of one HTTP/3 stream, however its bytes are cut."""

    def __cinit__(self, max_sizes):
        self.noun = "frame"
        self.streamed_type = _FRAME_TYPE_DATA

    def feed(self, data):
        """Take the next bytes of the stream and return what they complete, as ``(type, payload, ended)``."""
        return self.read(data)
