"""RFC 9114, sections 4.2 to 4.4."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wtransport._protocol.fields import (
    ConnectRequest,
    OrdinaryRequest,
    check_user_headers,
    content_length,
    parse_request,
    parse_response,
    parse_trailers,
)
from wtransport._protocol.qpack import Fields
from wtransport._protocol.violations import StreamViolation
from wtransport.constants import ErrorCodes

CONNECT: Fields = [
    (b":method", b"CONNECT"),
    (b":scheme", b"https"),
    (b":authority", b"example.com:4433"),
    (b":path", b"/wt?a=b"),
    (b":protocol", b"webtransport"),
]
GET: Fields = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"example.com"), (b":path", b"/")]
OK: Fields = [(b":status", b"200")]


def without(fields: Fields, name: bytes) -> Fields:
    return [line for line in fields if line[0] != name]


def replaced(fields: Fields, name: bytes, value: bytes) -> Fields:
    return [(key, value if key == name else old) for key, old in fields]


def refuse_request(fields: Fields) -> None:
    with pytest.raises(StreamViolation) as caught:
        parse_request(fields)
    assert caught.value.error_code == ErrorCodes.H3_MESSAGE_ERROR


def refuse_response(fields: Fields) -> None:
    with pytest.raises(StreamViolation) as caught:
        parse_response(fields)
    assert caught.value.error_code == ErrorCodes.H3_MESSAGE_ERROR


def test_an_extended_connect() -> None:
    request = parse_request([*CONNECT, (b"origin", b"https://example.com")])
    assert request == ConnectRequest(
        protocol="webtransport",
        scheme="https",
        authority="example.com:4433",
        path="/wt?a=b",
        headers={
            ":method": "CONNECT",
            ":scheme": "https",
            ":authority": "example.com:4433",
            ":path": "/wt?a=b",
            ":protocol": "webtransport",
            "origin": "https://example.com",
        },
    )


def test_pseudo_headers_in_the_order_of_chromium() -> None:
    fields = [CONNECT[1], CONNECT[0], *CONNECT[2:]]
    assert isinstance(parse_request(fields), ConnectRequest)


def test_ordinary_requests() -> None:
    request = parse_request([*GET, (b"accept", b"*/*")])
    assert request == OrdinaryRequest("GET", {name.decode(): value.decode() for name, value in GET} | {"accept": "*/*"})
    tunnel = parse_request([(b":method", b"CONNECT"), (b":authority", b"example.com:443")])
    assert tunnel == OrdinaryRequest("CONNECT", {":method": "CONNECT", ":authority": "example.com:443"})


def test_host_may_stand_for_authority_or_repeat_it() -> None:
    assert isinstance(parse_request([*without(GET, b":authority"), (b"host", b"example.com")]), OrdinaryRequest)
    assert isinstance(parse_request([*GET, (b"host", b"EXAMPLE.com")]), OrdinaryRequest)
    assert isinstance(parse_request([*CONNECT, (b"host", b"example.com:4433")]), ConnectRequest)


def test_an_asterisk_goes_with_options_only() -> None:
    starred = replaced(GET, b":path", b"*")
    assert isinstance(parse_request(replaced(starred, b":method", b"OPTIONS")), OrdinaryRequest)
    refuse_request(starred)


def test_other_schemes_have_paths_of_their_own() -> None:
    fields = [(b":method", b"GET"), (b":scheme", b"urn"), (b":path", b"a:b")]
    assert isinstance(parse_request(fields), OrdinaryRequest)


@pytest.mark.parametrize("name", [b":scheme", b":authority", b":path", b":method"])
def test_an_extended_connect_lacks_nothing(name: bytes) -> None:
    refuse_request(without(CONNECT, name))


@pytest.mark.parametrize("name", [b":scheme", b":authority", b":path", b":method"])
def test_an_ordinary_request_lacks_nothing(name: bytes) -> None:
    refuse_request(without(GET, name))


@pytest.mark.parametrize("name", [b":method", b":scheme", b":authority", b":path", b":protocol"])
@pytest.mark.parametrize("value", [b"", b"a b", b"/\r\n", b"/\x00", b"/\x7f", b" /", b"/\t"])
def test_pseudo_headers_are_visible_characters(name: bytes, value: bytes) -> None:
    refuse_request(replaced(CONNECT, name, value))


@pytest.mark.parametrize("name", [b":method", b":scheme", b":authority", b":path", b":protocol"])
def test_a_pseudo_header_stands_once(name: bytes) -> None:
    refuse_request([*CONNECT, (name, dict(CONNECT)[name])])


BAD_REQUESTS: dict[str, Fields] = {
    "nothing": [],
    "unknown pseudo-header": [*CONNECT, (b":fancy", b"1")],
    "response pseudo-header": [*CONNECT, (b":status", b"200")],
    "pseudo-header after a header": [*CONNECT[:4], (b"origin", b"x"), CONNECT[4]],
    "pseudo-header in capitals": [(b":METHOD", b"CONNECT"), *CONNECT[1:]],
    "protocol without CONNECT": [*GET, (b":protocol", b"webtransport")],
    "plain CONNECT with a scheme": [*CONNECT[:1], CONNECT[1], CONNECT[2]],
    "plain CONNECT with a path": [*CONNECT[:1], CONNECT[2], CONNECT[3]],
    "plain CONNECT to nowhere": [*CONNECT[:1]],
    "user information": replaced(CONNECT, b":authority", b"me:pw@example.com"),
    "user information in host": [*without(GET, b":authority"), (b"host", b"me@example.com")],
    "host differs": [*CONNECT, (b"host", b"example.org")],
    "two hosts": [*CONNECT, (b"host", b"example.com:4433"), (b"host", b"example.com:4433")],
    "path without a slash": replaced(CONNECT, b":path", b"wt"),
    "asterisk to CONNECT": replaced(CONNECT, b":path", b"*"),
    "authority beyond ASCII": replaced(CONNECT, b":authority", "b\xfccher.example".encode()),
    "capitals": [*CONNECT, (b"Origin", b"x")],
    "empty name": [*CONNECT, (b"", b"x")],
    "name with a space": [*CONNECT, (b"a b", b"x")],
    "name with a newline": [*CONNECT, (b"a\n", b"x")],
    "name beyond ASCII": [*CONNECT, (b"a\xff", b"x")],
    "NUL": [*CONNECT, (b"a", b"x\x00")],
    "CR": [*CONNECT, (b"a", b"x\ry")],
    "LF": [*CONNECT, (b"a", b"x\n")],
    "DEL": [*CONNECT, (b"a", b"\x7f")],
    "space in front": [*CONNECT, (b"a", b" x")],
    "tab behind": [*CONNECT, (b"a", b"x\t")],
    "connection": [*CONNECT, (b"connection", b"close")],
    "keep-alive": [*CONNECT, (b"keep-alive", b"1")],
    "proxy-connection": [*CONNECT, (b"proxy-connection", b"close")],
    "transfer-encoding": [*CONNECT, (b"transfer-encoding", b"chunked")],
    "upgrade": [*CONNECT, (b"upgrade", b"websocket")],
    "te": [*CONNECT, (b"te", b"gzip")],
    "content-length": [*GET, (b"content-length", b"two")],
    "two content-lengths": [*GET, (b"content-length", b"1"), (b"content-length", b"2")],
}


@pytest.mark.parametrize("fields", BAD_REQUESTS.values(), ids=BAD_REQUESTS)
def test_malformed_requests(fields: Fields) -> None:
    refuse_request(fields)


def test_te_trailers_is_allowed() -> None:
    assert parse_request([*GET, (b"te", b"trailers")]).headers["te"] == "trailers"


def test_lines_of_one_name_are_joined() -> None:
    lines = [(b"a", b"1"), (b"cookie", b"x=1"), (b"a", b""), (b"cookie", b"y=2"), (b"a", b"3")]
    headers = parse_request([*CONNECT, *lines]).headers
    assert headers["a"] == "1, , 3"
    assert headers["cookie"] == "x=1; y=2"


def test_values_are_utf8_or_else_one_character_for_each_byte() -> None:
    lines = [(b"a", "\xe9\u20ac".encode()), (b"b", b"\xe9"), (b"c", b"x\ty")]
    headers = parse_request([*CONNECT, *lines]).headers
    assert (headers["a"], headers["b"], headers["c"]) == ("\xe9\u20ac", "\xe9", "x\ty")


def test_a_careless_path_is_taken_as_utf8() -> None:
    request = parse_request(replaced(CONNECT, b":path", "/\xe9".encode()))
    assert isinstance(request, ConnectRequest)
    assert request.path == "/\xe9"


def test_responses() -> None:
    assert parse_response([*OK, (b"server", b"x"), (b"server", b"y")]) == (200, {"server": "x, y"})
    assert parse_response([(b":status", b"599")]) == (599, {})


BAD_RESPONSES: dict[str, Fields] = {
    "nothing": [],
    "no status": [(b"server", b"x")],
    "two of them": [*OK, *OK],
    "two digits": [(b":status", b"20")],
    "four digits": [(b":status", b"2000")],
    "a sign": [(b":status", b"+20")],
    "a space": [(b":status", b"200 ")],
    "below 100": [(b":status", b"099")],
    "101": [(b":status", b"101")],
    "request pseudo-header": [*OK, (b":path", b"/")],
    "status after a header": [(b"server", b"x"), *OK],
    "capitals": [*OK, (b"Server", b"x")],
    "connection": [*OK, (b"connection", b"close")],
}


@pytest.mark.parametrize("fields", BAD_RESPONSES.values(), ids=BAD_RESPONSES)
def test_malformed_responses(fields: Fields) -> None:
    refuse_response(fields)


def test_trailers_have_no_pseudo_headers() -> None:
    assert parse_trailers([(b"checksum", b"1")]) == {"checksum": "1"}
    assert parse_trailers([]) == {}
    for line in [(b":status", b"200"), (b":path", b"/"), (b"Checksum", b"1")]:
        with pytest.raises(StreamViolation):
            parse_trailers([line])


@pytest.mark.parametrize(("value", "length"), [("0", 0), ("42", 42), ("7, 7", 7), ("007", 7)])
def test_content_length(value: str, length: int) -> None:
    assert content_length({"content-length": value}) == length
    assert content_length({}) is None


@pytest.mark.parametrize("value", ["", "-1", "+1", "1.0", "0x10", "7, 8", "7,", "\u0667", "9" * 5000])
def test_content_length_that_is_not_one_number(value: str) -> None:
    with pytest.raises(StreamViolation) as caught:
        content_length({"content-length": value})
    assert caught.value.error_code == ErrorCodes.H3_MESSAGE_ERROR


NAMES = st.sampled_from(
    [b":method", b":scheme", b":authority", b":path", b":protocol", b":status", b"host", b"a", b"B"]
)
VALUES = st.sampled_from([b"CONNECT", b"GET", b"https", b"example.com", b"/", b"", b"200", b"x y"])


@given(st.lists(st.tuples(NAMES, VALUES), max_size=7))
def test_any_section_is_read_or_malformed(fields: Fields) -> None:
    for parse in (parse_request, parse_response, parse_trailers):
        with suppress(StreamViolation):
            parse(fields)


def test_user_headers_come_back_in_lower_case() -> None:
    headers = {"Origin": "https://example.com", "x-NAME": "\xe9", "te": "Trailers", "empty": ""}
    assert check_user_headers(headers) == {
        "origin": "https://example.com",
        "x-name": "\xe9",
        "te": "Trailers",
        "empty": "",
    }
    assert check_user_headers({}) == {}


BAD_HEADERS = {
    ":path": "/",
    ":status": "200",
    "": "x",
    "a b": "x",
    "a\n": "x",
    "\xe9": "x",
    "\ud800": "x",
    "Connection": "close",
    "keep-alive": "1",
    "proxy-connection": "x",
    "transfer-encoding": "chunked",
    "upgrade": "websocket",
    "TE": "gzip",
    "Host": "example.com",
    "wt-available-protocols": '"a"',
    "WT-Protocol": '"a"',
    "a-cr": "x\ry",
    "a-lf": "x\ny",
    "a-nul": "\x00",
    "a-space": " x",
    "a-surrogate": "\ud800",
    "content-type": "text/plain",
    "content-length": "0",
}


@pytest.mark.parametrize(("name", "value"), BAD_HEADERS.items(), ids=map(repr, BAD_HEADERS))
def test_a_bad_user_header_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="header") as caught:
        check_user_headers({"fine": "1", name: value})
    assert repr(name) in str(caught.value)


def test_a_refusal_may_describe_its_content() -> None:
    headers = {"content-type": "text/plain", "content-length": "0"}
    assert check_user_headers(headers, opens_session=False) == headers


def test_user_headers_that_differ_in_case_only() -> None:
    with pytest.raises(ValueError, match="'A'"):
        check_user_headers({"a": "1", "A": "2"})


@pytest.mark.parametrize("headers", [{"a": 1}, {1: "a"}, {"a": b"1"}, {"a": None}])
def test_user_headers_are_strings(headers: dict[str, str]) -> None:
    with pytest.raises(TypeError, match="strings"):
        check_user_headers(headers)


@given(st.dictionaries(st.text(max_size=6), st.text(max_size=6), max_size=4))
def test_what_we_let_pass_a_peer_takes(headers: dict[str, str]) -> None:
    try:
        checked = check_user_headers(headers)
    except ValueError:
        return
    lines = [(name.encode(), value.encode()) for name, value in checked.items()]
    assert parse_response([*OK, *lines]) == (200, checked)
