"""Bytes on the wire and what they mean, from the documents: for kernel tests and conformance tests alike."""

from __future__ import annotations

__all__ = [
    "BAD_DATAGRAM_IDS",
    "CAPSULES",
    "DATAGRAMS",
    "NON_MINIMAL_VARINTS",
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
