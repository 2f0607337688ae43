"""Kinds of peers, by what they announce: one draft alone, one with something missing, several at once as products do.

What a kind sends is SETTINGS, transport parameters, a token and a version field; what follows from that for a pair of
them is in `draft_rules`, and `draft_pair` makes ends that behave so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

CONNECT, DATAGRAM, OLD_DATAGRAM = 0x08, 0x33, 0xFFD277
ENABLE_02, SESSIONS_07, SESSIONS_14, ENABLED_16 = 0x2B603742, 0xC671706A, 0x14E9CD29, 0x2C7CF000
MAX_DATA, MAX_UNI, MAX_BIDI = 0x2B61, 0x2B64, 0x2B65

LIMITS = {MAX_DATA: 1 << 20, MAX_UNI: 10, MAX_BIDI: 10}
"""Session flow control as a kind that has it announces it."""

RESET_AT, OLD_RESET_AT = 0x1D, 0x17F7586D2CB571
"""The two codepoints of the reset_stream_at transport parameter."""

BOTH_RESETS = frozenset({RESET_AT, OLD_RESET_AT})

REQUIREMENTS_NOT_MET = 0x212C0D48
SESSIONS = 2
"""How many sessions a server of any kind takes, unless it says otherwise."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of endpoint; `client` and `server` are its SETTINGS in that role, None where there is no such role."""

    name: str
    client: Mapping[int, int] | None = None
    server: Mapping[int, int] | None = None
    is_strict: bool = False
    """It serves only who meets all that the highest common draft asks for."""
    has_datagrams: bool = True
    """Its max_datagram_frame_size transport parameter is above 0."""
    resets: frozenset[int] = BOTH_RESETS
    """The reset_stream_at transport parameters that it sends."""
    knows_resets: frozenset[int] = BOTH_RESETS
    """Those that it understands."""
    silent_drafts: Mapping[int, int] = field(default_factory=dict)
    """Enabling settings of drafts that it speaks without announcing them."""
    needs_limits: bool = False
    """It turns away from a draft-14 server that leaves one of the three initial limits out."""
    always_sends_version: bool = False
    """Its requests have the version field of draft-02 in every draft."""
    maps_codes: bool = True
    """Its stream error codes are mapped to the range that HTTP/3 has for them."""
    refusal_code: int = REQUIREMENTS_NOT_MET
    """What it closes the connection with when the server does not suit it."""

    def __str__(self) -> str:
        return self.name

    @property
    def is_ours(self) -> bool:
        """Tell whether this is our engine without any disguise."""
        return self.name.startswith("ours")


def _single(name: str, settings: Mapping[int, int], **options: object) -> Kind:
    return Kind(name=name, client=settings, server=settings, **options)  # type: ignore[arg-type]


_BASE = {CONNECT: 1, DATAGRAM: 1}
_DRAFT_02 = {ENABLE_02: 1, OLD_DATAGRAM: 1}
_DRAFT_07 = _BASE | {SESSIONS_07: SESSIONS}
_DRAFT_14 = _BASE | {SESSIONS_14: SESSIONS} | LIMITS
_DRAFT_16 = _BASE | {ENABLED_16: 1} | LIMITS
_NO_RESETS: frozenset[int] = frozenset()

_PURE = [
    _single("draft-02", _DRAFT_02, resets=_NO_RESETS),
    _single("draft-07", _DRAFT_07, resets=_NO_RESETS),
    _single("draft-14", _DRAFT_14),
    _single("draft-16", _DRAFT_16),
]

_OURS = {0x01: 0, 0x06: 65536, 0x07: 0, CONNECT: 1, DATAGRAM: 1, OLD_DATAGRAM: 1, ENABLE_02: 1}
_WINDOWS = {MAX_DATA: 4 << 20, MAX_UNI: 256, MAX_BIDI: 256}

OURS = Kind(
    name="ours",
    client=_OURS | {SESSIONS_07: 1, SESSIONS_14: 1, ENABLED_16: 1} | _WINDOWS,
    server=_OURS | {SESSIONS_07: SESSIONS, SESSIONS_14: SESSIONS, ENABLED_16: 1} | _WINDOWS,
)
OURS_STRICT = replace(OURS, name="ours strict", is_strict=True)

_TORN = Kind(name="drafts 16 and 02, no extended CONNECT", server={DATAGRAM: 1, ENABLED_16: 1, ENABLE_02: 1})
"""Its clients choose draft-02, and it takes them for clients of draft-16."""

LACKING = [
    _single("draft-14, one session", _BASE | {SESSIONS_14: 1}),
    _single("draft-14, no limits", _BASE | {SESSIONS_14: SESSIONS}),
    _single("draft-14, no reset_stream_at", _DRAFT_14, resets=_NO_RESETS),
    _single("draft-16, no limits", _BASE | {ENABLED_16: 1}),
    _single("draft-16, no reset_stream_at", _DRAFT_16, resets=_NO_RESETS),
    _single("draft-16, old reset_stream_at", _DRAFT_16, resets=frozenset({OLD_RESET_AT})),
    _single("draft-16, no DATAGRAM frames", _DRAFT_16, has_datagrams=False),
    _single("draft-16, no H3_DATAGRAM", {CONNECT: 1, ENABLED_16: 1}),
    _single("draft-07, no H3_DATAGRAM", {CONNECT: 1, SESSIONS_07: SESSIONS}, resets=_NO_RESETS),
    Kind(name="draft-07, no extended CONNECT", server={DATAGRAM: 1, SESSIONS_07: SESSIONS}, resets=_NO_RESETS),
    Kind(name="draft-16, no extended CONNECT", server={DATAGRAM: 1, ENABLED_16: 1} | LIMITS),
    _TORN,
    replace(_TORN, name=f"{_TORN.name}, strict", is_strict=True),
    Kind(name="no draft named", client={DATAGRAM: 1}, silent_drafts={SESSIONS_07: 1}, resets=_NO_RESETS),
    Kind(name="no WebTransport", server=_BASE),
]
"""Single drafts from which something is missing."""

_FOREVER = (1 << 62) - 1
_WT_RS = {0x01: 0, 0x07: 0, CONNECT: 1, ENABLE_02: 1, DATAGRAM: 1, SESSIONS_07: 1}
_AIOQUIC = {0x01: 4096, 0x07: 16, CONNECT: 1, 0x21: 1, DATAGRAM: 1, ENABLE_02: 1}

PRODUCTS = [
    Kind(
        name="Chromium",
        client={0x01: 65536, 0x06: 16384, 0x07: 100, DATAGRAM: 1, OLD_DATAGRAM: 1, ENABLE_02: 1},
        resets=_NO_RESETS,
        knows_resets=_NO_RESETS,
        always_sends_version=True,
    ),
    Kind(
        name="Firefox",
        client={0x01: 65536, 0x07: 20, ENABLE_02: 1, OLD_DATAGRAM: 1, DATAGRAM: 1, CONNECT: 1},
        resets=frozenset({RESET_AT}),
        knows_resets=frozenset({RESET_AT}),
        always_sends_version=True,
        refusal_code=0x100,
    ),
    Kind(
        name="Safari 26",
        client={DATAGRAM: 1, SESSIONS_07: 1, SESSIONS_14: 1, MAX_DATA: 8388608, MAX_UNI: 100, MAX_BIDI: 100},
        is_strict=True,
        resets=frozenset({OLD_RESET_AT}),
        knows_resets=frozenset({OLD_RESET_AT}),
        needs_limits=True,
    ),
    Kind(
        name="webtransport-go, client",
        client={DATAGRAM: 1, ENABLED_16: 1},
        is_strict=True,
    ),
    Kind(
        name="webtransport-go, server",
        server={CONNECT: 1, DATAGRAM: 1, ENABLE_02: 1, ENABLED_16: 1, SESSIONS_14: _FOREVER},
    ),
    Kind(name="wtransport of Rust", client=_WT_RS, server=_WT_RS, resets=_NO_RESETS, maps_codes=False),
    Kind(
        name="pywebtransport 0.21",
        client=_BASE | {ENABLED_16: 1} | LIMITS,
        server=_BASE | {ENABLED_16: 1} | LIMITS,
        resets=_NO_RESETS,
        knows_resets=_NO_RESETS,
    ),
    Kind(name="aioquic", client=_AIOQUIC, server=_AIOQUIC, resets=_NO_RESETS, knows_resets=_NO_RESETS),
]
"""What products announce (as of 2026)."""

KINDS = [
    OURS,
    OURS_STRICT,
    *_PURE,
    *(replace(kind, name=f"{kind.name} strict", is_strict=True) for kind in _PURE),
    *LACKING,
    *PRODUCTS,
]

CLIENTS = [kind for kind in KINDS if kind.client is not None]
SERVERS = [kind for kind in KINDS if kind.server is not None]
