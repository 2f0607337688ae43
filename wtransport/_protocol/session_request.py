"""What a client's program asks for, checked and written down before it is known whether the server takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from . import fields, handshake, subprotocols
from .host import EngineHost
from .profiles import Profile
from .qpack import Fields
from .session import SessionCore

__all__ = ["SessionRequest"]

_LIKELY: Final = Profile(draft=16, flow_control=True)
"""The draft of the servers that will be many; for one of another draft the request is written once more."""


class SessionRequest:
    """A CONNECT request that may be sent on a connection that is not ready yet (draft-16, section 3.2).

    Args:
        authority: host and port as in the URL.
        path: path and query, escaped.
        headers: more fields of the request.
        protocols: subprotocols offered, in order of preference.

    Raises:
        ValueError: authority, path, a header or a protocol cannot be sent.
        TypeError: a header is not made of strings.
    """

    __slots__ = ("_fields", "authority", "headers", "path", "protocols")

    def __init__(self, *, authority: str, path: str, headers: Mapping[str, str], protocols: Sequence[str] = ()) -> None:
        self.authority = authority
        self.path = path
        self.headers = fields.check_user_headers(headers)
        subprotocols.check_protocols(protocols)
        self.protocols = list(protocols)
        self._fields = self._fields_for(_LIKELY)

    def fields(self, profile: Profile) -> Fields:
        """Return the field section for a server of this draft."""
        if profile.connect_token == _LIKELY.connect_token and not profile.sends_draft02_header:
            return self._fields
        return self._fields_for(profile)

    def new_session(self, host: EngineHost, stream_id: int) -> SessionCore:
        """Return the session that this asks for on a stream."""
        return SessionCore(
            host,
            stream_id,
            authority=self.authority,
            path=self.path,
            headers=self.headers,
            available_protocols=self.protocols,
        )

    def _fields_for(self, profile: Profile) -> Fields:
        return handshake.request_fields(
            profile=profile, authority=self.authority, path=self.path, headers=self.headers, protocols=self.protocols
        )
