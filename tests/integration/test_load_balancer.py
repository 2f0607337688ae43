"""Choosing targets, and making and sharing connections to them: a load balancer with real servers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from balanced import WAIT, Factory, RestartableServer, balancer, three_servers, unused_port
from loopback import HOST, client_config, no_leftovers

from wtransport.connection import ConnectionLoadBalancer
from wtransport.exceptions import ConnectionError, TimeoutError
from wtransport.types import ConnectionState


async def test_round_robin_begins_with_the_first_and_uses_connections_again(certificate: Any) -> None:
    config = client_config(certificate)
    factory = Factory()
    async with three_servers(certificate) as servers:
        addresses = [server.address for server in servers]
        async with balancer(certificate, addresses, factory) as lb:
            first = [await lb.get_connection(config=config, path="/a") for _ in range(3)]
            second = [await lb.get_connection(config=config) for _ in range(3)]
            assert [each.remote_address for each in first] == addresses
            assert second == first
            assert factory.ports == [port for _, port in addresses]
            assert await lb.get_load_balancer_stats() == {
                "total_targets": 3,
                "failed_targets": 0,
                "active_connections": 3,
                "available_targets": 3,
            }
            stats = await lb.get_target_stats()
            assert list(stats) == [f"{host}:{port}" for host, port in addresses]
            for (host, port), entry in zip(addresses, stats.values(), strict=True):
                assert 0 < entry.pop("latency") < WAIT
                assert entry == {"host": host, "port": port, "weight": 1.0, "failed": False, "connected": True}
        assert [each.is_closed for each in first] == [True] * 3


async def test_callers_share_the_making_of_a_connection(certificate: Any) -> None:
    factory = Factory()
    async with (
        RestartableServer(certificate) as server,
        balancer(certificate, [server.address], factory) as lb,
    ):
        connections = await asyncio.gather(*(lb.get_connection(config=client_config(certificate)) for _ in range(20)))
        assert len(set(connections)) == 1
        assert len(factory.ports) == 1


async def test_a_cancelled_caller_does_not_disturb_those_who_wait_with_it(certificate: Any) -> None:
    gate = asyncio.Event()
    entered = asyncio.Event()

    async def before(_: int) -> None:
        entered.set()
        await gate.wait()

    factory = Factory(before=before)
    async with (
        RestartableServer(certificate) as server,
        balancer(certificate, [server.address], factory) as lb,
    ):
        callers = [asyncio.create_task(lb.get_connection(config=client_config(certificate))) for _ in range(3)]
        await entered.wait()
        callers[0].cancel()  # the one whose call began it
        with pytest.raises(asyncio.CancelledError):
            await callers[0]
        gate.set()
        one, two = await asyncio.gather(*callers[1:])
        assert one is two
        assert one.is_connected
        assert len(factory.ports) == 1


async def test_the_last_caller_takes_the_attempt_with_it(certificate: Any) -> None:
    ended = asyncio.Event()
    entered = asyncio.Event()

    async def before(_: int) -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    factory = Factory(before=before)
    async with (
        RestartableServer(certificate) as server,
        balancer(certificate, [server.address], factory) as lb,
    ):
        with no_leftovers():
            callers = [asyncio.create_task(lb.get_connection(config=client_config(certificate))) for _ in range(2)]
            await entered.wait()
            for caller in callers:
                caller.cancel()
            await asyncio.wait(callers)
            assert ended.is_set()
        assert (await lb.get_load_balancer_stats())["failed_targets"] == 0
        factory.before = None
        assert (await lb.get_connection(config=client_config(certificate))).is_connected


async def test_a_target_that_fails_is_skipped_until_it_is_there(certificate: Any) -> None:
    config = client_config(certificate)
    factory = Factory()
    late = RestartableServer(certificate)
    async with RestartableServer(certificate) as server:
        async with balancer(certificate, [late.address, server.address], factory) as lb:
            for _ in range(4):
                assert (await lb.get_connection(config=config)).remote_address == server.address
            assert factory.ports == [late.address[1], server.address[1]]
            stats = await lb.get_target_stats()
            assert [entry["failed"] for entry in stats.values()] == [True, False]
            assert (await lb.get_load_balancer_stats())["available_targets"] == 1
            await late.start()
            async with asyncio.timeout(WAIT):
                while (await lb.get_load_balancer_stats())["failed_targets"]:
                    await asyncio.sleep(0.01)
            used = {(await lb.get_connection(config=config)).remote_address for _ in range(2)}
            assert used == {late.address, server.address}
        await late.stop()


async def test_without_any_target_left_the_call_says_why(certificate: Any) -> None:
    targets = [(HOST, unused_port()), (HOST, unused_port())]
    async with balancer(certificate, targets, health_check_interval=60.0) as lb:
        for expected in (ConnectionError, None):  # the second call finds them marked already
            with pytest.raises(ConnectionError, match="2 of 2 have failed") as caught:
                async with asyncio.timeout(WAIT):
                    await lb.get_connection(config=client_config(certificate))
            cause = caught.value.__cause__
            assert cause is None if expected is None else isinstance(cause, expected)


@pytest.mark.parametrize("written", ["::1", "[::1]"])
async def test_ipv6_targets_work(certificate: Any, written: str) -> None:
    async with RestartableServer(certificate, host="::1") as server:
        port = server.address[1]
        async with balancer(certificate, [(written, port)]) as lb:
            connection = await lb.get_connection(config=client_config(certificate))
            assert connection.remote_address == ("::1", port)
            await lb.update_target_weight(host="::1", port=port, weight=2.0)
            stats = await lb.get_target_stats()
            assert stats[f"::1:{port}"]["host"] == "::1"
            assert stats[f"::1:{port}"]["weight"] == 2.0


async def test_least_latency_measures_everybody_before_it_trusts_a_figure(certificate: Any) -> None:
    config = client_config(certificate)
    async with three_servers(certificate) as servers:
        addresses = [server.address for server in servers]
        delays = {addresses[0][1]: 1.0, addresses[1][1]: 0.0, addresses[2][1]: 1.0}
        factory = Factory(before=lambda port: asyncio.sleep(delays[port]))
        async with balancer(certificate, addresses, factory) as lb:
            for _ in range(3):
                await lb.get_connection(config=config, strategy="least_latency")
            assert factory.ports == [port for _, port in addresses]
            for _ in range(3):
                connection = await lb.get_connection(config=config, strategy="least_latency")
                assert connection.remote_address == addresses[1]


async def test_callers_at_the_same_time_measure_several_targets(certificate: Any) -> None:
    config = client_config(certificate)
    async with three_servers(certificate) as servers:
        addresses = [server.address for server in servers]
        async with balancer(certificate, addresses) as lb:
            got = await asyncio.gather(*(lb.get_connection(config=config, strategy="least_latency") for _ in range(3)))
            assert {each.remote_address for each in got} == set(addresses)


async def test_weights_share_the_work_out(certificate: Any) -> None:
    config = client_config(certificate)
    async with three_servers(certificate) as servers:
        addresses = [server.address for server in servers]
        async with balancer(certificate, addresses) as lb:
            for address, weight in zip(addresses, (3.0, 1.0, -5.0), strict=True):
                await lb.update_target_weight(host=address[0], port=address[1], weight=weight)
            used = [(await lb.get_connection(config=config, strategy="weighted")).remote_address for _ in range(200)]
            assert used.count(addresses[2]) == 0
            assert used.count(addresses[0]) > used.count(addresses[1]) > 0
            assert [entry["weight"] for entry in (await lb.get_target_stats()).values()] == [3.0, 1.0, 0.0]


async def test_a_lost_connection_is_not_handed_out(certificate: Any) -> None:
    config = client_config(certificate)
    async with (
        RestartableServer(certificate) as server,
        balancer(certificate, [server.address]) as lb,
    ):
        before = await lb.get_connection(config=config)
        await before.close()
        after = await lb.get_connection(config=config)
        assert after is not before
        assert after.is_connected
        assert (await lb.get_load_balancer_stats())["active_connections"] == 1


async def test_a_connection_that_is_winding_down_is_kept_but_not_handed_out(certificate: Any) -> None:
    config = client_config(certificate)
    async with (
        RestartableServer(certificate, close_timeout=WAIT) as server,
        balancer(certificate, [server.address]) as lb,
    ):
        before = await lb.get_connection(config=config)
        assert server.server is not None
        ends = await server.server.connection_manager.get_all_resources()
        shutting_down = asyncio.create_task(ends[0].graceful_shutdown())
        async with asyncio.timeout(WAIT):
            while before.state is not ConnectionState.DRAINING:
                await asyncio.sleep(0.01)
        after = await lb.get_connection(config=config)
        assert after is not before
        assert before.state is ConnectionState.DRAINING
        assert (await lb.get_load_balancer_stats())["active_connections"] == 2
        await lb.close_all_connections()
        assert (before.is_closed, after.is_closed) == (True, True)
        await shutting_down


async def test_closing_all_connections_is_no_shutdown(certificate: Any) -> None:
    config = client_config(certificate)
    async with (
        RestartableServer(certificate) as server,
        balancer(certificate, [server.address]) as lb,
    ):
        before = await lb.get_connection(config=config)
        await lb.close_all_connections()
        assert before.is_closed
        assert (await lb.get_load_balancer_stats())["active_connections"] == 0
        assert (await lb.get_connection(config=config)).is_connected


async def test_shutdown_ends_attempts_and_health_checks(certificate: Any) -> None:
    config = client_config(certificate)
    entered = asyncio.Event()

    async def before(_: int) -> None:
        entered.set()
        await asyncio.Event().wait()

    async with RestartableServer(certificate) as server:
        with no_leftovers():
            factory = Factory()
            lb = balancer(certificate, [(HOST, unused_port()), server.address], factory)
            async with lb:
                await lb.get_connection(config=config)
                await lb.close_all_connections()
                factory.before = before
                waiting = asyncio.create_task(lb.get_connection(config=config))
                await entered.wait()
            with pytest.raises(ConnectionError, match="shut down"):
                await waiting
            with pytest.raises(ConnectionError, match="shut down"):
                await lb.get_connection(config=config)
            await lb.shutdown()
        factory.before = None
        async with lb:  # a new life
            assert (await lb.get_load_balancer_stats())["failed_targets"] == 0
            assert (await lb.get_connection(config=config)).is_connected


async def test_an_attempt_has_the_time_of_the_configuration(certificate: Any) -> None:
    factory = Factory(before=lambda _: asyncio.Event().wait())
    async with balancer(certificate, [(HOST, unused_port())], factory, health_check_interval=60.0) as lb:
        with pytest.raises(ConnectionError, match=r"took longer than 0\.1 s") as caught:
            await lb.get_connection(config=client_config(certificate, connect_timeout=0.1))
        assert isinstance(caught.value.__cause__, TimeoutError)


async def test_a_factory_that_is_cancelled_from_within_has_failed(certificate: Any) -> None:
    async def before(port: int) -> None:
        if port == dead:
            raise asyncio.CancelledError

    dead = unused_port()
    async with (
        RestartableServer(certificate) as server,
        balancer(certificate, [(HOST, dead), server.address], Factory(before=before)) as lb,
    ):
        connection = await lb.get_connection(config=client_config(certificate))
        assert connection.remote_address == server.address
        assert (await lb.get_load_balancer_stats())["failed_targets"] == 1


async def test_a_factory_that_returns_what_is_over_has_failed(certificate: Any) -> None:
    factory = Factory()

    async def broken(**arguments: Any) -> Any:
        connection = await factory(**arguments)
        await connection.close()
        return connection

    async with (
        RestartableServer(certificate) as server,
        balancer(certificate, [server.address], broken) as lb,
    ):
        with pytest.raises(ConnectionError, match="lost at once"):
            await lb.get_connection(config=client_config(certificate))


async def test_it_has_to_be_entered(certificate: Any) -> None:
    lb = balancer(certificate, [(HOST, 4433)])
    for call in (
        lb.get_connection(config=client_config(certificate)),
        lb.close_all_connections(),
        lb.get_load_balancer_stats(),
        lb.get_target_stats(),
        lb.update_target_weight(host=HOST, port=4433, weight=1.0),
    ):
        with pytest.raises(ConnectionError, match="async with"):
            await call
    await lb.shutdown()


async def test_mistakes_are_refused_at_the_call(certificate: Any) -> None:
    async with balancer(certificate, [(HOST, 4433)]) as lb:
        with pytest.raises(ValueError, match="strategy"):
            await lb.get_connection(config=client_config(certificate), strategy="fastest")
        with pytest.raises(ValueError, match="no target"):
            await lb.update_target_weight(host=HOST, port=1, weight=1.0)
        with pytest.raises(ValueError, match="weight"):
            await lb.update_target_weight(host=HOST, port=4433, weight=float("nan"))


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"targets": []}, ValueError, "targets"),
        ({"targets": [("", 4433)]}, ValueError, "host"),
        ({"targets": [("a", 0)]}, ValueError, "port"),
        ({"targets": [("a", "4433")]}, TypeError, "target"),
        ({"health_check_interval": 0.0}, ValueError, "health_check_interval"),
        ({"health_check_timeout": -1.0}, ValueError, "health_check_timeout"),
        ({"connection_factory": None}, TypeError, "connection_factory"),
        ({"health_checker": None}, TypeError, "health_checker"),
    ],
)
def test_impossible_settings_are_refused(arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    values: dict[str, Any] = {"targets": [("a", 1)], "connection_factory": Factory(), "health_checker": Factory()}
    with pytest.raises(error, match=text):
        ConnectionLoadBalancer(**(values | arguments))


def test_duplicates_count_once(certificate: Any) -> None:
    lb = balancer(certificate, [("a", 1), ("b", 1), ("a", 1), ("[::1]", 2), ("::1", 2)])
    assert len(lb) == 3
