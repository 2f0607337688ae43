"""What a test does without something that not every machine has: skip, or fail where it must be there."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

__all__ = ["skip_without"]

YES = {"1", "true", "yes", "on"}


def skip_without(reason: str, *, unless: str) -> NoReturn:
    """Skip the test because of `reason`; with the environment variable `unless` switched on, fail it."""
    if os.environ.get(unless, "").lower() in YES:
        pytest.fail(f"{reason} ({unless} is set)", pytrace=False)
    pytest.skip(reason)
