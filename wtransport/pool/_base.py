"""What every pool does: lend objects, at most so many at a time, and keep those that come back for the next."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from types import TracebackType
from typing import ClassVar, Generic, Self, TypeVar

from ..connection._closing import close_each
from ..types import AsyncContextManager

__all__: list[str] = []

T = TypeVar("T")


class _AsyncObjectPool(ABC, Generic[T]):
    """Lends objects; used as ``async with``, which closes at the end what is not lent.

    An object is made when none is at hand. One that has come to an end in the meantime is not lent again. Those who
    wait for an object are served in the order in which they came.
    """

    _SURVIVES_ERRORS: ClassVar[bool]
    """Whether an object can be lent again after an exception in the block that used it."""

    def __init__(self, *, max_size: int) -> None:
        """Create a pool of at most `max_size` objects.

        Raises:
            ValueError: `max_size` is less than 1.
        """
        if max_size < 1:
            raise ValueError(f"max_size must be at least 1, not {max_size}")
        self._idle: deque[T] = deque()
        self._lent: dict[int, T] = {}  # by id(), as objects need not be hashable
        self._room = asyncio.Semaphore(max_size)
        self._is_entered = False
        self._is_closed = False

    async def __aenter__(self) -> Self:
        """Make the pool ready; nothing is made yet.

        Raises:
            RuntimeError: it was closed.
        """
        if self._is_closed:
            raise RuntimeError(f"{type(self).__name__} is closed")
        self._is_entered = True
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Close the pool, see `close`."""
        await self.close()

    async def acquire(self) -> T:
        """Borrow an object, to be given back with `release`; waits while `max_size` are lent.

        Raises:
            RuntimeError: the pool was not entered, or it is or was closed meanwhile.
            WebTransportError: a new object was needed and cannot be made.
        """
        self._check_usable()
        await self._room.acquire()
        try:
            self._check_usable()
            obj = self._take_idle()
            if obj is None:
                obj = await self._make()
                if self._is_closed:
                    await self._dispose(obj, None)
                    self._check_usable()
        except BaseException:
            self._room.release()
            raise
        self._lent[id(obj)] = obj
        return obj

    def get(self) -> AsyncContextManager[T]:
        """Return a context manager that borrows an object and gives it back.

        After an exception in its block an object that may be in the middle of something is aborted instead.
        """
        return _Loan(self)

    async def release(self, obj: T) -> None:
        """Give back an object; it is closed if it cannot be used again or the pool is closed.

        Raises:
            RuntimeError: the pool was not entered.
            ValueError: the object is not one that `acquire` has lent.
        """
        await self._take_back(obj, None)

    async def close(self) -> None:
        """Close the objects that are not lent; the others are closed when they come back. Closing twice is no error.

        Whoever waits in `acquire` gets a RuntimeError. Errors in closing are logged.
        """
        if not self._is_closed:
            self._is_closed = True
            self._room.release()  # the first who waits sees that the pool is closed, and lets the next one see it
        idle = list(self._idle)
        self._idle.clear()
        await close_each([self._dispose(obj, None) for obj in idle])

    async def _take_back(self, obj: T, error: BaseException | None) -> None:
        if not self._is_entered:
            raise RuntimeError(f"{type(self).__name__} is not active: use 'async with'")
        if self._lent.pop(id(obj), None) is None:
            raise ValueError(f"obj was not acquired from this pool, or was released before: {obj!r}")
        try:
            if (error is None or self._SURVIVES_ERRORS) and not self._is_closed and self._is_alive(obj):
                self._idle.append(obj)
            else:
                await self._dispose(obj, error)
        finally:
            self._room.release()

    def _take_idle(self) -> T | None:
        while self._idle:
            obj = self._idle.popleft()
            if self._is_alive(obj):
                return obj
        return None

    def _check_usable(self) -> None:
        if self._is_closed:
            raise RuntimeError(f"{type(self).__name__} is closed")
        if not self._is_entered:
            raise RuntimeError(f"{type(self).__name__} is not active: use 'async with'")

    @abstractmethod
    async def _make(self) -> T:
        """Make a new object."""

    @abstractmethod
    def _is_alive(self, obj: T) -> bool:
        """Tell whether an object can be lent again."""

    @abstractmethod
    async def _dispose(self, obj: T, error: BaseException | None) -> None:
        """Close an object, because of an exception in the block that used it if there was one.

        One that is closed already is no error.
        """


class _Loan(AsyncContextManager[T]):
    """Borrows one object for the length of a block."""

    def __init__(self, pool: _AsyncObjectPool[T]) -> None:
        self._pool = pool
        self._lent: list[T] = []

    async def __aenter__(self) -> T:
        self._lent.append(await self._pool.acquire())
        return self._lent[-1]

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self._pool._take_back(self._lent.pop(), exc_val)
