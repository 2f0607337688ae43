"""The page of the serve command, and the small HTTP server it comes from."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from wtransport._cli.page import render_page
from wtransport._cli.serve import page_server


def settings_of(page: bytes) -> dict[str, object]:
    found = re.search(r"const settings = (.*);\n", page.decode())
    assert found is not None
    settings: dict[str, object] = json.loads(found[1])
    return settings


async def fetch(url: str, request: str) -> tuple[str, dict[str, str], bytes]:
    port = int(url.rstrip("/").rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request.encode())
        await writer.drain()
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
        await writer.wait_closed()
    status, *lines = head.decode().split("\r\n")
    return status, {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}, body


def test_the_page_knows_the_server_and_its_certificate() -> None:
    digest = bytes(range(32))
    page = render_page(url="https://127.0.0.1:4433", certificate_hash=digest)
    assert settings_of(page) == {"url": "https://127.0.0.1:4433", "hash": list(digest)}


def test_the_page_needs_nothing_from_elsewhere() -> None:
    page = render_page(url="https://127.0.0.1:4433", certificate_hash=bytes(32)).decode()
    assert re.findall(r"""(?:src|href)=["'](?!data:)""", page) == []
    assert "import " not in page


def test_settings_cannot_end_the_script() -> None:
    page = render_page(url="https://</script>", certificate_hash=b"").decode()
    assert page.count("</script>") == 1
    assert settings_of(page.encode())["url"] == "https://</script>"


async def test_the_page_is_served_on_loopback() -> None:
    async with page_server(page=b"<p>page</p>", port=0) as url:
        assert url.startswith("http://127.0.0.1:")
        status, headers, body = await fetch(url, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert status == "HTTP/1.1 200 OK"
        assert body == b"<p>page</p>"
        assert headers["content-type"] == "text/html; charset=utf-8"
        assert headers["content-length"] == str(len(body))


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /?again HTTP/1.1", "200 OK"),
        ("HEAD / HTTP/1.1", "200 OK"),
        ("GET /favicon.ico HTTP/1.1", "404 Not Found"),
        ("GET /../secret HTTP/1.1", "404 Not Found"),
        ("POST / HTTP/1.1", "405 Method Not Allowed"),
    ],
)
async def test_nothing_but_the_page_is_served(request_line: str, status: str) -> None:
    async with page_server(page=b"page", port=0) as url:
        got, _, body = await fetch(url, f"{request_line}\r\n\r\n")
        assert got == f"HTTP/1.1 {status}"
        if request_line.startswith("HEAD"):
            assert body == b""


async def test_an_endless_request_head_is_given_up() -> None:
    async with page_server(page=b"page", port=0) as url:
        port = int(url.rstrip("/").rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000)
        try:
            assert await reader.read() == b""
        except ConnectionResetError:  # closed with our bytes unread
            pass
        finally:
            writer.close()


async def test_a_port_in_use_is_an_error() -> None:
    async with page_server(page=b"page", port=0) as url:
        port = int(url.rstrip("/").rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            async with page_server(page=b"page", port=port):
                pytest.fail("bound twice")
