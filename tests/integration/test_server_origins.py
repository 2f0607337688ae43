"""`allowed_origins`: pages of other origins get 403, and their requests are nobody's business."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from loopback import client_config, server_config, url_of

from wtransport.client import WebTransportClient
from wtransport.exceptions import ClientError
from wtransport.server import WebTransportServer
from wtransport.types import EventType

ALLOWED = ["https://example.com", "https://localhost:8443"]


async def connect(certificate: Any, origin: str | None, allowed: list[str] | None) -> tuple[int | None, int]:
    """Return the status that a client with this origin gets, and how many requests the server's program saw."""
    seen = 0

    def count(_: Any) -> None:
        nonlocal seen
        seen += 1

    config = server_config(certificate, allowed_origins=allowed)
    headers = {} if origin is None else {"origin": origin}
    async with (
        WebTransportServer(config=config) as server,
        WebTransportClient(config=client_config(certificate)) as client,
    ):
        server.on(event_type=EventType.SESSION_REQUEST, handler=count)
        await server.listen()
        try:
            session = await client.connect(url=url_of(server, "/"), headers=headers)
        except ClientError as error:
            assert len(server.session_manager) == 0
            return error.details["status"], seen
        return session.response_status, seen


@pytest.mark.parametrize("origin", [*ALLOWED, "https://EXAMPLE.com:443", None])
async def test_pages_of_allowed_origins_and_other_programs_get_in(certificate: Any, origin: str | None) -> None:
    assert await connect(certificate, origin, ALLOWED) == (200, 1)


@pytest.mark.parametrize(
    "origin",
    ["https://example.org", "http://example.com", "https://localhost", "https://sub.example.com", "null", "", "?"],
)
async def test_other_pages_are_refused_before_the_program_hears_of_them(
    certificate: Any, origin: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="wtransport")
    assert await connect(certificate, origin, ALLOWED) == (403, 0)
    assert f"not allowed from {origin}" in caplog.text


async def test_an_empty_list_lets_no_page_in(certificate: Any) -> None:
    assert await connect(certificate, "https://example.com", []) == (403, 0)
    assert await connect(certificate, None, []) == (200, 1)


async def test_without_the_setting_nobody_is_asked(certificate: Any) -> None:
    assert await connect(certificate, "https://anywhere.example", None) == (200, 1)


async def test_pages_without_an_origin_can_be_allowed(certificate: Any) -> None:
    assert await connect(certificate, "null", ["null"]) == (200, 1)
