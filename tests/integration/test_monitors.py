"""Monitors over real clients, servers, connections and sessions."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from balanced import RestartableServer, unused_port
from handle_pair import session_pair
from leftovers import no_tasks_left
from loopback import HOST, client_config, server_config, url_of

from wtransport.client import WebTransportClient
from wtransport.exceptions import ConnectionError
from wtransport.monitor import ClientMonitor, ConnectionMonitor, ServerMonitor, SessionMonitor
from wtransport.server import WebTransportServer
from wtransport.types import ConnectionState, SessionState

WAIT = 30.0
OFTEN = 0.01
"""Seconds between two looks."""


async def looks(monitor: Any, count: int) -> None:
    """Wait until the monitor has looked so many times more."""
    async with asyncio.timeout(WAIT):
        monitor.clear_history()
        while len(monitor.get_metrics_history()) < count:
            await asyncio.sleep(OFTEN / 2)


async def test_a_client_is_watched(certificate: Any) -> None:
    async with (
        RestartableServer(certificate) as server,
        WebTransportClient(config=client_config(certificate)) as client,
        no_tasks_left(),
    ):
        monitor = ClientMonitor(client, monitoring_interval=OFTEN)
        assert monitor.get_metrics_summary() == {"latest_metrics": {}, "recent_alerts": [], "is_monitoring": False}
        async with monitor:
            assert monitor.is_monitoring
            await client.connect(url=f"https://{HOST}:{server.address[1]}/")
            await looks(monitor, 2)
            summary = monitor.get_metrics_summary()
            assert summary["is_monitoring"]
            latest = summary["latest_metrics"]
            assert latest["connection_states"] == {ConnectionState.CONNECTED: 1}
            assert latest["stats"]["connections_successful"] == 1
            assert latest["stats"]["success_rate"] == 1.0
            times = [entry["timestamp"] for entry in monitor.get_metrics_history()]
            assert times == sorted(times)
        assert not monitor.is_monitoring
        assert monitor.get_metrics_summary()["latest_metrics"]  # what was collected stays


async def test_an_alert_comes_once_for_as_long_as_it_lasts(certificate: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with WebTransportClient(config=client_config(certificate)) as client:
        for _ in range(11):
            with pytest.raises(ConnectionError):
                await client.connect(url=f"https://{HOST}:{unused_port()}/")
        async with ClientMonitor(client, monitoring_interval=OFTEN) as monitor:
            async with asyncio.timeout(WAIT):
                while len(monitor.get_metrics_history()) < 4:
                    await asyncio.sleep(OFTEN)
            (alert,) = monitor.get_alerts()
            assert (alert["type"], alert["message"]) == (
                "low_success_rate",
                "Low connection success rate: 0.00%",
            )
            assert alert["timestamp"] > 0
            assert caplog.text.count("Low connection success rate") == 1
            await looks(monitor, 1)
            assert len(monitor.get_alerts()) == 1  # forgotten, and so reported anew


async def test_a_server_is_watched(certificate: Any) -> None:
    server = WebTransportServer(config=server_config(certificate))
    async with (
        no_tasks_left(),
        server,
        WebTransportClient(config=client_config(certificate)) as client,
    ):
        monitor = ServerMonitor(server, monitoring_interval=OFTEN)
        assert monitor.get_current_metrics() is None
        assert monitor.get_health_status()["status"] == "unknown"
        async with monitor:
            await looks(monitor, 1)
            assert monitor.get_health_status()["status"] == "unhealthy"
            (alert,) = monitor.get_alerts()
            assert (alert["status"], alert["reason"]) == ("unhealthy", "Server is not serving.")
            await server.listen()
            await looks(monitor, 2)
            assert monitor.get_health_status()["status"] == "idle"
            await client.connect(url=url_of(server))
            await looks(monitor, 2)
            assert monitor.get_health_status() == {"status": "healthy", "reason": "Server is operating normally."}
            metrics = monitor.get_current_metrics()
            assert metrics is not None
            assert metrics["session_states"] == {SessionState.CONNECTED: 1}
            server._stats.connections_rejected = 20
            await looks(monitor, 2)
            assert monitor.get_health_status()["status"] == "degraded"
            assert [alert["status"] for alert in monitor.get_alerts()] == ["degraded"]
            await server.close()
            assert monitor.get_health_status()["status"] == "unhealthy"  # without another look


async def test_a_connection_and_a_session_are_watched(certificate: Any) -> None:
    async with session_pair(certificate) as pair, no_tasks_left():
        connection = ConnectionMonitor(pair.client.connection, monitoring_interval=OFTEN)
        session = SessionMonitor(pair.client, monitoring_interval=OFTEN)
        assert connection.get_current_metrics() is None
        assert session.get_current_metrics() is None
        async with connection, session:
            await pair.client.send_datagram(data=b"hello")
            await looks(connection, 2)
            await looks(session, 2)
            of_connection = connection.get_current_metrics()
            of_session = session.get_current_metrics()
            assert of_connection is not None
            assert of_session is not None
            assert (of_connection["state"], of_connection["session_count"]) == (ConnectionState.CONNECTED, 1)
            assert (of_session["state"], of_session["datagrams_sent"]) == (SessionState.CONNECTED, 1)
            assert (connection.get_alerts(), session.get_alerts()) == ([], [])
            await pair.client.connection.close()
            await looks(connection, 2)
            await looks(session, 2)
            assert [alert["type"] for alert in connection.get_alerts()] == ["connection_not_healthy"]
            assert [alert["type"] for alert in session.get_alerts()] == ["session_not_healthy"]


async def test_a_queue_for_streams_is_noticed(certificate: Any) -> None:
    async with (
        session_pair(certificate, server={"initial_max_streams_bidi": 1}) as pair,
        no_tasks_left(),
        SessionMonitor(pair.client, monitoring_interval=OFTEN) as monitor,
    ):
        await pair.client.create_bidirectional_stream()
        waiting = [asyncio.create_task(pair.client.create_bidirectional_stream()) for _ in range(11)]
        await looks(monitor, 2)
        metrics = monitor.get_current_metrics()
        assert metrics is not None
        assert metrics["pending_bidi_stream_futures"] == ["waiting"] * 11
        assert [alert["message"] for alert in monitor.get_alerts()] == [
            "High bidirectional stream contention: 11 pending"
        ]
        for each in waiting:
            each.cancel()
        await asyncio.wait(waiting)


async def test_a_look_that_fails_is_logged_and_the_next_one_comes(
    certificate: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Moody(WebTransportClient):
        is_broken = True

        async def diagnostics(self) -> Any:
            if self.is_broken:
                raise RuntimeError("broken on purpose")
            return await super().diagnostics()

    async with (
        Moody(config=client_config(certificate)) as client,
        ClientMonitor(client, monitoring_interval=OFTEN) as monitor,
    ):
        async with asyncio.timeout(WAIT):
            while caplog.text.count("RuntimeError: broken on purpose") < 2:
                await asyncio.sleep(OFTEN)
        assert monitor.is_monitoring
        assert monitor.get_metrics_history() == []
        client.is_broken = False
        await looks(monitor, 1)
    assert logging.ERROR in {record.levelno for record in caplog.records}


async def test_history_is_bounded_and_can_be_limited(certificate: Any) -> None:
    async with WebTransportClient(config=client_config(certificate)) as client:
        async with ClientMonitor(client, monitoring_interval=1e-6) as monitor:
            await looks(monitor, 100)
            async with asyncio.timeout(WAIT):
                first = monitor.get_metrics_history()[0]
                while first in monitor.get_metrics_history(limit=10_000):
                    await asyncio.sleep(OFTEN)
        kept = monitor.get_metrics_history(limit=10_000)
        assert len(kept) == 120
        assert monitor.get_metrics_history(limit=3) == kept[-3:]
        assert monitor.get_metrics_history(limit=0) == []
        with pytest.raises(ValueError, match="limit"):
            monitor.get_alerts(limit=-1)
        kept[-1].clear()
        assert monitor.get_metrics_history(limit=1)[0]["stats"]


async def test_entering_twice_is_one_monitor_and_it_can_be_entered_again(certificate: Any) -> None:
    async with WebTransportClient(config=client_config(certificate)) as client, no_tasks_left():
        monitor = ClientMonitor(client, monitoring_interval=OFTEN)
        async with monitor:
            before = asyncio.all_tasks()
            await monitor.__aenter__()
            assert asyncio.all_tasks() == before
        async with monitor:
            await looks(monitor, 1)


async def test_mistakes_are_refused(certificate: Any) -> None:
    async with WebTransportClient(config=client_config(certificate)) as client:
        with pytest.raises(ValueError, match="monitoring_interval"):
            ClientMonitor(client, monitoring_interval=0)
        with pytest.raises(TypeError, match="client"):
            ClientMonitor("client")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="server"):
            ServerMonitor(client)  # type: ignore[arg-type]
