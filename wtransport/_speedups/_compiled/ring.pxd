"""A growing ring of ``bytes`` with a time beside each, in C memory: what both queues are made of.

The ring owns a reference to every object in it. The objects are exactly ``bytes``, which refer to nothing, so that
the garbage collector need not see them. The times are for the datagram queue; the others leave them 0.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject

# Places of a ring's first memory, and the most that an empty ring keeps: 128 bytes, so that a queue that is filled
# and emptied in turn allocates nothing. A power of two, like every later capacity: the index wraps by a mask.
cdef enum:
    FIRST_CAPACITY = 8


cdef struct Slot:
    PyObject* item
    double time


cdef struct Ring:
    Slot* slots
    Py_ssize_t capacity  # 0, or a power of two
    Py_ssize_t head  # index of the oldest
    Py_ssize_t count


cdef inline Slot* ring_at(Ring* ring, Py_ssize_t index) noexcept:
    """Return the place of the index-th oldest item; 0 <= index < count, which the caller has checked."""
    return &ring.slots[(ring.head + index) & (ring.capacity - 1)]


cdef inline int ring_grow(Ring* ring) except -1:
    """Double the room, keeping the order."""
    cdef Py_ssize_t capacity = ring.capacity * 2 if ring.capacity else FIRST_CAPACITY
    cdef Slot* slots = <Slot*> PyMem_Malloc(capacity * sizeof(Slot))
    cdef Py_ssize_t i
    if slots == NULL:
        raise MemoryError
    for i in range(ring.count):
        slots[i] = ring_at(ring, i)[0]
    PyMem_Free(ring.slots)
    ring.slots = slots
    ring.capacity = capacity
    ring.head = 0
    return 0


cdef inline int ring_push(Ring* ring, bytes item, double time) except -1:
    """Add an item as the newest."""
    cdef Slot* slot
    if ring.count == ring.capacity:
        ring_grow(ring)
    slot = ring_at(ring, ring.count)
    Py_INCREF(item)
    slot.item = <PyObject*> item
    slot.time = time
    ring.count += 1
    return 0


cdef inline bytes ring_pop(Ring* ring):
    """Remove and return the oldest item; the ring is not empty, which the caller has checked."""
    cdef Slot* slot = ring_at(ring, 0)
    cdef bytes item = <bytes> slot.item
    ring.head = (ring.head + 1) & (ring.capacity - 1)
    ring.count -= 1
    Py_DECREF(item)  # the ring's own reference; the variable holds another
    if ring.count == 0:
        ring_trim(ring)
    return item


cdef inline void ring_trim(Ring* ring) noexcept:
    """Give back the memory that a long queue needed, now that the ring is empty."""
    ring.head = 0
    if ring.capacity > FIRST_CAPACITY:
        PyMem_Free(ring.slots)
        ring.slots = NULL
        ring.capacity = 0


cdef inline void ring_clear(Ring* ring) noexcept:
    """Let go of every item."""
    cdef Py_ssize_t i
    for i in range(ring.count):
        Py_DECREF(<object> ring_at(ring, i).item)
    ring.count = 0
    ring_trim(ring)


cdef inline void ring_free(Ring* ring) noexcept:
    """Let go of every item and of the memory; the ring is empty and usable afterwards."""
    ring_clear(ring)
    PyMem_Free(ring.slots)
    ring.slots = NULL
    ring.capacity = 0
