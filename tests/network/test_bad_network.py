"""Much content both ways at once over a bad network, in virtual time: what arrives is what was sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest
from engine_pair import EnginePair
from network import BAD, Network
from transfer import Transfer

MakePair: TypeAlias = Callable[..., EnginePair]

MIB = 1 << 20


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_mebibytes_arrive_both_ways(make_pair: MakePair, seed: int) -> None:
    network = Network(seed=seed, **BAD)
    pair = make_pair(network=network)
    transfer = Transfer(pair, size=2 * MIB, seed=seed)
    transfer.begin(*pair.connect_in())
    transfer.run(seconds=120)
    for link in (network.to_server, network.to_client):
        assert link.lost > 0.04 * link.packets
        assert link.changed > 0


FAULTS = {
    "only loss": {"loss": 0.1},
    "only reordering": {"reordering": 0.2, "reordering_delay": 0.04},
    "only duplication": {"duplication": 0.5},
    "only corruption": {"corruption": 0.1},
    "only truncation": {"truncation": 0.1},
    "jitter of twice the round trip": {"jitter": 0.1},
    "everything": {"loss": 0.1, "reordering": 0.1, "duplication": 0.1, "corruption": 0.1, "truncation": 0.05},
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_alone_and_all_together_change_nothing(make_pair: MakePair, name: str) -> None:
    pair = make_pair(network=Network(seed=7, delay=0.025, **FAULTS[name]))
    transfer = Transfer(pair, size=256 * 1024, seed=7)
    transfer.begin(*pair.connect_in())
    transfer.run(seconds=200)
