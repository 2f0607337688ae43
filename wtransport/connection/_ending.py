"""Why nothing can be done with a connection any more, in words."""

from __future__ import annotations

from .._protocol.events import ConnectionClosed
from ..exceptions import ConnectionError
from ..types import Address

__all__ = ["over_error"]


def over_error(
    end: ConnectionClosed | None, *, cause: Exception | None, was_established: bool, remote_address: Address | None
) -> ConnectionError:
    """Return an error for who wants something of a connection that is over.

    Args:
        end: how it ended; None: it is only being closed.
        cause: the error of this machine that ended it.
        was_established: it had come so far that sessions could be opened.
        remote_address: the peer.
    """
    if end is None:
        return ConnectionError("the connection is closed", remote_address=remote_address)
    began_by = "the peer" if end.by_peer else "this end"
    verb = f"was closed by {began_by}" if was_established else "failed"
    text = end.reason or (str(cause) if cause is not None else f"code {end.error_code:#x}")
    error = ConnectionError(
        f"the connection {verb}: {text}",
        error_code=end.error_code,
        remote_address=remote_address,
        details={"by_peer": end.by_peer, "is_application": end.is_application},
    )
    error.__cause__ = cause
    return error
