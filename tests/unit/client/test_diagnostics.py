"""Counters of a client and what is read from them."""

from __future__ import annotations

import dataclasses

import pytest

from wtransport.client import ClientDiagnostics, ClientStats
from wtransport.types import ConnectionState


def test_fresh_stats_have_no_times_and_no_failures() -> None:
    stats = ClientStats()
    assert stats.success_rate == 1.0
    assert stats.avg_connect_time == 0.0
    assert stats.min_connect_time == float("inf")
    assert stats.to_dict()["min_connect_time"] == 0.0


def test_connect_times_are_summed_up() -> None:
    stats = ClientStats(connections_attempted=4, connections_failed=2)
    stats.record_success(connect_time=1.0)
    stats.record_success(connect_time=3.0)
    values = stats.to_dict()
    assert (values["connections_successful"], values["connections_failed"]) == (2, 2)
    assert (values["min_connect_time"], values["avg_connect_time"], values["max_connect_time"]) == (1.0, 2.0, 3.0)
    assert values["success_rate"] == 0.5
    assert values["total_connect_time"] == 4.0
    assert values["uptime"] >= 0.0


def test_a_healthy_client_has_no_issues() -> None:
    stats = ClientStats(connections_attempted=20, connections_successful=20, total_connect_time=2.0)
    assert ClientDiagnostics(stats=stats, connection_states={ConnectionState.CONNECTED: 3}).issues == []


@pytest.mark.parametrize(
    ("stats", "states", "expected"),
    [
        (ClientStats(connections_attempted=11, connections_successful=5), {}, "success rate"),
        (ClientStats(connections_attempted=1, connections_successful=1, total_connect_time=6.0), {}, "Slow"),
        (ClientStats(), {ConnectionState.FAILED: 2}, "failed state: 2"),
    ],
)
def test_issues_name_what_is_wrong(stats: ClientStats, states: dict[ConnectionState, int], expected: str) -> None:
    (issue,) = ClientDiagnostics(stats=stats, connection_states=states).issues
    assert expected in issue


def test_a_few_attempts_are_not_judged() -> None:
    stats = ClientStats(connections_attempted=10, connections_failed=10)
    assert ClientDiagnostics(stats=stats, connection_states={}).issues == []


def test_a_snapshot_cannot_be_changed() -> None:
    snapshot = ClientDiagnostics(stats=ClientStats(), connection_states={})
    with pytest.raises(dataclasses.FrozenInstanceError):
        snapshot.stats = ClientStats()  # type: ignore[misc]
