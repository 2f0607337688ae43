"""Section 8.3: what may stand in the field sections of requests, responses and trailers."""

from __future__ import annotations

import pytest
from conformance_bench import CONNECT, POST, Bench, MakeBench
from scripted_peer import DATA

from wtransport._speedups import encode_frame
from wtransport.constants import ErrorCodes

rule = pytest.mark.rule

Line = tuple[bytes, bytes]


def check_malformed(ends: Bench, *frames: bytes, fin: bool = False) -> None:
    """Fail unless a message with these frames is a stream error H3_MESSAGE_ERROR that no program hears of as good."""
    stream_id = ends.begin_message(*frames, fin=fin)
    names = ends.peer.names()
    assert "SessionRequested" not in names
    assert "SessionOpened" not in names
    if ends.is_client:
        assert "SessionRejected" in names
    ends.check_stream_error(stream_id, ErrorCodes.H3_MESSAGE_ERROR)


# Names and values.


@rule("8.3-field-name")
@pytest.mark.parametrize(
    "name",
    [b"Upper", b"x-Upper", b"sp ace", b"x:y", b"x\x00", b"x\r", b"x\n", b"x\x7f", b"x\xe9", b"x(y)", b'x"'],
)
def test_field_name(bench: MakeBench, name: bytes) -> None:
    ends = bench()
    check_malformed(ends, ends.head((name, b"1")))


@rule("8.3-field-value")
@pytest.mark.parametrize(
    "value", [b"\x00", b"a\x00b", b"a\rb", b"a\nb", b"a\r\nb", b" a", b"a ", b"\ta", b"a\x01", b"\x7f"]
)
def test_field_value(bench: MakeBench, value: bytes) -> None:
    ends = bench()
    check_malformed(ends, ends.head((b"x-field", value)))


@rule("8.3-connection-field")
@pytest.mark.parametrize("name", [b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"])
def test_connection_field(bench: MakeBench, name: bytes) -> None:
    ends = bench()
    check_malformed(ends, ends.head((name, b"close")))


@rule("8.3-te")
@pytest.mark.parametrize("value", [b"gzip", b"trailers, gzip", b"trailers;q=0.5", b"chunked", b""])
def test_te(bench: MakeBench, value: bytes) -> None:
    ends = bench()
    check_malformed(ends, ends.head((b"te", value)))


@rule("8.3-te")
def test_te_trailers_is_allowed(bench: MakeBench) -> None:
    ends = bench()
    stream_id = ends.begin_message(ends.head((b"te", b"trailers")))
    if not ends.is_client:
        ends.peer.take_event("SessionRequested").session.accept()
    ends.check_session_works(ends.peer.engine.sessions[stream_id])
    ends.check_nothing_wrong()


# Pseudo-headers.


def without(name: bytes, lines: list[Line] = CONNECT) -> list[Line]:
    return [line for line in lines if line[0] != name]


REQUESTS: dict[str, list[Line]] = {
    "no :method": without(b":method"),
    "GET without :path": [(b":method", b"GET"), *CONNECT[2:4]],
    "GET without :scheme": [(b":method", b"GET"), *CONNECT[3:]],
    "GET without an authority": [(b":method", b"GET"), CONNECT[2], CONNECT[4]],
    "unknown": [*CONNECT, (b":version", b"3")],
    "of a response": [*CONNECT, (b":status", b"200")],
    "after a field": [*CONNECT[:-1], (b"x-field", b"1"), CONNECT[-1]],
    "nothing at all": [],
} | {f"{name.decode()} twice": [*CONNECT, (name, value)] for name, value in CONNECT}


@rule("8.3-request-pseudo-header")
@pytest.mark.parametrize("lines", REQUESTS.values(), ids=REQUESTS)
def test_request_pseudo_header(bench: MakeBench, lines: list[Line]) -> None:
    ends = bench()
    check_malformed(ends, ends.peer.headers(lines))


@rule("8.3-response-pseudo-header")
@pytest.mark.parametrize(
    "lines",
    [
        [(b":status", b"200"), (b":status", b"200")],
        [(b":status", b"200"), (b":version", b"3")],
        [(b":status", b"200"), (b":method", b"CONNECT")],
        [(b":status", b"200"), (b":path", b"/")],
        [(b"x-field", b"1"), (b":status", b"200")],
    ],
    ids=["twice", "unknown", "method of a request", "path of a request", "after a field"],
)
def test_response_pseudo_header(bench: MakeBench, lines: list[Line]) -> None:
    ends = bench()
    check_malformed(ends, ends.peer.headers(lines))


@rule("8.3-pseudo-header-in-trailers")
@pytest.mark.parametrize("line", [(b":status", b"200"), (b":path", b"/"), (b":method", b"GET"), (b":new", b"1")])
def test_pseudo_header_in_trailers(bench: MakeBench, line: Line) -> None:
    ends = bench()
    stream_id = ends.begin_message(
        ends.head(opens=False), encode_frame(DATA, b"content"), ends.peer.headers([(b"x-trailer", b"1"), line])
    )
    ends.check_stream_error(stream_id, ErrorCodes.H3_MESSAGE_ERROR)


@rule("8.3-status")
@pytest.mark.parametrize("status", [None, b"", b"20", b"2000", b"abc", b"+20", b"099", b"101", b"200 OK"])
def test_status(bench: MakeBench, status: bytes | None) -> None:
    ends = bench()
    lines = [] if status is None else [(b":status", status)]
    check_malformed(ends, ends.peer.headers([*lines, (b"x-field", b"1")]))


# Content-Length.


@rule("8.3-content-length")
@pytest.mark.parametrize(
    ("value", "content"),
    [(b"5", b"four"), (b"5", b""), (b"3", b"four"), (b"0", b"four"), (b"4, 5", b"four"), (b"-4", b"four"), (b"x", b"")],
)
def test_content_length(bench: MakeBench, value: bytes, content: bytes) -> None:
    ends = bench()
    frames = encode_frame(DATA, content[:2]) + encode_frame(DATA, content[2:])
    stream_id = ends.begin_message(ends.head((b"content-length", value), opens=False), frames, fin=True)
    ends.check_stream_error(stream_id, ErrorCodes.H3_MESSAGE_ERROR)


@rule("8.3-content-length")
def test_content_length_that_is_right(bench: MakeBench) -> None:
    ends = bench()
    frames = encode_frame(DATA, b"fo") + encode_frame(DATA, b"ur")
    ends.begin_message(ends.head((b"content-length", b"4"), opens=False), frames, fin=True)
    ends.check_nothing_wrong()


# CONNECT.


@rule("8.3-plain-connect")
@pytest.mark.parametrize(
    "lines",
    [
        [CONNECT[0], *CONNECT[2:]],
        [CONNECT[0], (b":authority", b"example.com:443"), (b":path", b"/")],
        [CONNECT[0], (b":authority", b"example.com:443"), (b":scheme", b"https")],
        [CONNECT[0]],
    ],
    ids=["scheme and path", "path", "scheme", "no authority"],
)
def test_plain_connect(bench: MakeBench, lines: list[Line]) -> None:
    ends = bench()
    check_malformed(ends, ends.peer.headers(lines))


@rule("8.3-extended-connect")
@pytest.mark.parametrize("name", [b":scheme", b":authority", b":path"])
def test_extended_connect(bench: MakeBench, name: bytes) -> None:
    ends = bench()
    check_malformed(ends, ends.peer.headers(without(name)))


@rule("8.3-authority")
@pytest.mark.parametrize("base", [CONNECT, POST], ids=["CONNECT", "POST"])
@pytest.mark.parametrize(
    ("authority", "host"),
    [(b"", None), (b"localhost", b"example.com"), (b"localhost", b"localhost:443"), (b"localhost", b"")],
)
def test_authority(bench: MakeBench, base: list[Line], authority: bytes, host: bytes | None) -> None:
    ends = bench()
    lines = [(name, authority if name == b":authority" else value) for name, value in base]
    check_malformed(ends, ends.peer.headers([*lines, *([] if host is None else [(b"host", host)])]))
