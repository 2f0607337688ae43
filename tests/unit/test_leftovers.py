"""The tests' own search for what an operation leaves behind."""

from __future__ import annotations

import asyncio

import leftovers
import pytest
from leftovers import Leftovers, on_tracking_loop


@on_tracking_loop
async def test_a_future_that_its_only_holder_drops_while_it_is_looked_for_is_not_left() -> None:
    before = Leftovers.now()
    held = [asyncio.get_running_loop().create_future()]
    asyncio.get_running_loop().call_later(0.05, held.clear)
    await before.check("futures", what="a holder that drops it")


@on_tracking_loop
async def test_a_future_that_somebody_holds_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "SETTLE_TIME", 0.05)
    before = Leftovers.now()
    held = asyncio.get_running_loop().create_future()
    with pytest.raises(AssertionError, match="left behind by a holder"):
        await before.check("futures", what="a holder")
    held.cancel()
