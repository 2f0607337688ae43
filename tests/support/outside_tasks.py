"""Calling things where no task runs, as the loop calls them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

__all__ = ["outside"]


async def outside(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function from the loop itself; return what it returns, or raise what it raises."""
    future = asyncio.get_running_loop().create_future()

    def call() -> None:
        try:
            future.set_result(function(*args))
        except Exception as error:
            future.set_exception(error)

    asyncio.get_running_loop().call_soon(call)
    return await future
