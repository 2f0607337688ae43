"""What follows when a client of one kind meets a server of another: the rules of the drafts, written down once more.

Nothing here asks the engine: the tests compare what this module says with what the engine does. Section numbers are
those of draft-ietf-webtrans-http3-16 unless another is named. The rules of choice differ in one thing from the text:
who is lenient falls back to the next lower draft that both announce, instead of giving up, and does without resets
that keep a stream's header.
"""

from __future__ import annotations

from dataclasses import dataclass

from draft_kinds import (
    CONNECT,
    DATAGRAM,
    ENABLE_02,
    ENABLED_16,
    LIMITS,
    OLD_DATAGRAM,
    SESSIONS,
    SESSIONS_07,
    SESSIONS_14,
    Kind,
)

ENABLING = {16: ENABLED_16, 14: SESSIONS_14, 7: SESSIONS_07, 2: ENABLE_02}
"""The setting that enables each draft, the newest first (7.1)."""

H3_MESSAGE_ERROR = 0x10E
NOT_IMPLEMENTED = 501


@dataclass(frozen=True)
class Outcome:
    """What comes of it.

    `client` and `server` are the drafts that each end holds to be in force, None where it is none, or nobody asked.
    They are the same wherever both ends follow the text.
    """

    client: int | None
    server: int | None
    flow_control: bool = False
    token: str = ""
    has_version: bool = False
    """The request has the version field of draft-02, and the response its answer."""
    sessions: int = 0
    """How many sessions the client may have on the connection."""
    closed_with: int | None = None
    """The client closes the connection with this code, and asks for nothing."""
    reset_with: int | None = None
    """The server resets the CONNECT stream with this code."""
    status: int | None = None
    """The server refuses with this status."""

    @property
    def opens(self) -> bool:
        """Tell whether there is a session."""
        return self.closed_with is None and self.reset_with is None and self.status is None

    @property
    def has_resets(self) -> bool:
        """Tell whether the draft asks for resets that keep the header."""
        return self.client is not None and self.client >= 10

    def __str__(self) -> str:
        if self.closed_with is not None:
            return f"closed {self.closed_with:#x}"
        if self.reset_with is not None:
            return f"reset {self.reset_with:#x}"
        if self.status is not None:
            return f"status {self.status}"
        draft = f"{self.client:02}" if self.client == self.server else f"{self.client:02}/{self.server:02}"
        marks = {" fc": self.flow_control, " single": self.sessions == 1, " v": self.has_version}
        return draft + "".join(mark for mark, is_so in marks.items() if is_so)


def expected(client: Kind, server: Kind) -> Outcome:
    """Return what must come of it when a client of one kind meets a server of another."""
    asked = _draft_of_client(client, server)
    answered = _draft_of_server(server, client)
    if asked is None:
        # "A client MAY close the connection" (3.1); ours does, for it has nothing else to do with it.
        return Outcome(None, None, closed_with=client.refusal_code)
    token = "webtransport-h3" if asked == 16 else "webtransport"
    has_version = asked == 2 or client.always_sends_version  # draft-02, 6
    if answered is None:
        # "MUST treat all WebTransport sessions as malformed" (3.1).
        return Outcome(asked, None, token=token, has_version=has_version, reset_with=H3_MESSAGE_ERROR)
    if server.is_strict and (asked == 16) != (answered == 16):
        return Outcome(asked, answered, token=token, has_version=has_version, status=NOT_IMPLEMENTED)
    flow_control = _has_flow_control(asked, client, server)
    sessions = min(_sessions(draft, server, flow_control=flow_control) for draft in (asked, answered))
    return Outcome(
        asked,
        answered,
        flow_control=flow_control,
        token=token,
        has_version=has_version,
        sessions=sessions,
    )


def _draft_of_client(client: Kind, server: Kind) -> int | None:
    mine, theirs = {**(client.client or {}), **client.silent_drafts}, server.server or {}
    for draft, setting in ENABLING.items():
        if not (mine.get(setting) and theirs.get(setting)):
            continue
        # A server says by a setting that it takes extended CONNECT, except in draft-02 (3.1; draft-02, 3.1).
        suits = _has_datagrams(draft, server, theirs) and (draft == 2 or theirs.get(CONNECT) == 1)
        if suits and _has_resets(draft, client, server) and _has_limits(draft, client, theirs):
            return draft
        if client.is_strict:
            return None
    return None


def _draft_of_server(server: Kind, client: Kind) -> int | None:
    mine, theirs = server.server or {}, client.client or {}
    for draft, setting in ENABLING.items():
        if not (mine.get(setting) and theirs.get(setting)):
            continue
        if _has_datagrams(draft, client, theirs) and _has_resets(draft, server, client):
            return draft
        if server.is_strict:
            return None
    # Draft-07 asked only the server to name it: who names nothing, but has datagrams, may well speak it.
    names_any = any(theirs.get(setting) for setting in ENABLING.values())
    if not names_any and not server.is_strict and mine.get(SESSIONS_07) and _has_datagrams(7, client, theirs):
        return 7
    return None


def _has_datagrams(draft: int, kind: Kind, settings: object) -> bool:
    announced = {DATAGRAM, OLD_DATAGRAM} if draft == 2 else {DATAGRAM}
    return kind.has_datagrams and any(settings.get(setting) == 1 for setting in announced)  # type: ignore[attr-defined]


def _has_resets(draft: int, asks: Kind, other: Kind) -> bool:
    """Tell whether one kind finds in another the resets it asks for: drafts from 10 on, when strict (3.1)."""
    return draft < 10 or not asks.is_strict or bool(asks.knows_resets & other.resets)


def _has_limits(draft: int, client: Kind, theirs: object) -> bool:
    return draft != 14 or not client.needs_limits or all(theirs.get(limit) for limit in LIMITS)  # type: ignore[attr-defined]


def _has_flow_control(draft: int, client: Kind, server: Kind) -> bool:
    """Both ends must declare it (5.1): by an initial limit, and in draft-14 also by allowing more than one session."""
    return draft >= 13 and all(
        any(settings.get(limit) for limit in LIMITS) or (draft == 14 and settings.get(SESSIONS_14, 0) > 1)
        for settings in (client.client or {}, server.server or {})
    )


def _sessions(draft: int, server: Kind, *, flow_control: bool) -> int:
    """Return how many sessions the client may have: one without flow control (5.1), else as many as were announced."""
    if draft >= 13 and not flow_control:
        return 1
    announced = {7: SESSIONS_07, 14: SESSIONS_14}.get(draft)
    limit = SESSIONS if announced is None else (server.server or {}).get(announced, SESSIONS)
    return min(limit, SESSIONS)
