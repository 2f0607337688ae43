"""The fuzzing itself: what is wrong is found, kept, told of, and found again."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fuzzing import campaign, corpora, worker
from fuzzing.byte_source import ByteSource
from fuzzing.campaign import Campaign
from fuzzing.execution import DisagreementError, Execution, SlowInputError
from fuzzing.mutations import MAX_INPUT, Pool
from fuzzing.outcomes import every_way, outcome
from fuzzing.worlds import FUZZ, load, target_names


def target(fuzz: Any, backend: str = "python") -> Any:
    return SimpleNamespace(fuzz=fuzz, BACKEND=backend)


def test_a_difference_between_the_twins_is_found() -> None:
    execution = Execution([target(lambda data: [1, len(data)]), target(lambda data: [1, min(len(data), 3)], "cython")])
    assert execution(b"abc") == [1, 3]
    with pytest.raises(DisagreementError, match="item 1: python 4, cython 3"):
        execution(b"abcd")


def test_an_undocumented_exception_gets_through() -> None:
    documented = (ValueError,)
    assert outcome(int, "x", documented=documented)[:2] == ("raised", "ValueError")
    assert outcome(int, "5", documented=documented) == ("returned", "int", 5)
    with pytest.raises(TypeError):
        outcome(int, None, documented=documented)


def test_an_input_that_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(data: bytes) -> list[Any]:
        while True:
            with contextlib.suppress(Exception):  # what hides exceptions must not hide this
                pass

    monkeypatch.setattr("fuzzing.execution.MAX_CPU_SECONDS", 0.05)
    with pytest.raises(SlowInputError):
        Execution([target(busy)])(b"")


def test_changes_are_the_same_for_the_same_seed() -> None:
    pools = [Pool([b"first", b"second" * 20], seed=7) for _ in range(2)]
    inputs = [[pool.mutated() for _ in range(200)] for pool in pools]
    assert inputs[0] == inputs[1]
    assert len(set(inputs[0])) > 100
    assert all(len(data) <= MAX_INPUT for data in inputs[0])
    assert Pool([b"first"], seed=8).mutated() != Pool([b"first"], seed=7).mutated()


def test_what_shows_something_new_joins_the_pool() -> None:
    pool = Pool([b"seed"], seed=1)
    assert pool.take(b"a", [("opened", 4), ("closed", 4)])
    assert not pool.take(b"b", [("opened", 5), ("closed", 7)])
    assert pool.take(b"c", [("closed", 4), ("opened", 4)])
    assert len(pool) == 3


def test_a_source_that_is_used_up_gives_the_first_choice() -> None:
    source = ByteSource(b"\x05")
    assert source.pick("abc") == "c"
    assert (source.byte(), source.flag(), source.pick("abc"), source.number(), source.blob()) == (0, False, "a", 0, b"")
    assert not source.has_more


def test_every_way_gives_the_same_bytes() -> None:
    for data in (b"", b"x", b"abcdef"):
        ways = list(every_way(data, [2, 200]))
        assert all(b"".join(way) == data and way for way in ways)


def test_both_twins_can_be_there_at_once() -> None:
    from wtransport import BACKEND

    modules = [load("frames", twin) for twin in ("python", BACKEND)]
    assert [module.BACKEND for module in modules] == ["python", BACKEND]
    assert sys.modules["wtransport"].BACKEND == BACKEND


def test_saved_inputs_can_be_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora, "FUZZ", tmp_path)
    (tmp_path / "corpus").mkdir()
    corpora.write_saved("some", [b"long input", b"", b"\x00"])
    assert corpora.saved("some") == [b"", b"\x00", b"long input"]
    assert corpora.saved("other") == []


@pytest.mark.parametrize("name", target_names())
def test_saved_inputs_are_few(name: str) -> None:
    assert sum(map(len, corpora.saved(name))) < 16_384


WORKERS = {
    "finding": "print('noise'); print('FINDING {finding}', file=sys.stderr); sys.exit(70)",
    "crash": "open('{directory}/current', 'wb').write((3).to_bytes(4) + b'badrest'); os.abort()",
    "nothing": "open('{directory}/summary', 'w').write('{{\"runs\": 9, \"cpu_seconds\": 1.5}}')",
}


@pytest.mark.parametrize("kind", WORKERS)
def test_what_a_worker_leaves(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    finding = tmp_path / "finding-1"
    program = "import os, sys; " + WORKERS[kind].format(finding=finding, directory=tmp_path)
    monkeypatch.setattr(corpora, "work_directory", lambda name: tmp_path)
    monkeypatch.setattr(Campaign, "_command", lambda self, name: [sys.executable, "-c", program])
    (result,) = Campaign(twins=("python",), cpu_seconds=1, seed=1, is_guided=False).run(["frames"], jobs=1)
    output, errors = capfd.readouterr()
    if kind == "nothing":
        assert result == campaign.Result("frames", 9, 1.5, None)
        assert "frames: 9 inputs on python" in output
        return
    assert result.finding is not None
    assert f"replay frames {result.finding}" in errors
    assert "FOUND" in output
    if kind == "crash":
        assert result.finding.read_bytes() == b"bad"
    else:
        assert result.finding == finding


def test_a_worker_ends_with_its_budget_and_a_finding_is_run_again(tmp_path: Path) -> None:
    """The real command line, on the pure side, which every machine has."""
    arguments = [sys.executable, str(FUZZ)]
    command = [*arguments, "run", "queues", "--twin", "python", "--unguided", "--minutes", "0.003", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "no finding" in done.stdout
    assert worker.current_input(corpora.work_directory("queues"))
    path = tmp_path / "input"
    path.write_bytes(next(iter(load("queues", "python").seeds())))
    replayed = subprocess.run(
        [*arguments, "replay", "queues", "--twin", "python", str(path)], capture_output=True, text=True, check=False
    )
    assert replayed.returncode == 0, replayed.stderr
    assert str(path) in replayed.stdout
