"""Requests of the other end: waiting in line, running, answered or cancelled.

So many run at once as the limit allows, each in a worker task; a worker that has finished takes the next one that
waits. What waits is bounded; beyond, a request is refused, never left out silently.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from ..constants import ErrorCodes
from ..exceptions import SerializationError
from ..stream._messages import cancel
from ..stream._waiter import WaitLine
from ..types import SessionId
from .exceptions import InvalidParamsError, MethodNotFoundError, RpcError, RpcErrorCode
from .protocol import RESERVED_PREFIX, RpcErrorResponse, RpcSuccessResponse

__all__ = ["Requests", "Response", "failure_of"]

_MAX_WAITING_BYTES = 16 * 1024 * 1024
"""What may wait for a worker: 16 messages of the largest default size, or some 15000 small ones."""

_COST_OF_ONE = 1024  # bytes that a small request takes in memory beyond its JSON, counted generously

_logger = logging.getLogger(__name__)

Response = RpcSuccessResponse | RpcErrorResponse


class _Request:
    """One request that was admitted."""

    __slots__ = ("cost", "id", "method", "params", "was_cancelled")

    def __init__(self, message: dict[str, Any], size: int) -> None:
        self.id: str | int | None = message.get("id")
        self.method = message["method"]
        self.params = message.get("params", [])
        self.cost = size + _COST_OF_ONE
        self.was_cancelled = False


class Requests:
    """The methods that the other end may call, and its calls.

    Args:
        session_id: the session, for errors and the log.
        limit: how many run at once.
        respond: sends a response; what it raises ends the worker.
    """

    def __init__(self, *, session_id: SessionId, limit: int, respond: Callable[[Response], Awaitable[None]]) -> None:
        self._session_id = session_id
        self._limit = limit
        self._respond = respond
        self._methods: dict[str, Callable[..., Any]] = {}
        self._waiting: deque[_Request] = deque()
        self._waiting_bytes = 0
        self._running: dict[str | int, tuple[_Request, asyncio.Task[None]]] = {}
        self._workers: set[asyncio.Task[None]] = set()
        self._idle_line = WaitLine()
        self._is_closed = False

    @property
    def are_waiting(self) -> bool:
        """Tell whether as many requests wait as may run at once."""
        return len(self._waiting) >= self._limit

    def register(self, func: Callable[..., Any], name: str | None) -> None:
        """Let the other end call `func`; see `RpcManager.register`."""
        if not callable(func):
            raise TypeError(f"func must be callable, not {type(func).__name__}")
        method = name or getattr(func, "__name__", None)  # partial objects have none
        if not isinstance(method, str) or not method:
            raise ValueError(f"name must be a non-empty string for {func!r}, not {method!r}")
        if method.startswith(RESERVED_PREFIX):
            raise ValueError(f"name must not begin with {RESERVED_PREFIX!r}: {method!r}")
        self._methods[method] = func

    def admit(self, message: dict[str, Any], size: int) -> RpcErrorResponse | None:
        """Take a request in and run it when its turn comes; what is returned instead refuses it."""
        call_id = message.get("id")
        if not isinstance(call_id, str | int | None) or not isinstance(message["method"], str):
            return self._refusal(None, "id and method are strings", RpcErrorCode.INVALID_REQUEST)
        request = _Request(message, size)
        if self._waiting and self._waiting_bytes + request.cost > _MAX_WAITING_BYTES:
            _logger.warning("session %s: too many RPC requests wait, %r refused", self._session_id, request.method)
            return self._refusal(call_id, "too many requests are waiting", ErrorCodes.APP_RESOURCE_EXHAUSTED)
        self._waiting.append(request)
        self._waiting_bytes += request.cost
        self._start_worker()
        return None

    def cancel(self, params: Any) -> None:
        """The caller waits no more for the call whose id is the one parameter; an unknown one is no error."""
        if not (isinstance(params, list) and len(params) == 1 and isinstance(params[0], str | int)):
            _logger.debug("session %s: cancellation without an id: %r", self._session_id, params)
            return
        call_id = params[0]
        if call_id in self._running:
            request, worker = self._running[call_id]
            request.was_cancelled = True
            worker.cancel()
            return
        for request in self._waiting:
            if request.id == call_id:
                request.was_cancelled = True  # it keeps its place, and is passed over
                return

    def abandon(self) -> list[asyncio.Task[None]]:
        """Nothing can be answered any more: cancel what runs, forget what waits; return the workers that must end."""
        self._waiting.clear()
        self._waiting_bytes = 0
        if self._is_closed:
            return list(self._workers - {asyncio.current_task()})
        self._is_closed = True
        return cancel(self._workers)

    async def wait_until_idle(self) -> None:
        """Wait until every request was answered."""
        while self._workers:
            await self._idle_line.until(lambda: True if not self._workers else None, seconds=None)

    def _start_worker(self) -> None:
        if self._waiting and len(self._workers) < self._limit and not self._is_closed:
            worker = asyncio.get_running_loop().create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._on_worker_done)

    def _on_worker_done(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if not worker.cancelled() and worker.exception() is not None:
            _logger.error("session %s: an RPC worker failed", self._session_id, exc_info=worker.exception())
        self._start_worker()  # one that was cancelled with its request leaves others waiting
        if not self._workers:
            self._idle_line.wake_all()

    async def _work(self) -> None:
        while self._waiting:
            request = self._waiting.popleft()
            self._waiting_bytes -= request.cost
            if request.was_cancelled:
                continue
            response = await self._run(request)
            if response is not None and not self._is_closed:
                await self._respond(response)

    async def _run(self, request: _Request) -> Response | None:
        """Run a request; return what to answer, None for a notification and for what was cancelled."""
        worker = asyncio.current_task()
        if request.id is not None and worker is not None:
            self._running[request.id] = (request, worker)
        try:
            try:
                result = self._call(request)
                if inspect.isawaitable(result):
                    result = await result
            except asyncio.CancelledError:
                if self._is_closed or request.was_cancelled or (worker is not None and worker.cancelling()):
                    raise
                # Nobody cancelled it: something that the method waited for was cancelled, which is its failure.
                raise RpcError(f"'{request.method}' was cancelled") from None
        except RpcError as error:
            return self._failure(request, error)
        except Exception as error:
            _logger.warning("session %s: RPC method %r failed", self._session_id, request.method, exc_info=True)
            return self._failure(request, RpcError(f"Error executing '{request.method}': {error}"))
        finally:
            if request.id is not None and self._running.get(request.id, (None,))[0] is request:
                del self._running[request.id]
        if request.was_cancelled and worker is not None:
            worker.uncancel()  # the method would have none of it
        return None if request.id is None else RpcSuccessResponse(id=request.id, result=result)

    def _call(self, request: _Request) -> Any:
        method = self._methods.get(request.method)
        if method is None:
            raise MethodNotFoundError(f"Method '{request.method}' not found.")
        params = request.params
        try:
            if isinstance(params, list):
                return method(*params)
            if isinstance(params, dict):
                return method(**params)
        except TypeError:
            self._check_params(method, params)
            raise
        raise InvalidParamsError("Parameters must be a list or an object.")

    def _check_params(self, method: Callable[..., Any], params: list[Any] | dict[str, Any]) -> None:
        """Raise if it is the caller's fault that the method could not be called."""
        try:
            signature = inspect.signature(method)
        except (ValueError, TypeError):
            return  # a built-in that tells nothing
        try:
            if isinstance(params, list):
                signature.bind(*params)
            else:
                signature.bind(**params)
        except TypeError as error:
            raise InvalidParamsError(f"Invalid parameters: {error}") from None

    def _failure(self, request: _Request, error: RpcError) -> Response | None:
        return None if request.id is None else RpcErrorResponse(id=request.id, error=error.to_dict())

    def _refusal(self, call_id: str | int | None, message: str, code: int) -> RpcErrorResponse:
        return RpcErrorResponse(id=call_id, error=RpcError(message, error_code=code).to_dict())


def failure_of(response: Response, error: RpcError | SerializationError) -> RpcErrorResponse:
    """Return what to answer in place of a response that cannot be sent."""
    return RpcErrorResponse(id=response.id, error=RpcError(f"The result cannot be sent: {error.message}").to_dict())
