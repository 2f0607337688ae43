"""Keying material of sessions, at both ends of a real connection on loopback."""

from __future__ import annotations

import pytest
from handle_pair import connection_pair, session_pair

from wtransport.exceptions import SessionError


@pytest.fixture
async def pair(certificate):
    async with session_pair(certificate) as pair:
        yield pair


async def test_both_ends_of_a_session_get_the_same_secret(pair):
    secrets = set()
    for arguments in ({}, {"context": b"\x01\x02"}, {"context": memoryview(b"\x03")}, {"length": 33}):
        of_client = await pair.client.export_keying_material(label="my app", **arguments)
        of_server = await pair.server.export_keying_material(label="my app", **arguments)
        assert of_client == of_server
        assert len(of_client) == arguments.get("length", 32)
        secrets.add(of_client)
    assert len(secrets) == 4


async def test_an_omitted_context_is_an_empty_one(pair):
    assert await pair.client.export_keying_material(label="a") == await pair.server.export_keying_material(
        label="a", context=b"", length=32
    )


async def test_sessions_of_one_connection_have_different_secrets(certificate):
    async with connection_pair(
        certificate, client={"initial_max_data": 10_000}, server={"initial_max_data": 10_000}
    ) as pair:
        first, second = await pair.open_session(), await pair.open_session()
        assert await first.client.export_keying_material(label="a") != await second.client.export_keying_material(
            label="a"
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label": "ä" * 128}, "label must be at most 255 bytes, not 256"),
        ({"label": "a", "context": bytes(256)}, "context must be at most 255 bytes"),
        ({"label": "a", "length": 0}, "length must be from 1"),
    ],
)
async def test_what_cannot_be_exported_is_refused_at_the_call(pair, arguments, message):
    with pytest.raises(ValueError, match=message):
        await pair.client.export_keying_material(**arguments)


async def test_a_closed_session_exports_nothing(pair):
    await pair.client.close()
    with pytest.raises(SessionError, match="closed"):
        await pair.client.export_keying_material(label="a")
