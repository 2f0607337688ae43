"""Which draft of WebTransport over HTTP/3 is spoken on a connection, and what follows from it.

Four profiles cover all drafts that peers use: 2, 7 (drafts 07 to 12), 14 (13 and 14) and 16 (15 and 16). Settings
cannot tell the drafts within one profile apart. The bytes of streams and datagrams are the same in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from .._remembered import Remembered
from ..constants import (
    SETTINGS_ENABLE_CONNECT_PROTOCOL,
    SETTINGS_ENABLE_WEBTRANSPORT_DRAFT02,
    SETTINGS_H3_DATAGRAM,
    SETTINGS_H3_DATAGRAM_DRAFT04,
    SETTINGS_WT_ENABLED,
    SETTINGS_WT_INITIAL_MAX_DATA,
    SETTINGS_WT_INITIAL_MAX_STREAMS_BIDI,
    SETTINGS_WT_INITIAL_MAX_STREAMS_UNI,
    SETTINGS_WT_MAX_SESSIONS_DRAFT07,
    SETTINGS_WT_MAX_SESSIONS_DRAFT14,
    WT_CONNECT_PROTOCOL,
    WT_CONNECT_PROTOCOL_H3,
)

__all__ = ["Profile", "announced_sessions", "choose_profile"]

# Highest first: "the highest draft enabled by both sides is in force" (draft-16, section 7.1).
_ENABLING_SETTINGS: Final = (
    (16, SETTINGS_WT_ENABLED),
    (14, SETTINGS_WT_MAX_SESSIONS_DRAFT14),
    (7, SETTINGS_WT_MAX_SESSIONS_DRAFT07),
    (2, SETTINGS_ENABLE_WEBTRANSPORT_DRAFT02),
)

_INITIAL_LIMITS: Final = (
    SETTINGS_WT_INITIAL_MAX_DATA,
    SETTINGS_WT_INITIAL_MAX_STREAMS_UNI,
    SETTINGS_WT_INITIAL_MAX_STREAMS_BIDI,
)


@dataclass(frozen=True, slots=True)
class Profile:
    """The rules in force on a connection.

    `draft` is 2, 7, 14 or 16; `flow_control` tells whether session flow control is on (draft-16, section 5.1).
    """

    draft: int
    flow_control: bool

    @property
    def connect_token(self) -> str:
        """Return the :protocol token that a client sends."""
        return WT_CONNECT_PROTOCOL_H3 if self.draft >= 15 else WT_CONNECT_PROTOCOL

    @property
    def sends_draft02_header(self) -> bool:
        """Whether a client adds the version field to its request (draft-02, section 6)."""
        return self.draft == 2

    @property
    def single_session(self) -> bool:
        """Whether the connection may hold one session only.

        From draft-13 on, without flow control sessions could not be kept apart: the client must not open a second one
        and the server answers H3_REQUEST_REJECTED (draft-16, section 5.1).
        """
        return self.draft >= 13 and not self.flow_control

    @property
    def accepts_protocol_tokens(self) -> bool:
        """Whether subprotocols may stand as sf Tokens, as drafts 10 to 12 had it, beside sf Strings."""
        return self.draft == 7

    @property
    def unlisted_protocol_is_error(self) -> bool:
        """Whether a server's choice that the client never offered ends the session with WT_ALPN_ERROR.

        Drafts 13 and 14 ignore such a choice (draft-16, section 3.3).
        """
        return self.draft >= 15

    @property
    def limits_must_increase(self) -> bool:
        """Whether a limit capsule that repeats the last limit is an error; in drafts 13 and 14 only a lower one is."""
        return self.draft >= 15


def choose_profile(
    *,
    local: Mapping[int, int],
    remote: Mapping[int, int],
    is_client: bool,
    strict: bool,
    remote_has_datagrams: bool,
    remote_has_reset_stream_at: bool,
) -> Profile | None:
    """Return the profile that two sets of settings amount to, or None: no WebTransport with this peer.

    Lenient, RESET_STREAM_AT is not asked for (browsers and many servers lack it), a draft whose other requirements are
    not met gives way to the next lower one, and a client that names no draft but sends HTTP datagrams is taken for a
    draft-07 one: that draft obliged only the server to name it. Strict, the highest draft that both sides enabled is in
    force, and None unless the peer meets all that it requires.

    Args:
        local: the settings we sent.
        remote: the settings the peer sent.
        is_client: whether we are the client.
        strict: see above.
        remote_has_datagrams: the peer's max_datagram_frame_size transport parameter is above 0.
        remote_has_reset_stream_at: the peer sent the reset_stream_at transport parameter.

    Source: draft-ietf-webtrans-http3-16, sections 3.1, 5.1 and 7.1.
    """
    arguments = local, remote, is_client, strict, remote_has_datagrams, remote_has_reset_stream_at
    if type(local) is not MappingProxyType or type(remote) is not MappingProxyType:
        return _chosen(*arguments)
    # Settings of the same bytes are the same object, see `settings`, and nobody changes them.
    key = id(local), id(remote), *arguments[2:]
    known = _known.get(key)
    if known is None:
        known = _chosen(*arguments), local, remote  # kept, so that no other ones get their ids
        _known.remember(key, known)
    return known[0]


_Known: TypeAlias = tuple[Profile | None, Mapping[int, int], Mapping[int, int]]
_known: Remembered[tuple[object, ...], _Known] = Remembered()


def _chosen(
    local: Mapping[int, int],
    remote: Mapping[int, int],
    is_client: bool,
    strict: bool,
    remote_has_datagrams: bool,
    remote_has_reset_stream_at: bool,
) -> Profile | None:
    for draft, setting in _ENABLING_SETTINGS:
        if not (local.get(setting) and remote.get(setting)):
            continue
        has_reset = remote_has_reset_stream_at or not strict
        if _is_capable(draft, remote, remote_is_server=is_client, has_reset=has_reset) and remote_has_datagrams:
            return Profile(draft=draft, flow_control=_has_flow_control(draft, local, remote))
        if strict:
            return None
    names_draft = any(setting in remote for _, setting in _ENABLING_SETTINGS)  # 0 says: not this one
    if is_client or strict or names_draft or not remote_has_datagrams:
        return None
    speaks_draft07 = local.get(SETTINGS_WT_MAX_SESSIONS_DRAFT07)
    if speaks_draft07 and remote.get(SETTINGS_H3_DATAGRAM):
        return Profile(draft=7, flow_control=False)
    return None


def announced_sessions(profile: Profile, server: Mapping[int, int]) -> int | None:
    """Return how many sessions a server allows on a connection by its settings; None when the draft has no such number.

    "The client MUST NOT open more sessions than indicated in the server SETTINGS" (draft-07, "Limiting the
    Number of Simultaneous Sessions").
    """
    if profile.draft == 14:
        return server.get(SETTINGS_WT_MAX_SESSIONS_DRAFT14)
    return server.get(SETTINGS_WT_MAX_SESSIONS_DRAFT07) if profile.draft == 7 else None


def _is_capable(draft: int, remote: Mapping[int, int], *, remote_is_server: bool, has_reset: bool) -> bool:
    """Whether the peer sent the settings and the parameter that a draft requires beside its enabling setting."""
    if draft == 2:
        # The setting of its time was another one, and ENABLE_WEBTRANSPORT implied extended CONNECT (draft-02, 3.1).
        return bool(remote.get(SETTINGS_H3_DATAGRAM) or remote.get(SETTINGS_H3_DATAGRAM_DRAFT04))
    if not remote.get(SETTINGS_H3_DATAGRAM):
        return False
    if remote_is_server and not remote.get(SETTINGS_ENABLE_CONNECT_PROTOCOL):
        return False
    return has_reset or draft < 10


def _has_flow_control(draft: int, local: Mapping[int, int], remote: Mapping[int, int]) -> bool:
    """Whether both sides declared session flow control; draft-12 had the capsules but no rule for when they count."""
    return draft >= 13 and _declares_flow_control(draft, local) and _declares_flow_control(draft, remote)


def _declares_flow_control(draft: int, settings: Mapping[int, int]) -> bool:
    if any(settings.get(limit) for limit in _INITIAL_LIMITS):
        return True
    return draft == 14 and settings.get(SETTINGS_WT_MAX_SESSIONS_DRAFT14, 0) > 1
