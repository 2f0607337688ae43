"""Streams in line to be served: a ring that owns a reference to each.

A stream refers to nothing that could refer to its table, so that the garbage collector need not see these.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject

from .streams cimport QuicStream


cdef struct Line:
    PyObject** items
    Py_ssize_t capacity  # 0, or a power of two
    Py_ssize_t head
    Py_ssize_t count


cdef inline QuicStream line_at(Line* line, Py_ssize_t index):
    """Return who stands there; 0 <= index < count, which the caller has checked."""
    return <QuicStream> line.items[(line.head + index) & (line.capacity - 1)]


cdef inline int line_push(Line* line, QuicStream stream) except -1:
    """Put a stream at the end."""
    cdef Py_ssize_t capacity, i
    cdef PyObject** items
    if line.count == line.capacity:
        capacity = 2 * line.capacity if line.capacity else 4
        items = <PyObject**> PyMem_Malloc(capacity * sizeof(PyObject*))
        if items == NULL:
            raise MemoryError
        for i in range(line.count):
            items[i] = line.items[(line.head + i) & (line.capacity - 1)]
        PyMem_Free(line.items)
        line.items = items
        line.capacity = capacity
        line.head = 0
    Py_INCREF(stream)
    line.items[(line.head + line.count) & (line.capacity - 1)] = <PyObject*> stream
    line.count += 1
    return 0


cdef inline void line_pop(Line* line) noexcept:
    """Remove who stands first; there is one, which the caller has checked. A long line's memory goes with the last."""
    cdef PyObject* first = line.items[line.head]
    line.head = (line.head + 1) & (line.capacity - 1)
    line.count -= 1
    if line.count == 0 and line.capacity > 64:
        PyMem_Free(line.items)
        line.items = NULL
        line.capacity = 0
        line.head = 0
    Py_DECREF(<object> first)


cdef inline void line_free(Line* line) noexcept:
    """Let go of all of them and of the memory."""
    while line.count:
        line_pop(line)
    PyMem_Free(line.items)
    line.items = NULL
    line.capacity = 0
    line.head = 0
