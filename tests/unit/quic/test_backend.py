"""Which code moves packets: the compiled data path where it is there, known to fit, and not switched off."""

from __future__ import annotations

import pytest

from wtransport._quic import backend


@pytest.mark.parametrize(
    ("kernels", "aioquic_version", "switch", "expected"),
    [
        ("cython", "1.7.0", "", True),
        ("cython", "1.7.12", "compiled", True),
        ("python", "1.7.0", "", False),
        ("cython", "1.8.0", "", False),
        ("cython", "1.70.0", "", False),
        ("cython", "1.7.0", "aioquic", False),
        ("cython", "1.7.0", " AIOQUIC", False),
    ],
)
def test_the_choice(kernels: str, aioquic_version: str, switch: str, expected: bool) -> None:
    found = backend.uses_compiled(kernels=kernels, aioquic_version=aioquic_version, switch=switch)
    assert found is expected
