"""Field sections, by meaning: what makes a request, a response or trailers well-formed (RFC 9114, sections 4.2 to 4.4).

Also the check of headers that programs pass, so that we never send what a peer would have to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias, TypeVar

from .._remembered import Remembered
from ..constants import WT_AVAILABLE_PROTOCOLS_HEADER, WT_PROTOCOL_HEADER, ErrorCodes
from .qpack import may_be_remembered
from .violations import StreamViolation

__all__ = [
    "ConnectRequest",
    "OrdinaryRequest",
    "Request",
    "check_user_headers",
    "content_length",
    "parse_request",
    "parse_response",
    "parse_trailers",
    "read_request",
    "read_response",
]

# Lower-case token (RFC 9110, section 5.6.2; RFC 9114, section 4.2).
_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
# What no value may hold: controls except a tab, and white space at either end (RFC 9110, section 5.5).
_BAD_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]|\A[ \t]|[ \t]\Z")
# No pseudo-header of a request has spaces, controls or an empty value; bytes above 0x7f are let pass in a path only,
# where careless clients put UTF-8.
_VISIBLE: Final = re.compile(rb"[\x21-\x7e]+")
_PATH: Final = re.compile(rb"[\x21-\x7e\x80-\xff]+")

_REQUEST_PSEUDO_HEADERS: Final = frozenset({b":method", b":scheme", b":authority", b":path", b":protocol"})
_RESPONSE_PSEUDO_HEADERS: Final = frozenset({b":status"})
# "Connection-specific header fields" (RFC 9114, section 4.2).
_CONNECTION_SPECIFIC: Final = frozenset(
    {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}
)
# The library writes these itself, from arguments of their own.
_OWN_FIELDS: Final = {
    WT_AVAILABLE_PROTOCOLS_HEADER: "pass wt_available_protocols instead",
    WT_PROTOCOL_HEADER: "pass wt_protocol instead",
    "host": "the authority of the URL takes its place",
}
# RFC 9297, section 3.2: not to be used in messages that open a capsule stream.
_NOT_WITH_CAPSULES: Final = frozenset({"content-length", "content-type"})


@dataclass(frozen=True, slots=True)
class ConnectRequest:
    """A well-formed extended CONNECT (RFC 9220).

    `headers` has lower-case names, the pseudo-headers among them; lines of one name are joined.
    """

    protocol: str
    scheme: str
    authority: str
    path: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class OrdinaryRequest:
    """Any other well-formed request; `headers` as in `ConnectRequest`."""

    method: str
    headers: dict[str, str]


Request: TypeAlias = ConnectRequest | OrdinaryRequest


def parse_request(fields: Iterable[tuple[bytes, bytes]]) -> Request:
    """Read the field section of a request.

    Raises:
        StreamViolation: H3_MESSAGE_ERROR, the request is malformed.
    """
    pseudo, headers = _split(fields, _REQUEST_PSEUDO_HEADERS)
    for name, value in pseudo.items():
        if not (_PATH if name == ":path" else _VISIBLE).fullmatch(value):
            _malformed(f"{name} is empty or has forbidden characters")
    text = {name: _decode(value) for name, value in pseudo.items()}
    method = text.get(":method")
    if method is None:
        _malformed("request without :method")
    _check_authority(text, headers)
    everything = text | headers
    if method != "CONNECT":
        _check_ordinary(method, everything)
    elif ":protocol" not in text:
        # RFC 9114, section 4.4: a plain CONNECT names a host to reach, and no resource.
        if ":authority" not in text or ":scheme" in text or ":path" in text:
            _malformed("CONNECT must have :authority, and no :scheme or :path")
    else:
        return _extended_connect(text, everything)
    return OrdinaryRequest(method, everything)


def read_request(fields: Sequence[tuple[bytes, bytes]]) -> Request:
    """Do what `parse_request` does, once for requests of the same lines: the result may be shared.

    Raises:
        StreamViolation: H3_MESSAGE_ERROR, the request is malformed.
    """
    return _parsed_once(_known_requests, fields, parse_request)


_Lines: TypeAlias = tuple[tuple[bytes, bytes], ...]
_Parsed = TypeVar("_Parsed")

_known_requests: Remembered[_Lines, Request] = Remembered()


def _parsed_once(
    known: Remembered[_Lines, _Parsed],
    fields: Sequence[tuple[bytes, bytes]],
    parse: Callable[[Sequence[tuple[bytes, bytes]]], _Parsed],
) -> _Parsed:
    """Return what is known of these lines, else what parsing gives, which is known from now on if that may be."""
    lines = tuple(fields)
    parsed = known.get(lines)
    if parsed is None:
        parsed = parse(fields)
        if may_be_remembered(fields):
            known.remember(lines, parsed)
    return parsed


def _check_authority(pseudo: Mapping[str, str], headers: Mapping[str, str]) -> None:
    """Apply RFC 9114, section 4.3.1 to :authority and host."""
    authority = pseudo.get(":authority")
    host = headers.get("host")
    if "@" in (authority or host or ""):
        _malformed("authority has user information")
    if authority is not None and host is not None and authority.lower() != host.lower():
        _malformed(":authority and host differ")


def _check_ordinary(method: str, headers: Mapping[str, str]) -> None:
    if ":protocol" in headers:
        _malformed(":protocol in a request that is no CONNECT")
    if ":scheme" not in headers or ":path" not in headers:
        _malformed("request without :scheme or :path")
    content_length(headers)
    if headers[":scheme"].lower() in ("http", "https"):
        if not (headers.get(":authority") or headers.get("host")):
            _malformed("request without an authority")
        _check_path(headers[":path"], allow_asterisk=method == "OPTIONS")


def _check_path(path: str, *, allow_asterisk: bool = False) -> None:
    if not path.startswith("/") and not (allow_asterisk and path == "*"):
        _malformed(":path must begin with a slash")


def _extended_connect(pseudo: Mapping[str, str], headers: dict[str, str]) -> ConnectRequest:
    try:
        protocol, scheme = pseudo[":protocol"], pseudo[":scheme"]
        authority, path = pseudo[":authority"], pseudo[":path"]
    except KeyError as error:
        _malformed(f"extended CONNECT without {error.args[0]}")
    _check_path(path)
    return ConnectRequest(protocol, scheme.lower(), authority, path, headers)


def parse_response(fields: Iterable[tuple[bytes, bytes]]) -> tuple[int, dict[str, str]]:
    """Read the field section of a response.

    Returns:
        The status and the headers, their names in lower case, without :status.

    Raises:
        StreamViolation: H3_MESSAGE_ERROR, the response is malformed; so is status 101, which HTTP/3 does not have.
    """
    pseudo, headers = _split(fields, _RESPONSE_PSEUDO_HEADERS)
    status = pseudo.get(":status", b"")
    if not re.fullmatch(rb"[1-9][0-9]{2}", status):
        _malformed("response without a three-digit :status")
    if status == b"101":
        _malformed("status 101 does not exist in HTTP/3")
    return int(status), headers


def read_response(fields: Sequence[tuple[bytes, bytes]]) -> tuple[int, dict[str, str]]:
    """Do what `parse_response` does, once for responses of the same lines.

    Raises:
        StreamViolation: H3_MESSAGE_ERROR, as there.
    """
    status, headers = _parsed_once(_known_responses, fields, parse_response)
    return status, dict(headers)


_known_responses: Remembered[_Lines, tuple[int, dict[str, str]]] = Remembered()


def parse_trailers(fields: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Read the field section after the content; it may hold no pseudo-header.

    Raises:
        StreamViolation: H3_MESSAGE_ERROR, it is malformed.
    """
    return _split(fields, frozenset())[1]


def content_length(headers: Mapping[str, str]) -> int | None:
    """Return the Content-Length, or None when there is none (RFC 9110, section 8.6).

    Raises:
        StreamViolation: H3_MESSAGE_ERROR, it is no number, or several that differ.
    """
    value = headers.get("content-length")
    if value is None:
        return None
    lengths = {part.strip(" \t") for part in value.split(",")}
    length = lengths.pop()
    # 18 digits are more than a stream can hold, and the whole number is never parsed (a quadratic cost).
    if lengths or not re.fullmatch(r"[0-9]{1,18}", length):
        _malformed("content-length is not one number")
    return int(length)


def _split(fields: Iterable[tuple[bytes, bytes]], allowed: frozenset[bytes]) -> tuple[dict[str, bytes], dict[str, str]]:
    """Check every line, and return the pseudo-headers and the headers, the lines of one name joined."""
    pseudo: dict[str, bytes] = {}
    headers: dict[str, str] = {}
    for raw_name, raw_value in fields:
        if raw_name.startswith(b":"):
            name = raw_name.decode("latin-1")
            if raw_name not in allowed or name in pseudo:
                _malformed(f"pseudo-header {name!r} is unknown, out of place or there twice")
            if headers:
                _malformed(f"pseudo-header {name!r} after a header")
            pseudo[name] = raw_value
            continue
        if not _NAME.fullmatch(raw_name):
            _malformed(f"field name {raw_name[:64]!r} is not a lower-case token")
        name = raw_name.decode("ascii")
        if _BAD_VALUE.search(raw_value):
            _malformed(f"value of {name} has forbidden characters")
        if name in _CONNECTION_SPECIFIC or (name == "te" and raw_value.lower() != b"trailers"):
            _malformed(f"field {name} does not exist in HTTP/3")
        value = _decode(raw_value)
        if name in headers:
            # RFC 9114, section 4.2.1: crumbs of a cookie are joined by semicolons, all other lines by commas.
            value = f"{headers[name]}{'; ' if name == 'cookie' else ', '}{value}"
        headers[name] = value
    return pseudo, headers


def _decode(value: bytes) -> str:
    """Return a value as text: UTF-8 where it is that, otherwise one character for each byte."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _malformed(reason: str) -> NoReturn:
    raise StreamViolation(ErrorCodes.H3_MESSAGE_ERROR, reason)


def check_user_headers(headers: Mapping[str, str], *, opens_session: bool = True) -> dict[str, str]:
    """Check headers that a program passes, and return them with lower-case names.

    Args:
        headers: names in any case and values.
        opens_session: they go into a request, or a response that accepts one, whose content is capsules.

    Raises:
        TypeError: a name or a value is not a string.
        ValueError: a name is malformed, a pseudo-header, belongs to the connection or to the library, or stands twice;
            a value has forbidden characters. The message names it.
    """
    checked: dict[str, str] = {}
    for name, value in headers.items():
        for part in (name, value):
            if not isinstance(part, str):
                raise TypeError(f"header {name!r}: name and value must be strings")
        lowered = name.lower()
        if lowered.startswith(":"):
            raise ValueError(f"header {name!r}: pseudo-headers are set by the library")
        if not _NAME.fullmatch(lowered.encode("utf-8", "replace")):
            raise ValueError(f"header {name!r}: not a valid field name")
        if lowered in _CONNECTION_SPECIFIC or (lowered == "te" and value.lower() != "trailers"):
            raise ValueError(f"header {name!r}: does not exist in HTTP/3")
        if lowered in _OWN_FIELDS:
            raise ValueError(f"header {name!r}: {_OWN_FIELDS[lowered]}")
        if opens_session and lowered in _NOT_WITH_CAPSULES:
            raise ValueError(f"header {name!r}: not allowed where a WebTransport session opens")
        if lowered in checked:
            raise ValueError(f"header {name!r}: stands twice")
        if _BAD_VALUE.search(value.encode("utf-8", "replace")) or not _is_encodable(value):
            raise ValueError(f"header {name!r}: value {value!r} has forbidden characters")
        checked[lowered] = value
    return checked


def _is_encodable(value: str) -> bool:
    """Whether a string has no lone surrogates."""
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
