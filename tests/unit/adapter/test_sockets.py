"""Binding and connecting UDP sockets."""

import asyncio
import errno
import socket
import sys

import pytest
from both_loops import on_both_loops

from wtransport._adapter.addresses import Endpoint
from wtransport._adapter.sockets import bind_sockets, connect_socket, open_transport
from wtransport._adapter.udp_transport import BatchProtocol, UdpTransport

V4, V6 = socket.AF_INET, socket.AF_INET6


def endpoint(host, port=0):
    return Endpoint(V6, (host, port, 0, 0)) if ":" in host else Endpoint(V4, (host, port))


@pytest.fixture
def bind():
    opened = []

    def call(*endpoints):
        opened.extend(sockets := bind_sockets(list(endpoints)))
        return sockets

    yield call
    for sock in opened:
        sock.close()


def port_of(sock):
    return sock.getsockname()[1]


def test_every_address_gets_the_same_port(bind, has_ipv6):
    sockets = bind(endpoint("127.0.0.1"), endpoint("::1"), endpoint("127.0.0.2"))
    assert [sock.getsockname()[0] for sock in sockets] == ["127.0.0.1", "::1", "127.0.0.2"]
    assert len({port_of(sock) for sock in sockets}) == 1
    assert port_of(sockets[0])


def test_a_port_that_is_taken_on_a_later_address_is_not_chosen(bind, monkeypatch):
    blocker = bind(endpoint("127.0.0.2"))[0]
    taken = port_of(blocker)
    real_bind = socket.socket.bind
    asked = []

    class FirstChoosesTaken(socket.socket):
        def bind(self, address):
            if address == ("127.0.0.1", 0):
                asked.append(address)
                if len(asked) == 1:
                    address = ("127.0.0.1", taken)
            real_bind(self, address)

    monkeypatch.setattr(socket, "socket", FirstChoosesTaken)
    sockets = bind(endpoint("127.0.0.1"), endpoint("127.0.0.2"))
    assert len(asked) == 2
    assert port_of(sockets[0]) == port_of(sockets[1]) != taken


def test_a_port_in_use_is_an_error_and_nothing_stays_bound(bind):
    blocker = bind(endpoint("127.0.0.2"))[0]
    port = port_of(blocker)
    with pytest.raises(OSError) as caught:
        bind(endpoint("127.0.0.1", port), endpoint("127.0.0.2", port))
    assert caught.value.errno == errno.EADDRINUSE
    bind(endpoint("127.0.0.1", port))


def test_an_address_family_that_is_absent_is_left_out(bind, monkeypatch):
    class OnlyIPv4(socket.socket):
        def __init__(self, family=-1, *args, **kwargs):
            if family == V6:
                raise OSError(errno.EAFNOSUPPORT, "no IPv6 here")
            super().__init__(family, *args, **kwargs)

    monkeypatch.setattr(socket, "socket", OnlyIPv4)
    sockets = bind(endpoint("::1"), endpoint("127.0.0.1"))
    assert [sock.getsockname()[0] for sock in sockets] == ["127.0.0.1"]
    with pytest.raises(OSError, match="no IPv6 here"):
        bind(endpoint("::1"))


def test_an_address_that_this_host_has_not_is_an_error_when_alone(bind):
    with pytest.raises(OSError) as caught:
        bind(endpoint("192.0.2.123", 4433))
    assert caught.value.errno == errno.EADDRNOTAVAIL


def test_both_wildcards_share_a_port(bind, has_ipv6):
    ipv4, ipv6 = bind(endpoint("0.0.0.0"), endpoint("::"))
    assert port_of(ipv4) == port_of(ipv6)
    assert ipv6.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def test_the_ipv6_wildcard_alone_is_dual_stack_as_the_system_has_it(bind, has_ipv6):
    with socket.socket(V6, socket.SOCK_DGRAM) as plain:
        default = plain.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    assert bind(endpoint("::"))[0].getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == default


def test_no_address_at_all_is_an_error():
    with pytest.raises(OSError):
        bind_sockets([])


def test_buffers_are_larger_than_the_default(bind):
    with socket.socket(V4, socket.SOCK_DGRAM) as plain:
        default = plain.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    sock = bind(endpoint("127.0.0.1"))[0]
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= default
    assert not sock.getblocking()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux option numbers")
def test_packets_are_not_fragmented(bind, has_ipv6):
    ipv4, ipv6 = bind(endpoint("127.0.0.1"), endpoint("::1"))
    assert ipv4.getsockopt(socket.IPPROTO_IP, 10) == 3
    assert ipv6.getsockopt(socket.IPPROTO_IPV6, 23) == 3


def test_a_connected_socket_knows_its_peer(bind):
    server = bind(endpoint("127.0.0.1"))[0]
    with connect_socket(Endpoint(V4, server.getsockname())) as sock:
        assert sock.getpeername() == server.getsockname()


def test_an_address_without_a_route_is_an_error_at_once():
    with pytest.raises(OSError):
        connect_socket(endpoint("255.255.255.255", 9))


class Closing(BatchProtocol):
    def __init__(self):
        self.lost = asyncio.get_running_loop().create_future()
        self.received = asyncio.get_running_loop().create_future()

    def datagrams_received(self, datagrams):
        self.received.set_result(list(datagrams))

    def connection_lost(self, exc):
        self.lost.set_result(exc)


class Blind(asyncio.SelectorEventLoop):
    """A loop that watches no sockets for others, as asyncio's on Windows."""

    def add_reader(self, fd, callback, *args):
        raise NotImplementedError


def test_a_loop_that_cannot_watch_sockets_uses_its_own_transport(bind):
    sock, other = bind(endpoint("127.0.0.1"))[0], bind(endpoint("127.0.0.1"))[0]

    async def run():
        protocol = Closing()
        transport = await open_transport(protocol, sock)
        assert not isinstance(transport, UdpTransport)
        other.sendto(b"ping", sock.getsockname())
        assert await asyncio.wait_for(protocol.received, 5.0) == [(b"ping", other.getsockname())]
        transport.close()
        await asyncio.wait_for(protocol.lost, 5.0)

    with asyncio.Runner(loop_factory=Blind) as runner:
        runner.run(run())
    assert sock.fileno() == -1


@on_both_loops
async def test_other_loops_use_ours(bind):
    protocol = Closing()
    transport = await open_transport(protocol, sock := bind(endpoint("127.0.0.1"))[0])
    assert isinstance(transport, UdpTransport)
    transport.close()
    assert await asyncio.wait_for(protocol.lost, 5.0) is None
    await asyncio.sleep(0)
    assert sock.fileno() == -1


@on_both_loops
async def test_a_socket_that_the_loop_refuses_is_closed():
    sock = socket.socket(V4, socket.SOCK_STREAM)
    with pytest.raises(ValueError):
        await open_transport(BatchProtocol(), sock)
    assert sock.fileno() == -1


@pytest.mark.parametrize("turns", range(4))
@on_both_loops
async def test_a_cancelled_opening_leaves_no_socket(bind, turns):
    await cancel_opening(bind, turns)


@pytest.mark.parametrize("turns", range(4))
def test_a_cancelled_opening_of_a_loops_own_transport_leaves_no_socket(bind, turns):
    with asyncio.Runner(loop_factory=Blind) as runner:
        runner.run(cancel_opening(bind, turns))


async def cancel_opening(bind, turns):
    (sock,) = bind(endpoint("127.0.0.1"))
    port = port_of(sock)
    opening = asyncio.create_task(open_transport(BatchProtocol(), sock))
    for _ in range(turns):
        await asyncio.sleep(0)
    if not opening.cancel():
        opening.result().close()
    if turns == 0:
        sock.close()  # it was cancelled before it began, and so the socket is not its own
    await asyncio.wait((opening,))
    async with asyncio.timeout(5.0):
        while len(asyncio.all_tasks()) > 1 or is_bound(port):
            await asyncio.sleep(0)


def is_bound(port):
    with socket.socket(V4, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
