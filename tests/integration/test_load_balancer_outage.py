"""A load balancer while one of its servers dies and comes back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from balanced import (
    WAIT,
    Factory,
    KillableProcess,
    RestartableServer,
    balancer,
    is_reachable,
    three_servers,
    unused_port,
)
from loopback import HOST, client_config

from wtransport.connection import ConnectionLoadBalancer, WebTransportConnection
from wtransport.types import Address, EventType

CALLS = 200
INTERVAL = 0.5
"""Seconds between health checks."""

TICK = 0.01
"""Seconds between two looks at whether a server is back."""


@dataclass
class Outage:
    """Asks for 200 connections one after the other, and does something to a server at two of them."""

    lb: ConnectionLoadBalancer
    config: Any
    kill: Callable[[], Awaitable[None]]
    restart: Callable[[], Awaitable[None]]
    used: list[Address | None] = field(default_factory=list)
    lost: set[WebTransportConnection] = field(default_factory=set)
    at_restart: int = 0

    async def run(self) -> None:
        """Every call has to succeed within the time, with a connection that is not known to be lost."""
        for number in range(CALLS):
            if number == CALLS // 4:
                await self.kill()
            elif number == CALLS * 3 // 4:
                await self.restart()
                self.at_restart = number
            async with asyncio.timeout(WAIT):
                connection = await self.lb.get_connection(config=self.config)
            assert connection not in self.lost
            assert connection.is_connected
            if connection.remote_address not in self.used:
                connection.events.once(event_type=EventType.CONNECTION_CLOSED, handler=self._on_closed)
            self.used.append(connection.remote_address)
            await asyncio.sleep(0.005)

    def _on_closed(self, event: Any) -> None:
        self.lost.add(event.data["connection"])


async def seconds_until_back(lb: ConnectionLoadBalancer) -> float:
    """Return how long it took, without the time in which a busy machine did not let this process run."""
    loop = asyncio.get_running_loop()
    seconds = 0.0
    async with asyncio.timeout(WAIT):
        while (await lb.get_load_balancer_stats())["failed_targets"]:
            began = loop.time()
            await asyncio.sleep(TICK)
            seconds += min(loop.time() - began, 2 * TICK)
    return seconds


@dataclass
class ImpatientFactory(Factory):
    """Makes connections that notice quickly when nobody is there any more, to one server."""

    port: int = 0

    async def __call__(self, *, config: Any, host: str, port: int, path: str) -> WebTransportConnection:
        if port == self.port:
            config = config.update(connection_idle_timeout=1.5, connection_keepalive_timeout=0.4)
        return await super().__call__(config=config, host=host, port=port, path=path)


async def test_200_calls_succeed_while_a_server_is_stopped_and_started_again(certificate: Any) -> None:
    config = client_config(certificate)
    async with three_servers(certificate) as servers:
        victim = servers[1]
        addresses = [server.address for server in servers]
        async with balancer(certificate, addresses, health_check_interval=INTERVAL, health_check_timeout=WAIT) as lb:
            backs: list[asyncio.Task[float]] = []

            async def restart() -> None:
                assert (await lb.get_load_balancer_stats())["failed_targets"] == 1
                await victim.start()
                backs.append(asyncio.create_task(seconds_until_back(lb)))

            outage = Outage(lb, config, kill=victim.stop, restart=restart)
            await outage.run()
            assert await backs[0] <= 2 * INTERVAL
            assert len(outage.used) == CALLS
            assert {(await lb.get_connection(config=config)).remote_address for _ in range(3)} == set(addresses)
            assert victim.address not in outage.used[CALLS // 4 + 3 : outage.at_restart]
            assert len(outage.lost) == 1


async def test_200_calls_succeed_while_a_server_process_is_killed_and_started_again(certificate: Any) -> None:
    # Nobody says that it is dead: the client has to notice by itself. The other servers live in this process: while a
    # busy machine does not let it run, they are as silent as a dead one.
    config = client_config(certificate)
    async with (
        RestartableServer(certificate) as one,
        RestartableServer(certificate) as two,
        KillableProcess(certificate) as victim,
    ):
        addresses = [one.address, two.address, victim.address]
        factory = ImpatientFactory(port=victim.address[1])
        async with balancer(
            certificate, addresses, factory, health_check_interval=INTERVAL, health_check_timeout=WAIT
        ) as lb:
            gone = asyncio.Event()
            backs: list[asyncio.Task[float]] = []

            async def kill() -> None:
                connection = next(each for each in lb._connections if each.remote_address == victim.address)
                connection.events.once(event_type=EventType.CONNECTION_LOST, handler=lambda _: gone.set())
                factory.port = 0
                await victim.kill()

            async def restart() -> None:
                await asyncio.wait_for(gone.wait(), WAIT)
                for _ in range(3):
                    assert (await lb.get_connection(config=config)).remote_address != victim.address
                assert (await lb.get_load_balancer_stats())["failed_targets"] == 1
                await victim.start()
                backs.append(asyncio.create_task(seconds_until_back(lb)))

            outage = Outage(lb, config, kill=kill, restart=restart)
            await outage.run()
            assert await backs[0] <= 2 * INTERVAL
            assert len(outage.used) == CALLS
            assert len(outage.lost) == 1
            assert {(await lb.get_connection(config=config)).remote_address for _ in range(3)} == set(addresses)


async def test_many_callers_at_once_survive_an_outage(certificate: Any) -> None:
    config = client_config(certificate)
    async with three_servers(certificate) as servers:
        addresses = [server.address for server in servers]
        async with balancer(certificate, addresses, health_check_interval=60.0) as lb:
            used: Counter[Address | None] = Counter()

            async def call() -> None:
                connection = await lb.get_connection(config=config)
                assert connection.is_connected
                used[connection.remote_address] += 1

            async with asyncio.timeout(2 * WAIT), asyncio.TaskGroup() as group:
                for number in range(CALLS):
                    group.create_task(call())
                    if number == CALLS // 4:
                        group.create_task(servers[0].stop())
                    if number % 20 == 0:
                        await asyncio.sleep(0.005)
            assert used.total() == CALLS


async def test_health_checks_go_on_whatever_the_checker_does(certificate: Any) -> None:
    server = RestartableServer(certificate)
    answers = iter(["raise", "cancel", "hang", "no"])
    seen: list[str] = []

    async def checker(*, host: str, port: int, timeout: float) -> bool:
        answer = next(answers, "look")
        seen.append(answer)
        match answer:
            case "raise":
                raise OSError("no route")
            case "cancel":
                raise asyncio.CancelledError
            case "hang":
                await asyncio.Event().wait()
            case "look":
                assert (host, port, timeout) == (*server.address, 1.0)
                return await is_reachable(certificate, host=host, port=port, timeout=timeout)
        return False

    lb = balancer(
        certificate, [server.address], health_checker=checker, health_check_interval=0.02, health_check_timeout=1.0
    )
    async with lb:
        with pytest.raises(ConnectionError):
            await lb.get_connection(config=client_config(certificate))
        await server.start()
        await seconds_until_back(lb)
        assert seen[:4] == ["raise", "cancel", "hang", "no"]
        assert (await lb.get_connection(config=client_config(certificate))).is_connected
    await server.stop()


async def test_only_targets_that_have_failed_are_checked(certificate: Any) -> None:
    checked: list[int] = []
    looked = asyncio.Event()

    async def checker(*, host: str, port: int, timeout: float) -> bool:
        checked.append(port)
        if len(checked) >= 3:
            looked.set()
        return False

    dead = unused_port()
    async with RestartableServer(certificate) as server:
        lb = balancer(certificate, [(HOST, dead), server.address], health_checker=checker, health_check_interval=0.02)
        async with lb:
            for _ in range(2):
                await lb.get_connection(config=client_config(certificate))
            await asyncio.wait_for(looked.wait(), WAIT)
    assert set(checked) == {dead}
