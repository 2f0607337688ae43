"""Segmentation and receive offload on real sockets, on both loops, and whole connections where the kernel refuses."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from adapter_ends import Server, client_end
from both_loops import on_both_loops

from wtransport._adapter import udp
from wtransport._adapter.addresses import Endpoint, resolve
from wtransport._adapter.outlet import Outlet
from wtransport._adapter.sockets import bind_sockets, connect_socket, open_transport
from wtransport._adapter.udp_transport import BatchProtocol
from wtransport._protocol import events
from wtransport.config import ClientConfig, ServerConfig

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the offloads are Linux's")

WAIT = 10.0
PACKETS = [b"%04d" % number + bytes(1196 if number % 10 != 9 else 300) for number in range(150)]


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
    calls = 0

    def setsockopt(self, level: int, option: int, *value: Any) -> None:
        if level == udp.SOL_UDP and option in self.refused:
            raise OSError(errno.ENOPROTOOPT, "refused by the test")
        super().setsockopt(level, option, *value)

    def sendmsg(self, *args: Any) -> int:
        type(self).calls += 1
        if self.fails_with is not None:
            raise OSError(self.fails_with, "refused by the test")
        return super().sendmsg(*args)

    def send(self, *args: Any) -> int:
        type(self).calls += 1
        return super().send(*args)

    def sendto(self, *args: Any) -> int:
        type(self).calls += 1
        return super().sendto(*args)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> type[Counting]:
    """Sockets of a class that a test can change."""

    class Kernel(Counting):
        pass

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
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        if udp.can_segment(probe):
            assert kernel.calls == 2 * len(PACKETS) // 10


@pytest.mark.parametrize("refused", [(udp.UDP_SEGMENT,), (udp.UDP_GRO,), (udp.UDP_SEGMENT, udp.UDP_GRO)])
@on_both_loops
async def test_packets_arrive_without_offloads(kernel: type[Counting], refused: tuple[int, ...]) -> None:
    kernel.refused = refused
    for end in await exchange("127.0.0.1", "127.0.0.1"):
        assert end.packets == PACKETS
    assert (kernel.calls == 2 * len(PACKETS)) == (udp.UDP_SEGMENT in refused)


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


async def upload(certificate: Any, size: int) -> bytes:
    """Have a client send `size` bytes on a stream, and return what the server read."""
    server = Server(ServerConfig(certfile=certificate.certfile, keyfile=certificate.keyfile))
    got = bytearray()
    done = asyncio.get_running_loop().create_future()

    async with (
        server.running() as running,
        client_end("127.0.0.1", running.port, ClientConfig(ca_certs=certificate.certfile)) as (_end, session),
    ):
        there = running.ends[0]
        answer = there.on_event

        def on_event(event: Any) -> None:
            if not isinstance(event, (events.StreamOpened, events.StreamReadable)):
                answer(event)
                return
            stream = event.stream
            stream.wants_readable = True
            while (data := stream.read()) is not None:
                got.extend(data)
                if not data:
                    done.set_result(None)
                    return
                stream.wants_readable = True

        there.on_event = on_event
        stream = session.open_stream(unidirectional=True)
        stream.write(bytes(range(256)) * (size // 256), end_stream=True)
        await asyncio.wait_for(done, WAIT)
    return bytes(got)


@pytest.mark.parametrize("refused", [(), (udp.UDP_SEGMENT,), (udp.UDP_GRO,), (udp.UDP_SEGMENT, udp.UDP_GRO)])
@on_both_loops
async def test_a_stream_arrives_whatever_the_kernel_offers(
    certificate: Any, kernel: type[Counting], refused: tuple[int, ...]
) -> None:
    kernel.refused = refused
    size = 1 << 19
    assert await upload(certificate, size) == bytes(range(256)) * (size // 256)


@on_both_loops
async def test_a_stream_arrives_where_the_interface_does_not_segment(certificate: Any, kernel: type[Counting]) -> None:
    kernel.fails_with = errno.EIO
    size = 1 << 19
    assert await upload(certificate, size) == bytes(range(256)) * (size // 256)
