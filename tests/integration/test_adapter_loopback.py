"""The adapter on real sockets of the loopback interface, with the real engine, on asyncio's loop and on uvloop."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
from typing import Any

import pytest
from adapter_ends import End, Server, client_end, echo, open_client
from both_loops import on_both_loops

from wtransport._protocol import events
from wtransport.config import ClientConfig, ServerConfig

HOST = "127.0.0.1"


@pytest.fixture
def server(certificate: Any) -> Server:
    return Server(ServerConfig(certfile=certificate.certfile, keyfile=certificate.keyfile))


@pytest.fixture
def config(certificate: Any) -> ClientConfig:
    return ClientConfig(ca_certs=certificate.certfile)


def has_address(host: str) -> bool:
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((host, 0))
    except OSError:
        return False
    return True


def need(host: str) -> None:
    if not has_address(host):
        pytest.skip(f"this host has no {host}")


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("bind", "to", "seen"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("::1", "::1", "::1"),
        ("localhost", "localhost", None),
        ("0.0.0.0", "127.0.0.1", "127.0.0.1"),
        ("", "127.0.0.1", "127.0.0.1"),
        ("", "::1", "::1"),
        ("::", "::1", "::1"),
        ("::", "127.0.0.1", "127.0.0.1"),
    ],
)
@on_both_loops
async def test_a_session_over_every_kind_of_address(
    server: Server, config: ClientConfig, bind: str, to: str, seen: str | None
) -> None:
    need("::1" if ":" in bind + to else "127.0.0.1")
    async with server.running(bind) as running, client_end(to, running.port, config) as (end, session):
        assert await echo(end, session, b"ping") == b"ping"
        there = running.ends[0].protocol
        assert end.protocol.remote_address == there.local_address
        assert end.protocol.local_address == there.remote_address
        if seen is not None:
            assert there.remote_address is not None
            assert there.remote_address[0] == seen
            assert there.local_address == (seen, running.port)


@on_both_loops
async def test_every_address_of_a_name_is_served_at_one_port(server: Server, config: ClientConfig) -> None:
    async with server.running("localhost") as running:
        addresses = running.listener.local_addresses
        assert len({port for _, port in addresses}) == 1
        assert running.listener.local_address == addresses[0]
        for host, port in addresses:
            async with client_end(host, port, config) as (end, session):
                assert await echo(end, session, b"x") == b"x"


@on_both_loops
async def test_many_connections_share_a_socket(server: Server, config: ClientConfig) -> None:
    async def one(number: int) -> None:
        async with client_end(HOST, server.port, config) as (end, session):
            for round_number in range(10):
                data = b"%d/%d" % (number, round_number)
                assert await echo(end, session, data) == data

    async with server.running() as running:
        await asyncio.gather(*(one(number) for number in range(30)))
        assert running.listener.counters.accepted == 30
        assert len({end.protocol.remote_address for end in running.ends}) == 30
        for end in running.ends:
            await end.expect(events.ConnectionClosed)


@on_both_loops
async def test_a_refused_port_is_known_at_once(config: ClientConfig) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        port = sock.getsockname()[1]
    end = await open_client(HOST, port, config)
    closed = await asyncio.wait_for(end.expect(events.ConnectionClosed), 5)
    assert not closed.by_peer
    assert isinstance(end.protocol.error, ConnectionRefusedError)
    assert end.protocol.is_finished


@on_both_loops
async def test_a_server_that_goes_away_is_not_an_error_of_the_socket(server: Server, config: ClientConfig) -> None:
    async with server.running() as running:
        end = await open_client(HOST, running.port, config)
        await end.expect(events.ConnectionReady)
        end.protocol.error_received(ConnectionRefusedError(111, "refused"))
        await turns()
        assert end.protocol.error is None
        await end.close()


@on_both_loops
async def test_a_client_whose_own_address_vanished_goes_on_from_another(server: Server, config: ClientConfig) -> None:
    async with server.running() as running, client_end(HOST, running.port, config) as (end, session):
        assert await echo(end, session, b"before") == b"before"
        old = end.protocol.local_address
        # What Linux answers to sendto() once the socket's own address is gone.
        end.protocol.error_received(OSError(22, "Invalid argument"))
        async with asyncio.timeout(30):
            while end.protocol.local_address == old:
                await asyncio.sleep(0)
        assert await echo(end, session, b"after") == b"after"
        there = running.ends[0].protocol
        async with asyncio.timeout(30):
            while there.remote_address != end.protocol.local_address:
                await echo(end, session, b"validate")
        assert len(running.ends) == 1
        assert end.protocol.error is None


@on_both_loops
async def test_an_unwelcome_client_hears_that_it_is_refused(server: Server, config: ClientConfig) -> None:
    async with server.running() as running:
        asked: list[Any] = []
        running.welcome = lambda address: asked.append(address) or False
        end = await open_client(HOST, running.port, config)
        closed = await end.expect(events.ConnectionClosed)
        assert closed.error_code == 2
        assert closed.by_peer
        assert asked
        assert asked[0] == end.protocol.local_address
        assert running.ends == []
        await end.close()


@on_both_loops
async def test_a_closed_connection_leaves_the_table_after_draining(server: Server, config: ClientConfig) -> None:
    async with server.running() as running:
        async with client_end(HOST, running.port, config):
            assert len(running.listener.connections) == 1
        await running.ends[0].expect(events.ConnectionClosed)
        await turns()
        assert running.listener.connections == []
        async with asyncio.timeout(10):
            while len(running.listener._table):
                await asyncio.sleep(0.01)
        assert running.listener._table.routes == {}


@on_both_loops
async def test_closing_the_server_closes_its_connections_first(server: Server, config: ClientConfig) -> None:
    async with server.running() as running:
        end = await open_client(HOST, running.port, config)
        await end.expect(events.ConnectionReady)
    closed = await end.expect(events.ConnectionClosed)
    assert closed.by_peer
    assert running.listener.local_addresses
    await end.close()


@on_both_loops
async def test_connections_that_nobody_closes_do_not_hold_the_server_up(
    server: Server, config: ClientConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wtransport._adapter.listener.CLOSE_LIMIT", 0.05)
    async with server.running() as running:
        end = await open_client(HOST, running.port, config)
        await end.expect(events.ConnectionReady)
        await running.listener.wait_closed()
        assert running.ends[0].protocol.is_finished
    assert (await end.expect(events.ConnectionClosed)).by_peer
    await end.close()


@on_both_loops
async def test_a_port_in_use_is_an_os_error(server: Server, certificate: Any) -> None:
    other = Server(server.config)
    async with server.running() as running:
        with pytest.raises(OSError):
            async with other.running(HOST, running.port):
                pass


@on_both_loops
async def test_a_wrong_certificate_ends_the_attempt(server: Server) -> None:
    async with server.running() as running:
        end = await open_client(HOST, running.port, ClientConfig(verify_mode=ssl.CERT_REQUIRED))
        closed = await end.expect(events.ConnectionClosed)
        assert not closed.by_peer
        assert closed.error_code & ~0xFF == 0x100
        await end.close()


@on_both_loops
async def test_a_client_that_is_given_up_leaves_no_socket(server: Server, config: ClientConfig) -> None:
    async with server.running() as running:
        end = await open_client(HOST, running.port, config)
        end.protocol.close_transport()
        await end.expect(events.ConnectionClosed)
        await turns()
        assert end.protocol.is_finished
    gc.collect()  # an unclosed transport would warn here, and warnings are errors


@on_both_loops
async def test_bulk_data_arrives_whole_through_batches(server: Server, config: ClientConfig) -> None:
    size = 3_000_000
    async with server.running() as running, client_end(HOST, running.port, config) as (end, _):
        received = bytearray()
        done = asyncio.Event()

        def read(event: Any) -> None:
            if isinstance(event, (events.StreamOpened, events.StreamReadable)):
                stream = event.stream
                stream.wants_readable = True
                while (data := stream.read()) is not None:
                    received.extend(data)
                    if not data:
                        done.set()
                        return
                    stream.wants_readable = True

        end.on_event = read
        there: End = running.ends[0]
        stream = next(iter(there.engine.sessions.values())).open_stream(unidirectional=True)
        body = bytes(range(256)) * (size // 256)
        stream.write(body, end_stream=True)
        async with asyncio.timeout(30):
            await done.wait()
        assert bytes(received) == body
