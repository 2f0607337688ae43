"""Requests and responses: frames in their order, QPACK, field sections, subprotocols, URLs and origins.

Documented: ConnectionViolation and StreamViolation of what a peer sent, ValueError, TypeError and ConfigurationError of
what a program passed. What we let a program send, we accept ourselves; what is parsed can be written and parsed again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fuzzing.byte_source import ByteSource
from fuzzing.outcomes import Trace, check, every_way, outcome

from wtransport._config_validation import normalized_origin
from wtransport._protocol import fields, handshake, subprotocols
from wtransport._protocol.messages import HeadersRead, MessageReader
from wtransport._protocol.profiles import Profile
from wtransport._protocol.qpack import FieldDecoder, FieldEncoder, field_section_size
from wtransport._protocol.settings import MAX_FIELD_SECTION_SIZE
from wtransport._protocol.violations import ConnectionViolation, SessionViolation, StreamViolation
from wtransport._speedups import BACKEND
from wtransport.client.url import format_authority, parse_url
from wtransport.exceptions import ConfigurationError

__all__ = ["BACKEND", "SHORT_RUNS", "fuzz", "seeds"]

SHORT_RUNS = 300
VIOLATIONS = (ConnectionViolation, StreamViolation)

_CONNECT = (
    "0000cfd7500b6578616d706c652e636f6d51032f777427023a70726f746f636f6c0f776562747261"
    "6e73706f72742d68335f4b1368747470733a2f2f6578616d706c652e636f6d"
)
_RESPONSES = [
    "0000d9",
    "0000ff04",
    "0000db",
    "00005f0903343035",
    "0000d92704" + "77742d70726f746f636f6c08226d6f712d303022",
]
_NAMES = [
    *(b":method", b":scheme", b":authority", b":path", b":protocol", b":status", b"host", b"origin", b"te", b"cookie"),
    *(b"content-length", b"content-type", b"connection", b"upgrade", b"wt-available-protocols", b"wt-protocol"),
    *(b"sec-webtransport-http3-draft02", b"x", b"X", b"", b":", b"transfer-encoding"),
]
_VALUES = [
    *(b"CONNECT", b"GET", b"https", b"http", b"example.com", b"/", b"*", b"webtransport", b"webtransport-h3", b"200"),
    *(b"101", b"204", b"404", b"trailers", b"0", b"5", b"5, 5", b"a; b", b'"chat", "moq"', b'"chat";v=1', b"chat", b""),
    *(b" x", b"\xff\xfe", "é".encode(), b"user@host", b"1", b"2000"),
]
_PROFILES = [Profile(draft, draft > 12) for draft in (2, 7, 14, 16)]
_URLS = [
    *("https://example.com", "https://example.com:4433/wt?x=1#y", "https://[::1]:443/", "https://127.0.0.1/%7e"),
    *("https://user:pw@host/", "http://a/", "https://exämple.com/é", "https://a:0/", "https://[::g]/", "//a", "https:"),
]


def seeds() -> Iterator[bytes]:
    """Yield inputs made of the test vectors."""
    for section in [_CONNECT, *_RESPONSES, "0000", "", "ffff", "0000c1ff", "03814a"]:
        yield b"\x00" + bytes.fromhex(section)
    for is_client, section in [(0, _CONNECT), *((1, section) for section in _RESPONSES)]:
        payload = bytes.fromhex(section)
        frame = bytes([1, 0x40, len(payload)]) + payload
        yield bytes([1, is_client, 4, 30]) + frame + bytes.fromhex("0003616263" + "0100" + "0000")
        yield bytes([1, is_client, 4, 30]) + frame + bytes.fromhex("000568430400000000210161")
    request = [(0, 0), (1, 2), (2, 4), (3, 5), (4, 8)]
    yield b"\x02" + b"".join(bytes([1, name, 1, value]) for name, value in [*request, (7, 4), (14, 18)])
    yield b"\x02" + b"".join(
        bytes([1, name, 1, value]) for name, value in [(5, 9), (15, 19), (10, 15), (9, 18), (9, 18)]
    )
    yield b"\x02" + b"".join(bytes([1, name, 1, value]) for name, value in [(0, 1), (1, 2), (2, 4), (3, 5), (10, 16)])
    for text in (
        '"chat", "moq";v=1;w=:YQ==:',
        "chat, moq",
        '"a\\"b"',
        '"a";x=@12;y=%"%c3%a9"',
        '"a",',
        '"a" ,\t"b"',
        "5",
    ):
        yield b"\x03" + text.encode()
    for url in _URLS:
        yield b"\x04" + url.encode()
    for origin in (
        "https://example.com",
        "http://localhost:8080",
        "null",
        "https://[::1]:1",
        "HTTPS://A.b:443",
        "a://b",
    ):
        yield b"\x05" + origin.encode()
    yield b"\x06\x01" + b"x-name\x00value\x00y\x00\xc3\xa9"


def fuzz(data: bytes) -> Trace:
    """Run one input."""
    source = ByteSource(data)
    trace: Trace = []
    kinds = (_section, _message, _fields, _protocols, _url, _origin, _headers_of_program)
    kinds[source.below(len(kinds))](source, trace)
    return trace


def _section(source: ByteSource, trace: Trace) -> None:
    decoder = FieldDecoder()
    result = outcome(decoder.decode, 0, source.rest(), documented=VIOLATIONS)
    trace.append(result)
    if result[0] == "returned":
        section = result[2]
        check(field_section_size(section) <= MAX_FIELD_SECTION_SIZE, "a section is over its limit")
        if section:  # one without lines has a form of its own, which nobody needs to write
            again = FieldDecoder().decode(4, FieldEncoder().encode(4, section))
            check(again == section, "a section does not survive")
        _judge(section, trace)


def _message(source: ByteSource, trace: Trace) -> None:
    is_client = source.flag()
    places = [source.byte(), source.byte()]
    data = source.rest()
    results = [_items(is_client, pieces) for pieces in every_way(data, places)]
    for result in results[1:]:
        check(result == results[0], f"depends on how the stream is cut: {result} and {results[0]}")
    trace += results[0]


def _items(is_client: bool, pieces: list[bytes]) -> list[Any]:
    """Read a message the way a CONNECT stream does; content is joined."""
    reader = MessageReader(is_client=is_client)
    decoder = FieldDecoder()
    items: list[Any] = []
    content = b""
    try:
        for number, piece in enumerate(pieces):
            for item in reader.feed(piece, number == len(pieces) - 1):
                if not isinstance(item, HeadersRead):
                    content += getattr(item, "data", b"")
                    continue
                section = decoder.decode(0, item.payload)
                items.append((len(content), item.is_trailers, _judge(section, items)))
                _answer(reader, section, item, is_client=is_client)
    except VIOLATIONS as violation:
        items.append((type(violation).__name__, violation.error_code, violation.reason))
    return [*items, content, reader.has_ended]


def _answer(reader: MessageReader, section: list[tuple[bytes, bytes]], item: HeadersRead, *, is_client: bool) -> None:
    if item.is_trailers:
        fields.parse_trailers(section)
        return
    if is_client:
        status, headers = fields.parse_response(section)
        if status < 200:
            reader.interim()
            return
        if status < 300:
            reader.tunnel()
    else:
        headers = fields.parse_request(section).headers
        if b"webtransport-h3" in dict(section).values():
            reader.tunnel()
    length = fields.content_length(headers)
    if length is not None:
        reader.expect_content(length)


def _fields(source: ByteSource, trace: Trace) -> None:
    section: list[tuple[bytes, bytes]] = []
    while source.has_more:
        name = source.pick(_NAMES) if source.flag() else source.blob(12)
        value = source.pick(_VALUES) if source.flag() else source.blob(40)
        section.append((name, value))
    _judge(section, trace)


def _judge(section: list[tuple[bytes, bytes]], trace: Trace) -> int:
    """Read a section as everything that it might be; return how many of these it is."""
    results = [
        outcome(call, section, documented=VIOLATIONS)
        for call in (fields.parse_request, fields.parse_response, fields.parse_trailers)
    ]
    trace.append(repr(results))
    request, response, _ = (result[2] if result[0] == "returned" else None for result in results)
    check(request is None or response is None, "both a request and a response")
    if request is not None:
        for profile in _PROFILES:
            for strict in (False, True):
                answer = outcome(
                    handshake.check_request, request, profile=profile, strict=strict, documented=(StreamViolation,)
                )
                trace.append(answer)
        trace.append(outcome(fields.content_length, request.headers, documented=(StreamViolation,)))
        _read_protocols(request.headers.get("wt-available-protocols"), trace)
    if response is not None:
        status, headers = response
        trace.append(repr(outcome(handshake.accept_response, status, headers, documented=(StreamViolation,))))
        for profile in _PROFILES:
            for offered in (["chat"], ["moq", "chat"], []):
                trace.append(
                    outcome(
                        subprotocols.negotiated_protocol,
                        headers.get("wt-protocol"),
                        offered=offered,
                        profile=profile,
                        documented=(SessionViolation,),
                    )
                )
    return sum(result[0] == "returned" for result in results)


def _protocols(source: ByteSource, trace: Trace) -> None:
    _read_protocols(source.rest().decode("latin-1"), trace)


def _read_protocols(text: str | None, trace: Trace) -> None:
    for accepts_tokens in (False, True):
        names = subprotocols.parse_protocols(text, accepts_tokens=accepts_tokens)
        chosen = subprotocols.parse_protocol(text, accepts_tokens=accepts_tokens)
        check(chosen is None or names == [chosen], "an item is no list of one")
        if names:
            again = subprotocols.parse_protocols(subprotocols.serialize_protocols(names))
            check(again == names, f"names do not survive: {names} {again}")
        trace.append(names)
        trace.append(outcome(subprotocols.check_protocols, names, documented=(ValueError,)))
    offered = [text] if text else []
    allowed = outcome(subprotocols.check_protocols, offered, documented=(ValueError,))
    if allowed[0] == "returned" and offered:
        written = subprotocols.serialize_protocols(offered)
        check(subprotocols.parse_protocols(written) == offered, "a list of one does not survive")
        check(subprotocols.parse_protocol(written) == offered[0], "an item does not survive")


def _url(source: ByteSource, trace: Trace) -> None:
    text = source.rest().decode("utf-8", "surrogateescape")
    result = outcome(parse_url, url=text, documented=(ConfigurationError,))
    trace.append(result)
    if result[0] == "returned":
        host, port, path = result[2]
        authority = format_authority(host=host, port=port)
        request = handshake.request_fields(profile=_PROFILES[-1], authority=authority, path=path, headers={})
        parsed = fields.parse_request(request)
        check(isinstance(parsed, fields.ConnectRequest), "our own request is no CONNECT")
        check((parsed.headers[":authority"], parsed.headers[":path"]) == (authority, path), "our own request changes")
        again = parse_url(url=f"https://{authority}{path}")
        check(again == result[2], f"a URL does not survive: {result[2]} {again}")


def _origin(source: ByteSource, trace: Trace) -> None:
    text = source.rest().decode("utf-8", "surrogateescape")
    normal = normalized_origin(text)
    trace.append(normal)
    check(normal is None or normalized_origin(normal) == normal, "an origin is not normal after being made so")


def _headers_of_program(source: ByteSource, trace: Trace) -> None:
    opens = source.flag()
    parts = [part.decode("utf-8", "surrogateescape") for part in source.rest().split(b"\x00")]
    headers: dict[Any, Any] = dict(zip(parts[::2], parts[1::2], strict=False))
    result = outcome(fields.check_user_headers, headers, opens_session=opens, documented=(TypeError, ValueError))
    trace.append(result)
    if result[0] == "returned":
        section = handshake.response_fields(status=200 if opens else 404, headers=result[2])
        decoded = FieldDecoder().decode(0, FieldEncoder().encode(0, section))
        _, parsed = fields.parse_response(decoded)
        check(set(parsed) == set(result[2]), f"our own response is read as {parsed}")
