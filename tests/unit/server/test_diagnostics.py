"""Counters of a server and what is read from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wtransport.server import ServerDiagnostics, ServerStats
from wtransport.types import ConnectionState
from wtransport.utils import get_timestamp


@pytest.fixture
def healthy(tmp_path: Path) -> dict[str, Any]:
    cert, key = tmp_path / "a.crt", tmp_path / "a.key"
    cert.touch()
    key.touch()
    return {
        "stats": ServerStats(start_time=get_timestamp(), connections_accepted=30),
        "connection_states": {ConnectionState.CONNECTED: 5},
        "session_states": {},
        "is_serving": True,
        "certfile_path": str(cert),
        "keyfile_path": str(key),
        "max_connections": 10,
    }


def test_stats_before_listening() -> None:
    stats = ServerStats()
    assert stats.success_rate == 1.0
    assert stats.total_connections_attempted == 0
    assert stats.to_dict()["uptime"] == 0.0


def test_stats_after_some_connections() -> None:
    stats = ServerStats(start_time=get_timestamp() - 10, connections_accepted=3, connections_rejected=1)
    values = stats.to_dict()
    assert values["total_connections_attempted"] == 4
    assert values["success_rate"] == 0.75
    assert values["uptime"] >= 10
    assert (values["connection_errors"], values["protocol_errors"]) == (0, 0)


def test_a_healthy_server_has_no_issues(healthy: dict[str, Any]) -> None:
    assert ServerDiagnostics(**healthy).issues == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"is_serving": False}, "not currently serving"),
        ({"stats": ServerStats(connections_accepted=10, connections_rejected=11)}, "success rate"),
        ({"connection_states": {ConnectionState.CONNECTED: 8, ConnectionState.CLOSING: 1}}, "usage: 9 of 10"),
        ({"certfile_path": ""}, "Certificate file is not configured"),
        ({"certfile_path": "/nowhere/x.crt"}, "Certificate file not found: /nowhere/x.crt"),
        ({"keyfile_path": "/nowhere/x.key"}, "Key file not found: /nowhere/x.key"),
    ],
)
def test_issues_name_what_is_wrong(healthy: dict[str, Any], change: dict[str, Any], expected: str) -> None:
    (issue,) = ServerDiagnostics(**(healthy | change)).issues
    assert expected in issue
