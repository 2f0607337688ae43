"""Streams between a real browser and our server, in both directions and opened by either side."""

from __future__ import annotations

import asyncio

import pytest
from browsers import Browser
from serving import Certificate, echo_service, serving

from wtransport import WebTransportSession

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

MIB = 1 << 20


async def test_eight_mebibytes_come_back_unchanged(browser: Browser, certificate: Certificate) -> None:
    async with serving(certificate, {"/echo": echo_service}) as site:
        result = await browser.run("echoBidi", **site.at("/echo"), size=8 * MIB)

    assert result["size"] == 8 * MIB
    assert result["received"] == result["sent"]


async def test_empty_stream_comes_back_empty(browser: Browser, certificate: Certificate) -> None:
    async with serving(certificate, {"/echo": echo_service}) as site:
        result = await browser.run("echoBidi", **site.at("/echo"), size=0)

    assert result["size"] == 0


async def test_hundred_streams_are_echoed_at_once(browser: Browser, certificate: Certificate) -> None:
    async with serving(certificate, {"/echo": echo_service}) as site:
        result = await browser.run("echoMany", **site.at("/echo"), count=100, size=10_000)

    assert result["matching"] == 100


@pytest.mark.parametrize(("count", "size"), [(1, MIB), (20, 10_000)])
async def test_unidirectional_streams_go_both_ways(
    browser: Browser, certificate: Certificate, count: int, size: int
) -> None:
    async with serving(certificate, {"/echo": echo_service}) as site:
        result = await browser.run("echoUni", **site.at("/echo"), count=count, size=size)

    assert result["matching"] == count


async def test_browser_answers_bidirectional_streams_of_the_server(browser: Browser, certificate: Certificate) -> None:
    offers = [f"offer {number}" for number in range(5)]
    answered: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()

    async def offer(session: WebTransportSession, text: str) -> bytes:
        stream = await session.create_bidirectional_stream()
        await stream.write_all(data=text.encode())
        return await stream.read_all()

    async def handler(session: WebTransportSession) -> None:
        await session.accept()
        answered.set_result(await asyncio.gather(*(offer(session, text) for text in offers)))

    async with serving(certificate, {"/offers": handler}) as site:
        result = await browser.run("answerServerBidi", **site.at("/offers"), count=len(offers))

    assert sorted(result["answers"]) == offers
    assert answered.result() == [text.upper().encode() for text in offers]
