"""Which socket a client uses when addresses refuse it or its network changes."""

import asyncio
import errno
import socket

import pytest
from fake_port import FakeEngine, FakePort

from wtransport._adapter import dialer as dialer_module
from wtransport._adapter.addresses import Endpoint
from wtransport._adapter.dialer import REOPEN_INTERVAL, _Dialer
from wtransport._adapter.protocol import AdapterProtocol

REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
CHANGED = OSError(errno.EINVAL, "the address is gone")


class Rig:
    """A dialer with servers that receive and never answer."""

    def __init__(self, count: int) -> None:
        self.servers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
        for server in self.servers:
            server.bind(("127.0.0.1", 0))
            server.setblocking(False)
        self.addresses = [server.getsockname() for server in self.servers]
        self.protocol = AdapterProtocol(port=FakePort(is_client=True))
        self.engine = FakeEngine(self.protocol.port)
        self.protocol.bind(engine=self.engine, deliver=lambda event: None)
        self.dialer = _Dialer(self.protocol, [Endpoint(socket.AF_INET, address) for address in self.addresses])

    async def settle(self) -> None:
        for _ in range(8):
            await asyncio.sleep(0)

    def send(self, data: bytes) -> None:
        self.engine.outgoing = [(data, self.addresses[0])]
        self.protocol.flush_soon()

    async def received(self, number: int) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.servers[number], 100)


@pytest.fixture
async def make():
    rigs = []

    def call(count=2):
        rigs.append(rig := Rig(count))
        return rig

    yield call
    for rig in rigs:
        for server in rig.servers:
            server.close()
        rig.protocol.close_transport()
        await rig.settle()


async def test_the_first_address_is_used_until_it_refuses(make):
    rig = make()
    transport = await rig.dialer.open()
    assert rig.protocol.remote_address == rig.addresses[0]
    rig.send(b"initial")
    assert await rig.received(0) == b"initial"
    rig.protocol.error_received(REFUSED)
    rig.protocol.error_received(REFUSED)
    await rig.settle()
    assert rig.protocol.remote_address == rig.addresses[1]
    assert await rig.received(1) == b"initial"
    assert transport.is_closing()
    assert rig.protocol.error is None


async def test_a_first_flight_goes_to_every_address_in_turn(make):
    rig = make(3)
    await rig.dialer.open()
    rig.send(b"initial")
    for number in range(2):
        assert await rig.received(number) == b"initial"
        rig.protocol.error_received(REFUSED)
        await rig.settle()
    assert await rig.received(2) == b"initial"
    rig.protocol.error_received(REFUSED)
    await rig.settle()
    assert rig.protocol.error is REFUSED
    assert rig.protocol.is_finished


async def test_other_errors_do_not_make_it_move_on(make):
    rig = make()
    await rig.dialer.open()
    rig.protocol.error_received(OSError(errno.ENOBUFS, "no room"))
    await rig.settle()
    assert rig.protocol.remote_address == rig.addresses[0]


async def test_the_attempt_fails_when_the_other_addresses_cannot_be_reached(make, monkeypatch):
    rig = make()
    await rig.dialer.open()
    monkeypatch.setattr(dialer_module, "connect_socket", unreachable)
    rig.protocol.error_received(REFUSED)
    await rig.settle()
    assert rig.protocol.error is REFUSED
    assert rig.protocol.is_finished


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
    assert rig.protocol.remote_address == rig.addresses[0]
    rig.send(b"from elsewhere")
    assert await rig.received(0) == b"from elsewhere"


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
    rig.protocol.error_received(REFUSED)
    rig.protocol.close_transport()
    await rig.settle()
    assert rig.protocol.is_finished
    assert rig.protocol.transport.is_closing()


async def test_no_address_at_all_is_an_os_error(make):
    protocol = make().protocol
    with pytest.raises(OSError, match="no IP address"):
        await _Dialer(protocol, []).open()
