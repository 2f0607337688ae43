"""`UdpSocket`: what is read and sent, one or joined, with which address, and what becomes of errors."""

from __future__ import annotations

import errno
import gc
import socket
import sys
import weakref
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from wtransport._adapter import udp
from wtransport._speedups._constants import LOOK_AGAIN

Open = Callable[..., socket.socket]

HOSTS = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


@pytest.fixture
def open_socket() -> Iterator[Open]:
    """Open bound sockets that do not block."""
    opened: list[socket.socket] = []

    def open_one(family: int = socket.AF_INET, kind: type[socket.socket] = socket.socket) -> socket.socket:
        sock = kind(family, socket.SOCK_DGRAM)
        opened.append(sock)
        sock.setblocking(False)
        try:
            sock.bind((HOSTS[family], 0))
        except OSError:
            pytest.skip("this host has no such addresses")
        return sock

    yield open_one
    for sock in opened:
        sock.close()


def received(io: Any) -> tuple[int, list[tuple[bytes, Any]]]:
    datagrams: list[tuple[bytes, Any]] = []
    return io.receive(datagrams), datagrams


@pytest.mark.parametrize("family", HOSTS)
def test_a_datagram_comes_with_the_address_that_an_answer_goes_to(kernels: ModuleType, open_socket, family) -> None:
    here, there = open_socket(family), open_socket(family)
    io = kernels.UdpSocket(here)
    there.sendto(b"hello", here.getsockname())
    count, [(data, address)] = received(io)
    assert (count, data, address) == (1, b"hello", there.getsockname())
    io.send(b"answer", address)
    assert there.recvfrom(100) == (b"answer", here.getsockname())


def test_nothing_waits(kernels: ModuleType, open_socket) -> None:
    assert received(kernels.UdpSocket(open_socket())) == (0, [])
    assert received(kernels.UdpSocket(open_socket(), None, True)) == (0, [])


@pytest.mark.parametrize("size", [0, 1, 1472, 65_507])
def test_sizes(kernels: ModuleType, open_socket, size) -> None:
    here, there = open_socket(), open_socket()
    sent = bytes(range(256)) * 256
    kernels.UdpSocket(there).send(sent[:size], here.getsockname())
    assert received(kernels.UdpSocket(here)) == (1, [(sent[:size], there.getsockname())])


def test_datagrams_of_several_senders_in_turn(kernels: ModuleType, open_socket) -> None:
    here, others = open_socket(), [open_socket() for _ in range(3)]
    io = kernels.UdpSocket(here)
    for _ in range(2):
        for number, other in enumerate(others):
            other.sendto(b"%d" % number, here.getsockname())
            assert received(io) == (1, [(b"%d" % number, other.getsockname())])
    for number, other in enumerate(others):
        io.send(b"to %d" % number, other.getsockname())
        assert other.recv(10) == b"to %d" % number


def test_more_senders_than_are_remembered(kernels: ModuleType, open_socket) -> None:
    io = kernels.UdpSocket(open_socket())
    here = io_name(io, open_socket)
    for _ in range(1100):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 0))
            other.sendto(b"", here)
            assert received(io) == (1, [(b"", other.getsockname())])


def io_name(io: Any, open_socket: Open) -> Any:
    """Return where a socket is bound to, by its answer."""
    other = open_socket()
    io.send(b"", other.getsockname())
    return other.recvfrom(1)[1]


def test_an_address_that_nothing_came_from(kernels: ModuleType, open_socket) -> None:
    other = open_socket()
    kernels.UdpSocket(open_socket()).send(b"first", other.getsockname())
    assert other.recv(10) == b"first"


@pytest.mark.parametrize("address", [("127.0.0.1",), ("127.0.0.1", "x"), 7, ["127.0.0.1", 1]])
def test_what_is_no_address(kernels: ModuleType, open_socket, address) -> None:
    with pytest.raises(TypeError):
        kernels.UdpSocket(open_socket()).send(b"data", address)


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_other_bytes(kernels: ModuleType, open_socket, kind) -> None:
    other = open_socket()
    kernels.UdpSocket(open_socket()).send(kind(b"data"), other.getsockname())
    assert other.recv(10) == b"data"


def test_only_a_list_is_added_to(kernels: ModuleType, open_socket) -> None:
    with pytest.raises(TypeError, match="must be a list"):
        kernels.UdpSocket(open_socket()).receive(())


def test_on_a_connected_socket_everything_comes_from_the_peer(kernels: ModuleType, open_socket) -> None:
    here, there = open_socket(), open_socket()
    here.connect(there.getsockname())
    peer = here.getpeername()
    io = kernels.UdpSocket(here, peer)
    there.sendto(b"hello", here.getsockname())
    count, [(data, address)] = received(io)
    assert (count, data) == (1, b"hello")
    assert address is peer
    for to in (None, peer, ("192.0.2.1", 1)):
        io.send(b"answer", to)
        assert there.recvfrom(100) == (b"answer", here.getsockname())


def test_a_peer_that_is_gone_is_an_error(kernels: ModuleType, open_socket) -> None:
    here, there = open_socket(), open_socket()
    here.connect(there.getsockname())
    io = kernels.UdpSocket(here, here.getpeername())
    there.close()
    io.send(b"anybody?")
    with pytest.raises(ConnectionRefusedError):
        io.receive([])
    assert received(io) == (0, [])


def test_a_datagram_that_is_too_long(kernels: ModuleType, open_socket) -> None:
    here, there = open_socket(), open_socket()
    io = kernels.UdpSocket(here)
    there.sendto(b"", here.getsockname())
    received(io)
    with pytest.raises(OSError, match="Errno") as caught:
        io.send(bytes(65_508), there.getsockname())
    assert caught.value.errno == errno.EMSGSIZE


@pytest.mark.skipif(sys.platform != "linux", reason="the offload is Linux's")
@pytest.mark.parametrize(("count", "last"), [(2, 100), (5, 30), (3, 1)])
def test_joined_datagrams_are_taken_apart(kernels: ModuleType, open_socket, count, last) -> None:
    here, there = open_socket(), open_socket()
    if not udp.coalesce(here) or not udp.can_segment(there):
        pytest.skip("this kernel has no offloads")
    packets = [bytes([number]) * 100 for number in range(count - 1)] + [b"z" * last]
    udp.send_segments(there, packets, here.getsockname())
    there.sendto(b"alone", here.getsockname())
    io = kernels.UdpSocket(here, None, True)
    assert received(io) == (count, [(data, there.getsockname()) for data in packets])
    assert received(io) == (1, [(b"alone", there.getsockname())])


def test_a_socket_of_a_class_of_its_own_is_asked_itself(kernels: ModuleType, open_socket) -> None:
    class Deaf(socket.socket):
        def recvfrom(self, *_: Any) -> Any:
            raise BlockingIOError

        def sendto(self, *_: Any) -> Any:
            raise PermissionError

    here, there = open_socket(kind=Deaf), open_socket()
    there.sendto(b"hello", here.getsockname())
    io = kernels.UdpSocket(here)
    assert received(io) == (0, [])
    with pytest.raises(PermissionError):
        io.send(b"data", there.getsockname())


def test_a_socket_that_is_closed(kernels: ModuleType, open_socket) -> None:
    sock, other = open_socket(), open_socket()
    io = kernels.UdpSocket(sock)
    io.detach()
    sock.close()
    with pytest.raises(OSError, match="Errno") as caught:
        io.receive([])
    assert caught.value.errno == errno.EBADF
    with pytest.raises(OSError, match="Errno") as caught:
        io.send(b"data", other.getsockname())
    assert caught.value.errno == errno.EBADF


def test_the_socket_is_let_go_of(kernels: ModuleType) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    kept = weakref.ref(sock)
    io = kernels.UdpSocket(sock)
    sock.close()
    del io, sock
    gc.collect()
    assert kept() is None


class Watcher:
    """Keeps what a socket's kernel has to say."""

    def __init__(self, io: Any) -> None:
        self.io = io
        self.alone: list[Any] = []
        self.more: list[Any] = []
        self.errors: list[OSError] = []
        self.unsent: list[Any] = []
        io.on_datagram = self.alone.append
        io.on_more = self.more.append
        io.on_error = self.errors.append
        io.on_unsent = lambda *what: self.unsent.append(what)


def test_a_datagram_that_came_alone_is_handed_over_and_sometimes_it_is_asked_for_more(
    kernels: ModuleType, open_socket
) -> None:
    here, there = open_socket(), open_socket()
    watcher = Watcher(kernels.UdpSocket(here))
    watcher.io.read_ready()
    assert watcher.more == [[]], "nothing is known yet, so whoever asks reads"
    watcher.io.lone_reads = 1
    for number in range(1, LOOK_AGAIN):
        there.sendto(b"%d" % number, here.getsockname())
        watcher.io.read_ready()
        assert watcher.alone[-1] == [(b"%d" % number, there.getsockname())]
    assert watcher.io.lone_reads == LOOK_AGAIN
    there.sendto(b"last", here.getsockname())
    watcher.io.read_ready()
    assert watcher.more == [[], []]
    assert len(watcher.alone) == LOOK_AGAIN - 1
    assert received(watcher.io)[0] == 1


def test_a_wake_up_for_nothing_asks_nobody(kernels: ModuleType, open_socket) -> None:
    watcher = Watcher(kernels.UdpSocket(open_socket()))
    watcher.io.lone_reads = 1
    watcher.io.read_ready()
    assert (watcher.alone, watcher.more, watcher.errors) == ([], [], [])


def test_nothing_is_read_for_nobody(kernels: ModuleType, open_socket) -> None:
    here, there = open_socket(), open_socket()
    watcher = Watcher(kernels.UdpSocket(here))
    watcher.io.lone_reads = 1
    watcher.io.on_datagram = None
    there.sendto(b"later", here.getsockname())
    watcher.io.read_ready()
    assert received(watcher.io)[1] == [(b"later", there.getsockname())]


def test_an_error_of_reading_is_reported(kernels: ModuleType, open_socket) -> None:
    here, there = open_socket(), open_socket()
    nobody = there.getsockname()
    there.close()
    here.connect(nobody)
    watcher = Watcher(kernels.UdpSocket(here, nobody))
    watcher.io.lone_reads = 1
    here.send(b"to nobody")
    watcher.io.read_ready()
    assert [error.errno for error in watcher.errors] == [errno.ECONNREFUSED]


def test_what_is_passed_on_is_sent_or_comes_back(kernels: ModuleType, open_socket) -> None:
    here, there = open_socket(), open_socket()
    watcher = Watcher(kernels.UdpSocket(here))
    watcher.io.pass_on(b"first", there.getsockname())
    assert there.recvfrom(100) == (b"first", here.getsockname())
    watcher.io.is_held = True
    watcher.io.pass_on(b"held", there.getsockname())
    assert watcher.unsent == [(None, b"held", there.getsockname())]
    watcher.io.is_held = False
    watcher.io.pass_on(bytes(65_530), there.getsockname())
    error, data, address = watcher.unsent[1]
    assert (error.errno, len(data), address) == (errno.EMSGSIZE, 65_530, there.getsockname())


def test_a_socket_that_is_let_go_neither_reads_nor_sends(kernels: ModuleType, open_socket) -> None:
    here, there = open_socket(), open_socket()
    watcher = Watcher(kernels.UdpSocket(here))
    there.sendto(b"too late", here.getsockname())
    watcher.io.detach()
    watcher.io.read_ready()
    watcher.io.pass_on(b"late", there.getsockname())
    assert (watcher.alone, watcher.more, watcher.unsent) == ([], [], [])
    with pytest.raises(BlockingIOError):
        there.recvfrom(100)
