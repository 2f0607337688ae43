"""Calls that this end made and that are not answered yet."""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import Any

from ..types import SessionId
from .exceptions import InvalidParamsError, MethodNotFoundError, RpcError, RpcErrorCode

__all__ = ["Calls"]

_logger = logging.getLogger(__name__)


class Calls:
    """The futures of the calls under way, by the ids that the other end sends back."""

    __slots__ = ("_ids", "_pending", "_session_id")

    def __init__(self, session_id: SessionId) -> None:
        self._session_id = session_id
        self._ids = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Any]] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def begin(self) -> tuple[int, asyncio.Future[Any]]:
        """Return the id of a new call and the future of its result; `end` must follow."""
        call_id = next(self._ids)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._pending[call_id] = future
        return call_id, future

    def end(self, call_id: int) -> bool:
        """Forget a call; True if it was answered."""
        future = self._pending.pop(call_id)
        if not future.done() or future.cancelled():
            return False
        future.exception()  # whoever was cancelled together with the answer has not looked at it
        return True

    def answer(self, response: dict[str, Any]) -> None:
        """Give a response to whoever waits for it."""
        call_id = response["id"]
        future = self._pending.get(call_id) if isinstance(call_id, int) else None
        if future is None or future.done():
            # Commonly one that was cancelled when its answer was on the way already.
            _logger.debug("response to a call that is not under way: id %r, session %s", call_id, self._session_id)
            return
        error = response.get("error")
        if error is not None:
            future.set_exception(self._error_of(error))
        elif "result" in response:
            future.set_result(response["result"])
        else:
            future.set_exception(
                RpcError(
                    "response has neither result nor error",
                    error_code=RpcErrorCode.INVALID_REQUEST,
                    session_id=self._session_id,
                )
            )

    def fail_all(self, error: RpcError) -> None:
        """No answers will come: each call raises an error of its own like this one."""
        for future in self._pending.values():
            if not future.done():
                future.set_exception(RpcError(error.message, error_code=error.error_code, session_id=self._session_id))

    def _error_of(self, error: Any) -> RpcError:
        """Return the exception that an error object stands for."""
        if not isinstance(error, dict):
            return RpcError(f"call failed: {error}", session_id=self._session_id)
        message = str(error.get("message", "call failed"))
        code = error.get("code")
        if code == RpcErrorCode.METHOD_NOT_FOUND:
            return MethodNotFoundError(message, session_id=self._session_id)
        if code == RpcErrorCode.INVALID_PARAMS:
            return InvalidParamsError(message, session_id=self._session_id)
        return RpcError(
            message,
            error_code=code if isinstance(code, int) else RpcErrorCode.INTERNAL_ERROR,
            session_id=self._session_id,
            details={"data": error["data"]} if "data" in error else None,
        )
