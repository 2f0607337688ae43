"""Subprotocol negotiation: wt-available-protocols and wt-protocol (draft-ietf-webtrans-http3-16, section 3.3).

The first is a structured field List of Strings, the second an Item that is a String (RFC 9651). Parameters are allowed
and mean nothing here. A field with anything else in it counts as absent, as RFC 9651, section 1.2 wants it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from ..constants import MAX_SUBPROTOCOL_BYTES, ErrorCodes
from .profiles import Profile
from .violations import SessionViolation

__all__ = [
    "check_protocols",
    "negotiated_protocol",
    "parse_protocol",
    "parse_protocols",
    "select_protocol",
    "serialize_choice",
    "serialize_protocol",
    "serialize_protocols",
]

# RFC 9651, section 3.3: the bare items, as far as their extent goes; what parameters hold is of no interest.
_STRING: Final = r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"'
_UNQUOTED: Final = r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*"
_NUMBER: Final = r"-?[0-9]{1,12}\.[0-9]{1,3}|-?[0-9]{1,15}"
_BYTES: Final = r":[A-Za-z0-9+/=]*:"
_BOOLEAN: Final = r"\?[01]"
_DATE: Final = r"@-?[0-9]{1,15}"
_DISPLAY: Final = r'%"(?:[\x20\x21\x23\x24\x26-\x7e]|%[0-9a-f]{2})*"'
_BARE_ITEM: Final = "|".join((_STRING, _UNQUOTED, _NUMBER, _BYTES, _BOOLEAN, _DATE, _DISPLAY))
_PARAMETERS: Final = rf"(?:; *[a-z*][a-z0-9_\-.*]*(?:=(?:{_BARE_ITEM}))?)*"
_MEMBER: Final = re.compile(rf"(?:(?P<string>{_STRING})|(?P<token>{_UNQUOTED})){_PARAMETERS}")
_COMMA: Final = re.compile(r"[ \t]*,[ \t]*")
_NAME: Final = re.compile(r"[\x20-\x7e]+")


def parse_protocols(value: str | None, *, accepts_tokens: bool = False) -> list[str]:
    """Return the members of wt-available-protocols, in the client's order; none when the field is absent or void.

    Args:
        value: the field, its lines joined with commas.
        accepts_tokens: take unquoted members too, as drafts 10 to 12 had them.
    """
    text = (value or "").strip(" ")
    protocols: list[str] = []
    position = 0
    while position < len(text):
        member = _MEMBER.match(text, position)
        name = None if member is None else _name_of(member, accepts_tokens=accepts_tokens)
        if member is None or name is None:
            return []
        protocols.append(name)
        position = member.end()
        if position == len(text):
            return protocols
        comma = _COMMA.match(text, position)
        if comma is None:
            return []
        position = comma.end()
    return []  # empty, or it ends with a comma


def parse_protocol(value: str | None, *, accepts_tokens: bool = False) -> str | None:
    """Return the name that wt-protocol holds, or None when the field is absent or void."""
    member = _MEMBER.fullmatch((value or "").strip(" "))
    return None if member is None else _name_of(member, accepts_tokens=accepts_tokens)


def _name_of(member: re.Match[str], *, accepts_tokens: bool) -> str | None:
    quoted = member["string"]
    if quoted is not None:
        return re.sub(r"\\(.)", r"\1", quoted[1:-1])
    return member["token"] if accepts_tokens else None


def serialize_protocols(protocols: Iterable[str]) -> str:
    """Return the value of wt-available-protocols for names that `check_protocols` let pass."""
    return ", ".join(map(serialize_protocol, protocols))


def serialize_choice(protocol: str, *, offer: str | None = None) -> str:
    """Return the value of wt-protocol for a name of the client's offer, in the form in which it stands there.

    Clients of drafts 10 to 12 write Tokens and would not read a String.

    Args:
        protocol: a name that `parse_protocols` found.
        offer: wt-available-protocols of the request.
    """
    is_token = any(member["token"] == protocol for member in _MEMBER.finditer(offer or ""))
    return protocol if is_token else serialize_protocol(protocol)


def serialize_protocol(protocol: str) -> str:
    """Return a name that `check_protocols` let pass as a String."""
    return '"' + re.sub(r'(["\\])', r"\\\1", protocol) + '"'


def check_protocols(protocols: Sequence[str], *, argument: str = "wt_available_protocols") -> None:
    """Check what a program wants to offer.

    Args:
        protocols: the names, most wanted first.
        argument: what the program calls them, for the message.

    Raises:
        TypeError: it is one string, or holds something that is none.
        ValueError: a name has not 1 to 512 printable ASCII characters, or stands twice.
    """
    if isinstance(protocols, str):
        raise TypeError(f"{argument} must be a list of strings, not one string")
    for protocol in protocols:
        if not isinstance(protocol, str):
            raise TypeError(f"{argument} must hold strings, not {type(protocol).__name__}")
        if len(protocol) > MAX_SUBPROTOCOL_BYTES or not _NAME.fullmatch(protocol):
            raise ValueError(f"{argument}: {protocol!r} must have 1 to 512 printable ASCII characters")
    if len(set(protocols)) != len(protocols):
        raise ValueError(f"{argument}: a name stands twice in {list(protocols)!r}")


def select_protocol(available: Iterable[str], supported: Sequence[str]) -> str | None:
    """Return the first name the client offers that the server supports too, or None."""
    return next((protocol for protocol in available if protocol in supported), None)


def negotiated_protocol(value: str | None, *, offered: Sequence[str], profile: Profile) -> str | None:
    """Return the subprotocol that a server chose with wt-protocol, or None when it chose none that counts.

    Args:
        value: the field of the 2xx response.
        offered: what our request offered.
        profile: drafts before 15 ignore a name that was never offered.

    Raises:
        SessionViolation: WT_ALPN_ERROR, the name was never offered.
    """
    protocol = parse_protocol(value, accepts_tokens=profile.accepts_protocol_tokens)
    if protocol is None or protocol in offered:
        return protocol
    if profile.unlisted_protocol_is_error:
        raise SessionViolation(
            ErrorCodes.WT_ALPN_ERROR, f"server chose subprotocol {protocol!r}, which was not offered"
        )
    return None
