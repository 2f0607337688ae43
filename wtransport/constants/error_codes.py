"""The table of error codes: QUIC, HTTP/3, QPACK, WebTransport, and the package's own.

The QUIC and the HTTP/3 codes live in different spaces on the wire (CONNECTION_CLOSE of type 0x1c or 0x1d); here they
share one enum because their values do not meet.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = ["MAX_APPLICATION_ERROR_CODE", "ErrorCodes"]

MAX_APPLICATION_ERROR_CODE = 0xFFFF_FFFF
"""Largest code a program may give to a stream reset or a session close: both travel as 32 bits (draft, 4.4 and 6)."""


class ErrorCodes(IntEnum):
    """Codes that go on the wire or into an exception's ``error_code``."""

    # QUIC transport errors: RFC 9000, section 20.1.
    NO_ERROR = 0x0
    INTERNAL_ERROR = 0x1
    CONNECTION_REFUSED = 0x2
    FLOW_CONTROL_ERROR = 0x3
    STREAM_LIMIT_ERROR = 0x4
    STREAM_STATE_ERROR = 0x5
    FINAL_SIZE_ERROR = 0x6
    FRAME_ENCODING_ERROR = 0x7
    TRANSPORT_PARAMETER_ERROR = 0x8
    CONNECTION_ID_LIMIT_ERROR = 0x9
    PROTOCOL_VIOLATION = 0xA
    INVALID_TOKEN = 0xB
    APPLICATION_ERROR = 0xC
    CRYPTO_BUFFER_EXCEEDED = 0xD
    KEY_UPDATE_ERROR = 0xE
    AEAD_LIMIT_REACHED = 0xF
    NO_VIABLE_PATH = 0x10

    # HTTP/3: RFC 9114, section 8.1, and for datagrams RFC 9297, section 5.2.
    H3_DATAGRAM_ERROR = 0x33
    H3_NO_ERROR = 0x100
    H3_GENERAL_PROTOCOL_ERROR = 0x101
    H3_INTERNAL_ERROR = 0x102
    H3_STREAM_CREATION_ERROR = 0x103
    H3_CLOSED_CRITICAL_STREAM = 0x104
    H3_FRAME_UNEXPECTED = 0x105
    H3_FRAME_ERROR = 0x106
    H3_EXCESSIVE_LOAD = 0x107
    H3_ID_ERROR = 0x108
    H3_SETTINGS_ERROR = 0x109
    H3_MISSING_SETTINGS = 0x10A
    H3_REQUEST_REJECTED = 0x10B
    H3_REQUEST_CANCELLED = 0x10C
    H3_REQUEST_INCOMPLETE = 0x10D
    H3_MESSAGE_ERROR = 0x10E
    H3_CONNECT_ERROR = 0x10F
    H3_VERSION_FALLBACK = 0x110

    # QPACK: RFC 9204, section 6.
    QPACK_DECOMPRESSION_FAILED = 0x200
    QPACK_ENCODER_STREAM_ERROR = 0x201
    QPACK_DECODER_STREAM_ERROR = 0x202

    # The package's own: never on the wire, they classify exceptions (the 0.9 API fixes the values).
    APP_CONNECTION_TIMEOUT = 0x1000
    APP_AUTHENTICATION_FAILED = 0x1001
    APP_PERMISSION_DENIED = 0x1002
    APP_RESOURCE_EXHAUSTED = 0x1003
    APP_INVALID_REQUEST = 0x1004
    APP_SERVICE_UNAVAILABLE = 0x1005

    # WebTransport, on the HTTP/3 error space: draft, section 9.5.
    WT_FLOW_CONTROL_ERROR = 0x045D4487
    WT_ALPN_ERROR = 0x0817B3DD
    WT_SESSION_GONE = 0x170D7B68
    WT_REQUIREMENTS_NOT_MET = 0x212C0D48
    WT_BUFFERED_STREAM_REJECTED = 0x3994BD84
    # First and last wire value of the range that carries mapped application codes: draft, section 4.4.
    WT_APPLICATION_ERROR_FIRST = 0x52E4A40FA8DB
    WT_APPLICATION_ERROR_LAST = 0x52E5AC983162
