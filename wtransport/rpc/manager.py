"""`RpcManager`: calls over one stream, both ways at once."""

from __future__ import annotations

import asyncio
import builtins
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from ..constants import ErrorCodes
from ..events import Event
from ..exceptions import SerializationError, StreamError, WebTransportError
from ..stream import WebTransportStream
from ..stream._messages import Afterword, cancel, is_worth_a_line, wait_for_end, write_message
from ..types import EventType, SessionId
from ._calls import Calls
from ._requests import Requests, Response, failure_of
from .exceptions import InvalidParamsError, RpcError, RpcTimeoutError
from .protocol import CANCEL_METHOD, RpcRequest, encode_cancellation, encode_message, read_message

__all__ = ["RpcManager"]

_logger = logging.getLogger(__name__)


class RpcManager:
    """Calls methods of the other end of a stream, and lets the other end call registered ones. Use it in `async with`.

    Both ends may call at any time. When the stream ends, calls under way raise RpcError, and the manager closes once
    the other end's requests are answered.

    Args:
        stream: a bidirectional stream; nobody else may read from it or write to it.
        session_id: the session, for errors and the log.
        rpc_concurrency_limit: how many requests of the other end run at once, others wait in line. None, and as in the
            0.9 API 0, stand for the configuration's `rpc_concurrency_limit`.
        max_message_size: most bytes of one message, both ways; None stands for the configuration's.

    Raises:
        ValueError: a limit is negative.
    """

    def __init__(
        self,
        *,
        stream: WebTransportStream,
        session_id: SessionId,
        rpc_concurrency_limit: int | None = None,
        max_message_size: int | None = None,
    ) -> None:
        for name, limit in (("rpc_concurrency_limit", rpc_concurrency_limit), ("max_message_size", max_message_size)):
            if limit is not None and limit < 0:
                raise ValueError(f"{name} must not be negative, not {limit}")
        config = stream.session.connection.config
        self._stream = stream
        self._session_id = session_id
        self._max_message_size = max_message_size or config.max_message_size
        self._close_timeout = config.close_timeout
        self._calls = Calls(session_id)
        self._requests = Requests(
            session_id=session_id, limit=rpc_concurrency_limit or config.rpc_concurrency_limit, respond=self._respond
        )
        self._afterword = Afterword(stream)
        self._reader: asyncio.Task[None] | None = None
        self._is_closed = False
        self._peer_has_ended = False
        self._refused = 0

    def __repr__(self) -> str:
        return f"<RpcManager {self._stream!r} {len(self._calls)} calls under way>"

    async def __aenter__(self) -> Self:
        """Begin to answer requests, and to take responses.

        Raises:
            RpcError: this manager was closed.
        """
        if self._is_closed:
            raise self._error("RPC manager is closed")
        if self._reader is None:
            self._reader = asyncio.get_running_loop().create_task(self._read())
            self._stream.events.once(event_type=EventType.STREAM_CLOSED, handler=self._on_stream_closed)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()

    def register(self, *, func: Callable[..., Any], name: str | None = None) -> None:
        """Let the other end call a function.

        Args:
            func: plain or a coroutine function. Its result goes to the caller as JSON, see `JSONSerializer`. An
                RpcError that it raises reaches the caller with its code; other exceptions become INTERNAL_ERROR. When
                the caller gives up, the coroutine is cancelled.
            name: what the other end calls it; None stands for the function's own name.

        Raises:
            TypeError: func is not callable.
            ValueError: there is no name, or it begins with ``$/``.
        """
        self._requests.register(func, name)

    async def call(self, *, method: str, params: list[Any] | dict[str, Any], timeout: float = 30.0) -> Any:
        """Call a method of the other end.

        When it times out or is cancelled, the other end is told to cancel the method; ends of the 0.9 API ignore that.

        Args:
            method: its name.
            params: a list of parameters by position, or a dict of parameters by name, which ends of the 0.9 API refuse.
            timeout: seconds to wait for the result, the time until the request is sent included.

        Returns:
            What the method returned, as JSON has it.

        Raises:
            InvalidParamsError: the method does not take these parameters, or they have no JSON form.
            MethodNotFoundError: the other end has no such method.
            RpcError: the method failed, with its code and message; or the request is too large, the stream is over, or
                this manager is not in `async with` or closed.
            RpcTimeoutError: no answer came in time.
            TypeError: params is neither list nor dict.
            ValueError: method is empty, or timeout is not positive.
        """
        if not isinstance(method, str) or not method:
            raise ValueError(f"method must be a non-empty string, not {method!r}")
        if not isinstance(params, list | tuple | dict):
            raise TypeError(f"params must be a list or a dict, not {type(params).__name__}")
        if not timeout > 0:
            raise ValueError(f"timeout must be more than 0 seconds, not {timeout}")
        self._check_usable()
        call_id, future = self._calls.begin()
        was_sent = False
        try:
            message = self._encode_call(RpcRequest(id=call_id, method=method, params=_as_json(params)))
            async with asyncio.timeout(timeout):
                await write_message(self._stream, message)
                was_sent = True
                return await future
        except builtins.TimeoutError:
            raise RpcTimeoutError(
                f"RPC call to '{method}' timed out after {timeout} s", session_id=self._session_id
            ) from None
        except StreamError as error:
            raise self._error(f"RPC stream is closed: {error.message}") from error
        finally:
            if not self._calls.end(call_id) and was_sent and not self._is_closed:
                self._afterword.send(encode_cancellation(call_id))

    async def close(self) -> None:
        """Close the stream, cancel what runs for the other end, and fail the calls under way with RpcError.

        Closing twice is no error. A method that the other end called may call this.
        """
        if self._is_closed:
            return
        self._is_closed = True
        self._stream.events.off(event_type=EventType.STREAM_CLOSED, handler=self._on_stream_closed)
        self._calls.fail_all(self._error("RPC manager is closed"))
        own = [] if self._reader is None else [self._reader]
        ending = [*self._requests.abandon(), *cancel([*own, *self._afterword.tasks])]
        await self._stream.close()
        await wait_for_end(ending, seconds=self._close_timeout)

    # Reading.

    async def _read(self) -> None:
        """Take messages up to the end of the stream, let requests be answered, then close."""
        error = self._error("RPC stream is closed")
        try:
            while True:
                try:
                    message, size = await read_message(self._stream, limit=self._max_message_size)
                except SerializationError as problem:
                    self._refuse(problem.message)
                    continue
                await self._take(message, size)
        except asyncio.IncompleteReadError:
            pass  # the end of the stream
        except WebTransportError as problem:
            error = self._error(f"RPC stream failed: {problem.message}")
            _logger.info("session %s: %s", self._session_id, error.message)
            await self._stream.close(error_code=ErrorCodes.APPLICATION_ERROR)
        self._peer_has_ended = True
        self._calls.fail_all(error)
        if not self._stream.can_write:
            self._requests.abandon()
        await self._requests.wait_until_idle()
        await self.close()

    async def _take(self, message: Any, size: int) -> None:
        if not isinstance(message, dict):
            self._refuse("message is not an object")
        elif "method" in message:
            if message["method"] == CANCEL_METHOD:
                self._requests.cancel(message.get("params"))
                return
            refusal = self._requests.admit(message, size)
            if refusal is not None and message.get("id") is not None:
                await self._respond(refusal)
            if self._requests.are_waiting:
                await asyncio.sleep(0)  # what has arrived is read without a pause; the workers need one
        elif "id" in message:
            self._calls.answer(message)
        else:
            self._refuse("message is neither request nor response")

    def _on_stream_closed(self, event: Event) -> None:
        self._requests.abandon()

    def _refuse(self, reason: str) -> None:
        self._refused += 1
        if is_worth_a_line(self._refused):
            _logger.warning(
                "session %s: %d RPC messages refused so far, the last: %s", self._session_id, self._refused, reason
            )

    # Writing.

    async def _respond(self, response: Response) -> None:
        """Send a response. When that cannot be done the stream is of no use: it is reset, which ends the reader."""
        try:
            try:
                message = encode_message(response, limit=self._max_message_size)
            except (RpcError, SerializationError) as error:
                _logger.warning("session %s: RPC result cannot be sent: %s", self._session_id, error.message)
                message = encode_message(failure_of(response, error), limit=self._max_message_size)
            await write_message(self._stream, message)
        except WebTransportError as error:
            if self._stream.can_write:
                _logger.warning("session %s: RPC response not sent: %s", self._session_id, error.message)
            await self._stream.close(error_code=ErrorCodes.APPLICATION_ERROR)

    def _encode_call(self, request: RpcRequest) -> bytes:
        try:
            return encode_message(request, limit=self._max_message_size)
        except SerializationError as error:
            raise InvalidParamsError(error.message, session_id=self._session_id) from error
        except RpcError as error:
            error.session_id = self._session_id
            raise

    def _check_usable(self) -> None:
        if self._reader is None:
            raise self._error("RpcManager is not active: use it in `async with`")
        if self._is_closed:
            raise self._error("RPC manager is closed")
        if self._peer_has_ended or not self._stream.can_write:
            raise self._error("RPC stream is closed")

    def _error(self, message: str) -> RpcError:
        return RpcError(message, session_id=self._session_id)


def _as_json(params: list[Any] | tuple[Any, ...] | dict[str, Any]) -> list[Any] | dict[str, Any]:
    return params if isinstance(params, dict) else list(params)
