"""What arrives on streams, in pieces: whole frames, headers of streams, and what breaks the rules."""

from __future__ import annotations

from scripted_peer import (
    CLOSE,
    DATA,
    DRAFT16,
    GOAWAY,
    HEADERS,
    MAX_DATA,
    MAX_STREAMS_BIDI,
    MAX_STREAMS_UNI,
    SETTINGS,
    stream_header,
)

from wtransport._protocol.settings import encode_settings
from wtransport._speedups import encode_capsule, encode_frame, encode_varint

__all__ = ["DRAFT14", "PIECES", "data_frame"]

DRAFT14 = {0x08: 1, 0x33: 1, 0x14E9CD29: 4, 0x2B61: 300, 0x2B64: 3, 0x2B65: 3}


def data_frame(payload: bytes) -> bytes:
    """Return a DATA frame."""
    return encode_frame(DATA, payload)


PIECES: list[bytes] = [
    stream_header(0, unidirectional=True),
    stream_header(0, unidirectional=False),
    stream_header(4, unidirectional=True),
    stream_header(4, unidirectional=False),
    stream_header(1 << 40, unidirectional=True),
    stream_header(3, unidirectional=False),
    bytes.fromhex("80000054c000000000000000"),
    b"\x40",
    b"\x00",  # control stream
    b"\x01",  # push stream, HEADERS
    b"\x02",  # QPACK encoder stream
    b"\x03",  # QPACK decoder stream
    b"\x02\x3f\xe1\x1f",  # sets a capacity over our limit
    b"\x03\x80",  # acknowledges nothing
    b"\x21\x03abc",  # reserved type
    b"\x00\x04\x00",
    encode_frame(SETTINGS, encode_settings(DRAFT16)),
    encode_frame(SETTINGS, encode_settings(DRAFT14)),
    encode_frame(GOAWAY, b"\x00"),
    encode_frame(GOAWAY, b"\x04"),
    b"\x0d\x01\x05",
    b"\x03\x01\x00",
    b"\x0f\x00\x00",
    b"\x80\x0f\x07\x00\x02\x00u",  # PRIORITY_UPDATE
    encode_frame(HEADERS, b"\x00\x00"),
    encode_frame(HEADERS, b"\x00\x00\xd9"),  # 200
    encode_frame(HEADERS, bytes.fromhex("0000ff04")),  # 400
    encode_frame(HEADERS, bytes.fromhex("00005f0903343035")),  # 405
    encode_frame(HEADERS, bytes.fromhex("0000ff10")),  # no index of the static table
    encode_frame(HEADERS, b"\x80\x00"),  # refers to the dynamic table
    encode_frame(
        HEADERS,
        bytes.fromhex(
            "0000cfd7500b6578616d706c652e636f6d51032f777427023a70726f746f636f6c0f7765627472616e73706f72742d6833"
        ),
    ),
    encode_frame(
        HEADERS,
        bytes.fromhex("0000cfd7500b6578616d706c652e636f6d51032f777427023a70726f746f636f6c0c7765627472616e73706f7274"),
    ),
    data_frame(b""),
    data_frame(encode_capsule(CLOSE, bytes(4))),
    data_frame(encode_capsule(CLOSE, b"\x00\x00\x00\x05bye")),
    data_frame(encode_capsule(CLOSE, b"\x00\x00\x00\x05\xff")),
    data_frame(encode_capsule(CLOSE, bytes(3))),
    data_frame(encode_capsule(0x78AE, b"")),
    data_frame(encode_capsule(0x78AE, b"x")),
    data_frame(encode_capsule(MAX_DATA, encode_varint(0))),
    data_frame(encode_capsule(MAX_DATA, encode_varint(2**62 - 1))),
    data_frame(encode_capsule(MAX_STREAMS_BIDI, encode_varint(5))),
    data_frame(encode_capsule(MAX_STREAMS_UNI, encode_varint(2**60 + 1))),
    data_frame(encode_capsule(0x190B4D3E, b"\x00")),
    data_frame(encode_capsule(0x190B4D41, b"\x00")),
    data_frame(encode_capsule(0x190B4D43, b"\x10") + encode_capsule(0x190B4D44, b"\x10")),
    data_frame(encode_capsule(0x00, b"hello")),
    data_frame(b"\x68\x43\x44"),
    data_frame(b"\x17\x03abc"),
    b"\x00\x7f\xff" + bytes(40),
    b"\x01\x80\x10\x00\x00" + bytes(20),
    b"\x05\x00",
    b"\x41\x00",
    b"\xff" * 16,
]
