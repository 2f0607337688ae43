"""Which clock a connection goes by."""

import asyncio
import time

import pytest

from wtransport._adapter.timer import clock_of


async def test_asyncio_loops_are_their_own_clock():
    loop = asyncio.get_running_loop()
    assert clock_of(loop) == loop.time


def test_other_loops_are_too_coarse():
    uvloop = pytest.importorskip("uvloop")
    loop = uvloop.new_event_loop()
    try:
        assert clock_of(loop) is time.monotonic
        assert abs(loop.time() - time.monotonic()) < 5
    finally:
        loop.close()
