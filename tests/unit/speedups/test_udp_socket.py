"""`UdpSocket`: what is read and sent, one or joined, with which address, and what becomes of errors."""

from __future__ import annotations

import errno
import gc
import platform
import socket
import subprocess
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
    with pytest.raises(OSError, match="Errno") as caught:
        io.send_some([b"1", b"2"], 0, other.getsockname())
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


def send_all(io: Any, packets: list[bytes], address: Any = None) -> int:
    """Send all of these, and return how many calls it took."""
    calls = start = 0
    while start < len(packets):
        start += io.send_some(packets, start, address)
        calls += 1
    assert start == len(packets)
    return calls


def receive_all(io: Any) -> list[tuple[bytes, Any]]:
    datagrams: list[tuple[bytes, Any]] = []
    before = -1
    while before < len(datagrams):
        before = len(datagrams)
        assert io.receive(datagrams) == len(datagrams) - before
    return datagrams


def known(io: Any, other: socket.socket, name: Any) -> Any:
    """Have an address known to the kernel, as one that an answer goes to."""
    other.sendto(b"", name)
    [(_, address)] = receive_all(io)
    return address


@pytest.mark.parametrize("count", [1, 2, 64, 65, 200])
@pytest.mark.parametrize("is_connected", [False, True])
def test_many_datagrams_go_and_come_in_order(kernels: ModuleType, open_socket, count, is_connected) -> None:
    here, there = open_socket(), open_socket()
    if is_connected:
        here.connect(there.getsockname())
    io = kernels.UdpSocket(here, there.getsockname() if is_connected else None)
    far = kernels.UdpSocket(there)
    address = known(io, there, here.getsockname())
    packets = [b"%d" % number for number in range(count)]
    calls = send_all(io, packets, address)
    assert receive_all(far) == [(data, here.getsockname()) for data in packets]
    send_all(far, packets[:1], here.getsockname())
    assert receive_all(io) == [(b"0", there.getsockname())]
    if kernels.__name__.endswith("_compiled") and sys.platform == "linux":
        assert calls == -(-count // 64)


def test_many_datagrams_of_several_senders(kernels: ModuleType, open_socket) -> None:
    here, others = open_socket(), [open_socket() for _ in range(3)]
    sent = [(bytes([number]) * (number * 57), others[number % 3]) for number in range(40)]
    for data, other in sent:
        other.sendto(data, here.getsockname())
    assert receive_all(kernels.UdpSocket(here)) == [(data, other.getsockname()) for data, other in sent]


@pytest.mark.parametrize("size", [0, 1, 65_507])
def test_sizes_of_many(kernels: ModuleType, open_socket, size) -> None:
    here, there = open_socket(), open_socket()
    here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    io = kernels.UdpSocket(there)
    address = known(io, here, there.getsockname())
    packets = [b"before", bytes([7]) * size, b"after"]
    send_all(io, packets, address)
    assert receive_all(kernels.UdpSocket(here)) == [(data, there.getsockname()) for data in packets]


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_one_of_many_that_fails_is_met_when_it_is_the_first(kernels: ModuleType, open_socket, wrong) -> None:
    here, there = open_socket(), open_socket()
    io = kernels.UdpSocket(here)
    address = known(io, there, here.getsockname())
    packets = [b"0", b"1", b"2"]
    packets[wrong] = bytes(65_530)
    start = 0
    while start < wrong:
        start += io.send_some(packets, start, address)
    assert start == wrong
    with pytest.raises(OSError, match="Errno") as caught:
        io.send_some(packets, wrong, address)
    assert caught.value.errno == errno.EMSGSIZE
    for start in range(wrong + 1, 3):
        assert io.send_some(packets[: start + 1], start, address) == 1
    assert [data for data, _ in receive_all(kernels.UdpSocket(there))] == [each for each in packets if len(each) == 1]


@pytest.mark.parametrize("joins", [False, True])
def test_what_is_read_while_reading_changes_nothing(kernels: ModuleType, open_socket, joins) -> None:
    here, there, elsewhere = open_socket(), open_socket(), open_socket()
    if joins and not (udp.coalesce(here) and udp.can_segment(there)):
        pytest.skip("this kernel has no offloads")
    io, other = kernels.UdpSocket(here, None, joins), kernels.UdpSocket(elsewhere)
    packets = [bytes([number]) * 100 for number in range(30)]

    def read_elsewhere(*_: object) -> None:  # as a finalizer could, which a collection can run anywhere
        for _ in range(32):
            there.sendto(b"z" * 3000, elsewhere.getsockname())
        other.receive([])

    for _ in range(6):
        if joins:
            udp.send_segments(there, packets, here.getsockname())
        else:
            for data in packets:
                there.sendto(data, here.getsockname())
    kept = [(number, object()) for number in range(5000)]  # so that each tuple is made, and counts for a collection
    threshold = gc.get_threshold()
    gc.callbacks.append(read_elsewhere)
    gc.set_threshold(1)
    try:
        datagrams = receive_all(io)
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(read_elsewhere)
    assert datagrams == [(data, there.getsockname()) for data in packets * 6]
    assert len(kept) == 5000


def test_many_to_an_address_that_nothing_came_from(kernels: ModuleType, open_socket) -> None:
    other = open_socket()
    send_all(kernels.UdpSocket(open_socket()), [b"first", b"second"], other.getsockname())
    assert [data for data, _ in receive_all(kernels.UdpSocket(other))] == [b"first", b"second"]


def test_many_that_are_not_all_bytes(kernels: ModuleType, open_socket) -> None:
    here, other = open_socket(), open_socket()
    io = kernels.UdpSocket(here)
    packets = [b"0", bytearray(b"1"), b"2", memoryview(b"3")]
    send_all(io, packets, known(io, other, here.getsockname()))
    assert [data for data, _ in receive_all(kernels.UdpSocket(other))] == [b"0", b"1", b"2", b"3"]


@pytest.mark.parametrize(
    ("packets", "start", "error"),
    [((b"data",), 0, TypeError), ([], 0, IndexError), ([b"data"], 1, IndexError), ([b"data"], -1, IndexError)],
)
def test_what_cannot_be_sent_in_part(kernels: ModuleType, open_socket, packets, start, error) -> None:
    other = open_socket()
    with pytest.raises(error, match="packets"):
        kernels.UdpSocket(open_socket()).send_some(packets, start, other.getsockname())


WITHOUT_CALLS = """
import ctypes, errno, importlib, socket, struct, sys
UdpSocket = importlib.import_module(sys.argv[1]).UdpSocket
RECVMMSG, SENDMMSG = 299, 307
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.ENOSYS
steps = [(0x20, 0, 0, 0), (0x15, 2, 0, RECVMMSG), (0x15, 1, 0, SENDMMSG), (0x06, 0, 0, ALLOW), (0x06, 0, 0, REFUSE)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.c_void_p(ctypes.addressof(program)), 0, 0):
    print("no filter")
    raise SystemExit
here, there = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
for sock in (here, there):
    sock.setblocking(False)
    sock.bind(("127.0.0.1", 0))
io, far = UdpSocket(here), UdpSocket(there)
far.send(b"hello", here.getsockname())
[(_, address)], datagrams = (lambda read: (io.receive(read), read)[1])([]), []
print(io.send_some([b"1", b"2"], 0, address), io.send_some([b"1", b"2"], 1, address))
print(far.receive(datagrams), far.receive(datagrams), [data for data, _ in datagrams])
"""


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="the numbers of the calls are those of x86-64"
)
def test_a_kernel_without_calls_for_many(kernels: ModuleType) -> None:
    output = subprocess.run(
        [sys.executable, "-c", WITHOUT_CALLS, kernels.__name__], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    if output == "no filter\n":
        pytest.skip("this system filters no calls")
    assert output == "1 1\n1 1 [b'1', b'2']\n"
