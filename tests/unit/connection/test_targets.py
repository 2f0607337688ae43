"""Choosing among targets, without connections."""

from __future__ import annotations

import pytest

from wtransport.connection._targets import Target, TargetTable, checked_weight


def table(count: int = 3) -> TargetTable:
    return TargetTable([(f"host{number}", 1) for number in range(count)])


def hosts(chosen: list[Target | None]) -> list[str | None]:
    return [None if target is None else target.host for target in chosen]


def test_targets_take_turns_from_the_first() -> None:
    targets = table()
    chosen = [targets.choose("round_robin", but_not=()) for _ in range(5)]
    assert hosts(chosen) == ["host0", "host1", "host2", "host0", "host1"]


def test_turns_pass_over_who_is_out_and_go_on_behind() -> None:
    targets = table(4)
    first, second, _, fourth = targets
    second.has_failed = True
    assert targets.choose("round_robin", but_not=()) is first
    assert hosts([targets.choose("round_robin", but_not={first})]) == ["host2"]
    assert targets.choose("round_robin", but_not=()) is fourth
    second.has_failed = False
    assert targets.choose("round_robin", but_not=()) is first
    assert targets.choose("round_robin", but_not=()) is second


@pytest.mark.parametrize("strategy", ["round_robin", "weighted", "least_latency"])
def test_without_candidates_there_is_no_choice(strategy: str) -> None:
    targets = table(2)
    one, two = targets
    one.has_failed = True
    assert targets.choose(strategy, but_not={two}) is None


def test_weights_are_shares() -> None:
    targets = table()
    for target, weight in zip(targets, (0.0, 1.0, 9.0), strict=True):
        target.weight = weight
    chosen = hosts([targets.choose("weighted", but_not=()) for _ in range(500)])
    assert chosen.count("host0") == 0
    assert 0 < chosen.count("host1") < chosen.count("host2")


def test_when_only_weightless_targets_are_left_they_are_used() -> None:
    targets = table(2)
    one, two = targets
    one.weight = two.weight = 0.0
    assert {target.host for _ in range(100) if (target := targets.choose("weighted", but_not=()))} == {"host0", "host1"}


def test_the_unknown_come_before_the_quickest() -> None:
    targets = table()
    one, two, three = targets
    one.latency, three.latency = 0.2, 0.1
    assert targets.choose("least_latency", but_not=()) is two
    two.latency = 0.15
    assert targets.choose("least_latency", but_not=()) is three
    assert targets.choose("least_latency", but_not={three}) is two


def test_addresses_are_found_however_they_are_written() -> None:
    targets = TargetTable([("::1", 1), ("[::2]", 1), ("::1", 2)])
    assert [target.key for target in targets] == ["::1:1", "::2:1", "::1:2"]
    assert targets.get("[::1]", 1) is next(iter(targets))
    assert targets.get("::2", 1) is not None
    assert targets.get("::2", 2) is None


def test_a_strategy_has_to_exist() -> None:
    with pytest.raises(ValueError, match="strategy must be one of round_robin, weighted, least_latency, not 'random'"):
        table().check_strategy("random")


@pytest.mark.parametrize(("given", "counted"), [(2, 2.0), (0.5, 0.5), (0.0, 0.0), (-3.0, 0.0)])
def test_weights_below_zero_count_as_zero(given: float, counted: float) -> None:
    assert checked_weight(given) == counted


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_a_weight_is_a_number(weight: float) -> None:
    with pytest.raises(ValueError, match="weight"):
        checked_weight(weight)
