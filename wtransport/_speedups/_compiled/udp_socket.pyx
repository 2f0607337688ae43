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
from libc.errno cimport EAGAIN, EINTR, errno
from libc.string cimport memcmp, memcpy, memset

import socket

from .._constants import LOOK_AGAIN, MAX_UDP_PAYLOAD
from .._pure.udp_socket import UdpSocket as PlainSocket

cdef extern from *:
    """
    #define WT_NAME_SIZE 28  /* of a struct sockaddr_in6 */
    #define WT_BUFFER_SIZE 65536
    #if defined(__linux__)
    #include <arpa/inet.h>
    #include <netinet/in.h>
    #include <string.h>
    #include <sys/socket.h>
    static const int WT_HAS_CALLS = 1;

    static Py_ssize_t wt_receive(int fd, unsigned char *out, unsigned char *name, int *name_size, int *segment) {
        union { char room[64]; struct cmsghdr align; } control;
        struct iovec piece = { out, WT_BUFFER_SIZE };
        struct msghdr message;
        struct cmsghdr *each;
        Py_ssize_t size;
        memset(&message, 0, sizeof message);
        message.msg_iov = &piece;
        message.msg_iovlen = 1;
        message.msg_name = name;
        message.msg_namelen = name ? WT_NAME_SIZE : 0;
        message.msg_control = segment ? control.room : NULL;
        message.msg_controllen = segment ? sizeof control.room : 0;
        size = recvmsg(fd, &message, MSG_DONTWAIT);
        if (size < 0)
            return size;
        *name_size = (int) message.msg_namelen;
        if (segment) {
            *segment = 0;
            for (each = CMSG_FIRSTHDR(&message); each; each = CMSG_NXTHDR(&message, each))
                if (each->cmsg_level == 17 && each->cmsg_type == 104)  /* SOL_UDP, UDP_GRO */
                    memcpy(segment, CMSG_DATA(each), sizeof *segment);
        }
        return size;
    }

    static Py_ssize_t wt_send(int fd, const char *data, Py_ssize_t size, const char *name, int name_size) {
        return sendto(fd, data, size, MSG_DONTWAIT, (const struct sockaddr *) name, name_size);
    }

    /* The number of elements in Python's address, 2 or 4, or 0 where only Python knows. */
    static int wt_address(const unsigned char *name, char *host, int *port, unsigned *flow, unsigned *scope) {
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        memcpy(&v4, name, sizeof v4);
        if (v4.sin_family == AF_INET) {
            *port = ntohs(v4.sin_port);
            return inet_ntop(AF_INET, &v4.sin_addr, host, INET6_ADDRSTRLEN) ? 2 : 0;
        }
        memcpy(&v6, name, sizeof v6);
        *port = ntohs(v6.sin6_port);
        *flow = ntohl(v6.sin6_flowinfo);
        *scope = v6.sin6_scope_id;
        return v6.sin6_family == AF_INET6 && inet_ntop(AF_INET6, &v6.sin6_addr, host, INET6_ADDRSTRLEN) ? 4 : 0;
    }
    #else
    static const int WT_HAS_CALLS = 0;
    static Py_ssize_t wt_receive(int fd, unsigned char *out, unsigned char *name, int *name_size, int *segment)
    { return -1; }
    static Py_ssize_t wt_send(int fd, const char *data, Py_ssize_t size, const char *name, int name_size)
    { return -1; }
    static int wt_address(const unsigned char *name, char *host, int *port, unsigned *flow, unsigned *scope)
    { return 0; }
    #endif
    static unsigned char wt_buffer[WT_BUFFER_SIZE];  /* held for no longer than the interpreter's lock is */
    """
    enum:
        WT_NAME_SIZE
    const int WT_HAS_CALLS
    unsigned char* wt_buffer
    Py_ssize_t wt_receive(int fd, unsigned char* out, unsigned char* name, int* name_size, int* segment) noexcept
    Py_ssize_t wt_send(int fd, const char* data, Py_ssize_t size, const char* name, int name_size) noexcept
    int wt_address(const unsigned char* name, char* host, int* port, unsigned* flow, unsigned* scope) noexcept

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
        return self.read(<list> datagrams)

    cdef Py_ssize_t read(self, list batch) except -1:
        cdef unsigned char[WT_NAME_SIZE] name
        cdef int name_size = 0, segment = 0
        cdef Py_ssize_t size, start = 0, count = 0
        cdef object address
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
        address = self.address_of(name, name_size) if self.peer is None else self.peer
        if segment <= 0 or segment >= size:
            batch.append((PyBytes_FromStringAndSize(<char*> wt_buffer, size), address))
            return 1
        while start < size:
            batch.append((PyBytes_FromStringAndSize(<char*> wt_buffer + start, min(segment, size - start)), address))
            start += segment
            count += 1
        return count

    def send(self, data, address=None):
        """Send one datagram; see the twin."""
        self.transmit(data, address)

    cdef int transmit(self, object data, object address) except -1:
        cdef const char* name = NULL
        cdef int name_size = 0
        cdef bytes known
        if self.fd < 0 or not PyBytes_CheckExact(data):
            self.twin.send(data, address)
            return 0
        if self.peer is None and address is not None:
            if address is self.last:
                name = <const char*> self.last_name
                name_size = self.last_size
            else:
                known = self.names.get(address) if type(address) is tuple else None
                if known is None:
                    self.twin.send(data, address)
                    return 0
                name = PyBytes_AS_STRING(known)
                name_size = <int> PyBytes_GET_SIZE(known)
        while wt_send(self.fd, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), name, name_size) < 0:
            if errno != EINTR:
                PyErr_SetFromErrno(OSError)
        return 0

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
