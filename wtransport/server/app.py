"""`ServerApp`: routes, middleware, start-up and shutdown hooks around a `WebTransportServer`."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import signal
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from ..config import ServerConfig
from ..constants import ErrorCodes
from ..exceptions import ServerError, WebTransportError
from ..session import WebTransportSession
from ..types import MiddlewareProtocol
from ..utils import get_logger
from .decisions import accept_if_undecided, accept_soon, reject_if_undecided
from .middleware import MiddlewareManager
from .router import RequestRouter, SessionHandler
from .server import WebTransportServer

__all__ = ["ServerApp"]

logger = get_logger(name=__name__)

F = TypeVar("F", bound=Callable[..., Any])

FORBIDDEN = 403
NOT_FOUND = 404
INTERNAL_SERVER_ERROR = 500
SERVICE_UNAVAILABLE = 503
"""HTTP status codes that requests are rejected with (RFC 9110, 15.5.4, 15.5.5, 15.6.1, 15.6.4)."""


class ServerApp:
    """A server program: session handlers by path, and what runs before and around them.

    A request passes the middleware, then its handler runs in a task of its own. The session is accepted after the
    handler's first step, that is when it first waits for something or returns: what it does before that (registering
    event handlers, rejecting, accepting with headers of its own) is done before the client hears anything. Leaving the
    handler closes the session; an exception is logged and closes it with ``APPLICATION_ERROR``.

    Use ``app.run()``, or ``await app.serve()`` inside a running loop, or ``async with app:`` and then ``serve`` or
    ``app.server.listen()``. An app serves once; make another one to serve again.
    """

    def __init__(self, *, config: ServerConfig | None = None) -> None:
        """Create an app; without a configuration the defaults of `ServerConfig` hold.

        The middleware of ``config.middleware`` comes first in the chain.

        Raises:
            ConfigurationError: a value of the configuration is not valid.
            CertificateError: a file that the configuration names does not exist.

        """
        self._server = WebTransportServer(config=config)
        self._server.hand_sessions_to(self._on_session)
        self._router = RequestRouter()
        self._middleware = MiddlewareManager()
        for middleware in self._server.config.middleware:
            self._middleware.add_middleware(middleware=middleware)
        self._startup_handlers: list[Callable[[], Any]] = []
        self._shutdown_handlers: list[Callable[[], Any]] = []
        self._handler_tasks: set[asyncio.Task[None]] = set()
        self._entered = contextlib.AsyncExitStack()
        self._is_started = False
        self._is_stopping = False
        self._is_stopped = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Start the app, see `startup`."""
        await self.startup()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Shut the app down, see `shutdown`."""
        await self.shutdown()

    @property
    def server(self) -> WebTransportServer:
        """Return the server behind the app."""
        return self._server

    @property
    def router(self) -> RequestRouter:
        """Return the routing table, for what the decorators do not offer, e.g. a default handler."""
        return self._router

    def route(self, *, path: str, auto_accept: bool = True) -> Callable[[SessionHandler], SessionHandler]:
        """Return a decorator that serves an exact path, whatever its query, with the decorated handler.

        Args:
            path: begins with ``/``.
            auto_accept: False leaves the decision to the handler: it calls ``accept`` or ``reject`` when it knows, and
                returning without either rejects the request with status 403.

        Raises:
            ValueError: `path` does not begin with ``/``.

        """

        def decorate(handler: SessionHandler) -> SessionHandler:
            self._router.add_route(path=path, handler=handler if auto_accept else _DecidesItself(handler))
            return handler

        return decorate

    def pattern_route(self, *, pattern: str, auto_accept: bool = True) -> Callable[[SessionHandler], SessionHandler]:
        """Return a decorator that serves the paths a regular expression matches from their beginning.

        Args:
            pattern: for `re.match`; patterns are tried in the order in which they were added, after exact paths.
            auto_accept: as in `route`.

        Raises:
            re.error: `pattern` is not a regular expression; raised when the decorator is applied.

        """

        def decorate(handler: SessionHandler) -> SessionHandler:
            self._router.add_pattern_route(pattern=pattern, handler=handler if auto_accept else _DecidesItself(handler))
            return handler

        return decorate

    def add_middleware(self, *, middleware: MiddlewareProtocol) -> None:
        """Append a middleware to the chain.

        One that is an async context manager is entered at start-up, so it must be added before that.

        Raises:
            TypeError: `middleware` is not callable.
            ServerError: the app has started, and the middleware would have to be entered.

        """
        if self._is_started and isinstance(middleware, contextlib.AbstractAsyncContextManager):
            raise ServerError("middleware with a context of its own must be added before the app starts")
        self._middleware.add_middleware(middleware=middleware)

    def middleware(self, middleware_func: MiddlewareProtocol) -> MiddlewareProtocol:
        """Append the decorated function to the chain of middleware, see `add_middleware`."""
        self.add_middleware(middleware=middleware_func)
        return middleware_func

    def on_startup(self, handler: F) -> F:
        """Call the decorated function, plain or coroutine, without arguments when the app starts."""
        self._startup_handlers.append(handler)
        return handler

    def on_shutdown(self, handler: F) -> F:
        """Call the decorated function, plain or coroutine, without arguments when the app shuts down."""
        self._shutdown_handlers.append(handler)
        return handler

    def run(self, *, host: str | None = None, port: int | None = None, **kwargs: Any) -> None:
        """Serve until Ctrl-C or SIGTERM, then shut down and return; makes its own event loop.

        Args:
            host: address or name to bind; the configuration's ``bind_host`` by default.
            port: UDP port; the configuration's ``bind_port`` by default.
            **kwargs: further fields of `ServerConfig`, which replace those of the app's configuration.

        Raises:
            ServerError: no certificate, or the address cannot be bound.
            ConfigurationError: a keyword is not a field of `ServerConfig`, or its value is not valid.

        """
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(self._serve_until_terminated(host=host, port=port, **kwargs))

    async def serve(self, *, host: str | None = None, port: int | None = None, **kwargs: Any) -> None:
        """Listen and serve until the server is closed or the call is cancelled.

        Starts the app and shuts it down, unless ``async with app`` does that around it. Arguments and errors are those
        of `run`.
        """
        if kwargs:
            self._server.reconfigure(**kwargs)
        owns_app = not self._is_started
        if owns_app:
            await self.startup()
        try:
            await self._server.listen(host=host, port=port)
            await self._server.serve_forever()
        finally:
            if owns_app:
                await self.shutdown()

    async def startup(self) -> None:
        """Enter the middleware that has a context, then call the start-up functions in order; listens to nothing yet.

        When one of them fails, what was entered is left again, and its exception is raised.

        Raises:
            ServerError: the app was shut down before.

        """
        if self._is_started:
            return
        if self._is_stopping:
            raise ServerError("the app was shut down; make a new one")
        self._is_started = True
        try:
            await self._entered.enter_async_context(self._server)
            for middleware in self._middleware.get_all_middleware():
                if isinstance(middleware, contextlib.AbstractAsyncContextManager):
                    await self._entered.enter_async_context(middleware)
            for handler in self._startup_handlers:
                await _call(handler)
        except BaseException:
            self._is_started = False
            await self._entered.aclose()
            raise

    async def shutdown(self) -> None:
        """Call the shutdown functions, end the session handlers, close the server, leave the middleware in reverse.

        New requests are rejected with status 503 from here on. An exception in a shutdown function is logged and does
        not stop the others. Called again it waits for the first call to finish; without a start it does nothing.
        """
        if self._is_stopping:
            await self._is_stopped.wait()
        if not self._is_started:
            return
        self._is_stopping = True
        try:
            for handler in self._shutdown_handlers:
                try:
                    await _call(handler)
                except Exception:
                    logger.exception("shutdown function %r failed", handler)
            await self._cancel_handlers()
        finally:
            self._is_started = False
            # The server first, since sessions may still need what the middleware holds; then the middleware.
            try:
                await self._server.close()
            finally:
                self._is_stopped.set()
                await self._entered.aclose()

    async def _serve_until_terminated(self, **kwargs: Any) -> None:
        task = asyncio.current_task()
        is_terminated = False

        def terminate() -> None:
            nonlocal is_terminated
            is_terminated = True
            if task is not None:
                task.cancel()

        # Not there on Windows (NotImplementedError), nor outside the main thread (the others).
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
        try:
            await self.serve(**kwargs)
        except asyncio.CancelledError:
            if not is_terminated:
                raise

    async def _cancel_handlers(self) -> None:
        tasks = self._handler_tasks - {asyncio.current_task()}  # a handler may be the one who shuts down
        for task in tasks:
            task.cancel()
        if not tasks:
            return
        _, stuck = await asyncio.wait(tasks, timeout=self._server.config.close_timeout)
        for task in stuck:
            logger.error("session handler %s ignores its cancellation", task.get_name())

    def _on_session(self, session: WebTransportSession) -> None:
        if self._is_stopping:
            reject_if_undecided(session, status_code=SERVICE_UNAVAILABLE)
            return
        if self._middleware.get_middleware_count():
            self._spawn(self._serve_session(session))
            return
        handler = self._router.route_request(session=session)
        if handler is None:
            reject_if_undecided(session, status_code=NOT_FOUND)
            return
        self._spawn(self._run_handler(session, handler))
        if not isinstance(handler, _DecidesItself):
            # Before the packets of this turn are made, so that the answer goes out with them.
            accept_soon(session)

    def _spawn(self, handling: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(handling)
        self._handler_tasks.add(task)
        task.add_done_callback(self._handler_tasks.discard)

    async def _serve_session(self, session: WebTransportSession) -> None:
        if not await self._middleware.process_request(session=session):
            reject_if_undecided(session, status_code=FORBIDDEN)
            return
        handler = self._router.route_request(session=session)
        if handler is None:
            reject_if_undecided(session, status_code=NOT_FOUND)
        elif not session.is_closed:
            if not isinstance(handler, _DecidesItself):
                accept_soon(session)
            await self._run_handler(session, handler)

    async def _run_handler(self, session: WebTransportSession, handler: SessionHandler) -> None:
        auto_accept = not isinstance(handler, _DecidesItself)
        error_code, reason = int(ErrorCodes.NO_ERROR), ""
        try:
            await handler(session)
        except asyncio.CancelledError:
            reason = "server is shutting down"
            raise
        except Exception as error:
            if session.is_closed and _is_ours(error):
                logger.debug("session for %s ended under its handler: %s", session.path, error)
            else:
                logger.exception("session handler for %s failed", session.path)
            error_code, reason = int(ErrorCodes.APPLICATION_ERROR), self._describe(error)
        finally:
            await self._end_session(session, error_code=error_code, reason=reason, auto_accept=auto_accept)

    async def _end_session(
        self, session: WebTransportSession, *, error_code: int, reason: str, auto_accept: bool
    ) -> None:
        try:
            if auto_accept:
                accept_if_undecided(session)
            else:
                reject_if_undecided(session, status_code=INTERNAL_SERVER_ERROR if error_code else FORBIDDEN)
            if not session.is_closed:
                await session.close(error_code=error_code, reason=reason)
        except WebTransportError as error:
            logger.debug("session for %s was gone before it could be closed: %s", session.path, error)

    def _describe(self, error: Exception) -> str:
        """Return the close reason: details leave the server only in debug mode."""
        if self._server.config.debug:
            return f"session handler failed: {type(error).__name__}: {error}"
        return "session handler failed"


class _DecidesItself:
    """Marks a handler that was routed with ``auto_accept=False``."""

    __slots__ = ("_handler",)

    def __init__(self, handler: SessionHandler) -> None:
        self._handler = handler

    def __call__(self, session: WebTransportSession) -> Awaitable[None]:
        return self._handler(session)


def _is_ours(error: Exception) -> bool:
    """Tell whether an error is one of this package, or a group of nothing but those."""
    if isinstance(error, ExceptionGroup):
        return all(_is_ours(each) for each in error.exceptions)
    return isinstance(error, WebTransportError)


async def _call(function: Callable[[], Any]) -> None:
    result = function()
    if inspect.isawaitable(result):
        await result
