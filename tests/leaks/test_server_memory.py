"""What a server holds after 10,000 streams and 200 sessions is what it held before."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from loopback import CertificateFiles

from wtransport import ClientConfig, WebTransportClient

SCRIPT = Path(__file__).with_name("server_under_watch.py")

WARM_UP_LOADS = 5
"""After so many the server's event history, which is bounded, is full, and so are the allocator's pools."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")


class Watched:
    """The server's process."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port

    async def report(self) -> dict[str, int]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"\n")
        async with asyncio.timeout(30):
            line = await self.process.stdout.readline()
        result: dict[str, int] = json.loads(line)
        return result


async def _start(certificate: CertificateFiles) -> Watched:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SCRIPT),
        certificate.certfile,
        certificate.keyfile,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert process.stdout is not None
    return Watched(process, int(await process.stdout.readline()))


async def _session(watched: Watched, config: ClientConfig, streams: int) -> None:
    """Open a session, echo so many streams in it, ten at a time, and leave."""

    async def one() -> None:
        stream = await session.create_bidirectional_stream()
        await stream.write_all(data=b"x" * 100)
        assert await stream.read_all() == b"x" * 100

    async with WebTransportClient(config=config) as client:
        session = await client.connect(url=f"https://127.0.0.1:{watched.port}/echo")
        for _ in range(streams // 10):
            await asyncio.gather(*(one() for _ in range(10)))


async def _load(watched: Watched, config: ClientConfig) -> None:
    """200 sessions and 10,000 streams: half of the streams in one long session."""
    await _session(watched, config, 5030)
    for _ in range(199 // 4):
        await asyncio.gather(*(_session(watched, config, 20) for _ in range(4)))
    await asyncio.gather(*(_session(watched, config, 350) for _ in range(3)))


@pytest.mark.timeout(240)
async def test_streams_and_sessions_leave_nothing_behind(certificate: CertificateFiles) -> None:
    watched = await _start(certificate)
    config = ClientConfig(ca_certs=certificate.certfile)
    try:
        at_rest = await watched.report()
        for _ in range(WARM_UP_LOADS):
            await _load(watched, config)
        before = await watched.report()
        await _load(watched, config)
        after = await watched.report()
    finally:
        watched.process.kill()
        await watched.process.wait()
    assert after["tasks"] == at_rest["tasks"]
    # The one timer of the listener, which watches over unfinished handshakes, may still be armed.
    assert after["timers"] <= at_rest["timers"] + 1
    assert after["objects"] <= before["objects"] * 1.01
    assert after["resident_kib"] <= before["resident_kib"] * 1.05
