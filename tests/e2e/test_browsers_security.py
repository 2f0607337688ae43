"""What a server asks of a page: the right origin; and of its browser: nothing that keeps it out."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from browsers import Browser
from pki import Authority
from serving import Certificate, echo_service, serving

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


async def test_a_page_of_an_allowed_origin_gets_in(browser: Browser, certificate: Certificate, page: str) -> None:
    async with serving(certificate, {"/echo": echo_service}, allowed_origins=[page.removesuffix("/")]) as site:
        result = await browser.run("refused", **site.at("/echo"))

    assert result["opened"]


async def test_a_page_of_another_origin_does_not(browser: Browser, certificate: Certificate, page: str) -> None:
    other = page.removesuffix("/").replace("127.0.0.1", "localhost")
    async with serving(certificate, {"/echo": echo_service}, allowed_origins=[other]) as site:
        result = await browser.run("refused", **site.at("/echo"))

    assert result == {"opened": False, "name": "WebTransportError"}


async def test_a_browser_without_a_certificate_gets_in_where_one_is_optional(
    browser: Browser, certificate: Certificate, tmp_path: Path
) -> None:
    settings = {"ca_certs": Authority(tmp_path).certfile, "verify_mode": ssl.CERT_OPTIONAL}
    async with serving(certificate, {"/echo": echo_service}, **settings) as site:
        result = await browser.run("refused", **site.at("/echo"))

    assert result["opened"]
