"""The CONNECT request that opens a session and its response (draft-ietf-webtrans-http3-16, section 3.2).

What the fields must look like in any HTTP/3 message is for `fields`; which origins and paths are welcome is for the
application.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Final

from ..constants import (
    WEBTRANSPORT_SCHEME,
    WT_AVAILABLE_PROTOCOLS_HEADER,
    WT_CONNECT_PROTOCOL,
    WT_CONNECT_PROTOCOL_H3,
    WT_DRAFT02_REQUEST_HEADER,
    WT_DRAFT02_REQUEST_VALUE,
    WT_DRAFT02_RESPONSE_HEADER,
    WT_DRAFT02_RESPONSE_VALUE,
    WT_PROTOCOL_HEADER,
    ErrorCodes,
)
from .fields import ConnectRequest, Request
from .profiles import Profile
from .qpack import Fields
from .subprotocols import serialize_choice, serialize_protocols
from .violations import StreamViolation

__all__ = [
    "ResponseOutcome",
    "accept_response",
    "check_request",
    "has_draft02_header",
    "request_fields",
    "response_fields",
]

_TOKENS: Final = (WT_CONNECT_PROTOCOL_H3, WT_CONNECT_PROTOCOL)
# Neither of these goes with capsules: the message would be malformed (RFC 9297, section 3.2).
_NOT_WITH_CAPSULES: Final = ("content-length", "content-type", "transfer-encoding")
_STATUS_WITHOUT_CAPSULES: Final = frozenset({204, 205, 206})

_NO_HEADERS: Final[Mapping[str, str]] = {}

_BAD_REQUEST: Final = 400
_NOT_FOUND: Final = 404
_NOT_IMPLEMENTED: Final = 501

# URI characters, and for the path the slash it begins with (RFC 3986, section 2); a program escapes all others.
_AUTHORITY: Final = re.compile(r"[\x21-\x7e]+")
_PATH: Final = re.compile(r"/[\x21-\x7e]*")


class ResponseOutcome(Enum):
    """What a response means to the client that asked for a session."""

    INTERIM = auto()
    OPEN = auto()
    REJECTED = auto()


def request_fields(
    *, profile: Profile, authority: str, path: str, headers: Mapping[str, str], protocols: Sequence[str] = ()
) -> Fields:
    """Return the field section of the CONNECT request.

    Args:
        profile: the draft in force decides the token and the version field.
        authority: host and port, as they stand in the URL.
        path: path and query, escaped.
        headers: what the program adds, checked by `fields.check_user_headers`.
        protocols: what it offers, checked by `subprotocols.check_protocols`.

    Raises:
        ValueError: authority or path cannot be sent.
    """
    if not _AUTHORITY.fullmatch(authority) or "@" in authority:
        raise ValueError(f"authority {authority!r} must be a host and port in visible ASCII characters")
    if not _PATH.fullmatch(path):
        raise ValueError(f"path {path!r} must begin with a slash and have visible ASCII characters only")
    fields = [
        (b":method", b"CONNECT"),
        (b":scheme", WEBTRANSPORT_SCHEME.encode()),
        (b":authority", authority.encode()),
        (b":path", path.encode()),
        (b":protocol", profile.connect_token.encode()),
    ]
    if profile.sends_draft02_header and WT_DRAFT02_REQUEST_HEADER not in headers:
        fields.append((WT_DRAFT02_REQUEST_HEADER.encode(), WT_DRAFT02_REQUEST_VALUE.encode()))
    if protocols:
        fields.append((WT_AVAILABLE_PROTOCOLS_HEADER.encode(), serialize_protocols(protocols).encode()))
    return fields + _encode_headers(headers)


def response_fields(
    *, status: int, headers: Mapping[str, str], protocol: str | None = None, request: Mapping[str, str] = _NO_HEADERS
) -> Fields:
    """Return the field section of a final response.

    Args:
        status: 2xx but 204, 205 and 206 opens the session, 300 to 599 refuses it.
        headers: what the program adds, checked by `fields.check_user_headers`.
        protocol: the subprotocol chosen, with 2xx only.
        request: the headers of the request: the version field of draft-02 is answered, and the subprotocol in the form
            in which it was offered.

    Raises:
        ValueError: status is none of a final response, or goes with no capsules; protocol with a refusal.
    """
    if not 200 <= status <= 599 or status in _STATUS_WITHOUT_CAPSULES:
        raise ValueError(f"status must be in 200..599, and not 204, 205 or 206, not {status}")
    if protocol is not None and status >= 300:
        raise ValueError(f"protocol goes with a 2xx status only, not with {status}")
    fields = [(b":status", str(int(status)).encode())]
    if has_draft02_header(request) and WT_DRAFT02_RESPONSE_HEADER not in headers:
        fields.append((WT_DRAFT02_RESPONSE_HEADER.encode(), WT_DRAFT02_RESPONSE_VALUE.encode()))
    if protocol is not None:
        choice = serialize_choice(protocol, offer=request.get(WT_AVAILABLE_PROTOCOLS_HEADER))
        fields.append((WT_PROTOCOL_HEADER.encode(), choice.encode()))
    return fields + _encode_headers(headers)


def _encode_headers(headers: Mapping[str, str]) -> Fields:
    return [(name.lower().encode("ascii"), value.encode("utf-8")) for name, value in headers.items()]


def has_draft02_header(headers: Mapping[str, str]) -> bool:
    """Whether a request has the version field of draft-02, which browsers send in every draft (draft-02, section 6)."""
    return WT_DRAFT02_REQUEST_HEADER in headers


def check_request(request: Request, *, profile: Profile, strict: bool = False) -> int | None:
    """Return the status to refuse a request with before the application sees it, or None when it asks for a session.

    Both tokens are welcome whatever the draft, for peers mix them; strict, the token must be that of the draft.

    Raises:
        StreamViolation: H3_MESSAGE_ERROR, the request has fields that capsules exclude.

    Source: draft-ietf-webtrans-http3-16, section 3.2; RFC 9220, section 3; RFC 9297, section 3.2.
    """
    if not isinstance(request, ConnectRequest):
        # There is nothing here to fetch, and nowhere to tunnel to.
        return _NOT_IMPLEMENTED if request.method == "CONNECT" else _NOT_FOUND
    if request.protocol not in _TOKENS or (strict and request.protocol != profile.connect_token):
        return _NOT_IMPLEMENTED
    if request.scheme != WEBTRANSPORT_SCHEME:
        return _BAD_REQUEST
    _check_capsule_message(request.headers)
    return None


def accept_response(status: int, headers: Mapping[str, str]) -> ResponseOutcome:
    """Return what a response means; redirects are refusals, since they are never followed.

    Raises:
        StreamViolation: H3_MESSAGE_ERROR, the response would open the session but excludes capsules.

    Source: draft-ietf-webtrans-http3-16, section 3.2; RFC 9297, section 3.2.
    """
    if status < 200:
        return ResponseOutcome.INTERIM
    if status >= 300:
        return ResponseOutcome.REJECTED
    if status in _STATUS_WITHOUT_CAPSULES:
        raise StreamViolation(ErrorCodes.H3_MESSAGE_ERROR, f"status {status} cannot open a session")
    _check_capsule_message(headers)
    return ResponseOutcome.OPEN


def _check_capsule_message(headers: Mapping[str, str]) -> None:
    for name in _NOT_WITH_CAPSULES:
        if name in headers:
            raise StreamViolation(ErrorCodes.H3_MESSAGE_ERROR, f"{name} does not go with a WebTransport session")
