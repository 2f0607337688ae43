"""A datagram transport that reads and sends several packets at a time, on every loop that can watch a socket.

What the loops bring along reads one datagram a turn or hands each one over alone, and sends each by itself.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from .._quic.port import NetworkAddress
from .._speedups import UdpSocket
from . import udp
from .batching import Datagram, runs

__all__ = ["BatchProtocol", "UdpTransport"]

READ_BATCH = 32
"""Datagrams read from one socket before the loop goes on: about 1 ms of work, so that nobody else starves.

Receiving bulk data takes half the processor time that it takes one by one, as acknowledgements and turns are shared.
"""

MAX_UNSEGMENTED = 64
"""Hosts remembered whose route does not segment; beyond that, everybody gets single packets."""

HIGH_WATER = 64 * 1024
LOW_WATER = HIGH_WATER // 4
"""Unsent bytes above which the protocol is paused, and down to which it is resumed; asyncio's own figures."""

REFUSALS = frozenset({errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.ENOPROTOOPT, errno.EOPNOTSUPP})
"""What kernels answer when the interface or the route cannot segment; but also to packets that are wrong themselves."""


class BatchProtocol(asyncio.DatagramProtocol):
    """A protocol that takes datagrams by the batch; of a loop's own transport, batches of one."""

    read_batch = READ_BATCH
    """Datagrams to read before any is handed over. One read can go beyond it by what the kernel joined, at most 63."""

    def datagrams_received(self, datagrams: Sequence[tuple[bytes, NetworkAddress]]) -> None:
        """Take datagrams, in the order in which they came."""

    def receiver(self) -> Callable[[Sequence[tuple[bytes, NetworkAddress]]], None]:
        """Return who is to be called with batches."""
        return self.datagrams_received

    def datagram_received(self, data: bytes, addr: NetworkAddress) -> None:
        """Take one datagram."""
        self.datagrams_received(((data, addr),))


class UdpTransport(asyncio.DatagramTransport):
    """Reads and writes one bound or connected UDP socket, without blocking.

    Errors, pauses and the end are reported as by asyncio's own datagram transport.
    """

    def __init__(self, *, loop: asyncio.AbstractEventLoop, sock: socket.socket, protocol: BatchProtocol) -> None:
        """Take over a non-blocking socket; `protocol.connection_made` is called before this returns.

        Raises:
            NotImplementedError: the loop cannot watch sockets. The socket is as it was.
        """
        peername = _peername(sock)
        super().__init__(extra={"socket": sock, "sockname": sock.getsockname(), "peername": peername})
        self._loop = loop
        self._sock = sock
        self._fd = sock.fileno()
        self._protocol = protocol
        self._is_connected = peername is not None
        self._is_closing = False
        self._is_over = False
        self._ending: asyncio.Handle | None = None  # what closes the socket, until it has
        self._is_paused = False
        self._unsent: deque[tuple[list[bytes], NetworkAddress | None]] = deque()
        self._unsent_bytes = 0
        self._read_error: OSError | None = None
        self._io = UdpSocket(sock, peername)
        loop.add_reader(self._fd, self._io.read_ready)
        self._io.coalesces = udp.coalesce(sock)
        self._segments = udp.can_segment(sock)
        self._unsegmented: set[Any] = set()  # hosts; None stands for the one that a connected socket has
        self._io.on_more = self._read_more
        self._io.on_error = self._read_failed
        self._io.on_unsent = self._not_sent
        self.send_one: Callable[[bytes, NetworkAddress | None], None] = self._io.pass_on
        """`sendto`, with no call between."""
        protocol.connection_made(self)
        self._receive()

    def __repr__(self) -> str:
        state = "closing" if self._is_closing else "open"
        local, remote = self.get_extra_info("sockname"), self.get_extra_info("peername")
        return f"<{type(self).__name__} {state} local={local} remote={remote}>"

    # Reading.

    def _receive(self) -> None:
        """Let the protocol have what is read."""
        self._received = self._protocol.receiver()
        if not self._is_closing:
            self._io.on_datagram = self._received

    def _read_more(self, batch: list[tuple[bytes, NetworkAddress]]) -> None:
        self._read_into(batch, more=True)
        self._io.lone_reads = self._io.lone_reads + 1 if len(batch) <= 1 else 0
        if batch:
            self._received(batch)
        if self._read_error is not None:
            error, self._read_error = self._read_error, None
            self._read_failed(error)

    def _read_failed(self, error: OSError) -> None:
        self._protocol.error_received(error)

    def read_waiting(self, *, more: bool = True) -> list[tuple[bytes, NetworkAddress]]:
        """Return the datagrams that wait in the kernel, up to the protocol's `read_batch`.

        An error ends the batch, and is reported when the loop next finds the socket readable.

        Args:
            more: False returns after the first read, unless that shows that there is more.
        """
        batch: list[tuple[bytes, NetworkAddress]] = []
        if not self._is_closing:
            self._read_into(batch, more=more)
        return batch

    def _read_into(self, batch: list[tuple[bytes, NetworkAddress]], *, more: bool) -> None:
        """Add to a batch what waits; see `read_waiting`."""
        receive, limit = self._io.receive, self._protocol.read_batch
        try:
            while len(batch) < limit and (count := receive(batch)) and (more or count > 1):
                more = True
        except OSError as exc:
            self._read_error = exc

    # Sending.

    def sendto(self, data: bytes | bytearray | memoryview, addr: NetworkAddress | None = None) -> None:
        """Send one datagram, or keep it until the socket takes it; errors go to `error_received`."""
        self._io.pass_on(data, addr)

    def _not_sent(self, error: OSError | None, data: bytes | bytearray | memoryview, addr: Any) -> None:
        """Keep a datagram until the socket takes it; errors go to `error_received`."""
        if error is not None and not isinstance(error, BlockingIOError):
            error = self._attempt_again(error, self._io.send, data, addr)
            if error is None:
                return
            if not isinstance(error, BlockingIOError):
                self._protocol.error_received(error)
                return
        self._keep([bytes(data)], addr)

    def send_all(self, datagrams: Sequence[Datagram]) -> None:
        """Send datagrams in order, in as few system calls as can be; otherwise like `sendto` for each."""
        for packets, addr in runs(datagrams):
            if self._is_over:
                return
            rest = packets if self._unsent else self._send_run(packets, addr)
            if rest:
                self._keep(rest, addr)

    def _send_run(self, packets: list[bytes], addr: NetworkAddress | None) -> list[bytes]:
        """Send packets that can share a call; return those that the socket does not take now."""
        if self._is_connected:
            addr = None
        host = None if addr is None else addr[0]
        if len(packets) == 1 or not self._segments or host in self._unsegmented:
            return self._send_singly(packets, addr)[0]
        error = self._attempt(udp.send_segments, self._sock, packets, addr)
        if error is None:
            return []
        if isinstance(error, BlockingIOError):
            return packets
        # A wrong address fails one by one as well, and so does a probe of the path's MTU that is too long for the
        # interface: it takes none of the others with it, and says nothing about segmentation.
        rest, passed = self._send_singly(packets, addr)
        if passed == len(packets) and error.errno in REFUSALS:
            self._unsegmented.add(host)
            self._segments = len(self._unsegmented) <= MAX_UNSEGMENTED
        return rest

    def _send_singly(self, packets: list[bytes], addr: NetworkAddress | None) -> tuple[list[bytes], int]:
        """Send packets that are not segmented; return those that the socket does not take now, and how many it took."""
        send_some = self._io.send_some
        index = passed = 0
        while index < len(packets):
            try:
                count = send_some(packets, index, addr)
            except BlockingIOError:
                return packets[index:], passed
            except OSError as exc:
                error = self._attempt_again(exc, self._io.send, packets[index], addr)
                if isinstance(error, BlockingIOError):
                    return packets[index:], passed
                if error is not None:
                    self._protocol.error_received(error)
                    if self._is_over:
                        break
                    index += 1
                    continue
                count = 1
            index += count
            passed += count
        return [], passed

    def _attempt(self, send: Callable[..., object], *args: Any) -> OSError | None:
        """Send, and return the error if it fails: BlockingIOError when the socket is full."""
        try:
            send(*args)
        except BlockingIOError as exc:
            return exc
        except OSError as exc:
            return self._attempt_again(exc, send, *args)
        return None

    def _attempt_again(self, error: OSError, send: Callable[..., object], *args: Any) -> OSError | None:
        """Send what has failed once, and return the error if it fails again; one that does not come again is reported.

        The error of an earlier packet (ICMP) comes up in place of sending the next one.
        """
        again: OSError | None = None
        try:
            send(*args)
        except OSError as exc:
            again = exc
        if again is None or again.errno != error.errno:
            self._protocol.error_received(error)
        return again

    def _keep(self, packets: list[bytes], addr: NetworkAddress | None) -> None:
        """Queue packets until the socket is writable."""
        if self._is_over:  # an error that was reported made the protocol abort
            return
        if not self._unsent:
            self._loop.add_writer(self._fd, self._write_ready)
        self._unsent.append((packets, addr))
        self._io.is_held = True
        self._unsent_bytes += sum(map(len, packets))
        if self._unsent_bytes > HIGH_WATER and not self._is_paused:
            self._is_paused = True
            self._protocol.pause_writing()

    def _write_ready(self) -> None:
        unsent = self._unsent
        while unsent:
            packets, addr = unsent[0]
            rest = self._send_run(packets, addr)
            if self._is_over:  # an error that was reported made the protocol abort
                return
            self._unsent_bytes -= sum(map(len, packets)) - sum(map(len, rest))
            if rest:
                unsent[0] = rest, addr
                break
            unsent.popleft()
        if not unsent:
            self._io.is_held = False
            self._loop.remove_writer(self._fd)
            if self._is_closing:
                self._end()
                return
        if self._is_paused and self._unsent_bytes <= LOW_WATER:
            self._is_paused = False
            self._protocol.resume_writing()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait for the socket."""
        return self._unsent_bytes

    # The end.

    def is_closing(self) -> bool:
        """Tell whether the transport is closed, or will be when everything is sent."""
        return self._is_closing

    def close(self) -> None:
        """Read no more, send what is queued, then close the socket; `connection_lost` tells when."""
        if not self._is_closing:
            self._is_closing = True
            self._io.on_datagram = None
            self._loop.remove_reader(self._fd)
            if not self._unsent:
                self._end()

    def abort(self) -> None:
        """Close the socket and forget what is queued."""
        if self._is_over:
            return
        if not self._is_closing:
            self._is_closing = True
            self._io.on_datagram = None
            self._loop.remove_reader(self._fd)
        if self._unsent:
            self._loop.remove_writer(self._fd)
            self._unsent.clear()
            self._unsent_bytes = 0
        self._end()

    def get_protocol(self) -> BatchProtocol:
        """Return who gets what is read."""
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let another protocol have what is read from now on."""
        if not isinstance(protocol, BatchProtocol):
            raise TypeError("the protocol must take batches")
        self._protocol = protocol
        self._receive()

    def _end(self) -> None:
        self._is_over = True
        self._io.is_held = True
        self._ending = self._loop.call_soon(self._close_socket)

    def close_now(self) -> bool:
        """As `close`, but not in the next turn of the loop; False, and it is, when datagrams wait for the socket.

        Not to be called while what was read is dealt with.
        """
        self.close()
        if self._ending is not None:
            self._ending.cancel()
            self._close_socket()
        return self._is_over

    def _close_socket(self) -> None:
        self._ending = None
        try:
            self._protocol.connection_lost(None)
        finally:
            self._protocol = BatchProtocol()  # the two knew each other
            self._received = self._protocol.receiver()
            self._io.detach()
            self._sock.close()


def _peername(sock: socket.socket) -> NetworkAddress | None:
    try:
        return sock.getpeername()
    except OSError:  # not connected
        return None
