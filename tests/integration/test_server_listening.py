"""A server without an app: listening, limits, announcing sessions, closing, and what it counts."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import weakref
from pathlib import Path
from typing import Any

import pytest
from loopback import HOST, client_config, no_leftovers, server_config, url_of

from wtransport.client import WebTransportClient
from wtransport.config import ServerConfig
from wtransport.events import Event
from wtransport.exceptions import (
    CertificateError,
    ClientError,
    ConfigurationError,
    ConnectionError,
    ServerError,
)
from wtransport.server import WebTransportServer
from wtransport.types import ConnectionState, EventType, SessionState

WAIT = 30.0


async def eventually(condition: Any) -> None:
    """Wait until `condition()` is true; for states that no event announces."""
    async with asyncio.timeout(WAIT):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_server_needs_a_certificate_before_it_binds() -> None:
    async with WebTransportServer(config=ServerConfig(bind_host=HOST, bind_port=0)) as server:
        with pytest.raises(ServerError, match="certificate"):
            await server.listen()
        assert not server.is_serving
        assert server.local_address is None


async def test_a_certificate_that_is_none_is_an_error(tmp_path: Path) -> None:
    certfile, keyfile = tmp_path / "a.crt", tmp_path / "a.key"
    certfile.write_text("no certificate")
    keyfile.write_text("no key")
    config = ServerConfig(bind_host=HOST, bind_port=0, certfile=str(certfile), keyfile=str(keyfile))
    async with WebTransportServer(config=config) as server:
        with pytest.raises(CertificateError):
            await server.listen()
        assert not server.is_serving


async def test_a_port_in_use_is_an_error_with_the_address(certificate: Any) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((HOST, 0))
        port = taken.getsockname()[1]
        async with WebTransportServer(config=server_config(certificate, bind_port=port)) as server:
            with no_leftovers(), pytest.raises(ServerError) as caught:
                await server.listen()
            assert caught.value.bind_address == (HOST, port)
            assert str(port) in str(caught.value)


async def test_a_failed_listen_may_be_repeated_elsewhere(certificate: Any) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((HOST, 0))
        async with WebTransportServer(config=server_config(certificate)) as server:
            with pytest.raises(ServerError):
                await server.listen(port=taken.getsockname()[1])
            await server.listen(port=0)
            assert server.is_serving


async def test_listening_twice_is_an_error(certificate: Any) -> None:
    async with WebTransportServer(config=server_config(certificate)) as server:
        await server.listen()
        with pytest.raises(ServerError, match="already"):
            await server.listen()
        assert server.is_serving


async def test_a_closed_server_does_not_listen_again(certificate: Any) -> None:
    server = WebTransportServer(config=server_config(certificate))
    await server.listen()
    await server.close()
    await server.close()
    assert not server.is_serving
    with pytest.raises(ServerError, match="closed"):
        await server.listen()


async def test_serving_needs_listening(certificate: Any) -> None:
    async with WebTransportServer(config=server_config(certificate)) as server:
        with pytest.raises(ServerError, match="listen"):
            await server.serve_forever()


async def test_serve_forever_ends_when_the_server_is_closed(certificate: Any) -> None:
    async with WebTransportServer(config=server_config(certificate)) as server:
        await server.listen()
        serving = asyncio.create_task(server.serve_forever())
        await asyncio.sleep(0)
        await server.close()
        await asyncio.wait_for(serving, WAIT)


async def test_host_and_port_at_the_call_win(certificate: Any) -> None:
    config = server_config(certificate, bind_host="192.0.2.1", bind_port=1)
    async with WebTransportServer(config=config) as server:
        await server.listen(host=HOST, port=0)
        assert server.local_address is not None
        assert server.local_address[0] == HOST
        assert server.local_address[1] > 1


async def test_localhost_is_reachable_by_every_address_it_has(certificate: Any) -> None:
    hosts = {info[4][0] for info in socket.getaddrinfo("localhost", 0, type=socket.SOCK_DGRAM)}
    async with (
        WebTransportServer(config=server_config(certificate, bind_host="localhost")) as server,
        WebTransportClient(config=client_config(certificate)) as client,
    ):
        await server.listen()
        assert server.local_address is not None
        for host in hosts:
            literal = f"[{host}]" if ":" in str(host) else host
            session = await client.connect(url=f"https://{literal}:{server.local_address[1]}/")
            assert session.state is SessionState.CONNECTED


async def test_a_session_request_is_announced_everywhere_and_accepted(certificate: Any) -> None:
    seen: list[tuple[str, Event]] = []
    async with (
        WebTransportServer(config=server_config(certificate)) as server,
        WebTransportClient(config=client_config(certificate)) as client,
    ):
        server.on(event_type=EventType.SESSION_REQUEST, handler=lambda event: seen.append(("server", event)))
        await server.listen()
        session = await client.connect(url=url_of(server, "/room?a=1"))
        assert session.state is SessionState.CONNECTED
        (held,) = await server.session_manager.get_all_resources()
        (connection,) = await server.connection_manager.get_all_resources()
    ((_, event),) = seen
    assert set(event.data) >= {"session", "session_id", "control_stream_id", "path", "headers", "connection"}
    assert event.data["session"] is held
    assert event.data["connection"] is connection is held.connection
    assert event.data["path"] == "/room?a=1"
    assert event.data["headers"][":path"] == "/room?a=1"
    for emitter in (held.events, connection.events):
        (past,) = emitter.get_event_history(event_type=EventType.SESSION_REQUEST) or [None]
        assert past is None or past.data["session"] is held  # a closed emitter has no history


async def test_history_keeps_what_happened_but_no_session_that_is_over(certificate: Any) -> None:
    async with (
        WebTransportServer(config=server_config(certificate)) as server,
        WebTransportClient(config=client_config(certificate)) as client,
    ):
        await server.listen()
        session = await client.connect(url=url_of(server, "/gone"))
        (held,) = server.session_manager.snapshot()
        reference = weakref.ref(held)
        del held
        await session.close()
        await eventually(lambda: len(server.connection_manager) == 0)
        (event,) = server.get_event_history(event_type=EventType.SESSION_REQUEST)
        assert event.data["path"] == "/gone"
        assert (event.data["session"], event.data["connection"]) == (None, None)
        gc.collect()
        assert reference() is None


async def test_a_handler_of_the_request_may_reject_it_in_its_first_step(certificate: Any) -> None:
    async with (
        WebTransportServer(config=server_config(certificate)) as server,
        WebTransportClient(config=client_config(certificate)) as client,
    ):

        async def refuse(event: Event) -> None:
            await event.data["session"].reject(status_code=418)

        server.on(event_type=EventType.SESSION_REQUEST, handler=refuse)
        await server.listen()
        with pytest.raises(ClientError, match="418") as caught:
            await client.connect(url=url_of(server))
        assert caught.value.details["status"] == 418
        assert len(server.session_manager) == 0


async def test_sessions_over_the_limit_are_rejected_with_429(certificate: Any) -> None:
    async with (
        WebTransportServer(config=server_config(certificate, max_sessions=1)) as server,
        WebTransportClient(config=client_config(certificate)) as client,
    ):
        await server.listen()
        first = await client.connect(url=url_of(server))
        with pytest.raises(ClientError, match="429"):
            await client.connect(url=url_of(server))
        await first.close()
        await eventually(lambda: len(server.session_manager) == 0)
        await client.connect(url=url_of(server))


async def test_connections_over_the_limit_are_refused_and_counted(certificate: Any) -> None:
    async with (
        WebTransportServer(config=server_config(certificate, max_connections=1)) as server,
        WebTransportClient(config=client_config(certificate)) as client,
    ):
        await server.listen()
        await client.connect(url=url_of(server))
        with pytest.raises(ConnectionError):
            async with asyncio.timeout(WAIT / 2):
                await client.connect(url=url_of(server))
        stats = (await server.diagnostics()).stats
        assert stats.connections_accepted == 1
        assert stats.connections_rejected >= 1


async def test_diagnostics_follow_what_happens(certificate: Any) -> None:
    async with (
        WebTransportServer(config=server_config(certificate)) as server,
        WebTransportClient(config=client_config(certificate)) as client,
    ):
        before = await server.diagnostics()
        assert not before.is_serving
        assert before.stats.start_time is None
        await server.listen()
        session = await client.connect(url=url_of(server))
        during = await server.diagnostics()
        assert during.is_serving
        assert during.stats.start_time is not None
        assert during.connection_states == {ConnectionState.CONNECTED: 1}
        assert during.session_states == {SessionState.CONNECTED: 1}
        assert during.certfile_path == certificate.certfile
        assert during.issues == []
        await session.close()
        await eventually(lambda: len(server.connection_manager) == 0)
        after = await server.diagnostics()
        assert (after.connection_states, after.session_states) == ({}, {})
        assert (after.stats.connections_accepted, after.stats.connection_errors, after.stats.protocol_errors) == (
            1,
            0,
            0,
        )
        assert during.stats.connections_accepted == 1  # a snapshot stays what it was


async def test_closing_ends_sessions_on_both_sides_and_leaves_nothing(certificate: Any) -> None:
    async with WebTransportClient(config=client_config(certificate)) as client:
        with no_leftovers():
            server = WebTransportServer(config=server_config(certificate))
            await server.listen()
            session = await client.connect(url=url_of(server))
            ended = asyncio.create_task(session.events.wait_for(event_type=EventType.SESSION_CLOSED))
            await asyncio.sleep(0)
            await server.close()
            await asyncio.wait_for(ended, WAIT)
            assert session.is_closed
            await eventually(lambda: session.connection.is_closed)
            await client.close()


async def test_the_access_log_has_a_line_per_request(certificate: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def refuse(event: Event) -> None:
        if event.data["path"] == "/no":
            await event.data["session"].reject(status_code=403)

    with caplog.at_level(logging.INFO, logger="wtransport.access"):
        async with (
            WebTransportServer(config=server_config(certificate)) as server,
            WebTransportClient(config=client_config(certificate)) as client,
        ):
            server.on(event_type=EventType.SESSION_REQUEST, handler=refuse)
            await server.listen()
            session = await client.connect(url=url_of(server, "/yes"))
            await session.close(error_code=5, reason="enough")
            with pytest.raises(ClientError):
                await client.connect(url=url_of(server, "/no"))
    lines = [record.getMessage() for record in caplog.records if record.name == "wtransport.access"]
    assert len(lines) == 2
    assert all(HOST in line for line in lines)
    assert any("/yes" in line and "200" in line and "code 5" in line and "enough" in line for line in lines)
    assert any("/no" in line and "403" in line for line in lines)


async def test_the_access_log_can_be_switched_off(certificate: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="wtransport.access"):
        async with (
            WebTransportServer(config=server_config(certificate, access_log=False)) as server,
            WebTransportClient(config=client_config(certificate)) as client,
        ):
            await server.listen()
            await client.connect(url=url_of(server))
    assert [record for record in caplog.records if record.name == "wtransport.access"] == []


async def test_settings_change_only_before_listening(certificate: Any) -> None:
    async with WebTransportServer(config=server_config(certificate)) as server:
        with pytest.raises(ConfigurationError, match="colour"):
            server.reconfigure(colour="red")
        server.reconfigure(max_sessions=7)
        assert (await server.session_manager.get_stats())["max_sessions"] == 7
        await server.listen()
        with pytest.raises(ServerError, match="already"):
            server.reconfigure(max_sessions=8)
