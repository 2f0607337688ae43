"""Connecting: the way to a session, and every way in which it fails."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import socket
from pathlib import Path
from typing import Any

import pytest
from both_loops import on_both_loops
from loopback import HOST, client_config, no_leftovers, running, server_config, silent_server

from wtransport.client import WebTransportClient
from wtransport.config import ClientConfig
from wtransport.constants import ErrorCodes
from wtransport.exceptions import ClientError, ConfigurationError, ConnectionError, TimeoutError
from wtransport.server import ServerApp
from wtransport.session import WebTransportSession
from wtransport.types import EventType, SessionState
from wtransport.utils import generate_self_signed_cert

WAIT = 30.0


async def until_closed(session: WebTransportSession) -> None:
    if not session.is_closed:
        await session.events.wait_for(event_type=EventType.SESSION_CLOSED)


def app_with(certificate: Any, path: str = "/echo", **settings: Any) -> ServerApp:
    app = ServerApp(config=server_config(certificate, **settings))
    app.route(path=path)(until_closed)
    return app


async def test_a_session_is_opened_on_a_connection_of_its_own(certificate: Any) -> None:
    async with (
        running(app_with(certificate)) as url,
        WebTransportClient(config=client_config(certificate)) as client,
    ):
        one = await client.connect(url=f"{url}/echo")
        two = await client.connect(url=f"{url}/echo")
        assert (one.state, two.state) == (SessionState.CONNECTED, SessionState.CONNECTED)
        assert one.connection is not two.connection
        assert one.connection.remote_address == two.connection.remote_address
        snapshot = await client.diagnostics()
        assert sum(snapshot.connection_states.values()) == 2
        assert (snapshot.stats.connections_attempted, snapshot.stats.connections_successful) == (2, 2)
        assert 0 < snapshot.stats.min_connect_time <= snapshot.stats.avg_connect_time
        assert snapshot.issues == []


@on_both_loops
async def test_a_connection_s_socket_is_closed_when_closing_returns(certificate: Any) -> None:
    async with running(app_with(certificate)) as url:
        for _ in range(5):  # whose sockets have the same number, as one is closed before the next is opened
            async with WebTransportClient(config=client_config(certificate)) as client:
                session = await client.connect(url=f"{url}/echo")
                sock = session.connection._transport.get_extra_info("socket")
                assert sock.fileno() >= 0
            assert session.connection.is_closed
            assert sock.fileno() == -1


async def test_the_request_has_path_query_and_headers_but_no_fragment(certificate: Any) -> None:
    requests: asyncio.Queue[tuple[str, dict[str, str]]] = asyncio.Queue()
    app = app_with(certificate)

    @app.route(path="/room")
    async def room(session: WebTransportSession) -> None:
        requests.put_nowait((session.path, session.headers))

    config = client_config(
        certificate, user_agent="tester/1", headers={"X-Config": "config", "X-Default": "config", "X-Call": "config"}
    )
    async with running(app) as url, WebTransportClient(config=config) as client:
        client.set_default_headers(headers={"X-default": "default", "X-call": "default"})
        await client.connect(url=f"{url}/room?a=1&b=%20#part", headers={"X-CALL": "call"})
        path, headers = await asyncio.wait_for(requests.get(), WAIT)
    assert path == "/room?a=1&b=%20"
    assert headers[":path"] == path
    assert headers[":authority"] == url.removeprefix("https://")
    assert headers["user-agent"] == "tester/1"
    assert (headers["x-config"], headers["x-default"], headers["x-call"]) == ("config", "default", "call")


async def test_ipv6_literals_work(certificate: Any) -> None:
    authorities: asyncio.Queue[str] = asyncio.Queue()
    app = ServerApp(config=server_config(certificate, bind_host="::1"))

    @app.route(path="/")
    async def root(session: WebTransportSession) -> None:
        authorities.put_nowait(session.headers[":authority"])

    async with running(app) as url, WebTransportClient(config=client_config(certificate)) as client:
        assert url.startswith("https://[::1]:")
        await client.connect(url=url)
        assert await asyncio.wait_for(authorities.get(), WAIT) == url.removeprefix("https://")


async def test_a_name_is_verified_against_the_certificate(certificate: Any) -> None:
    async with (
        running(app_with(certificate, bind_host="localhost")) as url,
        WebTransportClient(config=client_config(certificate)) as client,
    ):
        port = url.rpartition(":")[2]
        session = await client.connect(url=f"https://localhost:{port}/echo")
        assert session.state is SessionState.CONNECTED


@pytest.mark.parametrize("url", ["http://localhost/", "https://", "nonsense", "https://localhost:99999/"])
async def test_a_bad_url_is_refused_at_the_call(certificate: Any, url: str) -> None:
    async with WebTransportClient(config=client_config(certificate)) as client:
        with pytest.raises(ClientError) as caught:
            await client.connect(url=url)
        assert isinstance(caught.value.__cause__, ConfigurationError)
        assert caught.value.target_url == url
        assert (await client.diagnostics()).stats.connections_attempted == 0


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan")])
async def test_a_time_limit_must_be_positive(certificate: Any, timeout: float) -> None:
    async with WebTransportClient(config=client_config(certificate)) as client:
        with pytest.raises(ValueError, match="timeout"):
            await client.connect(url="https://localhost/", timeout=timeout)


async def test_an_unknown_path_is_a_client_error_with_the_status(certificate: Any) -> None:
    async with (
        running(app_with(certificate)) as url,
        WebTransportClient(config=client_config(certificate)) as client,
    ):
        with no_leftovers(), pytest.raises(ClientError, match="404") as caught:
            await client.connect(url=f"{url}/nowhere")
        assert caught.value.details["status"] == 404
        snapshot = await client.diagnostics()
        assert snapshot.stats.connections_failed == 1
        assert snapshot.connection_states == {}


async def test_nobody_listening_is_a_connection_error_at_once(certificate: Any) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind((HOST, 0))
        port = unused.getsockname()[1]
    async with WebTransportClient(config=client_config(certificate)) as client:
        with no_leftovers(), pytest.raises(ConnectionError, match="refused") as caught:
            async with asyncio.timeout(WAIT / 2):
                await client.connect(url=f"https://{HOST}:{port}/")
        assert caught.value.remote_address == (HOST, port)
        assert caught.value.error_code == ErrorCodes.CONNECTION_REFUSED
        assert isinstance(caught.value, builtins.ConnectionError)


async def test_an_unknown_host_is_a_connection_error(certificate: Any) -> None:
    async with WebTransportClient(config=client_config(certificate)) as client:
        with pytest.raises(ConnectionError, match=r"does-not-exist\.invalid"):
            await client.connect(url="https://does-not-exist.invalid/")


async def test_an_untrusted_certificate_is_named(certificate: Any, tmp_path: Path) -> None:
    other, _ = generate_self_signed_cert(hostname="localhost", output_dir=str(tmp_path))
    async with (
        running(app_with(certificate)) as url,
        WebTransportClient(config=ClientConfig(ca_certs=other)) as client,
    ):
        with no_leftovers(), pytest.raises(ConnectionError, match="certificate is not valid") as caught:
            await client.connect(url=f"{url}/echo")
        assert caught.value.remote_address is not None


async def test_a_certificate_for_another_name_is_named(tmp_path: Path) -> None:
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "elsewhere.test")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("elsewhere.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certfile, keyfile = tmp_path / "x.crt", tmp_path / "x.key"
    certfile.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    keyfile.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )

    class Files:
        pass

    files: Any = Files()
    files.certfile, files.keyfile = str(certfile), str(keyfile)
    async with running(app_with(files)) as url, WebTransportClient(config=client_config(files)) as client:
        with pytest.raises(ConnectionError, match=r"certificate is not valid.*127\.0\.0\.1"):
            await client.connect(url=f"{url}/echo")


async def test_no_verification_takes_any_certificate(certificate: Any) -> None:
    import ssl

    async with (
        running(app_with(certificate)) as url,
        WebTransportClient(config=ClientConfig(verify_mode=ssl.CERT_NONE)) as client,
    ):
        assert (await client.connect(url=f"{url}/echo")).state is SessionState.CONNECTED


async def test_a_silent_server_times_out_naming_the_stage(certificate: Any) -> None:
    async with silent_server() as (url, _), WebTransportClient(config=client_config(certificate)) as client:
        with no_leftovers(), pytest.raises(TimeoutError, match="handshake") as caught:
            await client.connect(url=url, timeout=0.3)
        assert caught.value.timeout_duration == 0.3
        assert (await client.diagnostics()).connection_states == {}


async def test_the_configured_time_limit_holds_without_one_at_the_call(certificate: Any) -> None:
    config = client_config(certificate, connect_timeout=0.3)
    async with silent_server() as (url, _), WebTransportClient(config=config) as client:
        with pytest.raises(TimeoutError):
            await client.connect(url=url)


async def test_a_server_that_does_not_answer_the_request_times_out(certificate: Any) -> None:
    app = ServerApp(config=server_config(certificate))

    @app.route(path="/slow", auto_accept=False)
    async def slow(session: WebTransportSession) -> None:
        await until_closed(session)

    async with running(app) as url, WebTransportClient(config=client_config(certificate)) as client:
        with pytest.raises(TimeoutError, match="CONNECT"):
            await client.connect(url=f"{url}/slow", timeout=1.0)


async def test_cancelling_leaves_nothing_behind(certificate: Any) -> None:
    async with silent_server() as (url, heard), WebTransportClient(config=client_config(certificate)) as client:
        with no_leftovers():
            task = asyncio.create_task(client.connect(url=url))
            await asyncio.wait_for(heard.wait(), WAIT)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        snapshot = await client.diagnostics()
        assert snapshot.connection_states == {}
        assert snapshot.stats.connections_failed == 1


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21])
async def test_cancelling_at_any_moment_leaves_nothing_behind(certificate: Any, turns: int) -> None:
    async with (
        running(app_with(certificate)) as url,
        WebTransportClient(config=client_config(certificate)) as client,
    ):
        with no_leftovers():
            task = asyncio.create_task(client.connect(url=f"{url}/echo"))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await (await task).connection.close()  # it was quicker
            assert (await client.diagnostics()).connection_states == {}


async def test_closing_the_client_ends_attempts_and_sessions(certificate: Any) -> None:
    client = WebTransportClient(config=client_config(certificate))
    async with running(app_with(certificate)) as url, silent_server() as (silent_url, heard):
        session = await client.connect(url=f"{url}/echo")
        with no_leftovers():
            attempt = asyncio.create_task(client.connect(url=silent_url))
            await asyncio.wait_for(heard.wait(), WAIT)
            await client.close()
            with pytest.raises((ClientError, ConnectionError)):
                await asyncio.wait_for(attempt, WAIT)
        assert session.is_closed
        assert session.connection.is_closed
        assert client.is_closed
        await client.close()


async def test_a_closed_client_does_not_connect(certificate: Any) -> None:
    client = WebTransportClient(config=client_config(certificate))
    await client.close()
    with pytest.raises(ClientError, match="closed"):
        await client.connect(url="https://localhost/")


@pytest.mark.parametrize("limit", ["max_connections", "max_sessions"])
async def test_connections_over_the_limit_are_refused(certificate: Any, limit: str) -> None:
    async with (
        running(app_with(certificate)) as url,
        WebTransportClient(config=client_config(certificate, **{limit: 1})) as client,
    ):
        session = await client.connect(url=f"{url}/echo")
        with pytest.raises(ClientError, match=limit):
            await client.connect(url=f"{url}/echo")
        await session.close(close_connection=True)
        await client.connect(url=f"{url}/echo")


async def test_a_connection_ends_with_its_session(certificate: Any) -> None:
    async with (
        running(app_with(certificate)) as url,
        WebTransportClient(config=client_config(certificate)) as client,
    ):
        session = await client.connect(url=f"{url}/echo")
        ended = asyncio.Event()
        session.connection.events.once(event_type=EventType.CONNECTION_CLOSED, handler=lambda _: ended.set())
        await session.close()
        await asyncio.wait_for(ended.wait(), WAIT)
        assert (await client.diagnostics()).connection_states == {}


@pytest.mark.parametrize("linger", [True, False])
async def test_code_and_reason_reach_the_server_even_if_the_client_goes_at_once(certificate: Any, linger: bool) -> None:
    closings: asyncio.Queue[tuple[int, str]] = asyncio.Queue()
    app = ServerApp(config=server_config(certificate))

    @app.route(path="/")
    async def root(session: WebTransportSession) -> None:
        event = await session.events.wait_for(event_type=EventType.SESSION_CLOSED)
        closings.put_nowait((event.data["code"], event.data["reason"]))

    async with running(app) as url:
        async with WebTransportClient(config=client_config(certificate)) as client:
            session = await client.connect(url=url)
            await session.close(error_code=17, reason="tschüß")
            if linger:
                assert await asyncio.wait_for(closings.get(), WAIT) == (17, "tschüß")
        if not linger:
            assert await asyncio.wait_for(closings.get(), WAIT) == (17, "tschüß")


async def test_subprotocols_are_offered_and_one_is_chosen(certificate: Any) -> None:
    app = ServerApp(config=server_config(certificate))

    @app.route(path="/")
    async def root(session: WebTransportSession) -> None:
        await session.accept(wt_protocol=session.wt_available_protocols[-1])
        await until_closed(session)

    async with running(app) as url, WebTransportClient(config=client_config(certificate)) as client:
        session = await client.connect(url=url, wt_available_protocols=["chat.2", "chat.1"])
        assert session.wt_protocol == "chat.1"


async def test_auto_reconnect_tries_again_until_the_server_is_there(certificate: Any) -> None:
    config = client_config(certificate, auto_reconnect=True, max_retries=-1, retry_delay=0.05, max_retry_delay=0.05)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind((HOST, 0))
        port = unused.getsockname()[1]
    async with WebTransportClient(config=config) as client:
        task = asyncio.create_task(client.connect(url=f"https://{HOST}:{port}/echo"))
        while (await client.diagnostics()).stats.connections_failed < 2:
            await asyncio.sleep(0.01)
        async with running(app_with(certificate, bind_port=port)):
            session = await asyncio.wait_for(task, WAIT)
            assert session.state is SessionState.CONNECTED


async def test_auto_reconnect_gives_up_after_max_retries_and_at_once_on_a_refusal(certificate: Any) -> None:
    config = client_config(certificate, auto_reconnect=True, max_retries=2, retry_delay=0.01)
    async with running(app_with(certificate)) as url, WebTransportClient(config=config) as client:
        with pytest.raises(ClientError, match="404"):
            await client.connect(url=f"{url}/nowhere")
        assert (await client.diagnostics()).stats.connections_attempted == 1
        with pytest.raises(ConnectionError):
            await client.connect(url="https://does-not-exist.invalid/")
        assert (await client.diagnostics()).stats.connections_attempted == 4


async def test_ends_are_told_to_whoever_asks_after_them(certificate: Any) -> None:
    app = ServerApp(config=server_config(certificate))
    taken: asyncio.Queue[WebTransportSession] = asyncio.Queue()
    may_end = asyncio.Event()

    @app.route(path="/brief")
    async def brief(session: WebTransportSession) -> None:
        taken.put_nowait(session)
        await may_end.wait()

    async with running(app) as url, WebTransportClient(config=client_config(certificate)) as client:
        session = await client.connect(url=f"{url}/brief")
        connection = session.connection
        may_end.set()
        while not connection.is_closed:
            await asyncio.wait_for(connection.events.wait_for(event_type=EventType.CONNECTION_CLOSED), WAIT)
        await asyncio.sleep(0)
        told: asyncio.Queue[tuple[Any, Any]] = asyncio.Queue()
        session.events.on(event_type=EventType.SESSION_CLOSED, handler=lambda event: told.put_nowait(event.source))
        assert await asyncio.wait_for(told.get(), WAIT) is session
        snapshot = await client.diagnostics()
        assert snapshot.connection_states == {}
        assert snapshot.traffic.sessions_closed == 1
        assert (await asyncio.wait_for(taken.get(), WAIT)).is_closed
