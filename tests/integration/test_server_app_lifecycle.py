"""`ServerApp`: start-up, serving, shutdown, and signals."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from typing import Any, Self

import pytest
from loopback import HOST, client_config, no_leftovers, running, server_config, url_of

from wtransport.client import WebTransportClient
from wtransport.exceptions import ServerError
from wtransport.server import ServerApp
from wtransport.session import WebTransportSession
from wtransport.types import EventType

WAIT = 30.0


async def until_closed(session: WebTransportSession) -> None:
    if not session.is_closed:
        await session.events.wait_for(event_type=EventType.SESSION_CLOSED)


async def closing_of(session: WebTransportSession) -> tuple[int | None, str | None]:
    async with asyncio.timeout(WAIT):
        await until_closed(session)
    return session.close_code, session.close_reason


@pytest.fixture
def app(certificate: Any) -> ServerApp:
    return ServerApp(config=server_config(certificate))


@pytest.fixture
def client(certificate: Any) -> WebTransportClient:
    return WebTransportClient(config=client_config(certificate))


async def test_a_handler_may_shut_the_app_down(app: ServerApp, client: WebTransportClient) -> None:
    @app.route(path="/stop")
    async def stop(session: WebTransportSession) -> None:
        await app.shutdown()

    app.route(path="/")(until_closed)
    with no_leftovers():
        serving = asyncio.create_task(app.serve(host=HOST, port=0))
        while not app.server.is_serving:
            await asyncio.sleep(0)
        async with client:
            other = await client.connect(url=url_of(app.server))
            await client.connect(url=url_of(app.server, "/stop"))
            await asyncio.wait_for(serving, WAIT)
            await closing_of(other)


async def test_shutdown_cancels_handlers_and_closes_their_sessions(certificate: Any, app: ServerApp) -> None:
    cancelled = asyncio.Event()

    @app.route(path="/")
    async def handle(session: WebTransportSession) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with WebTransportClient(config=client_config(certificate)) as client:
        with no_leftovers():
            async with running(app) as url:
                session = await client.connect(url=url)
            assert cancelled.is_set()
            await closing_of(session)
            await client.close()


async def test_start_and_stop_run_in_order(certificate: Any) -> None:
    steps: list[str] = []

    class Middleware:
        def __init__(self, name: str) -> None:
            self.name = name

        async def __aenter__(self) -> Self:
            steps.append(f"enter {self.name}")
            return self

        async def __aexit__(self, *exc_info: object) -> None:
            steps.append(f"exit {self.name}")

        async def __call__(self, *, session: WebTransportSession) -> bool:
            return True

    app = ServerApp(config=server_config(certificate))
    app.add_middleware(middleware=Middleware("one"))
    app.add_middleware(middleware=Middleware("two"))

    @app.on_startup
    def plain() -> None:
        steps.append("plain start")

    @app.on_startup
    async def coroutine() -> None:
        steps.append("coroutine start")

    @app.on_shutdown
    async def stop() -> None:
        steps.append("stop")

    @app.on_shutdown
    def broken() -> None:
        raise RuntimeError("broken on purpose")

    async with app:
        assert steps == ["enter one", "enter two", "plain start", "coroutine start"]
        with pytest.raises(ServerError, match="before"):
            app.add_middleware(middleware=Middleware("late"))
        steps.clear()
    assert steps == ["stop", "exit two", "exit one"]
    await app.shutdown()
    with pytest.raises(ServerError, match="shut down"):
        await app.startup()


async def test_a_failed_start_leaves_what_it_entered(certificate: Any) -> None:
    left = asyncio.Event()

    class Middleware:
        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *exc_info: object) -> None:
            left.set()

        async def __call__(self, *, session: WebTransportSession) -> bool:
            return True

    app = ServerApp(config=server_config(certificate))
    app.add_middleware(middleware=Middleware())

    @app.on_startup
    def broken() -> None:
        raise RuntimeError("broken on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        await app.startup()
    assert left.is_set()


async def test_serve_starts_listens_and_shuts_down(app: ServerApp, client: WebTransportClient) -> None:
    app.route(path="/")(until_closed)
    started = asyncio.Event()
    app.on_startup(started.set)
    with no_leftovers():
        serving = asyncio.create_task(app.serve(host=HOST, port=0, max_sessions=3))
        await asyncio.wait_for(started.wait(), WAIT)
        while not app.server.is_serving:
            await asyncio.sleep(0)
        assert app.server.config.max_sessions == 3
        async with client:
            await client.connect(url=url_of(app.server))
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert not app.server.is_serving


SCRIPT = """
import sys
from wtransport import ServerApp, ServerConfig
app = ServerApp(config=ServerConfig(bind_host="127.0.0.1", bind_port=0, certfile=sys.argv[1], keyfile=sys.argv[2]))
@app.on_shutdown
def stopped():
    print("stopped", flush=True)
original = app.server.serve_forever
async def serve_forever():
    print("ready", flush=True)
    await original()
app.server.serve_forever = serve_forever
app.run()
print("returned", flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_ends_cleanly_on_a_signal(certificate: Any, number: int) -> None:
    command = [sys.executable, "-W", "error", "-c", SCRIPT, certificate.certfile, certificate.keyfile]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(number)
            out, err = process.communicate(timeout=WAIT)
        finally:
            process.kill()
    assert process.returncode == 0
    assert out == "stopped\nreturned\n"
    assert err == ""
