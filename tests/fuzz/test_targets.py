"""Every target, for a moment: its saved inputs, and changes of them that are the same in every run."""

from __future__ import annotations

from types import ModuleType

import pytest
from fuzzing import corpora
from fuzzing.execution import Execution
from fuzzing.mutations import Pool
from fuzzing.worlds import load, target_names

from wtransport import BACKEND


@pytest.fixture(scope="module", params=target_names())
def targets(request: pytest.FixtureRequest) -> tuple[str, list[ModuleType]]:
    """Return a target on the twin that this run is for, and on the pure one beside the compiled one."""
    twins = ["python", "cython"] if BACKEND == "cython" else ["python"]
    return request.param, [load(request.param, twin) for twin in twins]


def test_saved_inputs(targets: tuple[str, list[ModuleType]]) -> None:
    name, modules = targets
    execution = Execution(modules)
    seeds = list(modules[0].seeds())
    step = 1 + len(seeds) // modules[0].SHORT_RUNS  # all of them where inputs are quick
    for data in [*corpora.saved(name), *seeds[::step]]:
        execution(data)


def test_changed_inputs(targets: tuple[str, list[ModuleType]]) -> None:
    name, modules = targets
    execution = Execution(modules)
    pool = Pool(corpora.seeds_of(name, modules[0]), seed=1)
    for _ in range(modules[0].SHORT_RUNS):
        data = pool.mutated()
        try:
            trace = execution(data)
        except BaseException as error:
            error.add_note(f"input: {data.hex()}")
            raise
        pool.take(data, trace)


def test_every_target_says_what_it_holds_to(targets: tuple[str, list[ModuleType]]) -> None:
    documentation = targets[1][0].__doc__ or ""
    assert "Documented: " in documentation
    assert documentation.partition("Documented: ")[2].count(".") >= 2  # the exceptions, then the invariants
