"""Segmentation and receive offload on real sockets, on both loops, and whole connections where the kernel refuses."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import sys
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
from adapter_ends import End, Server, client_end
from both_loops import on_both_loops

from wtransport._adapter import listener, udp
from wtransport._adapter.addresses import Endpoint, resolve
from wtransport._adapter.outlet import Outlet
from wtransport._adapter.sockets import bind_sockets, connect_socket, open_transport
from wtransport._adapter.udp_transport import BatchProtocol
from wtransport._protocol import events
from wtransport.config import ClientConfig, ServerConfig

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the offloads are Linux's")

WAIT = 30.0
PACKETS = [b"%04d" % number + bytes(1196 if number % 10 != 9 else 300) for number in range(150)]

SIZE = 1 << 19
"""Bytes that a whole connection carries: enough for packets to grow."""


def can_segment() -> bool:
    """Tell whether this kernel does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        return udp.can_segment(probe)


class Collector(BatchProtocol):
    """Keeps what arrives until there is as much as a test wants."""

    def __init__(self, wanted: int) -> None:
        self.batches: list[int] = []
        self.packets: list[bytes] = []
        self.sources: set[Any] = set()
        self.wanted = wanted
        self.complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def datagrams_received(self, datagrams: Sequence[tuple[bytes, Any]]) -> None:
        self.batches.append(len(datagrams))
        for data, addr in datagrams:
            self.packets.append(data)
            self.sources.add(addr)
        if len(self.packets) >= self.wanted and not self.complete.done():
            self.complete.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(None)


class Counting(socket.socket):
    """A socket that counts calls, and of which a test may take offloads away."""

    refused: tuple[int, ...] = ()
    fails_with: int | None = None
    mtu = 65_507
    """Bytes of the largest packet that the interface takes."""
    calls = 0
    sent: list[int]
    """Sizes of the packets that went out alone."""
    batched: list[int]
    """Sizes of those that shared a call."""

    def setsockopt(self, level: int, option: int, *value: Any) -> None:
        if level == udp.SOL_UDP and option in self.refused:
            raise OSError(errno.ENOPROTOOPT, "refused by the test")
        super().setsockopt(level, option, *value)

    def _count(self, sizes: list[int], book: list[int]) -> None:
        type(self).calls += 1
        if sizes[0] > self.mtu:
            raise OSError(errno.EMSGSIZE, "too long for the test's interface")
        book += sizes

    def sendmsg(self, packets: list[bytes], *args: Any) -> int:
        if self.fails_with is not None:
            type(self).calls += 1
            raise OSError(self.fails_with, "refused by the test")
        self._count([len(packet) for packet in packets], self.batched)
        return super().sendmsg(packets, *args)

    def send(self, data: bytes, *args: Any) -> int:
        self._count([len(data)], self.sent)
        return super().send(data, *args)

    def sendto(self, data: bytes, *args: Any) -> int:
        self._count([len(data)], self.sent)
        return super().sendto(data, *args)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> type[Counting]:
    """Sockets of a class that a test can change."""

    class Kernel(Counting):
        sent: ClassVar[list[int]] = []
        batched: ClassVar[list[int]] = []

    monkeypatch.setattr(socket, "socket", Kernel)
    return Kernel


async def exchange(bind: str, to: str) -> tuple[Collector, Collector]:
    """Send `PACKETS` from a connected socket to a bound one and back; return what both got."""
    (there,) = bind_sockets(await resolve(host=bind, port=0, passive=True))
    (target,) = await resolve(host=to, port=there.getsockname()[1])
    here = connect_socket(Endpoint(*target))
    server, client = Collector(len(PACKETS)), Collector(len(PACKETS))
    server_end, client_end = Outlet(await open_transport(server, there)), Outlet(await open_transport(client, here))
    try:
        client_end.send([(data, None) for data in PACKETS])
        await asyncio.wait_for(server.complete, WAIT)
        (source,) = server.sources
        server_end.send([(data, source) for data in PACKETS])
        await asyncio.wait_for(client.complete, WAIT)
    finally:
        for end, protocol in ((server_end, server), (client_end, client)):
            end.transport.close()
            await asyncio.wait_for(protocol.lost, WAIT)
    return server, client


@pytest.mark.parametrize(
    ("bind", "to"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "::1"), ("::", "127.0.0.1"), ("0.0.0.0", "127.0.0.1")],
)
@on_both_loops
async def test_packets_arrive_one_by_one_and_in_order(kernel: type[Counting], bind: str, to: str) -> None:
    if ":" in bind:
        try:
            bind_sockets(await resolve(host="::1", port=0))[0].close()
        except OSError:
            pytest.skip("this host has no IPv6")
    for end in await exchange(bind, to):
        assert end.packets == PACKETS
        assert len(end.sources) == 1
    if can_segment():
        assert kernel.calls == 2 * len(PACKETS) // 10


@pytest.mark.parametrize("refused", [(udp.UDP_SEGMENT,), (udp.UDP_GRO,), (udp.UDP_SEGMENT, udp.UDP_GRO)])
@on_both_loops
async def test_packets_arrive_without_offloads(kernel: type[Counting], refused: tuple[int, ...]) -> None:
    kernel.refused = refused
    for end in await exchange("127.0.0.1", "127.0.0.1"):
        assert end.packets == PACKETS
    assert (kernel.calls == 2 * len(PACKETS)) == (udp.UDP_SEGMENT in refused)


@on_both_loops
async def test_packets_and_streams_arrive_without_offloads_on_plain_sockets(
    certificate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp, "_set", lambda *_: False)
    for end in await exchange("127.0.0.1", "127.0.0.1"):
        assert end.packets == PACKETS
        assert len(end.sources) == 1
    await upload(certificate, SIZE)


@pytest.mark.parametrize("number", [errno.EIO, errno.EINVAL])
@on_both_loops
async def test_packets_arrive_where_the_interface_does_not_segment(kernel: type[Counting], number: int) -> None:
    kernel.fails_with = number
    for end in await exchange("127.0.0.1", "127.0.0.1"):
        assert end.packets == PACKETS
    assert kernel.calls == 2 * (len(PACKETS) + 2)  # each end tried twice, and then no more


@on_both_loops
async def test_segments_larger_than_the_path_takes_are_left_to_single_packets(kernel: type[Counting]) -> None:
    # Loopback takes 65,536 bytes, so these two are one call too many for the limits, and one packet each fits.
    large = [bytes(40_000), bytes(40_000)]
    collector = Collector(2)
    (there,) = bind_sockets(await resolve(host="127.0.0.1", port=0, passive=True))
    here = connect_socket(Endpoint(socket.AF_INET, there.getsockname()))
    ends = [await open_transport(collector, there), await open_transport(sender := Collector(1), here)]
    Outlet(ends[1]).send([(data, None) for data in large])
    await asyncio.wait_for(collector.complete, WAIT)
    assert collector.packets == large
    for end in ends:
        end.close()
    await asyncio.wait_for(asyncio.gather(collector.lost, sender.lost), WAIT)


# Whole connections.


async def upload(certificate: Any, size: int, *, bind: str = "127.0.0.1", to: Sequence[str] = ("127.0.0.1",)) -> None:
    """Have a client at each address send `size` bytes on a stream, all at once, and compare what the server reads."""
    content = bytes(range(256)) * (size // 256)
    config = ClientConfig(ca_certs=certificate.certfile)
    server = Server(ServerConfig(certfile=certificate.certfile, keyfile=certificate.keyfile))
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(server.running(bind))
        clients = [await stack.enter_async_context(client_end(host, server.port, config)) for host in to]
        uploads = [Upload(there) for there in server.ends]
        for _, session in clients:
            session.open_stream(unidirectional=True).write(content, end_stream=True)
        for received in uploads:
            assert await asyncio.wait_for(received.complete, WAIT) == content


class Upload:
    """What a server's end reads from its stream."""

    def __init__(self, end: End) -> None:
        self.complete: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._content = bytearray()
        self._answer = end.on_event
        end.on_event = self._on_event

    def _on_event(self, event: Any) -> None:
        if not isinstance(event, (events.StreamOpened, events.StreamReadable)):
            self._answer(event)
            return
        stream = event.stream
        stream.wants_readable = True
        while (data := stream.read()) is not None:
            self._content += data
            if not data:
                self.complete.set_result(bytes(self._content))
                return
            stream.wants_readable = True


@pytest.mark.parametrize("refused", [(), (udp.UDP_SEGMENT,), (udp.UDP_GRO,), (udp.UDP_SEGMENT, udp.UDP_GRO)])
@on_both_loops
async def test_a_stream_arrives_whatever_the_kernel_offers(
    certificate: Any, kernel: type[Counting], refused: tuple[int, ...]
) -> None:
    kernel.refused = refused
    await upload(certificate, SIZE)


@on_both_loops
async def test_a_stream_arrives_where_the_interface_does_not_segment(certificate: Any, kernel: type[Counting]) -> None:
    kernel.fails_with = errno.EIO
    await upload(certificate, SIZE)
    assert not kernel.batched


@on_both_loops
async def test_probes_that_are_too_long_do_not_end_batches(certificate: Any, kernel: type[Counting]) -> None:
    kernel.mtu = 1400
    size = 4 * SIZE  # the first three probes are lost, each of which takes a flight to show, and flights double
    await upload(certificate, size)
    assert 1300 < max(kernel.sent + kernel.batched) <= 1400
    if can_segment():
        assert sum(kernel.batched) > size // 2


@on_both_loops
async def test_packets_grow_in_batches(certificate: Any, kernel: type[Counting]) -> None:
    await upload(certificate, SIZE)
    if can_segment():
        assert sum(size for size in kernel.batched if size > 1400) > SIZE // 2


@pytest.mark.parametrize("bind", [["127.0.0.1", "::1"], ["::"]], ids=["two sockets", "dual stack"])
@on_both_loops
async def test_a_server_takes_batches_on_every_address(
    certificate: Any, kernel: type[Counting], monkeypatch: pytest.MonkeyPatch, bind: list[str]
) -> None:
    endpoints = [endpoint for host in bind for endpoint in await resolve(host=host, port=0, passive=True)]
    try:
        bind_sockets(await resolve(host="::1", port=0))[0].close()
    except OSError:
        pytest.skip("this host has no IPv6")

    async def every_address(*, host: str, port: int, passive: bool = False) -> list[Endpoint]:
        return endpoints

    monkeypatch.setattr(listener, "resolve", every_address)  # as a name would that has both
    await upload(certificate, SIZE, bind="a name", to=["127.0.0.1", "::1"] * 2)
    if can_segment():
        assert sum(kernel.batched) > 3 * SIZE
