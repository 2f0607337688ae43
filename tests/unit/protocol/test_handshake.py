"""draft-ietf-webtrans-http3-16, section 3.2."""

from __future__ import annotations

import pytest

from wtransport._protocol.fields import (
    ConnectRequest,
    OrdinaryRequest,
    parse_request,
    parse_response,
    read_request,
    read_response,
)
from wtransport._protocol.handshake import (
    ResponseOutcome,
    accept_response,
    check_request,
    has_draft02_header,
    request_fields,
    response_fields,
)
from wtransport._protocol.profiles import Profile
from wtransport._protocol.qpack import field_section_size
from wtransport._protocol.violations import StreamViolation
from wtransport.constants import ErrorCodes

DRAFT_16 = Profile(16, flow_control=True)
DRAFT_07 = Profile(7, flow_control=False)
DRAFT_02 = Profile(2, flow_control=False)
WITH_VERSION = {"sec-webtransport-http3-draft02": "1"}


def ask(profile: Profile = DRAFT_16, **changes: object) -> list[tuple[bytes, bytes]]:
    arguments = {"authority": "example.com", "path": "/wt", "headers": {}} | changes
    return request_fields(profile=profile, **arguments)  # type: ignore[arg-type]


def connect(**changes: str) -> ConnectRequest:
    values = {"protocol": "webtransport-h3", "scheme": "https", "authority": "example.com", "path": "/"} | changes
    return ConnectRequest(**values, headers={})


def test_a_request_of_draft_16_is_that_of_the_vector() -> None:
    fields = ask(headers={"origin": "https://example.com"})
    assert fields == [
        (b":method", b"CONNECT"),
        (b":scheme", b"https"),
        (b":authority", b"example.com"),
        (b":path", b"/wt"),
        (b":protocol", b"webtransport-h3"),
        (b"origin", b"https://example.com"),
    ]
    assert field_section_size(fields) == 296


@pytest.mark.parametrize("draft", [2, 7, 14])
def test_older_drafts_have_the_older_token(draft: int) -> None:
    fields = dict(ask(Profile(draft, flow_control=False)))
    assert fields[b":protocol"] == b"webtransport"
    assert (b"sec-webtransport-http3-draft02" in fields) == (draft == 2)


def test_the_order_of_the_other_fields() -> None:
    fields = ask(DRAFT_02, protocols=["moq-00", "chat"], headers={"Origin": "https://a", "x": "\xe9"})
    assert fields[5:] == [
        (b"sec-webtransport-http3-draft02", b"1"),
        (b"wt-available-protocols", b'"moq-00", "chat"'),
        (b"origin", b"https://a"),
        (b"x", "\xe9".encode()),
    ]


def test_a_program_may_set_the_version_field_itself() -> None:
    name = "sec-webtransport-http3-draft02"
    assert [value for key, value in ask(DRAFT_02, headers={name: "1"}) if key == name.encode()] == [b"1"]


@pytest.mark.parametrize("authority", ["", "me@example.com", "a b", "b\xfccher.example", "a\n"])
def test_an_authority_that_cannot_be_sent_is_refused_by_name(authority: str) -> None:
    with pytest.raises(ValueError, match="authority"):
        ask(authority=authority)


@pytest.mark.parametrize("path", ["", "wt", "/a b", "/\xe9", "/\n", "/\x7f"])
def test_a_path_that_cannot_be_sent_is_refused_by_name(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        ask(path=path)


@pytest.mark.parametrize("profile", [DRAFT_16, DRAFT_07, DRAFT_02])
def test_our_server_takes_our_request(profile: Profile) -> None:
    request = parse_request(ask(profile, protocols=["a"], headers={"origin": "https://example.com"}))
    assert isinstance(request, ConnectRequest)
    assert check_request(request, profile=profile, strict=True) is None
    assert has_draft02_header(request.headers) == (profile is DRAFT_02)


@pytest.mark.parametrize("protocol", ["websocket", "connect-udp", "webtransport-h2", "WebTransport"])
def test_other_protocols_are_not_implemented(protocol: str) -> None:
    assert check_request(connect(protocol=protocol), profile=DRAFT_16) == 501


@pytest.mark.parametrize("profile", [DRAFT_16, DRAFT_07, DRAFT_02])
@pytest.mark.parametrize("token", ["webtransport", "webtransport-h3"])
def test_either_token_is_welcome_unless_strict(profile: Profile, token: str) -> None:
    assert check_request(connect(protocol=token), profile=profile) is None
    strict = check_request(connect(protocol=token), profile=profile, strict=True)
    assert strict == (None if token == profile.connect_token else 501)


def test_sessions_are_for_https() -> None:
    assert check_request(connect(scheme="http"), profile=DRAFT_16) == 400


def test_ordinary_requests_find_nothing() -> None:
    assert check_request(OrdinaryRequest("GET", {}), profile=DRAFT_16) == 404
    assert check_request(OrdinaryRequest("CONNECT", {}), profile=DRAFT_16) == 501


@pytest.mark.parametrize("name", ["content-length", "content-type", "transfer-encoding"])
def test_fields_that_do_not_go_with_capsules(name: str) -> None:
    request = connect()
    request.headers[name] = "0"
    with pytest.raises(StreamViolation) as caught:
        check_request(request, profile=DRAFT_16)
    assert caught.value.error_code == ErrorCodes.H3_MESSAGE_ERROR
    with pytest.raises(StreamViolation):
        accept_response(200, {name: "0"})
    assert accept_response(404, {name: "0"}) is ResponseOutcome.REJECTED
    assert accept_response(103, {name: "0"}) is ResponseOutcome.INTERIM


def test_a_response_is_that_of_the_vector() -> None:
    assert response_fields(status=200, headers={}) == [(b":status", b"200")]
    assert response_fields(status=200, headers={}, protocol="moq-00") == [
        (b":status", b"200"),
        (b"wt-protocol", b'"moq-00"'),
    ]
    assert response_fields(status=429, headers={"Retry-After": "1"}) == [(b":status", b"429"), (b"retry-after", b"1")]


def test_the_version_field_is_answered() -> None:
    fields = response_fields(status=200, headers={"server": "x"}, protocol="a", request=WITH_VERSION)
    assert fields == [
        (b":status", b"200"),
        (b"sec-webtransport-http3-draft", b"draft02"),
        (b"wt-protocol", b'"a"'),
        (b"server", b"x"),
    ]
    answered = {"sec-webtransport-http3-draft": "draft02"}
    assert len(response_fields(status=200, headers=answered, request=WITH_VERSION)) == 2


@pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 204, 205, 206, 600])
def test_a_status_that_answers_nothing_is_refused_by_name(status: int) -> None:
    with pytest.raises(ValueError, match="status"):
        response_fields(status=status, headers={})


def test_a_refusal_chooses_no_subprotocol() -> None:
    with pytest.raises(ValueError, match="protocol"):
        response_fields(status=404, headers={}, protocol="a")


OUTCOMES = {
    **dict.fromkeys([100, 102, 103, 199], ResponseOutcome.INTERIM),
    **dict.fromkeys([200, 201, 202, 203, 207, 299], ResponseOutcome.OPEN),
    **dict.fromkeys([300, 301, 307, 308, 400, 403, 404, 405, 425, 429, 500, 503, 599, 999], ResponseOutcome.REJECTED),
}


@pytest.mark.parametrize(("status", "outcome"), OUTCOMES.items())
def test_what_a_status_means(status: int, outcome: ResponseOutcome) -> None:
    assert accept_response(status, {}) is outcome


@pytest.mark.parametrize("status", [204, 205, 206])
def test_a_status_without_content_opens_no_session(status: int) -> None:
    with pytest.raises(StreamViolation) as caught:
        accept_response(status, {})
    assert caught.value.error_code == ErrorCodes.H3_MESSAGE_ERROR


def test_our_client_takes_our_response() -> None:
    fields = response_fields(status=200, headers={"server": "x"}, protocol="a", request=WITH_VERSION)
    status, headers = parse_response(fields)
    assert accept_response(status, headers) is ResponseOutcome.OPEN
    assert headers["wt-protocol"] == '"a"'


def test_what_is_remembered_of_a_message_is_nobodys_to_change() -> None:
    fields = [(b":status", b"200"), (b"x", b"1")]
    read_response(fields)[1]["x"] = "2"
    assert read_response(fields) == (200, {"x": "1"}) == parse_response(fields)
    section = ask()
    assert read_request(section) == parse_request(section)
    with pytest.raises(StreamViolation):
        read_request([(b":status", b"200")])
    with pytest.raises(StreamViolation):
        read_response([(b":status", b"999 ")])
