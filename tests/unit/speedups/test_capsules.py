"""Capsules, whole, byte by byte and cut at every place."""

from __future__ import annotations

import tracemalloc
from types import ModuleType
from typing import Any

import pytest
from wire_vectors import CAPSULES

DATAGRAM = 0x00
CLOSE = 0x2843
DRAIN = 0x78AE

LIMITS = {CLOSE: 1028, DRAIN: 0, 0x190B4D3D: 8}


@pytest.mark.parametrize(("capsule_type", "value", "encoded"), CAPSULES)
def test_vectors(kernels: ModuleType, capsule_type: int, value: bytes, encoded: bytes) -> None:
    assert kernels.encode_capsule(capsule_type, value) == encoded
    assert kernels.CapsuleParser({capsule_type: 1028}).feed(encoded) == [(capsule_type, value)]


def test_delivers_the_listed_types_and_names_the_rest(kernels: ModuleType) -> None:
    stream = b"".join(encoded for _type, _value, encoded in CAPSULES)
    expected = [(capsule_type, value if capsule_type in LIMITS else None) for capsule_type, value, _encoded in CAPSULES]
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


def test_a_skipped_capsule_is_named_once_at_its_header(kernels: ModuleType) -> None:
    parser = kernels.CapsuleParser(LIMITS)
    assert parser.feed(b"\x17") == []
    assert parser.feed(b"\x03") == [(0x17, None)]
    assert not parser.at_boundary
    assert parser.feed(b"ab") == []
    assert parser.feed(b"c") == []
    assert parser.at_boundary
    assert parser.feed(b"\x17\x00\x21\x01x") == [(0x17, None), (0x21, None)]
    assert parser.at_boundary


def test_a_droppable_capsule_over_its_limit_is_skipped(kernels: ModuleType) -> None:
    stream = b"".join(kernels.encode_capsule(DATAGRAM, value) for value in (b"12345", b"123456", b"", bytes(70), b"7"))
    expected = [(DATAGRAM, b"12345"), (DATAGRAM, None), (DATAGRAM, b""), (DATAGRAM, None), (DATAGRAM, b"7")]
    for first in range(len(stream) + 1):
        parser = kernels.CapsuleParser({DATAGRAM: 5, DRAIN: 0}, droppable={DATAGRAM})
        assert parser.feed(stream[:first]) + parser.feed(stream[first:]) == expected
        assert parser.at_boundary
        assert not parser.failed


def test_a_limit_still_fails_beside_a_droppable_type(kernels: ModuleType) -> None:
    parser = kernels.CapsuleParser({DATAGRAM: 5, DRAIN: 0}, [DATAGRAM])
    assert parser.feed(kernels.encode_capsule(DATAGRAM, bytes(6)) + bytes.fromhex("800078ae01")) == [(DATAGRAM, None)]
    with pytest.raises(ValueError, match="capsule of type 0x78ae has 1 bytes, the limit is 0"):
        parser.feed(b"")


@pytest.mark.parametrize("droppable", [(), (DATAGRAM,)], ids=["unknown", "droppable"])
def test_a_long_skipped_capsule_is_not_kept(kernels: ModuleType, droppable: tuple[int, ...]) -> None:
    parser = kernels.CapsuleParser(dict.fromkeys(droppable, 100), droppable)
    assert parser.feed(b"\x00" + kernels.encode_varint(2**40)) == [(DATAGRAM, None)]
    piece = bytes(10_000)
    tracemalloc.start()
    try:
        for _ in range(100):
            assert parser.feed(piece) == []
        _kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20_000  # a copy of one piece at most, never what came before
    assert not parser.at_boundary


@pytest.mark.parametrize(
    ("droppable", "error"),
    [((1,), ValueError), ((-1,), ValueError), (("0",), TypeError), ("0", TypeError), (None, TypeError), (0, TypeError)],
)
def test_refuses_droppable_types_that_have_no_limit(
    kernels: ModuleType, droppable: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match="droppable"):
        kernels.CapsuleParser({DATAGRAM: 5}, droppable)


def test_later_changes_of_the_arguments_change_nothing(kernels: ModuleType) -> None:
    limits, droppable = {DATAGRAM: 5}, {DATAGRAM}
    parser = kernels.CapsuleParser(limits, droppable)
    limits[DATAGRAM] = 100
    droppable.clear()
    assert parser.feed(kernels.encode_capsule(DATAGRAM, bytes(6))) == [(DATAGRAM, None)]


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
