"""Bytes on the wire and what they mean, from the documents: for kernel tests and conformance tests alike."""

from __future__ import annotations

__all__ = [
    "BAD_CAPSULES",
    "BAD_CONTROL_STREAMS",
    "BAD_DATAGRAM_IDS",
    "BATONS",
    "CAPSULES",
    "CAPSULES_IN_FRAMES",
    "CLIENT_CONTROL_STREAMS",
    "CONNECT_REQUESTS",
    "DATAGRAMS",
    "LONG_PREAMBLES",
    "NON_MINIMAL_VARINTS",
    "RESPONSES",
    "SERVER_CONTROL_STREAMS",
    "STREAM_PREAMBLES",
    "TRUNCATED_VARINTS",
    "VARINTS",
]

# RFC 9000, section 16 and appendix A.1, and the edges of every length.
VARINTS: list[tuple[int, bytes]] = [
    (0, bytes.fromhex("00")),
    (1, bytes.fromhex("01")),
    (37, bytes.fromhex("25")),
    (63, bytes.fromhex("3f")),
    (64, bytes.fromhex("4040")),
    (0x41, bytes.fromhex("4041")),
    (0x54, bytes.fromhex("4054")),
    (15293, bytes.fromhex("7bbd")),
    (16383, bytes.fromhex("7fff")),
    (16384, bytes.fromhex("80004000")),
    (494878333, bytes.fromhex("9d7f3e7d")),
    (2**30 - 1, bytes.fromhex("bfffffff")),
    (2**30, bytes.fromhex("c000000040000000")),
    (151288809941952652, bytes.fromhex("c2197c5eff14e88c")),
    (2**60 - 1, bytes.fromhex("cfffffffffffffff")),
    (2**60, bytes.fromhex("d000000000000000")),
    (2**62 - 1, bytes.fromhex("ffffffffffffffff")),
]

# Longer than needed, and valid (RFC 9000, section 16, asks for the shortest nowhere that concerns us).
NON_MINIMAL_VARINTS: list[tuple[int, bytes]] = [
    (0, bytes.fromhex("4000")),
    (0, bytes.fromhex("80000000")),
    (0, bytes.fromhex("c000000000000000")),
    (37, bytes.fromhex("4025")),
    (37, bytes.fromhex("80000025")),
    (37, bytes.fromhex("c000000000000025")),
    (0x41, bytes.fromhex("80000041")),
    (0x41, bytes.fromhex("c000000000000041")),
    (0x54, bytes.fromhex("80000054")),
    (0x54, bytes.fromhex("c000000000000054")),
]

TRUNCATED_VARINTS: list[bytes] = [b"", b"\x40", b"\x80\x00\x00", b"\xc0" + bytes(6)]

# Session id, opening of a unidirectional stream (0x54), opening of a bidirectional one (0x41).
STREAM_PREAMBLES: list[tuple[int, bytes, bytes]] = [
    (0, bytes.fromhex("405400"), bytes.fromhex("404100")),
    (4, bytes.fromhex("405404"), bytes.fromhex("404104")),
    (60, bytes.fromhex("40543c"), bytes.fromhex("40413c")),
    (64, bytes.fromhex("40544040"), bytes.fromhex("40414040")),
    (252, bytes.fromhex("405440fc"), bytes.fromhex("404140fc")),
    (16380, bytes.fromhex("40547ffc"), bytes.fromhex("40417ffc")),
    (16384, bytes.fromhex("405480004000"), bytes.fromhex("404180004000")),
    (2**30 - 4, bytes.fromhex("4054bffffffc"), bytes.fromhex("4041bffffffc")),
    (2**30, bytes.fromhex("4054c000000040000000"), bytes.fromhex("4041c000000040000000")),
    (2**62 - 4, bytes.fromhex("4054fffffffffffffffc"), bytes.fromhex("4041fffffffffffffffc")),
]

# The same for session ids 0 (unidirectional) and 4 (bidirectional), with longer varints than needed.
LONG_PREAMBLES: list[tuple[int, bytes]] = [
    (0, bytes.fromhex("80000054 4000")),
    (4, bytes.fromhex("c000000000000041 c000000000000004")),
]

# Capsule type, value, bytes (RFC 9297, section 3.2; draft-ietf-webtrans-http3-16, section 5).
CAPSULES: list[tuple[int, bytes, bytes]] = [
    (0x2843, bytes(4), bytes.fromhex("68430400000000")),
    (0x2843, b"\x00\x00\x00\x2abye", bytes.fromhex("6843070000002a627965")),
    (0x2843, b"\xff\xff\xff\xff" + "é".encode(), bytes.fromhex("684306ffffffffc3a9")),
    (0x2843, b"\x00\x00\x00\x01" + b"x" * 1024, bytes.fromhex("6843440400000001") + b"x" * 1024),
    (0x78AE, b"", bytes.fromhex("800078ae00")),
    (0x190B4D3D, bytes.fromhex("00"), bytes.fromhex("990b4d3d0100")),
    (0x190B4D3D, bytes.fromhex("800f4240"), bytes.fromhex("990b4d3d04800f4240")),
    (0x190B4D3D, b"\xff" * 8, bytes.fromhex("990b4d3d08") + b"\xff" * 8),
    (0x190B4D3F, bytes.fromhex("4064"), bytes.fromhex("990b4d3f024064")),
    (0x190B4D40, bytes.fromhex("4064"), bytes.fromhex("990b4d40024064")),
    (0x190B4D41, bytes.fromhex("800f4240"), bytes.fromhex("990b4d4104800f4240")),
    (0x190B4D43, b"\x10", bytes.fromhex("990b4d430110")),
    (0x190B4D44, b"\x10", bytes.fromhex("990b4d440110")),
    (0x00, b"hello", bytes.fromhex("000568656c6c6f")),
    (0x17, b"abc", bytes.fromhex("1703616263")),
]

# Malformed capsules (RFC 9297, section 3.3; draft-16, section 6).
BAD_CAPSULES: dict[str, bytes] = {
    "CLOSE with 1025 bytes of text": bytes.fromhex("6843440500000001") + b"x" * 1025,
    "CLOSE with 3 bytes": bytes.fromhex("684303000000"),
    "CLOSE that is not UTF-8": bytes.fromhex("68430500000000ff"),
    "DRAIN with a payload": bytes.fromhex("800078ae0100"),
    "MAX_DATA with a trailing byte": bytes.fromhex("990b4d3d020500"),
    "MAX_DATA without a value": bytes.fromhex("990b4d3d00"),
}

# DATA frames on a CONNECT stream: DRAIN in longer varints than needed, CLOSE, DRAIN, and both over two frames.
CAPSULES_IN_FRAMES: dict[str, bytes] = {
    "DRAIN, long": bytes.fromhex("0010 c0000000000078ae c000000000000000"),
    "CLOSE 42 bye": bytes.fromhex("000a 68430700 00002a627965"),
    "DRAIN": bytes.fromhex("0005 800078ae00"),
    "DRAIN and CLOSE 0": bytes.fromhex("0007 800078ae006843 0005 0400000000"),
}

# Session id, payload, bytes of the QUIC DATAGRAM frame's payload (RFC 9297, section 2.1).
DATAGRAMS: list[tuple[int, bytes, bytes]] = [
    (0, b"", bytes.fromhex("00")),
    (0, b"hi", bytes.fromhex("006869")),
    (4, b"hi", bytes.fromhex("016869")),
    (252, b"\x00", bytes.fromhex("3f00")),
    (256, b"\x00", bytes.fromhex("404000")),
    (65532, b"x", bytes.fromhex("7fff78")),
    (65536, b"x", bytes.fromhex("8000400078")),
    (2**32, b"x", bytes.fromhex("c00000004000000078")),
    (2**62 - 4, b"", bytes.fromhex("cfffffffffffffff")),
]

# Quarter stream ids above 2**60 - 1: H3_DATAGRAM_ERROR.
BAD_DATAGRAM_IDS: list[bytes] = [bytes.fromhex("d000000000000000"), b"\xff" * 8 + b"payload"]

# Control streams from their type on, and the draft in force with a peer that speaks all of them.
SERVER_CONTROL_STREAMS: dict[str, tuple[bytes, int]] = {
    "profile A": (
        bytes.fromhex("000420 010007000801 3301 80ffd27701 ab60374201 c0000000c671706a01 ac7cf00001"),
        16,
    ),
    "profile B": (
        bytes.fromhex("000433 010007000801 3301 80ffd27701 ab60374201 c0000000c671706a01 94e9cd2901 ac7cf00001")
        + bytes.fromhex("6b6180800000 6b644064 6b654064"),
        16,
    ),
}
CLIENT_CONTROL_STREAMS: dict[str, tuple[bytes, int]] = {
    "draft 16": (bytes.fromhex("00040b 01000700 3301 ac7cf00001"), 16),
    "all drafts": (
        bytes.fromhex("000425 010007000801 3301 80ffd27701 ab60374201 c0000000c671706a01 94e9cd2901 ac7cf00001"),
        16,
    ),
    "Chromium": (bytes.fromhex("000419 0180010000 0680004000 074064 3301 80ffd27701 ab60374201"), 2),
    "Firefox": (bytes.fromhex("000415 0180010000 0714 ab60374201 80ffd27701 3301 0801"), 2),
}
BAD_CONTROL_STREAMS: dict[str, bytes] = {
    "a setting twice": bytes.fromhex("000404 0801 0801"),
    "a setting of HTTP/2": bytes.fromhex("000402 0200"),
    "a boolean of 2": bytes.fromhex("000402 3302"),
}

# HEADERS frames, from the static table and without Huffman coding: the token and the origin, or the status.
CONNECT_REQUESTS: list[tuple[str, str | None, bytes]] = [
    (
        "webtransport-h3",
        "https://example.com",
        bytes.fromhex("014047 0000 cf d7 500b6578616d706c652e636f6d 51032f7774")
        + bytes.fromhex("27023a70726f746f636f6c 0f7765627472616e73706f72742d6833")
        + bytes.fromhex("5f4b 1368747470733a2f2f6578616d706c652e636f6d"),
    ),
    (
        "webtransport",
        None,
        bytes.fromhex("012e 0000 cf d7 500b6578616d706c652e636f6d 51032f7774")
        + bytes.fromhex("27023a70726f746f636f6c 0c7765627472616e73706f7274"),
    ),
]
RESPONSES: list[tuple[int, bytes]] = [
    (200, bytes.fromhex("0103 0000 d9")),
    (400, bytes.fromhex("0104 0000 ff04")),
    (403, bytes.fromhex("0104 0000 ff05")),
    (404, bytes.fromhex("0103 0000 db")),
    (405, bytes.fromhex("0108 0000 5f09 03343035")),
    (429, bytes.fromhex("0108 0000 5f09 03343239")),
]

# Devious Baton: baton, message (draft-frindell-webtrans-devious-baton-00).
BATONS: list[tuple[int, bytes]] = [
    (1, bytes.fromhex("0001")),
    (255, bytes.fromhex("00ff")),
    (20, bytes.fromhex("0300000014")),
    (7, bytes.fromhex("4040") + bytes(64) + b"\x07"),
]
