"""Aliases, enums and protocols of the public API."""

from __future__ import annotations

import asyncio
import json
import ssl
from enum import StrEnum

import pytest

from wtransport import types
from wtransport.types import (
    AuthHandlerProtocol,
    ConnectionState,
    EventType,
    MiddlewareProtocol,
    Serializer,
    SessionState,
    StreamDirection,
    StreamState,
    WebTransportProtocol,
)


class _JSON:
    def serialize(self, *, obj: object) -> bytes:
        return json.dumps(obj).encode()

    def deserialize(self, *, data: bytes, obj_type: object = None) -> object:
        return json.loads(data)


def test_every_listed_name_is_there() -> None:
    for name in types.__all__:
        assert hasattr(types, name)


def test_aliases_are_the_types_that_programs_expect() -> None:
    expected = {
        "Address": tuple[str, int],
        "Future": asyncio.Future,
        "Headers": dict[str, str],
        "SSLContext": ssl.SSLContext,
        "StreamId": int,
        "URL": str,
        "URLParts": tuple[str, int, str],
    }
    assert {name: getattr(types, name) for name in expected} == expected


@pytest.mark.parametrize("enum", [ConnectionState, EventType, SessionState, StreamDirection, StreamState])
def test_enums_are_strings_with_the_name_in_lower_case(enum: type[StrEnum]) -> None:
    for member in enum:
        assert member == member.name.lower()
        assert f"{member}" == member.value


def test_an_event_type_and_its_text_are_one_dict_key() -> None:
    assert {"session_ready": 1}[EventType.SESSION_READY] == 1


def test_a_serializer_is_known_by_its_methods() -> None:
    assert isinstance(_JSON(), Serializer)
    assert not isinstance(object(), Serializer)


def test_handler_protocols_are_known_by_being_callable() -> None:
    async def middleware(*, session: object) -> bool:
        return True

    for protocol in (MiddlewareProtocol, AuthHandlerProtocol):
        assert isinstance(middleware, protocol)
        assert not isinstance(object(), protocol)


def test_an_asyncio_datagram_protocol_is_a_transport_side() -> None:
    side: object = asyncio.DatagramProtocol()
    assert isinstance(side, WebTransportProtocol)
