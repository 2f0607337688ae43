"""Capsules, whole, byte by byte and cut at every place."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from wire_vectors import CAPSULES

CLOSE = 0x2843
DRAIN = 0x78AE

LIMITS = {CLOSE: 1028, DRAIN: 0, 0x190B4D3D: 8}


@pytest.mark.parametrize(("capsule_type", "value", "encoded"), CAPSULES)
def test_vectors(kernels: ModuleType, capsule_type: int, value: bytes, encoded: bytes) -> None:
    assert kernels.encode_capsule(capsule_type, value) == encoded
    assert kernels.CapsuleParser({capsule_type: 1028}).feed(encoded) == [(capsule_type, value)]


def test_delivers_the_listed_types_and_skips_the_rest(kernels: ModuleType) -> None:
    stream = b"".join(encoded for _type, _value, encoded in CAPSULES)
    expected = [(capsule_type, value) for capsule_type, value, _encoded in CAPSULES if capsule_type in LIMITS]
    parser = kernels.CapsuleParser(LIMITS)
    assert parser.feed(stream) == expected
    assert parser.at_boundary
    for first in range(len(stream) + 1):
        parser = kernels.CapsuleParser(LIMITS)
        assert parser.feed(stream[:first]) + parser.feed(stream[first:]) == expected
    parser = kernels.CapsuleParser(LIMITS)
    assert [result for index in range(len(stream)) for result in parser.feed(stream[index : index + 1])] == expected


def test_reads_headers_longer_than_needed(kernels: ModuleType) -> None:
    assert kernels.CapsuleParser(LIMITS).feed(bytes.fromhex("c0000000000078aec000000000000000")) == [(DRAIN, b"")]


def test_over_its_limit_fails_at_its_header(kernels: ModuleType) -> None:
    parser = kernels.CapsuleParser(LIMITS)
    with pytest.raises(ValueError, match="capsule of type 0x2843 has 1029 bytes, the limit is 1028"):
        parser.feed(bytes.fromhex("68434405"))
    assert parser.failed
    parser = kernels.CapsuleParser(LIMITS)
    with pytest.raises(ValueError, match="the limit is 0"):
        parser.feed(bytes.fromhex("800078ae01"))


def test_what_came_before_an_error_comes_first(kernels: ModuleType) -> None:
    parser = kernels.CapsuleParser(LIMITS)
    assert parser.feed(bytes.fromhex("800078ae00800078ae0100")) == [(DRAIN, b"")]
    assert parser.failed
    assert not parser.at_boundary
    with pytest.raises(ValueError, match="the limit is 0"):
        parser.feed(b"")


def test_a_long_unknown_capsule_is_not_kept(kernels: ModuleType) -> None:
    parser = kernels.CapsuleParser(LIMITS)
    header = b"\x00" + kernels.encode_varint(2**40)
    assert parser.feed(header) == []
    for _ in range(100):
        assert parser.feed(bytes(10_000)) == []
    assert not parser.at_boundary


@pytest.mark.parametrize("value", [None, "text", 7])
def test_refuses_what_is_no_buffer(kernels: ModuleType, value: Any) -> None:
    with pytest.raises(TypeError, match="data must be bytes"):
        kernels.encode_capsule(CLOSE, value)
    with pytest.raises(TypeError, match="data must be bytes"):
        kernels.CapsuleParser(LIMITS).feed(value)


@pytest.mark.parametrize(("capsule_type", "error"), [(-1, ValueError), (2**62, ValueError), (None, TypeError)])
def test_refuses_types_that_do_not_exist(kernels: ModuleType, capsule_type: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="capsule_type"):
        kernels.encode_capsule(capsule_type, b"")
    with pytest.raises(error, match="max_sizes key"):
        kernels.CapsuleParser({capsule_type: 1})
