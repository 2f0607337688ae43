"""Protocol numbers: what goes on the wire, and the limits that the protocol itself sets.

Sources are named per group. "Draft" without a number is draft-ietf-webtrans-http3-16.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "ALPN_H3",
    "BIDIRECTIONAL_STREAM",
    "BROWSER_CERTIFICATE_MAX_DAYS",
    "CLOSE_WEBTRANSPORT_SESSION_TYPE",
    "DATAGRAM_CAPSULE_TYPE",
    "DRAIN_WEBTRANSPORT_SESSION_TYPE",
    "H3_FRAME_TYPES_RESERVED_HTTP2",
    "H3_FRAME_TYPE_CANCEL_PUSH",
    "H3_FRAME_TYPE_DATA",
    "H3_FRAME_TYPE_GOAWAY",
    "H3_FRAME_TYPE_HEADERS",
    "H3_FRAME_TYPE_MAX_PUSH_ID",
    "H3_FRAME_TYPE_PRIORITY_UPDATE_PUSH",
    "H3_FRAME_TYPE_PRIORITY_UPDATE_REQUEST",
    "H3_FRAME_TYPE_PUSH_PROMISE",
    "H3_FRAME_TYPE_SETTINGS",
    "H3_FRAME_TYPE_WEBTRANSPORT_STREAM",
    "H3_STREAM_TYPE_CONTROL",
    "H3_STREAM_TYPE_PUSH",
    "H3_STREAM_TYPE_QPACK_DECODER",
    "H3_STREAM_TYPE_QPACK_ENCODER",
    "H3_STREAM_TYPE_WEBTRANSPORT",
    "MAX_CLOSE_CAPSULE_BYTES",
    "MAX_CLOSE_REASON_BYTES",
    "MAX_DATAGRAM_SIZE",
    "MAX_GOAWAY_STREAM_ID",
    "MAX_PROTOCOL_STREAMS_LIMIT",
    "MAX_QUARTER_STREAM_ID",
    "MAX_STREAM_ID",
    "MAX_SUBPROTOCOL_BYTES",
    "MAX_VARINT",
    "SETTINGS_ENABLE_CONNECT_PROTOCOL",
    "SETTINGS_ENABLE_WEBTRANSPORT_DRAFT02",
    "SETTINGS_H3_DATAGRAM",
    "SETTINGS_H3_DATAGRAM_DRAFT04",
    "SETTINGS_MAX_FIELD_SECTION_SIZE",
    "SETTINGS_QPACK_BLOCKED_STREAMS",
    "SETTINGS_QPACK_MAX_TABLE_CAPACITY",
    "SETTINGS_RESERVED_HTTP2",
    "SETTINGS_WT_ENABLED",
    "SETTINGS_WT_INITIAL_MAX_DATA",
    "SETTINGS_WT_INITIAL_MAX_STREAMS_BIDI",
    "SETTINGS_WT_INITIAL_MAX_STREAMS_UNI",
    "SETTINGS_WT_MAX_SESSIONS_DRAFT07",
    "SETTINGS_WT_MAX_SESSIONS_DRAFT14",
    "TRANSPORT_PARAMETER_RESET_STREAM_AT",
    "TRANSPORT_PARAMETER_RESET_STREAM_AT_LEGACY",
    "UNIDIRECTIONAL_STREAM",
    "USER_AGENT_HEADER",
    "WEBTRANSPORT_SCHEME",
    "WT_AVAILABLE_PROTOCOLS_HEADER",
    "WT_CONNECT_PROTOCOL",
    "WT_CONNECT_PROTOCOL_H3",
    "WT_DATA_BLOCKED_TYPE",
    "WT_DRAFT",
    "WT_DRAFT02_REQUEST_HEADER",
    "WT_DRAFT02_REQUEST_VALUE",
    "WT_DRAFT02_RESPONSE_HEADER",
    "WT_DRAFT02_RESPONSE_VALUE",
    "WT_MAX_DATA_TYPE",
    "WT_MAX_STREAMS_BIDI_TYPE",
    "WT_MAX_STREAMS_UNI_TYPE",
    "WT_MAX_STREAM_DATA_TYPE",
    "WT_PROFILES",
    "WT_PROFILE_02",
    "WT_PROFILE_07",
    "WT_PROFILE_14",
    "WT_PROFILE_16",
    "WT_PROTOCOL_HEADER",
    "WT_STREAMS_BLOCKED_BIDI_TYPE",
    "WT_STREAMS_BLOCKED_UNI_TYPE",
    "WT_STREAM_DATA_BLOCKED_TYPE",
]

# Drafts. A profile is the family of drafts that one SETTINGS id enables; its number is the newest draft that
# changed what the profile's code must do (07 stands for 07-12, 14 for 13-14, 16 for 15-16).
WT_DRAFT: Final = 16  # the draft that section numbers in this package refer to
WT_PROFILE_02: Final = 2
WT_PROFILE_07: Final = 7
WT_PROFILE_14: Final = 14
WT_PROFILE_16: Final = 16
WT_PROFILES: Final = (WT_PROFILE_16, WT_PROFILE_14, WT_PROFILE_07, WT_PROFILE_02)  # the highest both enable is in force

# QUIC: RFC 9000. Low bit pair of a stream id, with the initiator's bit (0x1) clear: section 2.1.
BIDIRECTIONAL_STREAM: Final = 0x0
UNIDIRECTIONAL_STREAM: Final = 0x2
MAX_VARINT: Final = 2**62 - 1  # largest variable-length integer: section 16
MAX_STREAM_ID: Final = 2**62 - 1  # stream ids are varints: section 2.1
MAX_PROTOCOL_STREAMS_LIMIT: Final = 2**60  # largest stream count in MAX_STREAMS and its capsules: section 4.6
MAX_DATAGRAM_SIZE: Final = 65535  # bytes; largest max_datagram_frame_size in common use: RFC 9221, section 3
TRANSPORT_PARAMETER_RESET_STREAM_AT: Final = 0x1D  # draft-ietf-quic-reliable-stream-reset, from -08 on
TRANSPORT_PARAMETER_RESET_STREAM_AT_LEGACY: Final = 0x17F7586D2CB571  # its -05 to -07; Safari knows only this one

# ALPN protocol id: RFC 9114, section 3.1.
ALPN_H3: Final = "h3"

# Frame types of HTTP/3: RFC 9114, section 7.2; PRIORITY_UPDATE: RFC 9218, section 7.2.
H3_FRAME_TYPE_DATA: Final = 0x00
H3_FRAME_TYPE_HEADERS: Final = 0x01
H3_FRAME_TYPE_CANCEL_PUSH: Final = 0x03
H3_FRAME_TYPE_SETTINGS: Final = 0x04
H3_FRAME_TYPE_PUSH_PROMISE: Final = 0x05
H3_FRAME_TYPE_GOAWAY: Final = 0x07
H3_FRAME_TYPE_MAX_PUSH_ID: Final = 0x0D
H3_FRAME_TYPE_WEBTRANSPORT_STREAM: Final = 0x41  # first bytes of a bidirectional WebTransport stream: draft, 4.3
H3_FRAME_TYPE_PRIORITY_UPDATE_REQUEST: Final = 0xF0700
H3_FRAME_TYPE_PRIORITY_UPDATE_PUSH: Final = 0xF0701
# HTTP/2's PRIORITY, PING, WINDOW_UPDATE and CONTINUATION: an error on any stream, RFC 9114, section 7.2.8.
H3_FRAME_TYPES_RESERVED_HTTP2: Final = frozenset({0x02, 0x06, 0x08, 0x09})
MAX_GOAWAY_STREAM_ID: Final = 2**62 - 4  # largest client bidirectional id: the graceful first GOAWAY, RFC 9114, 5.2

# Types of unidirectional streams: RFC 9114, section 6.2; RFC 9204, section 4.2; draft, section 4.2.
H3_STREAM_TYPE_CONTROL: Final = 0x00
H3_STREAM_TYPE_PUSH: Final = 0x01
H3_STREAM_TYPE_QPACK_ENCODER: Final = 0x02
H3_STREAM_TYPE_QPACK_DECODER: Final = 0x03
H3_STREAM_TYPE_WEBTRANSPORT: Final = 0x54

# SETTINGS of HTTP/3 itself: RFC 9114, 7.2.4.1; RFC 9204, 5; RFC 9220, 3; RFC 9297, 2.1.1.
SETTINGS_QPACK_MAX_TABLE_CAPACITY: Final = 0x01
SETTINGS_MAX_FIELD_SECTION_SIZE: Final = 0x06
SETTINGS_QPACK_BLOCKED_STREAMS: Final = 0x07
SETTINGS_ENABLE_CONNECT_PROTOCOL: Final = 0x08
SETTINGS_H3_DATAGRAM: Final = 0x33
SETTINGS_H3_DATAGRAM_DRAFT04: Final = 0xFFD277  # the id of draft-ietf-masque-h3-datagram-04; browsers still send it
SETTINGS_RESERVED_HTTP2: Final = frozenset({0x00, 0x02, 0x03, 0x04, 0x05})  # receiving one is H3_SETTINGS_ERROR

# SETTINGS that enable WebTransport; every draft family owns one, an endpoint sends all it supports: draft, 7.1.
SETTINGS_ENABLE_WEBTRANSPORT_DRAFT02: Final = 0x2B603742  # 0 or 1
SETTINGS_WT_MAX_SESSIONS_DRAFT07: Final = 0xC671706A  # a count; 07 to 12
SETTINGS_WT_MAX_SESSIONS_DRAFT14: Final = 0x14E9CD29  # a count; 13 and 14
SETTINGS_WT_ENABLED: Final = 0x2C7CF000  # 0 or 1 (15 allowed any value above 0)

# SETTINGS of session flow control: draft, section 5.5. Bytes, and counts of streams.
SETTINGS_WT_INITIAL_MAX_DATA: Final = 0x2B61
SETTINGS_WT_INITIAL_MAX_STREAMS_UNI: Final = 0x2B64
SETTINGS_WT_INITIAL_MAX_STREAMS_BIDI: Final = 0x2B65

# Capsule types: RFC 9297, 3.5; draft, 5.6 and 6.
DATAGRAM_CAPSULE_TYPE: Final = 0x00
CLOSE_WEBTRANSPORT_SESSION_TYPE: Final = 0x2843
DRAIN_WEBTRANSPORT_SESSION_TYPE: Final = 0x78AE
WT_MAX_DATA_TYPE: Final = 0x190B4D3D
WT_MAX_STREAM_DATA_TYPE: Final = 0x190B4D3E  # HTTP/2 binding only; a session error here: draft, 5.4
WT_MAX_STREAMS_BIDI_TYPE: Final = 0x190B4D3F
WT_MAX_STREAMS_UNI_TYPE: Final = 0x190B4D40
WT_DATA_BLOCKED_TYPE: Final = 0x190B4D41
WT_STREAM_DATA_BLOCKED_TYPE: Final = 0x190B4D42  # HTTP/2 binding only, likewise
WT_STREAMS_BLOCKED_BIDI_TYPE: Final = 0x190B4D43
WT_STREAMS_BLOCKED_UNI_TYPE: Final = 0x190B4D44
MAX_CLOSE_REASON_BYTES: Final = 1024  # UTF-8 bytes of a close capsule's text: draft, section 6
MAX_CLOSE_CAPSULE_BYTES: Final = 4 + MAX_CLOSE_REASON_BYTES  # the whole value: a 32-bit code, then the text

# Datagrams: RFC 9297, section 2.1.
MAX_QUARTER_STREAM_ID: Final = 2**60 - 1  # the session id divided by 4; above it H3_DATAGRAM_ERROR

# The CONNECT request and its response: draft, section 3.2 and 3.3.
WEBTRANSPORT_SCHEME: Final = "https"
USER_AGENT_HEADER: Final = "user-agent"
WT_CONNECT_PROTOCOL: Final = "webtransport"  # value of :protocol, drafts 02 to 14 and every browser
WT_CONNECT_PROTOCOL_H3: Final = "webtransport-h3"  # drafts 15 and 16
WT_AVAILABLE_PROTOCOLS_HEADER: Final = "wt-available-protocols"
WT_PROTOCOL_HEADER: Final = "wt-protocol"
MAX_SUBPROTOCOL_BYTES: Final = 512  # length of one subprotocol name: W3C WebTransport, constructor
# Version headers of draft 02, section 6; the response one is echoed whenever a request has the other.
WT_DRAFT02_REQUEST_HEADER: Final = "sec-webtransport-http3-draft02"
WT_DRAFT02_REQUEST_VALUE: Final = "1"
WT_DRAFT02_RESPONSE_HEADER: Final = "sec-webtransport-http3-draft"
WT_DRAFT02_RESPONSE_VALUE: Final = "draft02"

# Certificates that a browser accepts by hash: W3C WebTransport, custom certificate requirements. Days.
BROWSER_CERTIFICATE_MAX_DAYS: Final = 14
