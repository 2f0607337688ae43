"""draft-ietf-webtrans-http3-16, section 4.4."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wtransport._protocol.error_codes import from_wire, to_wire

FIRST = 0x52E4A40FA8DB
LAST = 0x52E5AC983162

VECTORS = {
    0: 0x52E4A40FA8DB,
    1: 0x52E4A40FA8DC,
    28: 0x52E4A40FA8F7,
    29: 0x52E4A40FA8F8,
    30: 0x52E4A40FA8FA,
    31: 0x52E4A40FA8FB,
    59: 0x52E4A40FA917,
    60: 0x52E4A40FA919,
    61: 0x52E4A40FA91A,
    89: 0x52E4A40FA936,
    90: 0x52E4A40FA938,
    254: 0x52E4A40FA9E1,
    255: 0x52E4A40FA9E2,
    256: 0x52E4A40FA9E3,
    899: 0x52E4A40FAC7B,
    900: 0x52E4A40FAC7D,
    65535: 0x52E4A410B162,
    65536: 0x52E4A410B163,
    0x7FFFFFFF: 0x52E52853ED1E,
    0x80000000: 0x52E52853ED1F,
    0xFFFFFFFE: 0x52E5AC983161,
    0xFFFFFFFF: 0x52E5AC983162,
}


@pytest.mark.parametrize(("application_code", "wire"), VECTORS.items())
def test_vectors(application_code: int, wire: int) -> None:
    assert to_wire(application_code) == wire
    assert from_wire(wire) == application_code


@given(st.integers(0, 0xFFFFFFFF))
def test_every_code_comes_back(application_code: int) -> None:
    wire = to_wire(application_code)
    assert FIRST <= wire <= LAST
    assert (wire - 0x21) % 31 != 0
    assert from_wire(wire) == application_code


@pytest.mark.parametrize("offset", [30, 61, 92, 123, 0x52E5AC983152 - FIRST])
def test_reserved_points_stand_for_nothing(offset: int) -> None:
    assert from_wire(FIRST + offset) is None


@pytest.mark.parametrize("wire", [0, 0x100, 0x10C, 0x170D7B68, FIRST - 1, LAST + 1, 2**62 - 1])
def test_codes_outside_the_range_stand_for_nothing(wire: int) -> None:
    assert from_wire(wire) is None


@pytest.mark.parametrize("application_code", [-1, 2**32, 2**64])
def test_a_code_out_of_range_is_refused_by_name(application_code: int) -> None:
    with pytest.raises(ValueError, match="application_code"):
        to_wire(application_code)


def test_a_code_that_is_no_int_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="application_code"):
        to_wire("7")  # type: ignore[arg-type]
