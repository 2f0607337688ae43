"""Fixtures of the browser tests: each browser starts once per run, our server runs in the test's own event loop."""

from __future__ import annotations

from collections.abc import Iterator

import browsers
import pytest
from page_server import PageServer


@pytest.fixture(scope="session")
def page() -> Iterator[str]:
    """The URL of the page that runs the scenarios."""
    with PageServer() as server:
        yield server.url


@pytest.fixture(scope="session", params=sorted(browsers.BROWSERS))
def browser(request: pytest.FixtureRequest, page: str) -> Iterator[browsers.Browser]:
    try:
        browser = browsers.start(request.param, page)
    except browsers.BrowserMissingError as missing:
        pytest.skip(str(missing))
    yield browser
    browser.stop()
