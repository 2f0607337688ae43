"""Protocol numbers that the engine needs and `wtransport.constants` (the names of the 0.9 API) does not have.

Section numbers are those of draft-ietf-webtrans-http3-16 unless a line says otherwise.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "CAPSULE_DATAGRAM",
    "FIELD_DRAFT02_REQUEST",
    "FIELD_DRAFT02_RESPONSE",
    "FIELD_WT_AVAILABLE_PROTOCOLS",
    "FIELD_WT_PROTOCOL",
    "FORBIDDEN_HTTP2_FRAMES",
    "FORBIDDEN_HTTP2_SETTINGS",
    "FRAME_PRIORITY_UPDATE_PUSH",
    "FRAME_PRIORITY_UPDATE_REQUEST",
    "MAX_CONTROL_SETTINGS_BYTES",
    "MAX_FIELD_SECTION_SIZE",
    "MAX_VARINT",
    "SETTINGS_ENABLE_WEBTRANSPORT_DRAFT02",
    "SETTINGS_H3_DATAGRAM_DRAFT04",
    "SETTINGS_MAX_FIELD_SECTION_SIZE",
    "SETTINGS_WEBTRANSPORT_MAX_SESSIONS_DRAFT07",
    "SETTINGS_WT_ENABLED",
    "SETTINGS_WT_MAX_SESSIONS_DRAFT13",
    "TOKEN_WEBTRANSPORT",
    "TOKEN_WEBTRANSPORT_H3",
    "WT_ALPN_ERROR",
    "WT_REQUIREMENTS_NOT_MET",
]

# Largest number a QUIC varint holds (RFC 9000, section 16).
MAX_VARINT: Final = 2**62 - 1

# SETTINGS ids (RFC 9114, section 7.2.4.1; the drafts named).
SETTINGS_MAX_FIELD_SECTION_SIZE: Final = 0x06
# HTTP datagrams before RFC 9297 (draft-ietf-masque-h3-datagram-04); Chromium and Firefox still send it.
SETTINGS_H3_DATAGRAM_DRAFT04: Final = 0xFFD277
# One enabling id for each generation of drafts: a peer speaks those whose id it sent (section 7.1).
SETTINGS_ENABLE_WEBTRANSPORT_DRAFT02: Final = 0x2B603742
SETTINGS_WEBTRANSPORT_MAX_SESSIONS_DRAFT07: Final = 0xC671706A
SETTINGS_WT_MAX_SESSIONS_DRAFT13: Final = 0x14E9CD29
SETTINGS_WT_ENABLED: Final = 0x2C7CF000
# HTTP/2 settings that HTTP/3 reserves: receiving one is H3_SETTINGS_ERROR (RFC 9114, section 7.2.4.1).
FORBIDDEN_HTTP2_SETTINGS: Final = frozenset({0x00, 0x02, 0x03, 0x04, 0x05})

# PRIORITY_UPDATE for a request and for a push stream (RFC 9218, section 7.2).
FRAME_PRIORITY_UPDATE_REQUEST: Final = 0xF0700
FRAME_PRIORITY_UPDATE_PUSH: Final = 0xF0701
# HTTP/2 frame types that HTTP/3 reserves: PRIORITY, PING, WINDOW_UPDATE, CONTINUATION (RFC 9114, section 7.2.8).
FORBIDDEN_HTTP2_FRAMES: Final = frozenset({0x02, 0x06, 0x08, 0x09})

# DATAGRAM capsule (RFC 9297, section 3.5).
CAPSULE_DATAGRAM: Final = 0x00

# Tokens of the :protocol pseudo-header: drafts 15 and later, and drafts 02 to 14 (section 3.2).
TOKEN_WEBTRANSPORT_H3: Final = "webtransport-h3"
TOKEN_WEBTRANSPORT: Final = "webtransport"

# Subprotocol negotiation (section 3.3).
FIELD_WT_AVAILABLE_PROTOCOLS: Final = "wt-available-protocols"
FIELD_WT_PROTOCOL: Final = "wt-protocol"
# Version fields of draft-02, section 6; browsers still send the first one.
FIELD_DRAFT02_REQUEST: Final = "sec-webtransport-http3-draft02"
FIELD_DRAFT02_RESPONSE: Final = "sec-webtransport-http3-draft"

# WebTransport error codes that came after the 0.9 API (section 9.5).
WT_ALPN_ERROR: Final = 0x0817B3DD
WT_REQUIREMENTS_NOT_MET: Final = 0x212C0D48

# Bytes of one field section, counted as name + value + 32 for each line (RFC 9114, section 4.2.2). Four times what
# Chromium accepts: no header that a browser can send or take is refused.
MAX_FIELD_SECTION_SIZE: Final = 65536

# Bytes of a SETTINGS payload. A peer that sends every setting there is needs less than 200; the rest is for GREASE.
MAX_CONTROL_SETTINGS_BYTES: Final = 8192
