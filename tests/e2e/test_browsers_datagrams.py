"""Datagrams between a real browser and our server, up to the largest that each side sends."""

from __future__ import annotations

import asyncio
import hashlib

import peerkit
import pytest
from browsers import Browser
from serving import Certificate, serving

from wtransport import DatagramError, WebTransportSession

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

SMALLEST_MAXIMUM = 1000  # bytes; both browsers send at least so much, and so does our server
FAR_TOO_LARGE = 65_000  # bytes
RETRY = 0.5  # seconds before a datagram without a receipt is sent again


def receipt(data: bytes) -> bytes:
    """What either side answers to a datagram, so that large ones need no equally large answer."""
    return f"{len(data)} {hashlib.sha256(data).hexdigest()}".encode()


async def test_server_receives_datagrams_up_to_the_browsers_maximum(browser: Browser, certificate: Certificate) -> None:
    async def handler(session: WebTransportSession) -> None:
        async for data in session.incoming_datagrams():
            await session.send_datagram(data=receipt(data))

    async with serving(certificate, {"/receipts": handler}) as site:
        result = await browser.run("sendDatagrams", **site.at("/receipts"), sizes=[1, 100, SMALLEST_MAXIMUM, 0])

    assert result["max"] >= SMALLEST_MAXIMUM
    assert result["delivered"] == [1, 100, SMALLEST_MAXIMUM, result["max"]]


async def test_browser_receives_datagrams_up_to_the_servers_maximum(browser: Browser, certificate: Certificate) -> None:
    largest: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    received: set[int] = set()

    async def deliver(session: WebTransportSession, size: int) -> None:
        data = peerkit.pattern(size, size)
        while size not in received:
            await session.send_datagram(data=data)
            try:
                async with asyncio.timeout(RETRY):
                    while await session.read_datagram() != receipt(data):
                        pass
            except TimeoutError:
                continue
            received.add(size)

    async def handler(session: WebTransportSession) -> None:
        await session.accept()
        try:
            await session.send_datagram(data=bytes(FAR_TOO_LARGE))
        except DatagramError as error:
            largest.set_result(error.max_size or 0)
        for size in (1, 100, SMALLEST_MAXIMUM, await largest):
            await deliver(session, size)

    async with serving(certificate, {"/datagrams": handler}) as site:
        await browser.run("receiveDatagrams", **site.at("/datagrams"))

    assert largest.result() >= SMALLEST_MAXIMUM
    assert received == {1, 100, SMALLEST_MAXIMUM, largest.result()}


async def test_datagram_sent_at_once_after_accepting_arrives(browser: Browser, certificate: Certificate) -> None:
    received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def handler(session: WebTransportSession) -> None:
        await session.accept()
        await session.send_datagram(data=b"welcome")
        received.set_result(await session.read_datagram())

    async with serving(certificate, {"/welcome": handler}) as site:
        await browser.run("receiveDatagrams", **site.at("/welcome"), timeout=10)

    assert received.result() == receipt(b"welcome")
