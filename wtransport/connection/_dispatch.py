"""Which handle an event of the engine is for, and which of its methods takes it.

The engine's cores carry their handle; one that has none any more (the program's side of it is over) is passed over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._protocol import events

if TYPE_CHECKING:
    from .connection import WebTransportConnection

__all__ = ["HANDLERS"]


def _stream_readable(_: WebTransportConnection, event: events.StreamReadable) -> None:
    stream = event.stream.handle
    if stream is not None:
        stream._on_readable()


def _stream_writable(_: WebTransportConnection, event: events.StreamWritable) -> None:
    stream = event.stream.handle
    if stream is not None:
        stream._on_writable()


def _stream_opened(_: WebTransportConnection, event: events.StreamOpened) -> None:
    session = event.stream.session.handle
    if session is not None:
        session._on_stream_opened(event.stream)


def _stream_finished(_: WebTransportConnection, event: events.StreamFinished) -> None:
    stream = event.stream.handle
    if stream is not None:
        stream._on_finished()
        if not event.stream.is_local:
            stream.session._on_stream_finished(stream)


def _datagrams_received(_: WebTransportConnection, event: events.DatagramsReceived) -> None:
    session = event.session.handle
    if session is not None:
        session._on_datagrams()


def _datagrams_writable(_: WebTransportConnection, event: events.DatagramsWritable) -> None:
    session = event.session.handle
    if session is not None:
        session._on_datagram_room()


def _stream_credit(_: WebTransportConnection, event: events.StreamCreditAvailable) -> None:
    session = event.session.handle
    if session is not None:
        session._on_stream_credit()


def _session_opened(_: WebTransportConnection, event: events.SessionOpened) -> None:
    session = event.session.handle
    if session is not None:
        session._on_opened()


def _session_rejected(connection: WebTransportConnection, event: events.SessionRejected) -> None:
    session = event.session.handle
    if session is not None:
        session._on_rejected(event.status, event.reason)
        connection._drop(session)


def _session_draining(_: WebTransportConnection, event: events.SessionDraining) -> None:
    session = event.session.handle
    if session is not None:
        session._on_draining()


def _session_ended(connection: WebTransportConnection, event: events.SessionEnded) -> None:
    session = event.session.handle
    if session is not None:
        if not event.session.is_told:
            connection._protocol.send_now()  # the peer need not wait until everybody here has heard of it
        session._on_ended()
        connection._drop(session)


def _session_credit(_: WebTransportConnection, event: events.SessionCreditRaised) -> None:
    session = event.session.handle
    if session is not None:
        session._on_credit_raised(event.kind)


def _session_blocked(_: WebTransportConnection, event: events.SessionBlocked) -> None:
    session = event.session.handle
    if session is not None:
        session._on_blocked(event.kind)


HANDLERS: dict[type, Callable[[WebTransportConnection, Any], None]] = {
    events.StreamReadable: _stream_readable,
    events.StreamWritable: _stream_writable,
    events.StreamOpened: _stream_opened,
    events.StreamFinished: _stream_finished,
    events.DatagramsReceived: _datagrams_received,
    events.DatagramsWritable: _datagrams_writable,
    events.StreamCreditAvailable: _stream_credit,
    events.SessionRequested: lambda connection, event: connection._on_session_requested(event.session),
    events.SessionOpened: _session_opened,
    events.SessionRejected: _session_rejected,
    events.SessionDraining: _session_draining,
    events.SessionEnded: _session_ended,
    events.SessionCreditRaised: _session_credit,
    events.SessionBlocked: _session_blocked,
    events.ConnectionReady: lambda connection, _: connection._on_ready(),
    events.GoawayReceived: lambda connection, _: connection._on_goaway(),
    events.ConnectionClosed: lambda connection, event: connection._on_closed(event),
}
"""By class of the event; a dict look-up, as every readable stream comes this way."""
