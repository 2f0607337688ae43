"""What every manager does: hold live resources by id, up to a limit, and forget each one when it closes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, ClassVar, Generic, Self, TypeVar

from ..connection._closing import close_each
from ..events import Event, EventEmitter
from ..types import EventType
from ..utils import get_logger

logger = get_logger(name=__name__)

ResourceId = TypeVar("ResourceId")
ResourceType = TypeVar("ResourceType")


class _BaseResourceManager(ABC, Generic[ResourceId, ResourceType]):
    """Holds resources while they live; used as ``async with``.

    A resource leaves by itself when its end is reported by one of `_END_EVENTS`. Every method but the plain
    `register`, `discard` and `snapshot` is a coroutine because the 0.9 API has it so; none of them waits, except
    `shutdown` for the resources to close. One manager belongs to one event loop.
    """

    _RESOURCE_NAME: ClassVar[str]
    _END_EVENTS: ClassVar[tuple[EventType, ...]]
    _limit: int

    def __init__(self, *, limit: int) -> None:
        """Create a manager of at most `limit` resources at a time.

        Raises:
            ValueError: `limit` is less than 1.

        """
        self.set_limit(limit)
        self._resources: dict[ResourceId, tuple[ResourceType, Callable[[Event], None] | None]] = {}
        self._is_entered = False
        self._is_shutting_down = False
        self._total_created = 0
        self._total_closed = 0
        self._max_concurrent = 0

    async def __aenter__(self) -> Self:
        """Make the manager ready to take resources."""
        self.activate()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Close every resource, see `shutdown`."""
        await self.shutdown()

    def __len__(self) -> int:
        """Return the number of resources held now."""
        return len(self._resources)

    @property
    def is_full(self) -> bool:
        """Return True when the limit is reached and `register` would refuse."""
        return len(self._resources) >= self._limit and len(self.snapshot()) >= self._limit

    def activate(self) -> None:
        """Do what entering the manager does, for owners that are not in a coroutine."""
        self._is_entered = True
        self._is_shutting_down = False

    def set_limit(self, limit: int) -> None:
        """Change the limit; what is held over it stays.

        Raises:
            ValueError: `limit` is less than 1.

        """
        if limit < 1:
            raise ValueError(f"max_{self._RESOURCE_NAME}s must be at least 1, not {limit}")
        self._limit = limit

    def register(self, *, resource: ResourceType, watches: bool = True) -> ResourceId:
        """Take a resource and return its id; one that is held already stays as it is.

        Args:
            resource: what to hold.
            watches: listen for its end; False for an owner who hears of the end first, and calls `discard` then.

        Raises:
            RuntimeError: the manager was not entered, is shutting down, or is full.
            ValueError: the resource is closed already.

        """
        self._check_entered()
        if self._is_shutting_down:
            raise RuntimeError(f"{type(self).__name__} is shutting down")
        resource_id = self._id_of(resource)
        if resource_id in self._resources:
            return resource_id
        if self._is_closed(resource):
            raise ValueError(f"{self._RESOURCE_NAME} {resource_id} is closed")
        if self.is_full:
            raise RuntimeError(f"{type(self).__name__} is full: {self._limit} {self._RESOURCE_NAME}s")

        on_end: Callable[[Event], None] | None = None
        if watches:
            on_end = partial(self._on_end, resource_id)
            emitter = self._emitter_of(resource)
            for event_type in self._END_EVENTS:
                emitter.on(event_type=event_type, handler=on_end)
        self._resources[resource_id] = (resource, on_end)
        self._total_created += 1
        if len(self._resources) > self._max_concurrent:
            self._max_concurrent = len(self._resources)
        return resource_id

    def discard(self, *, resource_id: ResourceId) -> ResourceType | None:
        """Let go of a resource without closing it and return it; None when it is not held."""
        entry = self._resources.pop(resource_id, None)
        if entry is None:
            return None
        resource, on_end = entry
        if on_end is not None:
            emitter = self._emitter_of(resource)
            for event_type in self._END_EVENTS:
                emitter.off(event_type=event_type, handler=on_end)
        self._total_closed += 1
        return resource

    def snapshot(self) -> list[ResourceType]:
        """Return the resources held now, oldest first."""
        # A program may have removed our handler together with its own, so the end of one can have gone unnoticed.
        for resource_id in [key for key, (resource, _) in self._resources.items() if self._is_closed(resource)]:
            self.discard(resource_id=resource_id)
        return [resource for resource, _ in self._resources.values()]

    def count_states(self) -> Counter[Any]:
        """Return how many of the resources are in each state."""
        return Counter(self._state_of(resource) for resource in self.snapshot())

    async def add_resource(self, *, resource: ResourceType) -> None:
        """Take a resource; see `register` for the errors."""
        self.register(resource=resource)

    async def get_resource(self, *, resource_id: ResourceId) -> ResourceType | None:
        """Return the resource with this id, or None.

        Raises:
            RuntimeError: the manager was not entered.

        """
        self._check_entered()
        entry = self._resources.get(resource_id)
        return None if entry is None else entry[0]

    async def get_all_resources(self) -> list[ResourceType]:
        """Return the resources held now, oldest first.

        Raises:
            RuntimeError: the manager was not entered.

        """
        self._check_entered()
        return self.snapshot()

    async def get_stats(self) -> dict[str, Any]:
        """Return the counters.

        Returns:
            ``total_created``, ``total_closed``, ``current_count``, ``max_concurrent`` (the most ever held at a time),
            ``max_connections`` or ``max_sessions`` (the limit), and ``states``, a count per state.

        Raises:
            RuntimeError: the manager was not entered.

        """
        self._check_entered()
        states = self.count_states()
        return {
            "total_created": self._total_created,
            "total_closed": self._total_closed,
            "current_count": len(self._resources),
            "max_concurrent": self._max_concurrent,
            f"max_{self._RESOURCE_NAME}s": self._limit,
            "states": {str(state): count for state, count in states.items()},
        }

    async def shutdown(self) -> None:
        """Take no more resources and close those held, all at a time; errors in closing are logged.

        Cancelling it closes them without waiting for their peers. It may be called again.
        """
        self._is_shutting_down = True
        await close_each([self._close_and_discard(resource) for resource in self.snapshot()])

    async def _close_and_discard(self, resource: ResourceType) -> None:
        resource_id = self._id_of(resource)
        try:
            await self._close(resource)
        except Exception as error:  # noqa: BLE001 - logged, and the others are closed all the same
            logger.error("closing %s %s failed: %s", self._RESOURCE_NAME, resource_id, error)
        finally:
            self.discard(resource_id=resource_id)

    @abstractmethod
    def _id_of(self, resource: ResourceType) -> ResourceId: ...

    @abstractmethod
    def _emitter_of(self, resource: ResourceType) -> EventEmitter: ...

    @abstractmethod
    def _is_closed(self, resource: ResourceType) -> bool: ...

    @abstractmethod
    def _state_of(self, resource: ResourceType) -> Any: ...

    @abstractmethod
    async def _close(self, resource: ResourceType) -> None: ...

    def _check_entered(self) -> None:
        if not self._is_entered:
            raise RuntimeError(f"{type(self).__name__} is not active: use 'async with'")

    def _on_end(self, resource_id: ResourceId, _event: Event) -> None:
        self.discard(resource_id=resource_id)
