# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""What is done with every packet of a batch; the specification is the twin in ``_pure/packets.py``."""

from __future__ import annotations

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE


def packet_runs(packets, Py_ssize_t max_segments, Py_ssize_t max_bytes):
    """Cut packets, in order, into the longest runs that one system call can send."""
    cdef list runs = [], run = None
    cdef object destination = None, addr
    cdef bytes data
    cdef Py_ssize_t size = 0, room = 0, length
    for data, addr in packets:
        length = PyBytes_GET_SIZE(data)
        if run is None or not (
            0 < length <= size and length <= room and (addr is destination or addr == destination)
        ):
            run = []
            destination, size, room = addr, length, max_bytes
            runs.append((run, destination))
        run.append(data)
        room = room - length if length == size and length and len(run) < max_segments else -1
    return runs


def packets_size(packets):
    """Return the bytes of packets, each with an address."""
    cdef Py_ssize_t total = 0
    cdef bytes data
    for data, _ in packets:
        total += PyBytes_GET_SIZE(data)
    return total


def packets_to(packets, peer):
    """Return the packets to one address, for a socket that is connected to it."""
    cdef list found = []
    for data, addr in packets:
        if addr is peer or addr == peer:
            found.append((data, None))
    return found


def packet_owners(packets, dict owners not None, Py_ssize_t id_size, find):
    """Return whose each packet is, or None."""
    cdef list found = []
    cdef bytes data
    for data, _ in packets:
        if PyBytes_GET_SIZE(data) and (<unsigned char> PyBytes_AS_STRING(data)[0]) < 0x80:
            found.append(owners.get(data[1 : 1 + id_size]))
        else:
            found.append(find(data))
    return found
