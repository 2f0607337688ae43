"""In which order a host's addresses are tried, and which socket a client uses when its network changes."""

import asyncio
import errno
import socket

import pytest
from fake_port import FakeEngine, FakePort

from wtransport._adapter import dialer as dialer_module
from wtransport._adapter.addresses import Endpoint
from wtransport._adapter.dialer import MAX_ADDRESSES, REOPEN_INTERVAL, _Dialer, look_up
from wtransport._adapter.protocol import AdapterProtocol

REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
CHANGED = OSError(errno.EINVAL, "the address is gone")


class Rig:
    """A dialer with a server that receives and never answers."""

    def __init__(self) -> None:
        self.server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.server.bind(("127.0.0.1", 0))
        self.server.setblocking(False)
        self.address = self.server.getsockname()
        self.protocol = AdapterProtocol(port=FakePort(is_client=True))
        self.engine = FakeEngine(self.protocol.port)
        self.protocol.bind(engine=self.engine, deliver=lambda event: None)
        self.dialer = _Dialer(self.protocol, Endpoint(socket.AF_INET, self.address))

    async def settle(self) -> None:
        for _ in range(8):
            await asyncio.sleep(0)

    def send(self, data: bytes) -> None:
        self.engine.outgoing = [(data, self.address)]
        self.protocol.flush_soon()

    async def received(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.server, 100)


@pytest.fixture
async def make():
    rigs = []

    def call():
        rigs.append(rig := Rig())
        return rig

    yield call
    for rig in rigs:
        rig.server.close()
        rig.protocol.close_transport()
        await rig.settle()


V4 = [Endpoint(socket.AF_INET, (f"192.0.2.{number}", 443)) for number in range(20)]
V6 = [Endpoint(socket.AF_INET6, (f"2001:db8::{number}", 443, 0, 0)) for number in range(20)]


@pytest.mark.parametrize(
    ("found", "tried"),
    [
        (V6[:3] + V4[:2], [V6[0], V4[0], V6[1], V4[1], V6[2]]),
        (V4[:1] + V6[:3], [V4[0], V6[0], V6[1], V6[2]]),
        (V4[:2], V4[:2]),
        (V6 + V4, [each for pair in zip(V6, V4, strict=True) for each in pair][:MAX_ADDRESSES]),
    ],
)
async def test_families_take_turns(found, tried, monkeypatch):
    async def resolve(**arguments):
        assert arguments == {"host": "name.test", "port": 443}
        return found

    monkeypatch.setattr(dialer_module, "resolve", resolve)
    assert await look_up(host="name.test", port=443) == tried


async def test_no_address_at_all_is_an_os_error(monkeypatch):
    async def resolve(**_):
        return []

    monkeypatch.setattr(dialer_module, "resolve", resolve)
    with pytest.raises(OSError, match="no IP address"):
        await look_up(host="name.test", port=443)


async def test_an_address_that_refuses_ends_the_attempt(make):
    rig = make()
    await rig.dialer.open()
    rig.send(b"initial")
    assert await rig.received() == b"initial"
    rig.protocol.error_received(REFUSED)
    await rig.settle()
    assert rig.protocol.error is REFUSED
    assert rig.protocol.is_finished


async def test_other_errors_do_not(make):
    rig = make()
    await rig.dialer.open()
    rig.protocol.error_received(OSError(errno.ENOBUFS, "no room"))
    await rig.settle()
    assert rig.protocol.remote_address == rig.address
    assert not rig.protocol.is_finished


async def test_without_a_route_there_is_no_socket(make, monkeypatch):
    monkeypatch.setattr(dialer_module, "connect_socket", unreachable)
    with pytest.raises(OSError, match="no route"):
        await make().dialer.open()


def unreachable(endpoint):
    raise OSError(errno.ENETUNREACH, "no route")


async def test_a_network_change_opens_another_socket_to_the_same_server(make):
    rig = make()
    await rig.dialer.open()
    rig.engine.is_ready = True
    old = rig.protocol.local_address
    rig.protocol.error_received(CHANGED)
    await rig.settle()
    assert rig.protocol.local_address != old
    assert rig.protocol.remote_address == rig.address
    rig.send(b"from elsewhere")
    assert await rig.received() == b"from elsewhere"


async def test_sockets_are_not_opened_more_often_than_once_a_second(make, monkeypatch):
    rig = make()
    await rig.dialer.open()
    rig.engine.is_ready = True
    clock = 5000.0
    monkeypatch.setattr(rig.protocol, "now", lambda: clock)
    seen = {rig.protocol.local_address}
    for _ in range(5):
        rig.protocol.error_received(CHANGED)
        await rig.settle()
        seen.add(rig.protocol.local_address)
    assert len(seen) == 2
    clock += REOPEN_INTERVAL
    rig.protocol.error_received(CHANGED)
    await rig.settle()
    assert rig.protocol.local_address not in seen


async def test_without_a_network_the_connection_waits_for_one(make, monkeypatch):
    rig = make()
    await rig.dialer.open()
    rig.engine.is_ready = True
    old = rig.protocol.local_address
    with monkeypatch.context() as patch:
        patch.setattr(dialer_module, "connect_socket", unreachable)
        rig.protocol.error_received(CHANGED)
        await rig.settle()
    assert rig.protocol.local_address == old
    assert not rig.protocol.is_closed
    monkeypatch.setattr(rig.protocol, "now", lambda: 1e9)
    rig.protocol.error_received(CHANGED)
    await rig.settle()
    assert rig.protocol.local_address != old


async def test_a_connection_that_ended_meanwhile_gets_no_socket(make):
    rig = make()
    await rig.dialer.open()
    rig.engine.is_ready = True
    rig.protocol.error_received(CHANGED)
    rig.protocol.close_transport()
    await rig.settle()
    assert rig.protocol.is_finished
    assert rig.protocol.transport.is_closing()
