"""Running handlers that are coroutines, with a task made in advance for those that do not wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Generator
from types import CoroutineType
from typing import Any

from .._constants import EVENTS_WITHOUT_SPARE
from .spare_task import SpareTask

__all__ = ["HandlerTasks"]


class HandlerTasks:
    """The tasks in which coroutine handlers of one emitter run.

    What ends a handler is left to a subclass: ``_note_failure(error, listener, event)`` raises what does not end that
    alone, and ``_run(listeners, event)``, a coroutine, calls and awaits the handlers after it.

    Attributes:
        handling: the task of each run of handlers in one.
    """

    __slots__ = ("_spare", "_unbegun", "_until_spare", "handling")

    def __init__(self) -> None:
        """Begin with none."""
        self.handling: dict[HandlerRun, asyncio.Task[None]] = {}  # the loop itself keeps only weak references
        self._spare: SpareTask | None = None
        self._until_spare = 0  # events without one before another is made; below 0 there are none any more
        self._unbegun: HandlerRun | None = None  # the last run of handlers in a task, unless it has begun

    def release_spare_task(self) -> None:
        """Let go of the task that stands ready, if there is one: no event will come any more."""
        spare = self._spare
        self._spare = None
        self._until_spare = -1
        if spare is not None:
            spare.retire()

    def _go_on(
        self, awaitable: Awaitable[None], listener: Any, route: tuple[Any, ...], event: Any, at_once: bool
    ) -> asyncio.Task[None] | None:
        """Run what a handler left to be awaited, and the handlers after it, in a task."""
        coroutine = awaitable if type(awaitable) is CoroutineType else _waiting_for(awaitable)
        run = HandlerRun(self, coroutine, listener, route[route.index(listener) + 1 :], event)
        if at_once and self._spare is not None and self._begin_at_once(run, self._spare):
            return None
        self._unbegun = run
        try:
            loop = asyncio.get_running_loop()
            task = loop.create_task(run)
        except RuntimeError:
            self._unbegun = None
            coroutine.close()
            raise RuntimeError(f"handler {listener.handler!r} is a coroutine: it needs a running event loop") from None
        if run.caller is not None:  # as it is where tasks begin at once
            self.handling[run] = task
        if at_once:
            self._consider_spare(loop)
        return task

    def _begin_at_once(self, run: HandlerRun, spare: SpareTask) -> bool:
        if self._unbegun is not None:  # it was there before this one
            return False
        has_begun = spare.begin(run)
        if self._spare is not spare:  # released by a handler
            spare.retire()
        elif spare.is_used_up:
            self._spare = None
            # Where a handler did something to the task the next one will, too.
            self._until_spare = -1 if has_begun and spare.is_over else EVENTS_WITHOUT_SPARE
        if has_begun and run.caller is not None:
            self.handling[run] = spare.task
        return has_begun

    def _consider_spare(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._until_spare > 0:
            self._until_spare -= 1
        elif self._until_spare == 0 and self._spare is None:
            if SpareTask.is_possible(loop):
                self._spare = SpareTask(loop)
            else:
                self._until_spare = -1

    # What a subclass has to say.

    def _note_failure(self, error: BaseException, listener: Any, event: Any) -> None:
        raise NotImplementedError

    async def _run(self, listeners: tuple[Any, ...], event: Any) -> None:
        raise NotImplementedError


async def _waiting_for(awaitable: Awaitable[None]) -> None:
    await awaitable


class HandlerRun:
    """The coroutine of a task: awaits what a handler left, then runs the handlers after it.

    Between the task and a handler's own coroutine there is no other. What tools ask of a coroutine (its name, code and
    frame) is that of the handler's.
    """

    __slots__ = ("_coroutine", "_event", "_listener", "_rest", "caller")

    def __init__(
        self,
        caller: HandlerTasks,
        coroutine: Coroutine[Any, Any, None],
        listener: Any,
        rest: tuple[Any, ...],
        event: Any,
    ) -> None:
        self.caller: HandlerTasks | None = caller  # None once it is over
        self._coroutine = coroutine
        self._listener = listener  # None once its coroutine is over
        self._rest = rest
        self._event = event

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coroutine, name)

    def __await__(self) -> Generator[Any, Any, None]:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        """Go on to the next thing to wait for."""
        if self.caller is None:
            raise RuntimeError("cannot reuse already awaited coroutine")
        self._begin()
        try:
            return self._coroutine.send(value)
        except StopIteration:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again there unless it ends the handler alone
            self._failed(error)
        return self._go_on()

    def throw(self, error: Any, value: Any = None, traceback: Any = None) -> Any:
        """Raise an exception where the handler waits, and go on to the next thing to wait for."""
        if value is not None or traceback is not None:
            error = (error() if value is None else value).with_traceback(traceback)
        self._begin()
        try:
            return self._coroutine.throw(error)
        except StopIteration:
            pass
        except BaseException as raised:  # noqa: BLE001 - raised again there unless it ends the handler alone
            self._failed(raised)
        return self._go_on()

    def close(self) -> None:
        """Give up the handler and those after it."""
        self._begin()
        try:
            self._coroutine.close()
        finally:
            self._leave()

    def _begin(self) -> None:
        if self.caller is not None and self.caller._unbegun is self:
            self.caller._unbegun = None

    def _failed(self, error: BaseException) -> None:
        """Have the end of a handler noted; what does not end it alone is raised again."""
        try:
            if self._listener is None or not isinstance(error, (Exception, asyncio.CancelledError)):
                raise error
            self.caller._note_failure(error, self._listener, self._event)  # type: ignore[union-attr]  # not over yet
        except BaseException:
            self._leave()
            raise

    def _go_on(self) -> Any:
        """Begin with the handlers that are left, after the one that is over."""
        if not self._rest:
            self._leave()
            raise StopIteration
        self._coroutine = self.caller._run(self._rest, self._event)  # type: ignore[union-attr]
        self._listener = None
        self._rest = ()
        return self.send(None)

    def _leave(self) -> None:
        # By itself: a callback of the task would be a turn of the loop more for every event.
        caller = self.caller
        if caller is not None:
            self.caller = None
            caller.handling.pop(self, None)
