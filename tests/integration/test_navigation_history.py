"""`WebTransportBrowser`: going to URLs, back and forward. (No browser takes part in it.)"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from leftovers import no_tasks_left
from loopback import client_config, running, server_config, silent_server

from wtransport.client import WebTransportBrowser, WebTransportClient
from wtransport.exceptions import ClientError
from wtransport.server import ServerApp
from wtransport.session import WebTransportSession
from wtransport.types import EventType


async def until_closed(session: WebTransportSession) -> None:
    if not session.is_closed:
        await session.events.wait_for(event_type=EventType.SESSION_CLOSED)


@pytest.fixture
async def site(certificate: Any) -> AsyncIterator[str]:
    app = ServerApp(config=server_config(certificate))
    app.pattern_route(pattern=r"/\d")(until_closed)
    async with running(app) as url:
        yield url


@pytest.fixture
async def browser(certificate: Any) -> AsyncIterator[WebTransportBrowser]:
    async with (
        WebTransportClient(config=client_config(certificate)) as client,
        WebTransportBrowser(client=client) as browser,
    ):
        yield browser


async def test_back_and_forward(browser: WebTransportBrowser, site: str) -> None:
    assert browser.current_session is None
    assert await browser.back() is None
    assert await browser.forward() is None
    assert await browser.refresh() is None
    urls = [f"{site}/{number}" for number in range(3)]
    sessions = [await browser.navigate(url=url) for url in urls]
    assert [session.is_closed for session in sessions] == [True, True, False]
    assert await browser.get_history() == urls

    one = await browser.back()
    assert one is not None
    assert (one.path, sessions[2].is_closed) == ("/1", True)
    zero = await browser.back()
    assert zero is browser.current_session
    assert zero is not None
    assert (zero.path, one.is_closed) == ("/0", True)
    assert await browser.back() is None
    assert browser.current_session is zero

    again = await browser.forward()
    assert again is not None
    assert again.path == "/1"
    assert await browser.get_history() == urls
    await browser.forward()
    assert await browser.forward() is None


async def test_a_new_url_drops_what_was_ahead(browser: WebTransportBrowser, site: str) -> None:
    for number in range(3):
        await browser.navigate(url=f"{site}/{number}")
    await browser.back()
    await browser.back()
    await browser.navigate(url=f"{site}/3")
    assert await browser.get_history() == [f"{site}/0", f"{site}/3"]
    assert await browser.forward() is None


async def test_the_current_url_is_not_opened_twice_unless_it_is_over(browser: WebTransportBrowser, site: str) -> None:
    session = await browser.navigate(url=f"{site}/1")
    assert await browser.navigate(url=f"{site}/1") is session
    await session.close()
    again = await browser.navigate(url=f"{site}/1")
    assert again is not session
    assert not again.is_closed
    assert await browser.get_history() == [f"{site}/1"]
    anew = await browser.refresh()
    assert anew is browser.current_session
    assert anew is not None
    assert (anew.path, again.is_closed) == ("/1", True)


async def test_what_cannot_be_opened_changes_nothing(browser: WebTransportBrowser, site: str) -> None:
    await browser.navigate(url=f"{site}/0")
    session = await browser.navigate(url=f"{site}/1")
    await browser.back()
    session = await browser.forward() or session
    await browser.back()
    current = browser.current_session
    for url in (f"{site}/nowhere", "http://localhost/"):
        with pytest.raises(ClientError):
            await browser.navigate(url=url)
    assert browser.current_session is current
    assert current is not None
    assert not current.is_closed
    assert await browser.get_history() == [f"{site}/0", f"{site}/1"]
    assert (await browser.forward()) is not None


async def test_calls_are_carried_out_one_after_the_other(browser: WebTransportBrowser, site: str) -> None:
    sessions = await asyncio.gather(*(browser.navigate(url=f"{site}/{number}") for number in range(4)))
    assert [session.is_closed for session in sessions] == [True, True, True, False]
    assert await browser.get_history() == [f"{site}/{number}" for number in range(4)]


async def test_closing_forgets_everything_but_leaves_the_client(browser: WebTransportBrowser, site: str) -> None:
    session = await browser.navigate(url=f"{site}/0")
    await browser.close()
    assert session.is_closed
    assert browser.current_session is None
    assert await browser.get_history() == []
    assert not (await browser.navigate(url=f"{site}/1")).is_closed


async def test_what_is_opened_while_it_closes_is_closed(browser: WebTransportBrowser, site: str) -> None:
    async with no_tasks_left():
        opening = asyncio.create_task(browser.navigate(url=f"{site}/0"))
        await asyncio.sleep(0)
        await browser.close()
        with pytest.raises(ClientError, match="closed while"):
            await opening
        assert browser.current_session is None


async def test_a_cancelled_call_changes_nothing(browser: WebTransportBrowser, site: str) -> None:
    current = await browser.navigate(url=f"{site}/0")
    async with silent_server() as (url, heard), no_tasks_left():
        call = asyncio.create_task(browser.navigate(url=url))
        await heard.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert browser.current_session is current
    assert await browser.get_history() == [f"{site}/0"]
    assert not (await browser.navigate(url=f"{site}/1")).is_closed  # nothing is locked


async def test_it_has_to_be_entered(certificate: Any) -> None:
    async with WebTransportClient(config=client_config(certificate)) as client:
        browser = WebTransportBrowser(client=client)
        for call in (
            browser.navigate(url="https://localhost/"),
            browser.back(),
            browser.forward(),
            browser.refresh(),
            browser.get_history(),
            browser.close(),
        ):
            with pytest.raises(ClientError, match="async with"):
                await call
