"""What a sent packet carried, kept in C until it is known to be acknowledged or lost (RFC 9000, section 13.3)."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.ref cimport PyObject, Py_INCREF, Py_XDECREF


cdef enum FrameKind:
    FRAME_STREAM = 1
    FRAME_RESET = 2
    FRAME_STOP_SENDING = 3
    FRAME_MAX_STREAM_DATA = 4
    FRAME_LIMIT = 5  # MAX_DATA, MAX_STREAMS
    FRAME_DATA_BLOCKED = 6
    FRAME_STREAM_DATA_BLOCKED = 7
    FRAME_ACK = 8
    FRAME_PYTHON = 9  # delivery handlers of aioquic's packet builder
    FRAME_STREAMS_BLOCKED_BIDI = 10
    FRAME_STREAMS_BLOCKED_UNI = 11


cdef struct SentFrame:
    PyObject* owner  # a reference that the frame owns, to an object that cannot be part of a circle; or NULL
    uint64_t offset  # STREAM: of its data; limits: the limit; ACK: the largest acknowledged; PYTHON: where its handlers are
    uint32_t size  # STREAM: bytes of data
    uint8_t kind
    uint8_t fin


cdef struct FrameList:
    SentFrame* items
    Py_ssize_t count
    Py_ssize_t capacity


cdef inline SentFrame* frames_push(FrameList* frames, uint8_t kind, object owner) except NULL:
    """Add a frame, whose other fields are 0; owner may be None."""
    cdef Py_ssize_t capacity
    cdef SentFrame* items
    cdef SentFrame* frame
    if frames.count == frames.capacity:
        capacity = 2 * frames.capacity if frames.capacity else 4
        items = <SentFrame*> PyMem_Realloc(frames.items, capacity * sizeof(SentFrame))
        if items == NULL:
            raise MemoryError
        frames.items = items
        frames.capacity = capacity
    frame = &frames.items[frames.count]
    frame.owner = NULL
    if owner is not None:
        Py_INCREF(owner)
        frame.owner = <PyObject*> owner
    frame.offset = 0
    frame.size = 0
    frame.kind = kind
    frame.fin = 0
    frames.count += 1
    return frame


cdef inline void frames_clear(FrameList* frames) noexcept:
    """Let go of every frame; the memory is kept."""
    cdef Py_ssize_t i
    for i in range(frames.count):
        Py_XDECREF(frames.items[i].owner)
    frames.count = 0


cdef inline void frames_free(FrameList* frames) noexcept:
    """Let go of every frame and of the memory; the list is empty and usable afterwards."""
    frames_clear(frames)
    PyMem_Free(frames.items)
    frames.items = NULL
    frames.capacity = 0


cdef inline int frames_move(FrameList* target, FrameList* source) except -1:
    """Append all frames of a list to another one; the source is empty afterwards, and keeps its memory."""
    cdef Py_ssize_t needed = target.count + source.count
    cdef Py_ssize_t i
    cdef SentFrame* items
    if needed > target.capacity:
        items = <SentFrame*> PyMem_Realloc(target.items, 2 * needed * sizeof(SentFrame))
        if items == NULL:
            raise MemoryError
        target.items = items
        target.capacity = 2 * needed
    for i in range(source.count):
        target.items[target.count + i] = source.items[i]
    target.count = needed
    source.count = 0
    return 0
