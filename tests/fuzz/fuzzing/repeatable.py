"""The same random bytes in every run, so that a finding can be found again and twins can be compared."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from unittest import mock

__all__ = ["no_randomness"]


@contextlib.contextmanager
def no_randomness() -> Iterator[None]:
    """Have `os.urandom` count: connection ids and challenges differ from each other, but not from run to run.

    What OpenSSL draws for keys stays random; nothing here depends on its value.
    """
    count = 0

    def urandom(size: int) -> bytes:
        nonlocal count
        count += 1
        return count.to_bytes(4).rjust(size, b"\x5a")[-size:] if size else b""

    with mock.patch("os.urandom", urandom):
        yield
