"""How sessions end and begin not at all, between a real browser and our server: closing, refusals, subprotocols."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from browsers import Browser
from serving import Certificate, echo_service, serving

from wtransport import WebTransportSession
from wtransport.types import EventType

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

WAIT = 30.0  # seconds for the server to see what the browser did
CODES_AND_REASONS = [(0, ""), (7, "done"), (4_000_000_000, "Grüße, 世界")]


@pytest.mark.parametrize(("code", "reason"), CODES_AND_REASONS)
async def test_server_sees_code_and_reason_of_the_browser(
    browser: Browser, certificate: Certificate, code: int, reason: str
) -> None:
    closed: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def handler(session: WebTransportSession) -> None:
        event = await session.events.wait_for(event_type=EventType.SESSION_CLOSED)
        closed.set_result(event.data)

    async with serving(certificate, {"/close": handler}) as site:
        await browser.run("closeByBrowser", **site.at("/close"), code=code, reason=reason)
        data = await asyncio.wait_for(closed, WAIT)

    assert (data["code"], data["reason"]) == (code, reason)


@pytest.mark.parametrize(("code", "reason"), CODES_AND_REASONS)
async def test_browser_sees_code_and_reason_of_the_server(
    browser: Browser, certificate: Certificate, code: int, reason: str
) -> None:
    async def handler(session: WebTransportSession) -> None:
        await session.accept()
        await session.close(error_code=code, reason=reason)

    async with serving(certificate, {"/close": handler}) as site:
        result = await browser.run("closeByServer", **site.at("/close"))

    assert result == {"code": code, "reason": reason}


async def test_unknown_path_rejects_ready(browser: Browser, certificate: Certificate) -> None:
    async with serving(certificate, {"/echo": echo_service}) as site:
        result = await browser.run("refused", **site.at("/nothing-here"))

    assert result == {"opened": False, "name": "WebTransportError"}


async def test_rejected_session_rejects_ready(browser: Browser, certificate: Certificate) -> None:
    async def handler(session: WebTransportSession) -> None:
        await session.reject(status_code=403)

    async with serving(certificate, {"/forbidden": handler}) as site:
        result = await browser.run("refused", **site.at("/forbidden"))

    assert result == {"opened": False, "name": "WebTransportError"}


async def test_other_certificate_rejects_ready(browser: Browser, certificate: Certificate) -> None:
    async with serving(certificate, {"/echo": echo_service}) as site:
        result = await browser.run("refused", url=f"{site.url}/echo", hash="00" * 32)

    assert result == {"opened": False, "name": "WebTransportError"}


async def test_subprotocol_chosen_by_the_server_is_in_force(browser: Browser, certificate: Certificate) -> None:
    offered: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()

    async def handler(session: WebTransportSession) -> None:
        offered.set_result(list(session.wt_available_protocols))
        await session.accept(wt_protocol="chat.v1")
        await session.events.wait_for(event_type=EventType.SESSION_CLOSED)

    async with serving(certificate, {"/chat": handler}) as site:
        result = await browser.run("protocol", **site.at("/chat"), protocols=["chat.v2", "chat.v1"])

    if browser.name == "firefox" and not result["supported"]:
        return  # as of version 153 it has no WebTransport.protocol
    assert result == {"supported": True, "protocol": "chat.v1"}
    assert offered.result() == ["chat.v2", "chat.v1"]
