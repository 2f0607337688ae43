"""A real browser at our server's front door: it validates its address, and notices a restart."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from pathlib import Path

import pytest
from balanced import KillableProcess
from browsers import Browser
from serving import Certificate, echo_service, serving

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

STILL = 5.0
"""Seconds in which the browser says nothing, enough for a server to start again."""

QUIET = 0.3
"""Seconds until everything is acknowledged, so that the browser has nothing to say while no server is there."""

SOON = 5.0
"""Seconds; a browser's own idle time-out is 30 at least."""


async def test_a_browser_validates_its_address(browser: Browser, certificate: Certificate) -> None:
    async with serving(certificate, {"/echo": echo_service}, address_validation="always") as site:
        result = await browser.run("echoBidi", **site.at("/echo"), size=100_000)

    assert result["size"] == 100_000
    assert result["received"] == result["sent"]


async def test_a_browser_notices_that_the_server_was_restarted(browser: Browser, certificate: Certificate) -> None:
    der = ssl.PEM_cert_to_DER_cert(Path(certificate.certfile).read_text(encoding="ascii"))
    async with KillableProcess(certificate) as server:
        session = {"url": "https://{}:{}/".format(*server.address), "hash": hashlib.sha256(der).hexdigest()}
        running = asyncio.ensure_future(browser.run("lostByServer", **session, still_ms=1000 * STILL))
        await server.stream()
        await asyncio.sleep(QUIET)
        await server.kill()
        await server.start()
        result = await running

    assert result["how"] == "lost"
    assert result["seconds"] < SOON
