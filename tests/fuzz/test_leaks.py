"""What inputs leave in memory once they are run: nothing that grows."""

from __future__ import annotations

import gc
import sys

import pytest
from fuzzing import corpora
from fuzzing.worlds import load

from wtransport import BACKEND

MAX_ROUNDS = 15


@pytest.mark.skipif(not sys.getallocatedblocks(), reason="this allocator counts no blocks")
@pytest.mark.parametrize("name", ["frames", "capsules", "queues", "control", "engine"])
def test_running_inputs_again_takes_no_memory(name: str) -> None:
    target = load(name, BACKEND)
    inputs = corpora.seeds_of(name, target)
    blocks: list[int] = []
    # The interpreter's free lists fill up at first, less and less; what inputs leave would be there every time.
    for _ in range(MAX_ROUNDS):
        for data in inputs:
            target.fuzz(data)
        gc.collect()
        blocks.append(sys.getallocatedblocks())
        if len(blocks) > 1 and blocks[-1] - blocks[-2] < len(inputs) / 4:
            return
    pytest.fail(f"blocks after each round of {len(inputs)} inputs: {blocks}")
