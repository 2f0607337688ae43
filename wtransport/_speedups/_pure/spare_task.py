"""A task made in advance, which begins with a coroutine at once."""

from __future__ import annotations

import asyncio
import gc
import sys
from asyncio import Future, Task
from collections.abc import Coroutine, Generator
from contextvars import copy_context
from threading import get_ident
from typing import Any
from weakref import getweakrefcount

__all__ = ["SpareTask"]

# Of these the documentation of Python says, under "Extending asyncio", that task implementations may use them.
_enter_task = asyncio._enter_task
_leave_task = asyncio._leave_task
_register_task = asyncio._register_task
_unregister_task = asyncio._unregister_task

_NEW, _READY, _RUNNING, _GIVEN, _TAKEN, _OVER = range(6)  # in the order in which it goes through them
_MISSING = object()
_UNCANCELS = sys.version_info >= (3, 13)  # where `uncancel` makes a task forget its cancellation


class SpareTask:
    """A task that stands ready, and runs a coroutine up to its first wait at once instead of in a turn to come.

    A coroutine that waits keeps the task, and from then on it is a task like any other. One that ends without waiting
    leaves it for the next, unless something was done to it or its context variables changed. While it stands ready
    `asyncio.all_tasks` does not have it, and a loop that ends does not miss it. It is ready a turn after it was made.

    To asyncio this is the coroutine of the task.

    Args:
        loop: the running loop, which has no task factory.

    Attributes:
        task: the task. It refers to this object; the reference back is dropped when it wakes up, so that there is no
            cycle.
    """

    __slots__ = (
        "_awaited",
        "_context",
        "_coroutine",
        "_error",
        "_gate",
        "_is_future",
        "_loop",
        "_name",
        "_references",
        "_state",
        "_thread",
        "task",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Make the task, in a copy of the current context."""
        self._loop = loop
        self._thread = get_ident()
        self._state = _NEW
        self._coroutine: Coroutine[Any, Any, None] | None = None
        self._gate: Future[None] | None = None  # what the task waits for while it is ready
        self._awaited: Any = None  # what the coroutine waits for, as long as the task does not
        self._is_future = False
        self._error: BaseException | None = None
        self._references: tuple[int, ...] | None = None  # before anybody could get hold of it
        self._context = copy_context()
        task: Task[None] = Task(self, loop=loop, context=self._context)
        self._name = task.get_name()
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        _unregister_task(task)
        self.task: Any = task

    @staticmethod
    def is_possible(loop: asyncio.AbstractEventLoop) -> bool:
        """Tell whether tasks can stand ready in this loop: not where it makes them in another way, or is debugged."""
        try:
            return hasattr(sys, "getrefcount") and loop.get_task_factory() is None and not loop.get_debug()
        except NotImplementedError:
            return False

    @property
    def is_ready(self) -> bool:
        """It stands ready."""
        return self._state == _READY

    @property
    def is_over(self) -> bool:
        """It ended, or is about to."""
        return self._state == _OVER

    @property
    def is_used_up(self) -> bool:
        """A coroutine has the task, or it is over."""
        return self._state >= _GIVEN

    def begin(self, coroutine: Coroutine[Any, Any, None]) -> bool:
        """Run a coroutine up to its first wait; if there is one the task is the coroutine's, and not ready any more.

        Whatever the coroutine raises is the task's, which raises it in a turn of the loop.

        Returns:
            False when nothing was done: it is not ready, another task runs, the loop does not run here, or context
            variables are not those that there were when it was made (then it is over).
        """
        # Not by `get_running_loop`, which costs a system call.
        if self._state != _READY or get_ident() != self._thread or not self._loop.is_running():
            return False
        if not self._is_in_same_context():
            self.retire()
            return False
        if self._references is None:
            self._references = self._count_references()
        try:
            _enter_task(self._loop, self.task)
        except RuntimeError:
            return False
        self._state = _RUNNING
        self._coroutine = coroutine
        is_over = False
        awaited = error = None
        try:
            awaited = self._context.run(coroutine.send, None)
        except StopIteration:
            is_over = True
        except BaseException as raised:  # noqa: BLE001 - the task's
            error = raised
        _leave_task(self._loop, self.task)
        try:
            if is_over:
                self._be_ready_again()
            else:
                self._give(awaited, error)
        finally:
            del error  # its traceback has this frame
        return True

    def retire(self) -> None:
        """Let a task that is not a coroutine's end, in a turn of the loop."""
        if self._state <= _READY:
            self._state = _OVER
            self._open_gate()

    # What asyncio asks of a coroutine.

    def __getattr__(self, name: str) -> Any:
        if self._coroutine is None:
            raise AttributeError(name)
        return getattr(self._coroutine, name)

    def __await__(self) -> Generator[Any, Any, None]:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        """Go on to the next thing to wait for."""
        if self._state == _TAKEN:
            return self._coroutine.send(value)  # type: ignore[union-attr]  # there is one
        if self._state == _GIVEN:
            return self._take()
        if self._state == _NEW:
            self._state = _READY
            self._gate = gate = self._loop.create_future()
            gate._asyncio_future_blocking = True
            return gate
        self.task = None
        raise StopIteration

    def throw(self, error: Any, value: Any = None, traceback: Any = None) -> Any:
        """Raise an exception where the coroutine waits, and go on to the next thing to wait for."""
        if value is not None or traceback is not None:
            error = (error() if value is None else value).with_traceback(traceback)
        if _UNCANCELS and isinstance(error, asyncio.CancelledError) and self._was_uncancelled():
            return self.send(None)
        if self._state == _GIVEN and self._error is None:
            # As a cancellation of a task that waits: what is awaited is cancelled, and if that is too late the task.
            if self._is_future and isinstance(error, asyncio.CancelledError) and self._awaited.cancel(*error.args[:1]):
                return self._take()
            self._awaited = None
            self._state = _TAKEN
        self.task = None
        if self._state == _TAKEN:
            return self._coroutine.throw(error)  # type: ignore[union-attr]
        if self._error is not None:
            return self._take()
        self._state = _OVER
        raise error

    def close(self) -> None:
        """Give up the coroutine."""
        self._state = _OVER
        self._awaited = None
        if self._coroutine is not None:
            self._coroutine.close()

    def _give(self, awaited: Any, error: BaseException | None) -> None:
        """Hand the task to the coroutine: once awake it waits for `awaited`, or raises `error`."""
        self._state = _GIVEN
        self._error = error
        self._awaited = awaited
        self._is_future = bool(getattr(awaited, "_asyncio_future_blocking", None))
        if self._is_future:
            awaited._asyncio_future_blocking = False  # somebody else may wait for it meanwhile
        self.task._log_destroy_pending = True
        _register_task(self.task)
        self._open_gate()

    def _take(self) -> Any:
        self.task = None
        if self._error is not None:
            self._state = _OVER
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error  # its traceback has this frame
        self._state = _TAKEN
        awaited = self._awaited
        self._awaited = None
        if awaited is None:
            return self._coroutine.send(None)  # type: ignore[union-attr]
        if self._is_future:
            awaited._asyncio_future_blocking = True
        return awaited

    def _be_ready_again(self) -> None:
        self._coroutine = None
        self._state = _READY
        if not self._is_untouched():
            self.retire()

    def _is_in_same_context(self) -> bool:
        current = copy_context()
        mine = self._context
        return len(mine) == len(current) and all(current.get(key, _MISSING) is mine[key] for key in mine)

    def _was_uncancelled(self) -> bool:
        """Tell whether the coroutine took back a cancellation of before its first wait, which has reached the gate."""
        return self._state in {_GIVEN, _OVER} and self.task is not None and not self.task.cancelling()

    def _is_untouched(self) -> bool:
        """Tell whether nobody has hold of the task, waits for it, named it, cancelled it or set an attribute."""
        return (
            self._count_references() == self._references
            and not self.task._callbacks
            and self.task.get_name() is self._name
            and not self._gate.done()  # type: ignore[union-attr]  # there is one
        )

    def _count_references(self) -> tuple[int, ...]:
        task = sys.getrefcount(self.task), getweakrefcount(self.task), len(gc.get_referents(self.task))
        return *task, sys.getrefcount(self._context)

    def _open_gate(self) -> None:
        if self._gate is not None and not self._gate.done() and not self._loop.is_closed():
            self._gate.set_result(None)
