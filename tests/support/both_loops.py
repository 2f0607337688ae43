"""Runs a test on asyncio's own event loop and on uvloop."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

__all__ = ["on_both_loops"]

_NAMES = ("asyncio", "uvloop")


def on_both_loops(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Turn a coroutine function into two tests, one for each loop; uvloop's is left out where it is not installed."""

    def run(*args: Any, loop_name: str, **kwargs: Any) -> None:
        factory = asyncio.SelectorEventLoop
        if loop_name == "uvloop":
            factory = pytest.importorskip("uvloop").new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(_awaited(test(*args, **kwargs)))

    functools.update_wrapper(run, test)
    del run.__wrapped__  # type: ignore[attr-defined]
    signature = inspect.signature(test)
    parameter = inspect.Parameter("loop_name", inspect.Parameter.KEYWORD_ONLY)
    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), parameter]
    )
    return pytest.mark.parametrize("loop_name", _NAMES)(run)


async def _awaited(test: Awaitable[None]) -> None:
    await test
