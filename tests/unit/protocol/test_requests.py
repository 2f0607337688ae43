"""Request streams as the engine answers them: what is refused how, and what breaks the connection (RFC 9114, 4)."""

from __future__ import annotations

import pytest
from cuts import every_cut
from scripted_peer import CHROMIUM, DRAFT07, DRAFT16, MakePeer, ScriptedPeer, with_flow_control

from wtransport._speedups import encode_frame
from wtransport.constants import ErrorCodes
from wtransport.exceptions import SessionError
from wtransport.types import SessionState

GET = {":method": "GET", ":scheme": "https", ":authority": "localhost", ":path": "/"}
CONNECT = {":method": "CONNECT", ":protocol": "webtransport-h3"} | {
    name: value for name, value in GET.items() if name != ":method"
}


def fields(peer: ScriptedPeer, pairs: dict[str, str]) -> bytes:
    return peer.headers((name.encode(), value.encode()) for name, value in pairs.items())


def ask(peer: ScriptedPeer, pairs: dict[str, str], *, fin: bool = False) -> int:
    stream_id = peer.next_id(unidirectional=False)
    peer.send(stream_id, fields(peer, pairs), fin)
    return stream_id


def assert_only_refused(peer: ScriptedPeer, stream_id: int, code: int) -> None:
    """Fail unless one stream was reset with a code and the connection goes on."""
    assert peer.ends(stream_id) == (code, code)
    assert peer.closed is None
    assert peer.names() == []
    peer.answer_ends()
    peer.assert_nothing_left()
    assert peer.open_session().is_open


# Held until SETTINGS.


def test_requests_wait_for_settings(server: MakePeer) -> None:
    for pieces in every_cut(server(settings=None).connect_frame("/x")):
        peer = server(settings=None)
        stream_id = peer.next_id(unidirectional=False)
        for piece in pieces:
            peer.send(stream_id, piece)
        assert peer.events == []
        assert peer.port.held_credit == 0
        peer.send_settings(DRAFT16)
        assert type(peer.events[0]).__name__ == "ConnectionReady"
        assert peer.take_event("SessionRequested").session.path == "/x"


def test_a_whole_request_waits_for_settings(server: MakePeer) -> None:
    peer = server(settings=None)
    stream_id = peer.next_id(unidirectional=False)
    peer.send(stream_id, peer.connect_frame(), fin=True)
    peer.send_settings(DRAFT16)
    session = peer.take_event("SessionRequested").session
    session.accept()
    peer.pump()
    assert session.close_code == 0
    peer.assert_nothing_left()


def test_a_request_that_is_wrong_is_found_out_with_the_settings(server: MakePeer) -> None:
    peer = server(settings=None)
    bad, good = peer.next_id(unidirectional=False), peer.next_id(unidirectional=False)
    peer.send(bad, fields(peer, CONNECT | {"Upper": "case"}))
    peer.send(good, peer.connect_frame())
    peer.send_settings(DRAFT16)
    assert peer.ends(bad) == (ErrorCodes.H3_MESSAGE_ERROR, ErrorCodes.H3_MESSAGE_ERROR)
    assert peer.take_event("SessionRequested").session.stream_id == good
    assert peer.closed is None


def test_what_waits_for_settings_is_bounded(server: MakePeer) -> None:
    peer = server(settings=None)
    stream_id = peer.next_id(unidirectional=False)
    peer.send(stream_id, peer.connect_frame())
    peer.send(stream_id, b"\x00\x80\x02\x00\x00" + bytes(70_000))
    assert peer.ends(stream_id) == (ErrorCodes.H3_EXCESSIVE_LOAD, ErrorCodes.H3_EXCESSIVE_LOAD)
    peer.answer_ends()
    peer.send_settings(DRAFT16)
    assert peer.names() == []
    peer.assert_nothing_left()


def test_a_request_that_is_given_up_before_the_settings(server: MakePeer) -> None:
    peer = server(settings=None)
    for end in ("reset", "stop"):
        stream_id = peer.next_id(unidirectional=False)
        peer.send(stream_id, peer.connect_frame())
        if end == "reset":
            peer.reset(stream_id, 0x10C)
        else:
            peer.stop(stream_id, 0x10C)
    peer.answer_ends()
    peer.send_settings(DRAFT16)
    assert peer.names() == []
    peer.assert_nothing_left()


# Refused with a status.


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({":protocol": "websocket"}, 501),
        ({":scheme": "http"}, 400),
    ],
)
@pytest.mark.parametrize("fin", [False, True])
def test_connects_that_ask_for_something_else(server: MakePeer, change: dict[str, str], status: int, fin: bool) -> None:
    peer = server()
    stream_id = ask(peer, CONNECT | change, fin=fin)
    assert peer.status(stream_id) == status
    assert peer.port.streams[stream_id].fin
    assert peer.ends(stream_id) == (None, None if fin else ErrorCodes.H3_NO_ERROR)
    assert peer.names() == []
    peer.answer_ends()
    peer.assert_nothing_left()
    assert peer.open_session().is_open


@pytest.mark.parametrize("body", [b"", b"\x00\x05hello", b"\x00\x05hello\x01\x02\x00\x00"])
@pytest.mark.parametrize("fin", [False, True])
def test_an_ordinary_request_finds_nothing(server: MakePeer, body: bytes, fin: bool) -> None:
    peer = server()
    stream_id = peer.next_id(unidirectional=False)
    peer.send(stream_id, fields(peer, GET) + body, fin)
    assert peer.status(stream_id) == 404
    assert peer.closed is None
    if not fin:
        peer.send(stream_id, b"\x00\x01x", fin=True)
    peer.assert_nothing_left()


def test_a_plain_connect_is_not_implemented(server: MakePeer) -> None:
    peer = server()
    stream_id = ask(peer, {":method": "CONNECT", ":authority": "localhost:80"})
    assert peer.status(stream_id) == 501


def test_tokens_of_either_draft_are_welcome_unless_strict(server: MakePeer) -> None:
    peer = server(settings=DRAFT07)
    peer.request(token="webtransport-h3")
    peer.request(token="webtransport")
    assert peer.names() == ["SessionRequested", "SessionRequested"]
    peer = server(settings=DRAFT07, strict=True)
    assert peer.status(peer.request(token="webtransport-h3")) == 501
    assert peer.names() == []


# Reset.


@pytest.mark.parametrize(
    "pairs",
    [
        CONNECT | {"Upper": "case"},
        CONNECT | {"connection": "close"},
        CONNECT | {"te": "gzip"},
        CONNECT | {":status": "200"},
        CONNECT | {":unknown": "1"},
        CONNECT | {"host": "elsewhere"},
        CONNECT | {":authority": ""},
        CONNECT | {":path": ""},
        CONNECT | {"x": "bad\nvalue"},
        CONNECT | {"content-length": "0"},
        {name: value for name, value in CONNECT.items() if name != ":path"},
        {name: value for name, value in CONNECT.items() if name != ":scheme"},
        {name: value for name, value in CONNECT.items() if name != ":method"},
        GET | {":protocol": "webtransport-h3"},
        {"x": "1"} | CONNECT,
        {},
    ],
)
def test_malformed_requests_are_reset(server: MakePeer, pairs: dict[str, str]) -> None:
    peer = server()
    assert_only_refused(peer, ask(peer, pairs), ErrorCodes.H3_MESSAGE_ERROR)


def test_a_field_section_that_is_too_large_is_reset(server: MakePeer) -> None:
    peer = server()
    stream_id = ask(peer, CONNECT | {f"x-{number}": "y" * 1000 for number in range(70)})
    assert_only_refused(peer, stream_id, ErrorCodes.H3_EXCESSIVE_LOAD)


@pytest.mark.parametrize("data", [b"\x21\x00", b"\x21\x03abc\x40\x5f\x00", b""])
def test_a_stream_that_ends_without_a_request_is_incomplete(server: MakePeer, data: bytes) -> None:
    peer = server()
    stream_id = peer.next_id(unidirectional=False)
    peer.send(stream_id, data, fin=True)
    assert peer.ends(stream_id) == (ErrorCodes.H3_REQUEST_INCOMPLETE, None)
    assert peer.closed is None
    peer.assert_nothing_left()


def test_a_client_whose_settings_allow_no_session(server: MakePeer) -> None:
    """draft-16, 3.1: its requests are malformed."""
    peer = server(settings={0x2C7CF000: 1})
    assert peer.engine.draft is None
    stream_id = peer.request()
    assert peer.ends(stream_id) == (ErrorCodes.H3_MESSAGE_ERROR, ErrorCodes.H3_MESSAGE_ERROR)
    assert peer.closed is None
    assert peer.status(ask(peer, GET)) == 404


# How many.


@pytest.mark.parametrize("fin", [False, True])
def test_without_flow_control_there_is_one_session(server: MakePeer, fin: bool) -> None:
    """draft-16, 5.1."""
    peer = server(settings=DRAFT16)
    session = peer.open_session()
    peer.names()
    second = peer.request(fin=fin)
    rejected = ErrorCodes.H3_REQUEST_REJECTED
    assert peer.ends(second) == (rejected, None if fin else rejected)
    assert peer.names() == []
    assert session.is_open
    assert peer.closed is None
    session.close()
    peer.send(0, b"", fin=True)
    assert peer.open_session().is_open
    peer.answer_ends()


def test_a_client_does_not_ask_for_a_second_session_without_flow_control(client: MakePeer) -> None:
    peer = client(settings=DRAFT16)
    peer.open_session()
    with pytest.raises(SessionError, match="one session"):
        peer.open_session()
    assert 4 not in peer.port.streams


def test_a_client_does_not_ask_for_more_sessions_than_the_server_announced(client: MakePeer) -> None:
    """draft-07, "Limiting the Number of Simultaneous Sessions"."""
    peer = client(settings=DRAFT07 | {0xC671706A: 2})
    first = peer.open_session()
    peer.open_session()
    with pytest.raises(SessionError, match="2 sessions"):
        peer.open_session()
    assert peer.engine.sessions.keys() == {0, 4}
    first.close()
    peer.send(0, b"", fin=True)
    assert peer.open_session().is_open


@pytest.mark.parametrize("settings", [DRAFT07, CHROMIUM, with_flow_control(data=1)])
def test_as_many_sessions_as_the_server_allows(server: MakePeer, settings: dict[int, int]) -> None:
    peer = server(settings=settings, max_sessions=2)
    first = peer.open_session()
    peer.request()
    peer.names()
    third = peer.request(fin=True)
    assert peer.status(third) == 429
    assert peer.names() == []
    first.close()
    peer.send(0, b"", fin=True)
    assert peer.open_session().is_open


# Frames that break the connection.


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x00\x01x", ErrorCodes.H3_FRAME_UNEXPECTED),  # DATA before HEADERS
        (b"\x04\x00", ErrorCodes.H3_FRAME_UNEXPECTED),
        (b"\x07\x01\x00", ErrorCodes.H3_FRAME_UNEXPECTED),
        (b"\x0d\x01\x00", ErrorCodes.H3_FRAME_UNEXPECTED),
        (b"\x03\x01\x00", ErrorCodes.H3_FRAME_UNEXPECTED),
        (b"\x05\x01\x00", ErrorCodes.H3_FRAME_UNEXPECTED),
        (b"\x02\x00", ErrorCodes.H3_FRAME_UNEXPECTED),
        (b"\x06\x00", ErrorCodes.H3_FRAME_UNEXPECTED),
        (b"\x08\x00", ErrorCodes.H3_FRAME_UNEXPECTED),
        (b"\x09\x00", ErrorCodes.H3_FRAME_UNEXPECTED),
        (b"\x21\x00\x40\x41\x00", ErrorCodes.H3_FRAME_ERROR),
        (b"\x01\x02\xff\xff", ErrorCodes.QPACK_DECOMPRESSION_FAILED),
        (b"\x01\x03\x02\x00\x80", ErrorCodes.QPACK_DECOMPRESSION_FAILED),  # a dynamic table there is not
    ],
)
def test_frames_that_have_no_place_on_a_request_stream(server: MakePeer, data: bytes, code: ErrorCodes) -> None:
    peer = server()
    session = peer.open_session()
    peer.send(peer.next_id(unidirectional=False), data)
    assert peer.closed == code
    assert peer.names()[-2:] == ["SessionEnded", "ConnectionClosed"]
    assert session.state is SessionState.CLOSED


@pytest.mark.parametrize("data", [b"\x01\x05\x00", b"\x01", b"\x21\x05ab"])
def test_a_fin_inside_a_frame(server: MakePeer, data: bytes) -> None:
    peer = server()
    peer.send(peer.next_id(unidirectional=False), data, fin=True)
    assert peer.closed == ErrorCodes.H3_FRAME_ERROR


@pytest.mark.parametrize("frame", [b"\x01\x02\x00\x00", b"\x04\x00", b"\x05\x01\x00", b"\x07\x01\x00", b"\x02\x00"])
def test_a_tunnel_carries_data_only(engine: MakePeer, frame: bytes) -> None:
    peer = engine()
    peer.open_session()
    peer.send(0, frame)
    assert peer.closed == ErrorCodes.H3_FRAME_UNEXPECTED


def test_the_signal_inside_a_tunnel(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    peer.send(0, b"\x40\x41\x00")
    assert peer.closed == ErrorCodes.H3_FRAME_ERROR


# Responses.


@pytest.mark.parametrize(
    "pairs",
    [
        {},
        {":status": "20"},
        {":status": "abc"},
        {":status": "101"},
        {":status": "200", ":path": "/"},
        {":status": "200", "Upper": "case"},
        {":status": "200", "content-length": "0"},
        {":status": "200", "content-type": "text/plain"},
        {":status": "200", "transfer-encoding": "chunked"},
        {":status": "204"},
        {":status": "205"},
        {":status": "206"},
    ],
)
def test_malformed_responses_open_nothing(client: MakePeer, pairs: dict[str, str]) -> None:
    peer = client()
    session = peer.engine.open_session(authority="localhost", path="/", headers={})
    peer.send(0, fields(peer, pairs))
    malformed = ErrorCodes.H3_MESSAGE_ERROR
    assert peer.take_event("SessionRejected").status is None
    assert peer.names() == ["SessionEnded"]
    assert peer.ends(0) == (malformed, malformed)
    assert peer.closed is None
    assert session.end_error is not None
    assert session.end_error.error_code == malformed
    peer.answer_ends()
    peer.assert_nothing_left()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x00\x01x", ErrorCodes.H3_FRAME_UNEXPECTED),
        (b"\x05\x01\x00", ErrorCodes.H3_ID_ERROR),
        (encode_frame(0x04, b""), ErrorCodes.H3_FRAME_UNEXPECTED),
    ],
)
def test_frames_that_have_no_place_before_a_response(client: MakePeer, data: bytes, code: ErrorCodes) -> None:
    peer = client()
    peer.engine.open_session(authority="localhost", path="/", headers={})
    peer.send(0, data)
    assert peer.closed == code
    assert peer.names() == ["SessionRejected", "SessionEnded", "ConnectionClosed"]


def test_stop_sending_goes_with_an_acceptance_for_a_while(client: MakePeer) -> None:
    """A session that the server closes as soon as it has opened it: everything may arrive in the wrong order."""
    peer = client()
    session = peer.engine.open_session(authority="localhost", path="/", headers={})
    peer.stop(0, int(ErrorCodes.WT_SESSION_GONE))
    assert peer.names() == []
    peer.send(0, peer.response())
    assert peer.names() == ["SessionOpened"]
    peer.send_close(0, 6, b"moved")
    assert (session.close_code, session.close_reason) == (6, "moved")
    peer.assert_nothing_left()


def test_stop_sending_without_a_close_ends_a_session_that_was_accepted(client: MakePeer) -> None:
    peer = client()
    session = peer.engine.open_session(authority="localhost", path="/", headers={})
    peer.stop(0, int(ErrorCodes.H3_NO_ERROR))
    peer.wait(10)
    peer.send(0, peer.response())
    assert session.is_open
    peer.wait(1)
    assert session.state is SessionState.CLOSED
    assert session.end_error is not None


# Asking.


@pytest.mark.parametrize(
    "wrong",
    [
        {"authority": ""},
        {"authority": "user@host"},
        {"path": "no-slash"},
        {"path": "/sp ace"},
        {"headers": {"a b": "c"}},
        {"headers": {":path": "/"}},
        {"headers": {"x": "a\r\nb"}},
        {"protocols": [""]},
        {"protocols": ["a", "a"]},
    ],
)
def test_a_request_that_cannot_be_sent_is_refused_at_the_call(client: MakePeer, wrong: dict[str, object]) -> None:
    peer = client()
    arguments = {"authority": "localhost", "path": "/", "headers": {}} | wrong
    with pytest.raises(ValueError):
        peer.engine.open_session(**arguments)  # type: ignore[arg-type]
    assert peer.engine.sessions == {}
    assert 0 not in peer.port.streams


def test_the_request_on_the_wire(client: MakePeer) -> None:
    peer = client()
    peer.engine.open_session(authority="example.com:444", path="/a?b=c", headers={"Origin": "https://x"})
    assert peer.fields(0) == [
        (b":method", b"CONNECT"),
        (b":scheme", b"https"),
        (b":authority", b"example.com:444"),
        (b":path", b"/a?b=c"),
        (b":protocol", b"webtransport-h3"),
        (b"origin", b"https://x"),
    ]
    assert not peer.port.streams[0].fin


@pytest.mark.parametrize(
    ("settings", "token", "has_version"),
    [(DRAFT07, b"webtransport", False), ({0x33: 1, 0x2B603742: 1}, b"webtransport", True)],
)
def test_the_request_follows_the_draft(
    client: MakePeer, settings: dict[int, int], token: bytes, has_version: bool
) -> None:
    peer = client(settings=settings)
    peer.open_session()
    section = dict(peer.fields(0))
    assert section[b":protocol"] == token
    assert (b"sec-webtransport-http3-draft02" in section) is has_version


def test_no_stream_for_a_request(client: MakePeer) -> None:
    peer = client()
    peer.port.max_streams[0] = 0
    with pytest.raises(SessionError, match="limit"):
        peer.engine.open_session(authority="localhost", path="/", headers={})
    assert peer.engine.sessions == {}
