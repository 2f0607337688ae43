"""Sections 2.1 and 7.1: what a client asks for, and when it may."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from conformance_bench import CONNECT, DRAFT02, DRAFT14, FLOW_CONTROL, POST, Bench, MakeBench
from scripted_peer import CHROMIUM, DRAFT07, DRAFT16, MakePeer, ScriptedPeer

from wtransport._speedups import encode_frame, encode_varint
from wtransport.config import ServerConfig
from wtransport.connection import WebTransportConnection
from wtransport.constants import ErrorCodes
from wtransport.exceptions import SessionError

rule = pytest.mark.rule

Line = tuple[bytes, bytes]

# Requirements of the drafts.


LACKING: dict[str, dict[int, int]] = {
    "nothing": {},
    "no draft": {0x08: 1},
    "no datagrams": {0x08: 1, 0x2C7CF000: 1},
    "a draft of 0": {0x08: 1, 0x33: 1, 0x2C7CF000: 0, 0x2B603742: 0},
    "drafts 04 to 06 only": {0x08: 1, 0x2B603743: 1, 0x3C48D522: 1},
}


@rule("2.1-server-lacks-requirement")
@pytest.mark.parametrize(
    "settings", [*LACKING.values(), {0x33: 1, 0x2C7CF000: 1}], ids=[*LACKING, "no extended CONNECT"]
)
def test_server_lacks_requirement(peer: MakePeer, settings: dict[int, int]) -> None:
    ends = peer(settings=settings)
    assert ends.closed == ErrorCodes.WT_REQUIREMENTS_NOT_MET
    with pytest.raises(SessionError):
        ends.engine.open_session(authority="localhost", path="/", headers={})


@rule("2.1-client-lacks-requirement")
@pytest.mark.parametrize("settings", LACKING.values(), ids=LACKING)
def test_client_lacks_requirement(peer: MakePeer, settings: dict[int, int]) -> None:
    ends = peer(settings=settings)
    requests = [ends.request(), ends.request(token="webtransport")]
    assert ends.closed is None
    codes = (ErrorCodes.H3_MESSAGE_ERROR, ErrorCodes.H3_MESSAGE_ERROR)
    assert ends.aborted() == dict.fromkeys(requests, codes)
    assert "SessionRequested" not in ends.names()


@rule("2.1-client-lacks-requirement")
def test_client_lacks_requirement_that_was_on_its_way(peer: MakePeer) -> None:
    ends = peer(settings=None)
    request = ends.request()
    ends.send_settings({})
    assert ends.aborted() == {request: (ErrorCodes.H3_MESSAGE_ERROR, ErrorCodes.H3_MESSAGE_ERROR)}
    assert ends.closed is None


# The request.


def check_refused(ends: Bench, status: int, *frames: bytes) -> None:
    """Fail unless a request is answered with this status, politely, and no program hears of it."""
    stream_id = ends.begin_message(*frames)
    assert "SessionRequested" not in ends.peer.names()
    assert ends.peer.status(stream_id) == status
    assert ends.peer.has_fin(stream_id)
    ends.check_stream_error(stream_id, ErrorCodes.H3_NO_ERROR)


def changed(name: bytes, value: bytes, lines: list[Line] = CONNECT) -> list[Line]:
    return [(each, value if each == name else old) for each, old in lines]


@rule("7.1-protocol-token")
@pytest.mark.parametrize(
    "token", [b"websocket", b"connect-udp", b"webtransport-h4", b"WebTransport", b"webtransport-h3x"]
)
def test_protocol_token(bench: MakeBench, token: bytes) -> None:
    ends = bench()
    check_refused(ends, 501, ends.peer.headers(changed(b":protocol", token)))


@rule("7.1-protocol-token")
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    "settings", [FLOW_CONTROL, DRAFT14, DRAFT07, DRAFT02, CHROMIUM], ids=["16", "14", "7", "2", "C"]
)
def test_protocol_token_of_another_draft(peer: MakePeer, settings: dict[int, int], strict: bool) -> None:
    ends = peer(settings=settings, strict=strict)
    native = "webtransport-h3" if ends.engine.draft == 16 else "webtransport"
    other = "webtransport" if native == "webtransport-h3" else "webtransport-h3"
    ends.request(token=native)
    ends.take_event("SessionRequested").session.close()
    foreign = ends.request(token=other)
    if strict:
        assert ends.status(foreign) == 501
        assert "SessionRequested" not in ends.names()
    else:
        assert ends.take_event("SessionRequested").session.stream_id == foreign


@rule("7.1-protocol-without-connect")
@pytest.mark.parametrize("method", [b"GET", b"POST", b"OPTIONS", b"connect"])
def test_protocol_without_connect(bench: MakeBench, method: bytes) -> None:
    ends = bench()
    stream_id = ends.begin_message(ends.peer.headers(changed(b":method", method)))
    assert "SessionRequested" not in ends.peer.names()
    ends.check_stream_error(stream_id, ErrorCodes.H3_MESSAGE_ERROR)


BAD_TARGETS: dict[str, list[Line]] = {
    f"no {name.decode()}": [line for line in CONNECT if line[0] != name]
    for name in (b":scheme", b":authority", b":path")
} | {
    "empty authority": changed(b":authority", b""),
    "user": changed(b":authority", b"user@localhost"),
    "user and password": changed(b":authority", b"user:secret@localhost"),
    "host that differs": [*CONNECT, (b"host", b"example.com")],
    "empty path": changed(b":path", b""),
    "relative path": changed(b":path", b"chat"),
    "whole URL": changed(b":path", b"https://localhost/chat"),
    "asterisk": changed(b":path", b"*"),
    "space": changed(b":path", b"/a b"),
    "empty scheme": changed(b":scheme", b""),
}


@rule("7.1-target")
@pytest.mark.parametrize("lines", BAD_TARGETS.values(), ids=BAD_TARGETS)
def test_target(bench: MakeBench, lines: list[Line]) -> None:
    ends = bench()
    stream_id = ends.begin_message(ends.peer.headers(lines))
    assert "SessionRequested" not in ends.peer.names()
    ends.check_stream_error(stream_id, ErrorCodes.H3_MESSAGE_ERROR)


@rule("7.1-target")
@pytest.mark.parametrize("scheme", [b"http", b"wss", b"coap"])
def test_target_of_another_scheme(bench: MakeBench, scheme: bytes) -> None:
    ends = bench()
    check_refused(ends, 400, ends.peer.headers(changed(b":scheme", scheme)))


@rule("7.1-target")
def test_target_with_the_same_host(bench: MakeBench) -> None:
    ends = bench()
    ends.begin_message(ends.peer.headers([*CONNECT, (b"host", b"localhost")]))
    session = ends.peer.take_event("SessionRequested").session
    session.accept()
    ends.peer.pump()
    ends.check_session_works(session)
    ends.check_nothing_wrong()


@rule("7.1-target")
def test_target_of_no_tunnel(bench: MakeBench) -> None:
    # Nothing is served here, and nothing reached through here.
    ends = bench()
    check_refused(ends, 404, ends.peer.headers(POST))
    check = bench()
    check_refused(check, 501, check.peer.headers([CONNECT[0], (b":authority", b"example.com:443")]))


class Server:
    """A server's connection, whose engine a peer plays with: origins are checked where the configuration is known."""

    def __init__(self, ends: ScriptedPeer, allowed: list[str], certificate: tuple[str, str]) -> None:
        protocol: Any = SimpleNamespace(port=ends.port, bind=self._bind, remote_address=("192.0.2.1", 50000))
        config = ServerConfig(certfile=certificate[0], keyfile=certificate[1], allowed_origins=allowed)
        self._deliver: Any = None
        WebTransportConnection(config=config, protocol=protocol, transport=None, is_client=False)  # type: ignore[arg-type]
        ends.engine = self.engine

    def _bind(self, *, engine: Any, deliver: Any) -> None:
        self.engine = engine
        self._deliver = deliver

    def deliver(self, events: list[Any]) -> None:
        for event in events:
            self._deliver(event)


@rule("7.1-origin")
@pytest.mark.in_memory
@pytest.mark.parametrize(
    ("origin", "is_allowed"),
    [
        ("https://example.com", True),
        ("https://example.com:443", True),
        ("https://EXAMPLE.com", True),
        (None, True),
        ("http://example.com", False),
        ("https://example.com:8443", False),
        ("https://sub.example.com", False),
        ("https://example.com.evil.example", False),
        ("https://example.org", False),
        ("null", False),
        ("", False),
        ("https://example.com, https://evil.example", False),
    ],
)
async def test_origin(peer: MakePeer, certificate: Any, origin: str | None, is_allowed: bool) -> None:
    ends = peer(settings=None)
    server = Server(ends, ["https://example.com"], tuple(certificate))
    heard: list[Any] = []
    ends.send_settings(FLOW_CONTROL)
    stream_id = ends.request(**({} if origin is None else {"origin": origin}))
    heard += [event for event in ends.events if type(event).__name__ == "SessionRequested"]
    server.deliver(ends.events)
    ends.pump()
    assert len(heard) == 1
    # Nobody listens here, so that what is let pass is answered with 404.
    assert ends.status(stream_id) == (404 if is_allowed else 403)
    assert ends.has_fin(stream_id)
    assert ends.closed is None


@rule("7.1-fin-with-request")
def test_fin_with_request(bench: MakeBench) -> None:
    ends = bench()
    stream_id = ends.begin_message(ends.head(), fin=True)
    session = ends.peer.take_event("SessionRequested").session
    session.accept()
    ends.peer.pump()
    assert ends.peer.status(stream_id) == 200
    assert ends.peer.has_fin(stream_id)
    assert (session.close_code, session.close_reason) == (0, "")
    assert session.end_error is None
    ends.check_nothing_wrong()


@rule("7.1-ignored-fields")
@pytest.mark.parametrize(
    "line",
    [
        (b"capsule-protocol", b"?1"),
        (b"capsule-protocol", b"?0"),
        (b"capsule-protocol", b"nonsense"),
        (b"priority", b"u=1, i"),
        (b"priority", b"nonsense="),
        (b"sec-webtransport-http3-draft02", b"1"),
    ],
)
def test_ignored_fields(bench: MakeBench, line: Line) -> None:
    ends = bench()
    ends.begin_message(ends.head(line))
    session = ends.peer.take_event("SessionRequested").session
    session.accept()
    ends.peer.pump()
    ends.check_session_works(session)
    ends.check_nothing_wrong()


@rule("7.1-ignored-fields")
@pytest.mark.parametrize("frame_type", [0xF0700, 0xF0701])
def test_ignored_fields_of_priority_update(bench: MakeBench, frame_type: int) -> None:
    ends = bench()
    for stream_id in (ends.session_id, 4000):
        ends.peer.send(ends.peer.control_id, encode_frame(frame_type, encode_varint(stream_id) + b"u=1, i"))
    ends.check_nothing_wrong()


# SETTINGS first.


@rule("7.1-settings-before-connect")
def test_settings_before_connect(peer: MakePeer) -> None:
    ends = peer(settings=None)
    with pytest.raises(SessionError):
        ends.engine.open_session(authority="localhost", path="/", headers={})
    ends.pump()
    ends.send_settings(DRAFT16)
    assert ends.sent(0) == b"" if hasattr(ends, "pair") else 0 not in ends.port.streams
    assert ends.open_session().is_open


@rule("7.1-connect-before-settings")
@pytest.mark.parametrize("early", ["nothing more", "capsules", "FIN"])
def test_connect_before_settings(peer: MakePeer, early: str) -> None:
    ends = peer(settings=None)
    stream_id = ends.request(fin=early == "FIN")
    if early == "capsules":
        ends.send_capsule(stream_id, 0x00, b"early")
    assert ends.names() == []
    assert not ends.aborted()
    ends.send_settings(DRAFT16)
    session = ends.take_event("SessionRequested").session
    session.accept()
    ends.pump()
    assert ends.status(stream_id) == 200
    assert session.datagrams.drain() == ([b"early"] if early == "capsules" else [])
    assert session.is_open is (early != "FIN")


@rule("7.1-connect-before-settings")
def test_connect_before_settings_reset(peer: MakePeer) -> None:
    ends = peer(settings=None)
    ends.reset(ends.request(), ErrorCodes.H3_REQUEST_CANCELLED)
    ends.send_settings(DRAFT16)
    assert "SessionRequested" not in ends.names()
    assert ends.closed is None
    assert ends.open_session().is_open
