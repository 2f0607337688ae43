"""``python -m wtransport demo``: every main job once, between a server and a client in this process."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from .._speedups import BACKEND
from ..client import WebTransportClient
from ..client.url import format_authority
from ..config import ClientConfig, ServerConfig
from ..events import Event
from ..exceptions import ClientError
from ..server import WebTransportServer
from ..session import WebTransportSession
from ..types import EventType
from ..utils import format_duration, generate_self_signed_cert
from ..version import __version__
from .echo import GREETING, create_echo_app

__all__ = ["run_demo"]

STEP_TIMEOUT = 5.0
"""Seconds for one step; the longest takes some tenths of one on a small machine."""

HOST = "127.0.0.1"
ROUND_TRIPS = 100
"""Messages there and back, one after the other: enough for a steady median, done in a moment."""

MESSAGE = b"wtransport demo " * 4
BULK_SIZE = 4 * 1024 * 1024
"""Bytes for the throughput figure: some windows long, so that flow control has its part in it."""

STREAMS_AT_ONCE = 50
MEBI = 1024 * 1024


@dataclass
class Demo:
    """One run: the client and session under test, and the rows of the table so far."""

    url: str
    client: WebTransportClient
    server_closings: asyncio.Queue[tuple[int, str]] = field(default_factory=asyncio.Queue)
    rows: list[tuple[str, str]] = field(default_factory=list)
    _session: WebTransportSession | None = None

    @property
    def session(self) -> WebTransportSession:
        """Return the session that `connect` opened."""
        if self._session is None:
            raise RuntimeError("no session: the first step has to connect")
        return self._session

    async def connect(self) -> str:
        """Open the session that the other steps use."""
        began = time.perf_counter()
        self._session = await self.client.connect(url=f"{self.url}/echo")
        return format_duration(seconds=time.perf_counter() - began)

    async def draft(self) -> str:
        """Tell which draft of WebTransport over HTTP/3 the two ends have agreed on."""
        draft = (await self.session.connection.diagnostics()).draft
        if draft is None:
            raise RuntimeError("no draft is in force")
        return f"draft-ietf-webtrans-http3-{draft:02}"

    async def round_trips(self) -> str:
        """Send small messages on streams of their own, and take them back."""
        times = []
        for _ in range(ROUND_TRIPS):
            began = time.perf_counter()
            stream = await self.session.create_bidirectional_stream()
            await stream.write_all(data=MESSAGE)
            expect(MESSAGE, await stream.read_all())
            times.append(time.perf_counter() - began)
        return _spread(times)

    async def many_streams(self) -> str:
        """Use many streams at once, with a message of its own on each."""

        async def one(number: int) -> None:
            message = MESSAGE * number
            stream = await self.session.create_bidirectional_stream()
            await stream.write_all(data=message)
            expect(message, await stream.read_all())

        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for number in range(1, STREAMS_AT_ONCE + 1):
                tasks.create_task(one(number))
        return f"{STREAMS_AT_ONCE} in {format_duration(seconds=time.perf_counter() - began)}"

    async def bulk(self) -> str:
        """Send and take back a large body, both ways at the same time."""
        body = bytes(range(256)) * (BULK_SIZE // 256)
        stream = await self.session.create_bidirectional_stream()
        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(stream.write_all(data=body))
            back = tasks.create_task(stream.read_all())
        seconds = time.perf_counter() - began
        expect(body, back.result())
        return f"{BULK_SIZE / MEBI / seconds:.1f} MiB/s each way ({BULK_SIZE // MEBI} MiB)"

    async def unidirectional(self) -> str:
        """Send on a stream of ours, and take the answer from one of the server's."""
        began = time.perf_counter()
        stream = await self.session.create_unidirectional_stream()
        await stream.write_all(data=MESSAGE)
        async for answer in self.session.incoming_unidirectional_streams():
            expect(MESSAGE, await answer.read_all())
            break
        return format_duration(seconds=time.perf_counter() - began)

    async def datagrams(self) -> str:
        """Send datagrams and take them back; a few may be lost, as datagrams are."""
        times = []
        for number in range(ROUND_TRIPS):
            data = number.to_bytes(2, "big") + MESSAGE
            began = time.perf_counter()
            await self.session.send_datagram(data=data)
            try:
                async with asyncio.timeout(0.5):
                    while await self.session.read_datagram() != data:
                        pass
            except TimeoutError:
                continue
            times.append(time.perf_counter() - began)
        if len(times) < ROUND_TRIPS // 2:
            raise RuntimeError(f"only {len(times)} of {ROUND_TRIPS} datagrams came back")
        return f"{_spread(times)}, {len(times)} of {ROUND_TRIPS}"

    async def server_opened(self) -> str:
        """Take streams and a datagram that the server begins, and answer."""
        session = await self.client.connect(url=f"{self.url}/greet")
        async for stream in session.incoming_bidirectional_streams():
            await stream.write_all(data=MESSAGE)
            expect(GREETING + MESSAGE, await stream.read_all())
            break
        async for one_way in session.incoming_unidirectional_streams():
            expect(GREETING, await one_way.read_all())
            break
        expect(GREETING, await session.read_datagram())
        await session.close()
        return "bidirectional, unidirectional, datagram"

    async def rejected(self) -> str:
        """Ask for a path that the server does not have."""
        try:
            await self.client.connect(url=f"{self.url}/nowhere")
        except ClientError as error:
            if error.details.get("status") == 404:
                return "status 404"
            raise
        raise RuntimeError("the server accepted a path that it does not have")

    async def closed_by_server(self) -> str:
        """See the code and reason that the server closes with."""
        session = await self.client.connect(url=f"{self.url}/close?code=42&reason=asked+for")
        if not session.is_closed:
            await session.events.wait_for(event_type=EventType.SESSION_CLOSED)
        snapshot = await session.diagnostics()
        expect((42, "asked for"), (snapshot.close_code, snapshot.close_reason))
        return 'code 42, "asked for"'

    async def closed_by_client(self) -> str:
        """Close the main session, and see that the server hears code and reason."""
        await self.session.close(error_code=7, reason="demo is over")
        expect((7, "demo is over"), await self.server_closings.get())
        return 'code 7, "demo is over"'


async def run_demo() -> int:
    """Run the demo, print what happened, and return 0, or 1 after naming what failed."""
    print(f"wtransport {__version__} demo, kernels: {BACKEND}\n")
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="wtransport-") as directory:
        certfile, keyfile = generate_self_signed_cert(hostname="localhost", output_dir=directory, days_valid=14)
        app = create_echo_app(
            config=ServerConfig(bind_host=HOST, bind_port=0, certfile=certfile, keyfile=keyfile, access_log=False)
        )
        client = WebTransportClient(config=ClientConfig(ca_certs=certfile, connect_timeout=STEP_TIMEOUT))
        name = "start the server"
        try:
            async with app:
                await app.server.listen()
                port = app.server.local_address[1] if app.server.local_address else 0
                demo = Demo(url="https://" + format_authority(host=HOST, port=port), client=client)
                _record_closings(app.server, demo.server_closings)
                async with client:
                    for name, step in _steps(demo):
                        async with asyncio.timeout(STEP_TIMEOUT):
                            detail = await step()
                        print(f"  {name:<32}{detail}", flush=True)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is named and ends the demo
            print(f"  {name:<32}FAILED: {type(error).__name__}: {error}", flush=True)
            return 1
    print(f"\neverything works, {format_duration(seconds=time.perf_counter() - began)}")
    return 0


def _steps(demo: Demo) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
    return [
        ("connect, certificate verified", demo.connect),
        ("draft in force", demo.draft),
        ("stream round trip", demo.round_trips),
        ("streams at once", demo.many_streams),
        ("bulk echo", demo.bulk),
        ("unidirectional streams", demo.unidirectional),
        ("datagram round trip", demo.datagrams),
        ("opened by the server", demo.server_opened),
        ("unknown path is rejected", demo.rejected),
        ("closed by the server", demo.closed_by_server),
        ("closed by the client", demo.closed_by_client),
    ]


def _record_closings(server: WebTransportServer, closings: asyncio.Queue[tuple[int, str]]) -> None:
    """Note the code and reason with which each session of ``/echo`` ends."""

    def on_request(event: Event) -> None:
        session: WebTransportSession = event.data["session"]
        if session.path == "/echo":
            session.events.once(
                event_type=EventType.SESSION_CLOSED,
                handler=lambda closed: closings.put_nowait((closed.data["code"], closed.data["reason"])),
            )

    server.on(event_type=EventType.SESSION_REQUEST, handler=on_request)


def expect(wanted: object, got: object) -> None:
    """Raise an error that shows both when they are not equal."""
    if wanted != got:
        raise RuntimeError(f"expected {_shown(wanted)}, got {_shown(got)}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"


def _spread(times: list[float]) -> str:
    median, longest = statistics.median(times), max(times)
    return f"median {format_duration(seconds=median)}, longest {format_duration(seconds=longest)}"
