"""Answering session requests from plain callbacks, where nothing can be awaited."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from ..exceptions import WebTransportError
from ..session import WebTransportSession
from ..types import SessionState
from ..utils import get_logger

__all__ = ["accept_if_undecided", "reject_if_undecided"]

logger = get_logger(name=__name__)


def accept_if_undecided(session: WebTransportSession) -> None:
    """Accept a session request unless it was answered already, or is gone."""
    if session.state is SessionState.CONNECTING:
        _run_at_once(session.accept(), session)


def reject_if_undecided(session: WebTransportSession, *, status_code: int) -> None:
    """Reject a session request with an HTTP status unless it was answered already, or is gone."""
    if session.state is SessionState.CONNECTING:
        _run_at_once(session.reject(status_code=status_code), session)


def _run_at_once(answer: Coroutine[Any, Any, None], session: WebTransportSession) -> None:
    """Run a coroutine that never waits: answering only queues bytes, so a task would be made for nothing."""
    try:
        answer.send(None)
    except StopIteration:
        pass
    except WebTransportError as error:
        logger.debug("request for %s could not be answered: %s", session.path, error)
    else:
        answer.close()
        raise RuntimeError("answering a session request has to wait, which it never should")
