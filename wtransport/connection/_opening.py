"""A session that a client's program wants: from its request, which may wait for the handshake, to the answer."""

from __future__ import annotations

import asyncio

from .._protocol.session import SessionCore
from .._protocol.session_request import SessionRequest
from ..config import ClientConfig
from ..exceptions import ClientError
from ..session import WebTransportSession
from ..types import Headers

__all__ = ["Opening", "merged_headers", "refusal"]


class Opening:
    """A request, and the task that waits for what comes of it.

    Attributes:
        request: what to send as soon as the connection is ready.
        future: what the task sleeps on until the request is answered, or can never be.
        prepared: a session that was made while the connection was not ready yet.
        session: the session, once its request was sent.
        error: why the request could not be sent.
    """

    __slots__ = ("error", "future", "prepared", "request", "session")

    def __init__(self, request: SessionRequest, future: asyncio.Future[bool]) -> None:
        self.request = request
        self.future = future
        self.prepared: WebTransportSession | None = None
        self.session: WebTransportSession | None = None
        self.error: Exception | None = None

    def take_prepared(self, core: SessionCore) -> WebTransportSession | None:
        """Return the session that was made in advance if it is the one that was opened, else let go of it."""
        prepared, self.prepared = self.prepared, None
        if prepared is None or prepared._core is core:
            return prepared
        prepared._core.withdraw()
        return None

    def withdraw(self) -> None:
        """Let go of a session that was made in advance and will not be opened."""
        if self.prepared is not None:
            self.prepared._core.withdraw()
            self.prepared = None


def merged_headers(config: ClientConfig, headers: Headers | None) -> Headers:
    """Return the fields of a request: what the configuration says, unless the call says otherwise."""
    merged = {"user-agent": config.user_agent} if config.user_agent else {}
    for each in (config.headers, headers):
        if each:
            merged.update({name.lower(): value for name, value in each.items()})
    return merged


def refusal(status: int | None, reason: str) -> ClientError:
    """Return the error for a request that the server refused."""
    text = "gave no answer" if status is None else f"answered with status {status}"
    return ClientError(
        f"the server refused the session: it {text}" + (f": {reason}" if reason else ""),
        details={"status": status, "reason": reason},
    )
