"""Fixtures of the browser tests: each browser starts once per run, our server runs in the test's own event loop."""

from __future__ import annotations

from collections.abc import Iterator

import browsers
import pytest
from absent import skip_without
from page_server import PageServer
from serving import Certificate, make_certificate


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
        skip_without(str(missing), unless="WTRANSPORT_REQUIRE_BROWSERS")
    yield browser
    browser.stop()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))
