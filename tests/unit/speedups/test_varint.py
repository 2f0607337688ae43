"""QUIC varints: vectors, every kind of buffer, and the errors for what is none."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from wire_vectors import NON_MINIMAL_VARINTS, TRUNCATED_VARINTS, VARINTS

OUT_OF_RANGE = [-1, 2**62, 2**63, 2**64, 2**64 + 1, -(2**64)]
NO_INTEGERS: list[Any] = [None, 1.0, "1", b"1", []]
NO_BUFFERS: list[Any] = [None, "text", 7, [1, 2], ()]


@pytest.mark.parametrize(("value", "encoded"), VARINTS)
def test_encodes_in_the_fewest_bytes(kernels: ModuleType, value: int, encoded: bytes) -> None:
    assert kernels.encode_varint(value) == encoded
    assert kernels.varint_size(value) == len(encoded)


@pytest.mark.parametrize(("value", "encoded"), VARINTS + NON_MINIMAL_VARINTS)
def test_decodes_every_length(kernels: ModuleType, value: int, encoded: bytes) -> None:
    assert kernels.decode_varint(encoded) == (value, len(encoded))
    assert kernels.decode_varint(b"\xff\xff" + encoded + b"\xff", 2) == (value, 2 + len(encoded))


@pytest.mark.parametrize("encoded", TRUNCATED_VARINTS)
def test_needs_more_bytes(kernels: ModuleType, encoded: bytes) -> None:
    assert kernels.decode_varint(encoded) is None
    assert kernels.decode_varint(b"\x00" + encoded, 1) is None


@pytest.mark.parametrize(("_value", "encoded"), VARINTS)
def test_every_cut_needs_more_bytes(kernels: ModuleType, _value: int, encoded: bytes) -> None:
    for length in range(len(encoded)):
        assert kernels.decode_varint(encoded[:length]) is None


def test_decodes_from_every_kind_of_buffer(kernels: ModuleType) -> None:
    data = b"\x01" + bytes.fromhex("c2197c5eff14e88c") + b"\x02"
    for form in (data, bytearray(data), memoryview(data), memoryview(bytearray(data))):
        assert kernels.decode_varint(form, 1) == (151288809941952652, 9)
        assert kernels.decode_varint(form, offset=9) == (2, 10)
        assert kernels.decode_varint(form, 10) is None


@pytest.mark.parametrize("value", OUT_OF_RANGE)
def test_refuses_values_out_of_range(kernels: ModuleType, value: int) -> None:
    buffer = bytearray(16)
    for call in (kernels.varint_size, kernels.encode_varint, lambda v: kernels.encode_varint_into(buffer, 0, v)):
        with pytest.raises(ValueError, match="value"):
            call(value)
    assert buffer == bytes(16)


@pytest.mark.parametrize("value", NO_INTEGERS)
def test_refuses_what_is_no_integer(kernels: ModuleType, value: Any) -> None:
    for call in (
        kernels.varint_size,
        kernels.encode_varint,
        lambda v: kernels.encode_varint_into(bytearray(16), 0, v),
        lambda v: kernels.encode_varint_into(bytearray(16), v, 0),
        lambda v: kernels.decode_varint(b"\x00", v),
    ):
        with pytest.raises(TypeError, match="must be int"):
            call(value)


@pytest.mark.parametrize("data", NO_BUFFERS)
def test_refuses_what_is_no_buffer(kernels: ModuleType, data: Any) -> None:
    with pytest.raises(TypeError, match="data must be bytes"):
        kernels.decode_varint(data)
    with pytest.raises(TypeError, match="data must be bytes"):
        kernels.encode_varint_into(data, 0, 1)


def test_refuses_views_that_are_not_plain_bytes(kernels: ModuleType) -> None:
    for view in (memoryview(bytes(8))[::2], memoryview(bytes(8)).cast("I"), memoryview(bytes(8)).cast("B", (2, 4))):
        with pytest.raises(ValueError, match="contiguous"):
            kernels.decode_varint(view)


@pytest.mark.parametrize("offset", [-1, 3, 2**62, 2**64, -(2**64)])
def test_refuses_offsets_out_of_range(kernels: ModuleType, offset: int) -> None:
    for form in (bytes(2), bytearray(2), memoryview(bytes(2))):
        with pytest.raises(ValueError, match="offset"):
            kernels.decode_varint(form, offset)


@pytest.mark.parametrize(("value", "encoded"), VARINTS)
def test_writes_into_a_buffer_and_nowhere_else(kernels: ModuleType, value: int, encoded: bytes) -> None:
    expected = b"\xaa" * 3 + encoded + b"\xaa" * 5
    for wrap in (bytearray, lambda data: memoryview(bytearray(data))):
        buffer = wrap(b"\xaa" * len(expected))
        assert kernels.encode_varint_into(buffer, 3, value) == 3 + len(encoded)
        assert bytes(buffer) == expected
        exact = wrap(bytes(len(encoded)))
        assert kernels.encode_varint_into(exact, 0, value) == len(encoded)
        assert bytes(exact) == encoded


@pytest.mark.parametrize(("offset", "value"), [(3, 64), (4, 0), (-1, 0), (0, 2**30), (2**62, 0), (2**64, 0), (5, 0)])
def test_leaves_a_buffer_alone_that_has_no_room(kernels: ModuleType, offset: int, value: int) -> None:
    buffer = bytearray(b"\xaa" * 4)
    with pytest.raises(ValueError, match="no room"):
        kernels.encode_varint_into(buffer, offset, value)
    assert buffer == b"\xaa" * 4


@pytest.mark.parametrize("buffer", [bytes(8), memoryview(bytes(8)), memoryview(bytearray(8)).toreadonly()])
def test_refuses_to_write_where_nobody_may(kernels: ModuleType, buffer: Any) -> None:
    with pytest.raises(TypeError, match="writable"):
        kernels.encode_varint_into(buffer, 0, 1)
    assert bytes(buffer) == bytes(8)


def test_writes_into_a_bytearray_that_somebody_else_looks_at(kernels: ModuleType) -> None:
    buffer = bytearray(4)
    view = memoryview(buffer)
    assert kernels.encode_varint_into(buffer, 0, 16384) == 4
    assert bytes(view) == bytes.fromhex("80004000")
