"""Answering session requests from plain callbacks, where nothing can be awaited."""

from __future__ import annotations

import asyncio

from .._members import SESSION_CONNECTING
from ..exceptions import WebTransportError
from ..session import WebTransportSession
from ..utils import get_logger

__all__ = ["accept_if_undecided", "accept_soon", "reject_if_undecided"]

logger = get_logger(name=__name__)


def accept_soon(session: WebTransportSession) -> None:
    """Accept a session request after the first step of those who handle it, unless they answer it.

    To be called before that step, or right after tasks for it were made. What they do in their first step, up to
    where they first wait, comes before it; a stream or a datagram of theirs brings it about.
    """
    session._accepts_on_use = True
    asyncio.get_running_loop().call_soon(accept_if_undecided, session)


def accept_if_undecided(session: WebTransportSession) -> None:
    """Accept a session request unless it was answered already, or is gone."""
    if session.state is SESSION_CONNECTING:
        try:
            session._accept_now(None, None, at_once=True)
        except WebTransportError as error:
            logger.debug("request for %s could not be accepted: %s", session.path, error)


def reject_if_undecided(session: WebTransportSession, *, status_code: int) -> None:
    """Reject a session request with an HTTP status unless it was answered already, or is gone."""
    if session.state is SESSION_CONNECTING:
        try:
            session._core.reject(status_code)
        except WebTransportError as error:
            logger.debug("request for %s could not be rejected: %s", session.path, error)
