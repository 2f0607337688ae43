# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""Datagrams of a UDP socket; the specification is the twin in ``_pure/udp_socket.py``.

On Linux the system calls are made from here: no buffer for each datagram that is as large as any can be, no control
messages and addresses as Python objects, of which an address has but one. Other systems, and sockets of a program's own
class, are left to the twin.
"""

from __future__ import annotations

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_SetFromErrno
from cpython.list cimport PyList_GET_SIZE
from libc.errno cimport EAGAIN, EINTR, ENOSYS, errno
from libc.string cimport memcmp, memcpy, memset

from .udp_calls cimport (
    WT_HAS_CALLS,
    WT_MOST_SENT,
    WT_NAME_SIZE,
    WT_SLOT_SIZE,
    WT_SLOTS,
    iovec,
    wt_address,
    wt_buffer,
    wt_receive,
    wt_receive_many,
    wt_received,
    wt_send,
    wt_send_many,
)

import socket

from .._constants import LOOK_AGAIN, MAX_UDP_PAYLOAD
from .._pure.udp_socket import UdpSocket as PlainSocket

cdef enum:
    # Addresses kept, as Python and as the system write them; all are forgotten when there is one more.
    MAX_ADDRESSES = 1024
    HOST_SIZE = 46  # INET6_ADDRSTRLEN

cdef object _SOCKET = socket.socket
cdef tuple _FAMILIES = (socket.AF_INET, socket.AF_INET6)


@cython.final
cdef class UdpSocket:
    """UdpSocket(sock, peer=None, coalesces=False)\n--\n\nThe datagrams of one socket that does not block; see the twin."""

    cdef int fd  # -1: the twin does it
    cdef object twin
    cdef object peer
    cdef public object on_datagram
    cdef public object on_more
    cdef public object on_error
    cdef public object on_unsent
    cdef public bint coalesces
    cdef public bint is_held
    cdef public Py_ssize_t lone_reads
    # The address that came or went last, and all that are known.
    cdef unsigned char[WT_NAME_SIZE] last_name
    cdef int last_size
    cdef object last
    cdef dict addresses
    cdef dict names

    def __cinit__(self, sock, peer=None, coalesces=False):
        self.twin = PlainSocket(sock, peer, coalesces)
        self.peer = peer
        self.coalesces = coalesces
        self.addresses = {}
        self.names = {}
        self.fd = -1
        if WT_HAS_CALLS and type(sock) is _SOCKET and sock.family in _FAMILIES:
            self.fd = sock.fileno()

    def receive(self, datagrams):
        """Read once, and append each datagram that came with its sender's address; see the twin."""
        if type(datagrams) is not list:
            raise TypeError("datagrams must be a list")
        # Where the kernel joins, one read may bring 64: enough. A call for several costs more for one alone.
        return self.read(<list> datagrams) if self.coalesces else self.read_many(<list> datagrams)

    # Until everything is copied from the buffer nothing is made that the collector counts: a finalizer can read another
    # socket, or let another thread do so.

    cdef Py_ssize_t read(self, list batch) except -1:
        cdef unsigned char[WT_NAME_SIZE] name
        cdef int name_size = 0, segment = 0
        cdef Py_ssize_t size, start = 0, first = PyList_GET_SIZE(batch)
        cdef bytes data
        if self.fd < 0:
            self.twin.coalesces = self.coalesces
            return self.twin.receive(batch)
        while True:
            size = wt_receive(
                self.fd,
                wt_buffer,
                name if self.peer is None else NULL,
                &name_size,
                &segment if self.coalesces else NULL,
            )
            if size >= 0:
                break
            if errno == EAGAIN:
                return 0
            if errno != EINTR:
                PyErr_SetFromErrno(OSError)
        size = min(size, <Py_ssize_t> _MAX_UDP_PAYLOAD)
        if segment <= 0 or segment >= size:
            data = PyBytes_FromStringAndSize(<char*> wt_buffer, size)
            batch.append((data, self.address_of(name, name_size) if self.peer is None else self.peer))
            return 1
        while start < size:
            batch.append(PyBytes_FromStringAndSize(<char*> wt_buffer + start, min(segment, size - start)))
            start += segment
        address = self.address_of(name, name_size) if self.peer is None else self.peer
        for start in range(first, PyList_GET_SIZE(batch)):
            batch[start] = (batch[start], address)
        return PyList_GET_SIZE(batch) - first

    cdef Py_ssize_t read_many(self, list batch) except -1:
        """Read what waits, as much as one call takes."""
        global _has_many
        cdef wt_received[WT_SLOTS] received
        cdef int count, i
        cdef object address = self.peer
        cdef Py_ssize_t first = PyList_GET_SIZE(batch)
        if self.fd < 0 or not _has_many:
            return self.read(batch)
        while True:
            count = wt_receive_many(self.fd, self.peer is not None, received)
            if count >= 0:
                break
            if errno == EAGAIN:
                return 0
            if errno == ENOSYS:
                _has_many = False
                return self.read(batch)
            if errno != EINTR:
                PyErr_SetFromErrno(OSError)
        for i in range(count):
            batch.append(PyBytes_FromStringAndSize(<char*> wt_buffer + i * WT_SLOT_SIZE, received[i].size))
        for i in range(count):
            if self.peer is None:
                address = self.address_of(received[i].name, received[i].name_size)
            batch[first + i] = (batch[first + i], address)
        return count

    def send(self, data, address=None):
        """Send one datagram; see the twin."""
        self.transmit(data, address)

    def send_some(self, packets, Py_ssize_t start=0, address=None):
        """Send datagrams to one address, as many as one call takes; see the twin."""
        global _has_many
        cdef iovec[WT_MOST_SENT] pieces
        cdef const char* name = NULL
        cdef int name_size = 0, count = 0, sent
        cdef list those
        if type(packets) is not list:
            raise TypeError("packets must be a list")
        if not 0 <= start < PyList_GET_SIZE(packets):
            raise IndexError("start is beyond the packets")
        those = <list> packets
        if _has_many and self.fd >= 0 and self.find_name(address, &name, &name_size):
            while count < WT_MOST_SENT and start + count < PyList_GET_SIZE(those):
                data = those[start + count]
                if not PyBytes_CheckExact(data):
                    break
                pieces[count].iov_base = PyBytes_AS_STRING(data)
                pieces[count].iov_len = PyBytes_GET_SIZE(data)
                count += 1
        if count <= 1:
            self.transmit(those[start], address)
            return 1
        while True:
            sent = wt_send_many(self.fd, pieces, count, name, name_size)
            if sent > 0:
                return sent
            if errno == ENOSYS:
                _has_many = False
                self.transmit(those[start], address)
                return 1
            if errno != EINTR:
                PyErr_SetFromErrno(OSError)

    cdef int transmit(self, object data, object address) except -1:
        cdef const char* name = NULL
        cdef int name_size = 0
        if self.fd < 0 or not PyBytes_CheckExact(data) or not self.find_name(address, &name, &name_size):
            self.twin.send(data, address)
            return 0
        while wt_send(self.fd, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), name, name_size) < 0:
            if errno != EINTR:
                PyErr_SetFromErrno(OSError)
        return 0

    cdef bint find_name(self, object address, const char** name, int* size) except -1:
        """Find an address as the system writes it; False when only Python knows it."""
        cdef bytes known
        if self.peer is not None or address is None:
            return True
        if address is self.last:
            name[0] = <const char*> self.last_name
            size[0] = self.last_size
            return True
        known = self.names.get(address) if type(address) is tuple else None
        if known is None:
            return False
        name[0] = PyBytes_AS_STRING(known)
        size[0] = <int> PyBytes_GET_SIZE(known)
        return True

    def read_ready(self):
        """Read, as the socket is readable; see the twin."""
        cdef list batch
        cdef Py_ssize_t count
        if self.on_datagram is None or self.on_more is None or self.on_error is None:
            return
        batch = []
        if self.lone_reads % _LOOK_AGAIN:
            try:
                count = self.read(batch)
            except OSError as exc:
                self.on_error(exc)
                return
            if count == 1:
                self.lone_reads += 1
                self.on_datagram(batch)
            if count <= 1:
                return
        self.on_more(batch)

    def pass_on(self, data, address=None):
        """Send one datagram, or leave it to `on_unsent`; see the twin."""
        cdef object error = None
        if not self.is_held:
            try:
                self.transmit(data, address)
                return
            except OSError as exc:
                error = exc
        if self.on_unsent is not None:
            self.on_unsent(error, data, address)

    def detach(self):
        """Let go of the socket, which is about to be closed; see the twin."""
        self.fd = -1
        self.on_datagram = self.on_more = self.on_error = self.on_unsent = None
        self.is_held = True

    cdef object address_of(self, const unsigned char* name, int size):
        """Return an address as Python writes it, one object for each."""
        cdef bytes key
        if size > WT_NAME_SIZE or size <= 0:
            return None
        if size == self.last_size and memcmp(name, self.last_name, size) == 0:
            return self.last
        key = PyBytes_FromStringAndSize(<const char*> name, size)
        address = self.addresses.get(key)
        if address is None:
            address = _read_address(name, size)
            if address is None:
                return None
            if len(self.addresses) >= MAX_ADDRESSES:
                self.addresses.clear()
                self.names.clear()
            self.addresses[key] = address
            self.names[address] = key
        self.last = address
        memcpy(self.last_name, name, size)
        self.last_size = size
        return address


cdef bint _has_many = True  # calls that take several datagrams, until the kernel says no
cdef Py_ssize_t _MAX_UDP_PAYLOAD = MAX_UDP_PAYLOAD
cdef Py_ssize_t _LOOK_AGAIN = LOOK_AGAIN


cdef object _read_address(const unsigned char* name, int size):
    cdef unsigned char[WT_NAME_SIZE] whole
    cdef char[HOST_SIZE] host
    cdef int port = 0, elements
    cdef unsigned flow = 0, scope = 0
    memset(whole, 0, WT_NAME_SIZE)
    memcpy(whole, name, size)
    elements = wt_address(whole, host, &port, &flow, &scope)
    if elements == 2:
        return (host.decode("ascii"), port)
    return (host.decode("ascii"), port, flow, scope) if elements == 4 else None
