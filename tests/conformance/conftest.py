"""Ties tests to rules, runs them in the roles their rules bind, and reports the outcome rule by rule.

A test names its rule in a mark, ``@rule("8.2-first-frame")``, and is called after it. What it gets:

- `bench`, a maker of `Bench`: an engine with two sessions; `peer`, a maker of bare engines with a peer played by hand.
  Both come in every role of the rule, and twice: on a QUIC port in memory, and on a real QUIC connection, where codes
  are read off the wire: a few cases of each test, and those of draft 16 where a parameter `draft` says so. A test that
  looks at what only the port in memory shows has the mark ``in_memory``.
- `wire_bench`, a maker of benches on real QUIC connections, for tests that need QUIC's own frames.
- `role` alone, for tests that need no engine of that kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from conformance_bench import FLOW_CONTROL, Bench, MakeBench
from conformance_report import Ledger
from conformance_rules import RULES
from scripted_peer import MakePeer, ScriptedPeer
from wire_peer import WirePeer

from wtransport import _speedups

_CASES_ON_WIRE = 3
"""Of each test in each role; a case there takes three times as long as one in memory, and what differs between the
cases is above QUIC."""

_DRAFT_ON_WIRE = 16

_LEDGER = pytest.StashKey[Ledger]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of `make conformance`."""
    parser.addoption("--conformance-report", metavar="PATH", help="print the report and write it as Markdown to PATH")


def pytest_configure(config: pytest.Config) -> None:
    """Begin a ledger."""
    config.stash[_LEDGER] = Ledger()
    config.addinivalue_line("markers", "rule(rule_id): the test shows that this rule of rules.toml is kept")
    config.addinivalue_line(
        "markers", "in_role(role): one of several tests of a rule, for one of the roles that it binds"
    )
    config.addinivalue_line("markers", "in_memory: a test of a rule that is not repeated on a real QUIC connection")


def rules_of(item: pytest.Function | pytest.Metafunc) -> list[str]:
    """Return the ids of the rules that a test names, first the one it is called after."""
    marks = item.definition.iter_markers("rule") if isinstance(item, pytest.Metafunc) else item.iter_markers("rule")
    return [mark.args[0] for mark in marks]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test in each role of its rule, in memory and on the wire."""
    rule_ids = rules_of(metafunc)
    name = metafunc.definition.originalname
    for rule_id in rule_ids:
        if rule_id not in RULES:
            pytest.fail(f"{metafunc.definition.nodeid} names rule {rule_id!r}, which rules.toml does not have")
    if rule_ids:
        wanted = RULES[rule_ids[0]].test_name
        if name != wanted and not name.startswith(f"{wanted}_"):
            pytest.fail(f"{metafunc.definition.nodeid} must be called {wanted}, after its rule")
    if "role" in metafunc.fixturenames:
        only = metafunc.definition.get_closest_marker("in_role")
        metafunc.parametrize("role", RULES[rule_ids[0]].roles if only is None else only.args, scope="session")
    if "transport" in metafunc.fixturenames:
        in_memory = metafunc.definition.get_closest_marker("in_memory") is not None
        metafunc.parametrize("transport", [ScriptedPeer] if in_memory else [ScriptedPeer, WirePeer], ids=_transport)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Repeat on the wire a few cases of each test in each role, spread over all of them, and of one draft only."""
    repeated: dict[tuple[str, str], list[pytest.Item]] = {}
    for item in items:
        params = _params(item)
        if params.get("transport") is WirePeer:
            group = repeated.setdefault((item.nodeid.partition("[")[0], params["role"]), [])
            if params.get("draft", _DRAFT_ON_WIRE) == _DRAFT_ON_WIRE:
                group.append(item)
    kept: set[pytest.Item] = set()
    for group in repeated.values():
        kept.update(group[:: -(-len(group) // _CASES_ON_WIRE) or 1])
    items[:] = [item for item in items if _params(item).get("transport") is not WirePeer or item in kept]


def _params(item: pytest.Item) -> dict[str, Any]:
    return item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}


def _transport(kind: type) -> str:
    return "wire" if kind is WirePeer else "memory"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Enter the outcome of a case."""
    report = yield
    rule_ids = [mark.args[0] for mark in item.iter_markers("rule")]
    if rule_ids and (report.when == "call" or report.outcome != "passed"):
        role = _params(item).get("role")
        item.config.stash[_LEDGER].enter(rule_ids, role, item.name, passed=report.outcome == "passed")
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the report, and write the page."""
    path = config.getoption("--conformance-report", default=None)
    if path is None:
        return
    ledger = config.stash[_LEDGER]
    terminalreporter.section("conformance")
    for line in ledger.lines():
        terminalreporter.write_line(line)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(ledger.markdown(f"Kernels: {_speedups.BACKEND}."), encoding="utf-8")


@pytest.fixture
def peer(certificate: Iterable[str], role: str, transport: Callable[..., ScriptedPeer]) -> MakePeer:
    """Return a maker of engines in the role under test, each with a peer played by hand."""
    return lambda **options: transport(tuple(certificate), is_client=role == "client", **options)


@pytest.fixture
def wire_bench(certificate: Iterable[str], role: str) -> MakeBench:
    """Return a maker of benches on real QUIC connections, for tests that need the frames of QUIC."""
    return lambda settings=FLOW_CONTROL, **options: Bench(
        WirePeer(tuple(certificate), is_client=role == "client", settings=settings, **options)
    )


@pytest.fixture
def bench(peer: MakePeer) -> MakeBench:
    """Return a maker of benches: two sessions of an engine, by default under draft 16 with flow control."""
    return lambda settings=FLOW_CONTROL, **options: Bench(peer(settings=settings, **options))
