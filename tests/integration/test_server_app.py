"""`ServerApp`: routing, middleware, accepting, and the end of a handler."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from loopback import client_config, running, server_config

from wtransport.client import WebTransportClient
from wtransport.constants import ErrorCodes
from wtransport.exceptions import ClientError, SessionError
from wtransport.server import ServerApp, create_cors_middleware, create_rate_limit_middleware
from wtransport.session import WebTransportSession
from wtransport.types import EventType, SessionState

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


async def test_requests_reach_the_handler_of_their_path(app: ServerApp, client: WebTransportClient) -> None:
    calls: list[tuple[str, str]] = []

    def handler(name: str) -> Any:
        async def handle(session: WebTransportSession) -> None:
            calls.append((name, session.path))
            await until_closed(session)

        return handle

    app.route(path="/exact")(handler("exact"))
    app.pattern_route(pattern=r"/room/\d+$")(handler("pattern"))
    async with running(app) as url, client:
        for path in ("/exact?x=1", "/room/12"):
            await client.connect(url=url + path)
        with pytest.raises(ClientError, match="404"):
            await client.connect(url=f"{url}/room/x")
        app.router.set_default_handler(handler=handler("default"))
        await client.connect(url=f"{url}/room/x")
    assert calls == [("exact", "/exact?x=1"), ("pattern", "/room/12"), ("default", "/room/x")]


async def test_middleware_runs_before_routing_and_rejects_with_403(app: ServerApp, client: WebTransportClient) -> None:
    calls: list[str] = []

    @app.middleware
    async def first(*, session: WebTransportSession) -> bool:
        calls.append("first")
        await asyncio.sleep(0)
        return "token" in session.headers

    @app.middleware
    async def second(*, session: WebTransportSession) -> bool:
        calls.append("second")
        return True

    app.route(path="/")(until_closed)
    async with running(app) as url, client:
        with pytest.raises(ClientError, match="403") as caught:
            await client.connect(url=url)
        assert caught.value.details["status"] == 403
        with pytest.raises(ClientError, match="403"):  # not 404: who may not come in learns nothing of the routes
            await client.connect(url=f"{url}/nowhere")
        await client.connect(url=url, headers={"token": "1"})
    assert calls == ["first", "first", "first", "second"]


async def test_a_failing_middleware_rejects_with_403(app: ServerApp, client: WebTransportClient) -> None:
    @app.middleware
    async def broken(*, session: WebTransportSession) -> bool:
        raise RuntimeError("broken on purpose")

    app.route(path="/")(until_closed)
    async with running(app) as url, client:
        with pytest.raises(ClientError, match="403"):
            await client.connect(url=url)


async def test_the_middleware_of_the_configuration_comes_first(certificate: Any, client: WebTransportClient) -> None:
    calls: list[str] = []

    async def configured(*, session: WebTransportSession) -> bool:
        calls.append("configured")
        return True

    app = ServerApp(config=server_config(certificate, middleware=[configured]))

    @app.middleware
    async def added(*, session: WebTransportSession) -> bool:
        calls.append("added")
        return True

    app.route(path="/")(until_closed)
    async with running(app) as url, client:
        await client.connect(url=url)
    assert calls == ["configured", "added"]


async def test_rate_limit_and_origin_hold_on_real_requests(app: ServerApp, client: WebTransportClient) -> None:
    app.add_middleware(middleware=create_cors_middleware(allowed_origins=["https://example.org"]))
    app.add_middleware(middleware=create_rate_limit_middleware(max_requests=2))
    app.route(path="/")(until_closed)
    origin = {"origin": "https://example.org"}
    async with running(app) as url, client:
        for headers in (None, {"origin": "https://example.org.evil.test"}):
            with pytest.raises(ClientError, match="403"):
                await client.connect(url=url, headers=headers)
        await client.connect(url=url, headers=origin)
        await client.connect(url=url, headers=origin)
        with pytest.raises(ClientError, match="403"):
            await client.connect(url=url, headers=origin)


async def test_what_a_handler_registers_first_gets_everything(app: ServerApp, client: WebTransportClient) -> None:
    datagrams: asyncio.Queue[bytes] = asyncio.Queue()
    streams: asyncio.Queue[Any] = asyncio.Queue()

    @app.route(path="/")
    async def handle(session: WebTransportSession) -> None:
        session.events.on(
            event_type=EventType.DATAGRAM_RECEIVED, handler=lambda event: datagrams.put_nowait(event.data["data"])
        )
        session.events.on(
            event_type=EventType.STREAM_OPENED, handler=lambda event: streams.put_nowait(event.data["stream"])
        )
        await until_closed(session)

    async with running(app) as url, client:
        session = await client.connect(url=url)
        await session.send_datagram(data=b"first")
        stream = await session.create_bidirectional_stream()
        await stream.write_all(data=b"hello")
        async with asyncio.timeout(WAIT):
            assert await datagrams.get() == b"first"
            assert await (await streams.get()).read_all() == b"hello"


async def test_a_handler_that_registers_late_misses_nothing(app: ServerApp, client: WebTransportClient) -> None:
    go_on = asyncio.Event()
    datagrams: asyncio.Queue[bytes] = asyncio.Queue()
    streams: asyncio.Queue[Any] = asyncio.Queue()

    @app.route(path="/")
    async def handle(session: WebTransportSession) -> None:
        await go_on.wait()
        session.events.on(
            event_type=EventType.DATAGRAM_RECEIVED, handler=lambda event: datagrams.put_nowait(event.data["data"])
        )
        session.events.on(
            event_type=EventType.STREAM_OPENED, handler=lambda event: streams.put_nowait(event.data["stream"])
        )
        await until_closed(session)

    async with running(app) as url, client:
        session = await client.connect(url=url)
        await session.send_datagram(data=b"early")
        stream = await session.create_unidirectional_stream()
        await stream.write_all(data=b"early, too")
        await asyncio.sleep(0.05)  # time for both to arrive before anybody listens
        go_on.set()
        async with asyncio.timeout(WAIT):
            assert await datagrams.get() == b"early"
            assert await (await streams.get()).read_all() == b"early, too"


async def test_a_handler_may_send_before_it_waits_for_anything(app: ServerApp, client: WebTransportClient) -> None:
    @app.route(path="/")
    async def handle(session: WebTransportSession) -> None:
        await session.send_datagram(data=b"datagram")
        stream = await session.create_unidirectional_stream()
        await stream.write_all(data=b"stream")
        await until_closed(session)

    async with running(app) as url, client:
        session = await client.connect(url=url)
        async with asyncio.timeout(WAIT):
            async for stream in session.incoming_unidirectional_streams():
                assert await stream.read_all() == b"stream"
                break
            assert await session.read_datagram() == b"datagram"


async def test_a_handler_may_accept_with_headers_or_reject(app: ServerApp, client: WebTransportClient) -> None:
    @app.route(path="/accept")
    async def accept(session: WebTransportSession) -> None:
        await session.accept(headers={"x-room": "7"})
        await until_closed(session)

    @app.route(path="/reject")
    async def reject(session: WebTransportSession) -> None:
        await session.reject(status_code=409)

    async with running(app) as url, client:
        session = await client.connect(url=f"{url}/accept")
        assert session.state is SessionState.CONNECTED
        with pytest.raises(ClientError, match="409"):
            await client.connect(url=f"{url}/reject")


async def test_without_auto_accept_the_handler_takes_its_time(app: ServerApp, client: WebTransportClient) -> None:
    @app.route(path="/decide", auto_accept=False)
    async def decide(session: WebTransportSession) -> None:
        await asyncio.sleep(0.02)
        if "token" in session.headers:
            await session.accept()
            await until_closed(session)

    @app.pattern_route(pattern="/broken", auto_accept=False)
    async def broken(session: WebTransportSession) -> None:
        await asyncio.sleep(0)
        raise RuntimeError("broken on purpose")

    async with running(app) as url, client:
        await client.connect(url=f"{url}/decide", headers={"token": "1"})
        with pytest.raises(ClientError, match="403"):
            await client.connect(url=f"{url}/decide")
        with pytest.raises(ClientError, match="500"):
            await client.connect(url=f"{url}/broken")


async def test_a_request_cannot_be_answered_twice(app: ServerApp, client: WebTransportClient) -> None:
    errors: asyncio.Queue[Exception] = asyncio.Queue()

    @app.route(path="/")
    async def handle(session: WebTransportSession) -> None:
        await asyncio.sleep(0)
        try:
            await session.reject()
        except SessionError as error:
            errors.put_nowait(error)
        await until_closed(session)

    async with running(app) as url, client:
        await client.connect(url=url)
        assert isinstance(await asyncio.wait_for(errors.get(), WAIT), SessionError)


@pytest.mark.parametrize("steps", [0, 1])
async def test_leaving_the_handler_closes_the_session(app: ServerApp, client: WebTransportClient, steps: int) -> None:
    @app.route(path="/")
    async def handle(session: WebTransportSession) -> None:
        for _ in range(steps):
            await asyncio.sleep(0)

    async with running(app) as url, client:
        session = await client.connect(url=url)
        assert await closing_of(session) == (0, "")


@pytest.mark.parametrize("steps", [0, 1])
async def test_an_exception_is_logged_and_closes_with_an_application_error(
    app: ServerApp, client: WebTransportClient, steps: int, caplog: pytest.LogCaptureFixture
) -> None:
    @app.route(path="/")
    async def handle(session: WebTransportSession) -> None:
        for _ in range(steps):
            await asyncio.sleep(0)
        raise RuntimeError("secret detail")

    with caplog.at_level(logging.ERROR):
        async with running(app) as url, client:
            session = await client.connect(url=url)
            code, reason = await closing_of(session)
    assert code == ErrorCodes.APPLICATION_ERROR
    assert "secret" not in (reason or "")
    assert "secret detail" in caplog.text


async def test_debug_tells_the_client_what_failed(certificate: Any, client: WebTransportClient) -> None:
    app = ServerApp(config=server_config(certificate, debug=True))

    @app.route(path="/")
    async def handle(session: WebTransportSession) -> None:
        raise RuntimeError("useful detail")

    async with running(app) as url, client:
        _, reason = await closing_of(await client.connect(url=url))
    assert reason is not None
    assert "useful detail" in reason


async def test_a_session_that_ends_under_its_handler_is_no_error(
    app: ServerApp, client: WebTransportClient, caplog: pytest.LogCaptureFixture
) -> None:
    done = asyncio.Event()

    @app.route(path="/")
    async def handle(session: WebTransportSession) -> None:
        try:
            while True:
                await session.read_datagram()
        finally:
            done.set()

    with caplog.at_level(logging.ERROR):
        async with running(app) as url, client:
            session = await client.connect(url=url)
            await session.close()
            await asyncio.wait_for(done.wait(), WAIT)
    assert caplog.records == []


async def test_a_session_that_ends_under_the_tasks_of_its_handler_is_no_error(
    app: ServerApp, client: WebTransportClient, caplog: pytest.LogCaptureFixture
) -> None:
    done = asyncio.Event()

    @app.route(path="/")
    async def handle(session: WebTransportSession) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(session.read_datagram())
        finally:
            done.set()

    with caplog.at_level(logging.ERROR):
        async with running(app) as url, client:
            session = await client.connect(url=url)
            await session.close()
            await asyncio.wait_for(done.wait(), WAIT)
    assert caplog.records == []
