"""The commands of perf/ that make tables and figures work, with the least that they can be asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from programs import ROOT

from perf.growth.fit import exponent

TIME_OUT = 100.0


def run(module: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIME_OUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_growth() -> None:
    shown = run("perf.growth", "--quick", "--only", "idle")
    assert shown.count("exponent") == 2


def test_cost_of_an_operation() -> None:
    shown = run("perf.cost", "--quick", "--no-instructions", "--only", "one by one")
    assert "datagram, one by one" in shown


@pytest.mark.skipif(sys.platform != "linux", reason="a server's processor time and memory are read from /proc")
def test_our_own_server_among_the_peers() -> None:
    shown = run("perf.peers", "--quick", "--contestants", "ours", "--only", "connection")
    assert "failed" not in shown
    assert "KiB of memory: ours" in shown


def test_figures_and_tables_are_made_of_results(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    entry = {
        "of": "streams",
        "cost": "µs",
        "claim": "It is flat.",
        "bar": 0.15,
        "exponent": 0.01,
        "points": [[1, 2.0], [9, 2.1]],
    }
    operation = {"unit": "packet", "instructions": 50_000.0, "allocations": None, "seconds": 1e-5, "blocks": 0.0}
    figures = {"ours": {"median": 1.0, "values": [1.0]}, "other": {"median": 2.0, "values": [2.0], "ratio": 2.0}}
    figures["broken"] = {"median": None, "failure": "Error"}
    results: dict[str, Any] = {
        "growth": {"streams at once": entry},
        "cost": {"counted by": "perf stat", "operations": {"packet of an upload": operation}},
        "peers": {
            "versions": {"ours": "1", "other": "2", "broken": "3"},
            "rounds": 3,
            "scenarios": {"request, µs": {"figures": figures}},
        },
    }
    taken = {"date": "2026-01-01", "wtransport": "1", "python": "CPython", "machine": "one"}
    for name, result in results.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"taken": taken, "results": result}))
    made = [tmp_path / "first", tmp_path / "second"]
    for output in made:
        run("perf.plots", "--records", str(tmp_path), "--output", str(output))
    first, second = ({each.name: each.read_bytes() for each in output.iterdir()} for output in made)
    assert first == second
    assert set(first) == {"growth.md", "cost.md", "peers.md", "growth-streams-at-once.svg", "peers.svg"}
    assert b"| 50,000 |" in first["cost.md"]
    assert b"| 1 | 2 (2.00x) | failed |" in first["peers.md"]
    assert b"Exponent +0.01" in first["growth.md"]


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_an_exponent_is_that_of_the_power(power: float) -> None:
    assert exponent([(amount, 3 * amount**power) for amount in (1, 10, 70, 1000)]) == pytest.approx(power)
