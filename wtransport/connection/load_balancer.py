"""`ConnectionLoadBalancer`: connections to several servers that offer the same, one connection to each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from ..config import ClientConfig
from ..exceptions import ConnectionError, TimeoutError
from ..utils import get_logger
from ._closing import close_each
from ._sharing import SharedTask
from ._targets import Target, TargetTable, checked_weight, is_over, is_usable
from .connection import WebTransportConnection

__all__ = ["ConnectionLoadBalancer"]

CANCEL_LIMIT = 5.0
"""Seconds that `shutdown` waits for a factory or health checker that does not end although it was cancelled."""

_logger = get_logger(name=__name__)


class ConnectionLoadBalancer:
    """Hands out connections to several targets; used as ``async with``.

    There is one connection per target, made when it is first asked for and shared by all callers. A target for which
    none can be made has failed: it is left out until the health checker has found it again.

    Args:
        targets: ``(host, port)`` of each server; duplicates count once.
        connection_factory: called as ``factory(config=, host=, port=, path=)``, returns a connection. It has
            ``config.connect_timeout`` seconds.
        health_checker: called as ``checker(host=, port=, timeout=)`` for targets that have failed, returns True when
            the server is back. One that raises, or that takes longer than the time-out, says no.
        health_check_interval: seconds between two health checks of a target, and before the first.
        health_check_timeout: seconds that a health check may take; longer than the interval it delays the next.
    """

    def __init__(
        self,
        *,
        targets: list[tuple[str, int]],
        connection_factory: Callable[..., Awaitable[WebTransportConnection]],
        health_checker: Callable[..., Awaitable[bool]],
        health_check_interval: float = 30.0,
        health_check_timeout: float = 5.0,
    ) -> None:
        """Create a load balancer; nothing is connected yet.

        Raises:
            TypeError: a target is not a pair of host and port, or a callable is none.
            ValueError: there is no target, one of them has no host or no valid port, or a time is not positive.
        """
        for name, value in (("connection_factory", connection_factory), ("health_checker", health_checker)):
            if not callable(value):
                raise TypeError(f"{name} must be callable, not {value!r}")
        for name, seconds in (
            ("health_check_interval", health_check_interval),
            ("health_check_timeout", health_check_timeout),
        ):
            if not seconds > 0:
                raise ValueError(f"{name} must be positive, not {seconds}")
        self._targets = TargetTable(targets)
        self._connection_factory = connection_factory
        self._health_checker = health_checker
        self._health_check_interval = health_check_interval
        self._health_check_timeout = health_check_timeout
        self._connections: dict[WebTransportConnection, None] = {}  # all that were made and may be open
        self._is_entered = False
        self._is_shut_down = False

    def __len__(self) -> int:
        """Return the number of targets."""
        return len(self._targets)

    async def __aenter__(self) -> Self:
        """Make the load balancer ready; after `shutdown` it starts anew."""
        self._is_entered = True
        if self._is_shut_down:
            self._is_shut_down = False
            for target in self._targets:
                target.has_failed = False  # nobody has looked since
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Close everything, see `shutdown`."""
        await self.shutdown()

    async def get_connection(
        self, *, config: ClientConfig, path: str = "/", strategy: str = "round_robin"
    ) -> WebTransportConnection:
        """Return a connection to the target that the strategy chooses.

        That target's connection is used again while it is alive, whatever `config` and `path` are; otherwise one is
        made, and callers that want the same target meanwhile share it. A caller that is cancelled does not disturb
        them. When no connection can be made the next target is tried.

        Args:
            config: for the factory; its ``connect_timeout`` limits each attempt.
            path: for the factory.
            strategy: ``round_robin`` takes the targets in turn, ``weighted`` by chance in proportion to their weights,
                ``least_latency`` the one whose last connection was made in the shortest time. A target that has not
                been measured comes first.

        Raises:
            ConnectionError: no target is left, for the reason that is its cause; or the load balancer is not in use.
            ValueError: there is no such strategy.
        """
        self._check_in_use()
        self._targets.check_strategy(strategy)
        tried: set[Target] = set()
        failure: Exception | None = None
        while (target := self._targets.choose(strategy, but_not=tried)) is not None:
            connection = target.live_connection
            if connection is not None:
                return connection
            outcome = await self._create_or_join(target, config, path)
            self._check_in_use()
            if isinstance(outcome, Exception):
                failure = outcome
            elif outcome is not None and is_usable(outcome):
                return outcome
            else:
                failure = _lost(target)
            tried.add(target)
        raise ConnectionError(
            f"no target is available: {self._count_failed()} of {len(self)} have failed"
            + ("" if failure is None else f", the last one because of: {failure}")
        ) from failure

    async def update_target_weight(self, *, host: str, port: int, weight: float) -> None:
        """Set the weight of a target, 1.0 at first; below 0 counts as 0, which the `weighted` strategy never chooses.

        Raises:
            ConnectionError: the load balancer was not entered.
            ValueError: there is no such target, or the weight is not a finite number.
        """
        self._check_entered()
        target = self._targets.get(host, port)
        if target is None:
            raise ValueError(f"host and port are of no target: {host}:{port}")
        target.weight = checked_weight(weight)

    async def get_load_balancer_stats(self) -> dict[str, Any]:
        """Return the figures of the whole.

        Returns:
            ``total_targets``, ``failed_targets``, ``available_targets`` (the others), ``active_connections``.

        Raises:
            ConnectionError: the load balancer was not entered.
        """
        self._check_entered()
        self._forget_ended()
        failed = self._count_failed()
        return {
            "total_targets": len(self),
            "failed_targets": failed,
            "available_targets": len(self) - failed,
            "active_connections": sum(not connection.is_closing for connection in self._connections),
        }

    async def get_target_stats(self) -> dict[str, Any]:
        """Return the figures of each target.

        Returns:
            By ``"host:port"``: ``host``, ``port``, ``weight``, ``latency`` (seconds that the last connection took to
            make; 0.0 while unknown), ``failed``, ``connected``.

        Raises:
            ConnectionError: the load balancer was not entered.
        """
        self._check_entered()
        return {
            target.key: {
                "host": target.host,
                "port": target.port,
                "weight": target.weight,
                "latency": target.latency or 0.0,
                "failed": target.has_failed,
                "connected": target.connection is not None and target.connection.is_connected,
            }
            for target in self._targets
        }

    async def close_all_connections(self) -> None:
        """Close the connections there are; the next `get_connection` makes new ones. Errors are logged.

        Raises:
            ConnectionError: the load balancer was not entered.
        """
        self._check_entered()
        await self._close_connections()

    async def shutdown(self) -> None:
        """Stop health checks and attempts to connect, and close all connections; a second call has nothing to do.

        Whoever waits in `get_connection` gets a ConnectionError. Cancelling it closes the connections without waiting
        for their peers.
        """
        self._is_shut_down = True
        tasks: list[asyncio.Task[Any]] = []
        for target in self._targets:
            if target.revival is not None:
                tasks.append(target.revival)
            if target.running_creation is not None:
                tasks.append(target.running_creation.task)
        for task in tasks:
            task.cancel()
        try:
            if tasks:
                _, stuck = await asyncio.wait(tasks, timeout=CANCEL_LIMIT)
                for task in stuck:
                    _logger.error("%r goes on although it was cancelled", task)
        finally:
            for target in self._targets:
                target.creation = target.revival = None
            await self._close_connections()

    # Making connections.

    async def _create_or_join(
        self, target: Target, config: ClientConfig, path: str
    ) -> WebTransportConnection | Exception | None:
        """Make a connection, or wait for the one that is being made; None when `shutdown` put an end to it."""
        creation = target.running_creation
        if creation is None:
            creation = target.creation = SharedTask(self._create(target, config, path))
        try:
            return await creation.wait()
        finally:
            if creation.is_over and target.creation is creation:
                target.creation = None  # its result would keep a connection that is over

    async def _create(self, target: Target, config: ClientConfig, path: str) -> WebTransportConnection | Exception:
        began = time.perf_counter()
        limit = asyncio.timeout(config.connect_timeout)
        try:
            async with limit:
                connection = await self._connection_factory(
                    config=config, host=target.host, port=target.port, path=path
                )
        except asyncio.CancelledError as error:
            if _was_cancelled():
                raise
            return self._fail(target, error)  # nobody cancelled this task: something that the factory waited for was
        except Exception as error:  # noqa: BLE001 - whatever a factory raises: logged there, and raised with the last target
            if limit.expired():
                text = f"the connection factory took longer than {config.connect_timeout:g} s for {target.key}"
                return self._fail(target, TimeoutError(text, timeout_duration=config.connect_timeout))
            return self._fail(target, error)
        if self._is_shut_down:
            await connection.close()
            return ConnectionError("the load balancer was shut down")
        self._forget_ended()
        self._connections[connection] = None
        if not is_usable(connection):
            return self._fail(target, _lost(target))
        target.connection = connection
        target.latency = time.perf_counter() - began
        return connection

    def _fail(self, target: Target, error: BaseException) -> Exception:
        """Leave a target out from now on, and look from time to time whether it is back."""
        _logger.warning("target %s has failed: %s", target.key, str(error) or type(error).__name__)
        if not target.has_failed and not self._is_shut_down:
            target.has_failed = True
            target.revival = asyncio.get_running_loop().create_task(self._revive(target))
        if isinstance(error, Exception):
            return error
        failure = ConnectionError(f"the connection factory was cancelled for {target.key}")
        failure.__cause__ = error
        return failure

    async def _revive(self, target: Target) -> None:
        """Check a target that has failed at regular intervals, until it is back."""
        loop = asyncio.get_running_loop()
        next_check = loop.time()
        is_back = False
        while not is_back:
            # From the beginning of one check to that of the next, unless a check takes longer than the interval.
            next_check = max(next_check + self._health_check_interval, loop.time())
            await asyncio.sleep(next_check - loop.time())
            is_back = await self._is_healthy(target)
        _logger.info("target %s is back", target.key)
        target.has_failed = False
        target.latency = None  # the server may be another one by now
        target.revival = None

    async def _is_healthy(self, target: Target) -> bool:
        timeout = self._health_check_timeout
        try:
            async with asyncio.timeout(timeout):
                return bool(await self._health_checker(host=target.host, port=target.port, timeout=timeout))
        except asyncio.CancelledError:
            if _was_cancelled():
                raise
            _logger.warning("the health check of %s was cancelled by something it waited for", target.key)
        except Exception as error:  # noqa: BLE001 - a checker may say no in any way
            _logger.debug("target %s is not back: %s", target.key, str(error) or type(error).__name__)
        return False

    # The rest.

    async def _close_connections(self) -> None:
        for target in self._targets:
            target.connection = None
        # Each stays known until it is closed, so that a cancelled closing can be repeated.
        await close_each([self._close(connection) for connection in self._connections])

    async def _close(self, connection: WebTransportConnection) -> None:
        try:
            await connection.close()
        finally:
            self._connections.pop(connection, None)

    def _forget_ended(self) -> None:
        for connection in [each for each in self._connections if is_over(each)]:
            del self._connections[connection]

    def _count_failed(self) -> int:
        return sum(target.has_failed for target in self._targets)

    def _check_entered(self) -> None:
        if not self._is_entered:
            raise ConnectionError("the load balancer is not active: use 'async with'")

    def _check_in_use(self) -> None:
        self._check_entered()
        if self._is_shut_down:
            raise ConnectionError("the load balancer was shut down")


def _was_cancelled() -> bool:
    """Tell whether somebody cancelled the running task, other than by a time-out that is over."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _lost(target: Target) -> ConnectionError:
    return ConnectionError(f"the connection to {target.key} was lost at once")
