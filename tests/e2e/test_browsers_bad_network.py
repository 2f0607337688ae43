"""Real browsers and our server with a network between them that loses packets, or forgets the browser's address."""

from __future__ import annotations

import asyncio

import pytest
from browsers import Browser
from serving import Certificate, Site, echo_service, serving
from udp_proxy import proxied

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

MIB = 1 << 20

LOSSY = {"loss": 0.02, "delay": 0.002}

SIZES = {"chromium": 16 * MIB, "firefox": 4 * MIB}
"""Firefox takes three times as long for a byte."""

CHANGES = {"chromium": 5, "firefox": 2}
"""One that has nothing to say at the moment is silent until its keep-alive: 0.2 s in Chromium, 15 s in Firefox."""


async def test_mebibytes_come_back_unchanged_although_two_percent_are_lost(
    browser: Browser, certificate: Certificate
) -> None:
    size = SIZES[browser.name]
    async with serving(certificate, {"/echo": echo_service}) as site, proxied(site.url, seed=1, **LOSSY) as proxy:
        through = Site(proxy.url, site.hash)
        result = await browser.run("echoBidi", **through.at("/echo"), size=size, timeout=120)

    assert result["size"] == size
    assert result["received"] == result["sent"]
    for link in (proxy.to_server, proxy.to_client):
        assert link.bytes > size
        assert link.lost > 0.01 * link.packets


async def test_a_browser_whose_address_changes_gets_everything_back(browser: Browser, certificate: Certificate) -> None:
    async with serving(certificate, {"/echo": echo_service}) as site, proxied(site.url) as proxy:
        through = Site(proxy.url, site.hash)
        running = asyncio.ensure_future(browser.run("echoBidi", **through.at("/echo"), size=6 * MIB))
        try:
            for number in range(CHANGES[browser.name]):
                while proxy.to_client.bytes < (number + 1) * MIB // 4 and not running.done():
                    await asyncio.sleep(0.005)
                proxy.rebind()
            result = await running
        finally:
            running.cancel()

    assert result["received"] == result["sent"]
