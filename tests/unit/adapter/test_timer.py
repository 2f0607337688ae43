"""Which clock a connection goes by."""

import asyncio
import time

import pytest

from wtransport._adapter.timer import clock_of


async def test_loops_of_asyncio_go_by_the_system():
    loop = asyncio.get_running_loop()
    assert clock_of(loop) is time.monotonic
    assert abs(loop.time() - time.monotonic()) < 5


def test_a_loop_with_a_time_of_its_own_is_its_own_clock():
    class Virtual(asyncio.SelectorEventLoop):
        def time(self) -> float:
            return 1000.0

    loop = Virtual()
    try:
        assert clock_of(loop)() == 1000.0
    finally:
        loop.close()


def test_other_loops_are_too_coarse():
    uvloop = pytest.importorskip("uvloop")
    loop = uvloop.new_event_loop()
    try:
        assert clock_of(loop) is time.monotonic
        assert abs(loop.time() - time.monotonic()) < 5
    finally:
        loop.close()
