"""What a sending half keeps: the chunks that the program wrote, and which frames of them were lost.

Both own C memory, and a chunk its bytes, which refer to nothing, so that the garbage collector need not see them.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.ref cimport Py_INCREF, Py_XDECREF, PyObject
from libc.stdint cimport int64_t


cdef struct Chunk:  # what the program wrote in one go
    PyObject* data  # bytes; NULL once all of them were acknowledged
    int64_t start  # offset in the stream
    Py_ssize_t size
    Py_ssize_t pending  # bytes that were not acknowledged yet


cdef struct ChunkRing:
    Chunk* items
    Py_ssize_t capacity  # 0, or a power of two
    Py_ssize_t head  # index of the first
    Py_ssize_t count


cdef inline Chunk* chunk_at(ChunkRing* ring, Py_ssize_t index) noexcept:
    """Return a chunk; 0 <= index < count, which the caller has checked."""
    return &ring.items[(ring.head + index) & (ring.capacity - 1)]


cdef inline int chunk_push(ChunkRing* ring, bytes data, int64_t start, Py_ssize_t size) except -1:
    """Add a chunk at the end."""
    cdef Py_ssize_t capacity, i
    cdef Chunk* items
    cdef Chunk* chunk
    if ring.count == ring.capacity:
        capacity = 2 * ring.capacity if ring.capacity else 2
        items = <Chunk*> PyMem_Malloc(capacity * sizeof(Chunk))
        if items == NULL:
            raise MemoryError
        for i in range(ring.count):
            items[i] = chunk_at(ring, i)[0]
        PyMem_Free(ring.items)
        ring.items = items
        ring.capacity = capacity
        ring.head = 0
    chunk = chunk_at(ring, ring.count)
    Py_INCREF(data)
    chunk.data = <PyObject*> data
    chunk.start = start
    chunk.size = chunk.pending = size
    ring.count += 1
    return 0


cdef inline void chunk_release(Chunk* chunk) noexcept:
    """Let go of a chunk's bytes, and keep its place."""
    Py_XDECREF(chunk.data)
    chunk.data = NULL


cdef inline void chunks_drop_first(ChunkRing* ring) noexcept:
    """Remove the first chunk; the memory of a long ring is given back with its last one."""
    chunk_release(chunk_at(ring, 0))
    ring.head = (ring.head + 1) & (ring.capacity - 1)
    ring.count -= 1
    if ring.count == 0 and ring.capacity > 8:
        chunks_free(ring)


cdef inline void chunks_drop_last(ChunkRing* ring) noexcept:
    """Remove the last chunk."""
    chunk_release(chunk_at(ring, ring.count - 1))
    ring.count -= 1


cdef inline void chunks_free(ChunkRing* ring) noexcept:
    """Let go of all chunks and of the memory; the ring is empty and usable afterwards."""
    while ring.count:
        chunks_drop_last(ring)
    PyMem_Free(ring.items)
    ring.items = NULL
    ring.capacity = 0
    ring.head = 0


cdef struct LostFrame:
    int64_t offset
    Py_ssize_t size
    bint fin


cdef struct LostHeap:  # the lowest offset first: the reader waits for it, however late its last copy was lost
    LostFrame* items
    Py_ssize_t capacity
    Py_ssize_t count


cdef inline int lost_push(LostHeap* heap, int64_t offset, Py_ssize_t size, bint fin) except -1:
    """Add a frame."""
    cdef Py_ssize_t capacity, parent, place
    cdef LostFrame* items
    if heap.count == heap.capacity:
        capacity = 2 * heap.capacity if heap.capacity else 4
        items = <LostFrame*> PyMem_Realloc(heap.items, capacity * sizeof(LostFrame))
        if items == NULL:
            raise MemoryError
        heap.items = items
        heap.capacity = capacity
    place = heap.count
    heap.count += 1
    while place:
        parent = (place - 1) >> 1
        if heap.items[parent].offset <= offset:
            break
        heap.items[place] = heap.items[parent]
        place = parent
    heap.items[place].offset = offset
    heap.items[place].size = size
    heap.items[place].fin = fin
    return 0


cdef inline void lost_pop(LostHeap* heap) noexcept:
    """Remove the first frame; there is one, which the caller has checked."""
    cdef Py_ssize_t place = 0, child
    cdef LostFrame last
    heap.count -= 1
    if heap.count == 0:
        lost_free(heap)  # losses are rare, and many at a time
        return
    last = heap.items[heap.count]
    while True:
        child = 2 * place + 1
        if child >= heap.count:
            break
        if child + 1 < heap.count and heap.items[child + 1].offset < heap.items[child].offset:
            child += 1
        if last.offset <= heap.items[child].offset:
            break
        heap.items[place] = heap.items[child]
        place = child
    heap.items[place] = last


cdef inline void lost_free(LostHeap* heap) noexcept:
    """Forget all frames and let go of the memory; the heap is usable afterwards."""
    PyMem_Free(heap.items)
    heap.items = NULL
    heap.capacity = 0
    heap.count = 0
