"""A session in every state: what may be asked of it, and what may arrive."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scripted_peer import DATA, DRAFT07, DRAIN, HEADERS, MakePeer, ScriptedPeer, datagram, with_flow_control

from wtransport._protocol.session import SessionCore
from wtransport.constants import ErrorCodes
from wtransport.exceptions import SessionError
from wtransport.types import SessionState

FLOW = with_flow_control(data=1000, bidi=4, uni=4)


def _connecting(peer: ScriptedPeer) -> SessionCore:
    if peer.port.is_client:
        return peer.engine.open_session(authority="localhost", path="/", headers={})
    peer.request()
    session: SessionCore = peer.take_event("SessionRequested").session
    return session


def _connected(peer: ScriptedPeer) -> SessionCore:
    return peer.open_session()


def _draining(peer: ScriptedPeer) -> SessionCore:
    session = peer.open_session()
    session.drain()
    return session


def _closed(peer: ScriptedPeer) -> SessionCore:
    session = peer.open_session()
    session.close()
    peer.pump()
    return session


STATES: dict[str, Callable[[ScriptedPeer], SessionCore]] = {
    "connecting": _connecting,
    "connected": _connected,
    "draining": _draining,
    "closed": _closed,
}

COMMANDS: dict[str, Callable[[SessionCore], object]] = {
    "accept": lambda session: session.accept(),
    "reject": lambda session: session.reject(404),
    "drain": lambda session: session.drain(),
    "open_stream": lambda session: session.open_stream(unidirectional=True),
    "send_datagram": lambda session: session.send_datagram(b""),
    "grant_data": lambda session: session.grant_data(1 << 40),
    "grant_streams": lambda session: session.grant_streams(1 << 20, unidirectional=True),
    "close": lambda session: session.close(),
}

OPEN = {"connected", "draining"}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_in_every_state(engine: MakePeer, state: str, command: str) -> None:
    peer = engine(settings=FLOW)
    session = STATES[state](peer)
    peer.names()
    if command in ("accept", "reject"):
        allowed = state == "connecting" and not peer.port.is_client
    else:
        allowed = state in OPEN or command == "close"
    before = session.state
    if not allowed:
        with pytest.raises(SessionError):
            COMMANDS[command](session)
        assert session.state is before
        peer.pump()
        assert peer.names() == []
        return
    COMMANDS[command](session)
    peer.pump()
    ends = command in ("close", "reject")
    expected = {"accept": SessionState.CONNECTED, "drain": SessionState.DRAINING}.get(command, before)
    assert session.state is (SessionState.CLOSED if ends else expected)
    assert peer.names() == (["SessionEnded"] if ends and state != "closed" else [])
    assert peer.closed is None


INPUTS: dict[str, Callable[[ScriptedPeer], None]] = {
    "fin": lambda peer: peer.send(0, b"", fin=True),
    "close": lambda peer: peer.send_close(0, 1),
    "drain": lambda peer: peer.send_capsule(0, DRAIN),
    "reset": lambda peer: peer.reset(0, 0x10C),
    "stop": lambda peer: peer.stop(0, 0x10C),
    "stream": lambda peer: _ignore(peer.open_stream(0, b"x", unidirectional=True)),
    "datagram": lambda peer: peer.datagrams(datagram(0, b"x")),
    "goaway": lambda peer: peer.send_goaway(0),
    "connection lost": lambda peer: peer.close(),
}


def _ignore(_: object) -> None:
    pass


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("happening", INPUTS)
def test_everything_that_can_arrive_in_every_state(server: MakePeer, state: str, happening: str) -> None:
    peer = server(settings=DRAFT07)
    session = STATES[state](peer)
    peer.names()
    INPUTS[happening](peer)
    names = [name for name in peer.names() if name not in ("GoawayReceived", "ConnectionClosed")]
    expected: list[str]
    match happening, state:
        case ("stream", "connected" | "draining"):
            expected = ["StreamOpened"]
        case ("datagram", "connected" | "draining"):
            expected = ["DatagramsReceived"]
        case ("drain" | "goaway", "connected"):
            expected = ["SessionDraining"]
        case ("fin" | "close", "connecting") | (_, "closed") | ("stream" | "datagram" | "drain" | "goaway", _):
            expected = []  # kept for the answer, or too late
        case _:
            expected = ["SessionEnded"]
    assert names == expected
    assert (session.state is SessionState.CLOSED) == (state == "closed" or expected == ["SessionEnded"])
    if happening != "connection lost":
        assert peer.closed is None


def test_frames_after_the_tunnel_began(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    peer.send(0, b"\x21\x03abc")
    assert peer.closed is None, "unknown frames are skipped"
    peer.send(0, bytes([HEADERS, 2, 0, 0]))
    assert peer.closed == ErrorCodes.H3_FRAME_UNEXPECTED
    assert peer.names()[-1] == "ConnectionClosed"


def test_empty_data_frames_mean_nothing(engine: MakePeer) -> None:
    peer = engine()
    session = peer.open_session()
    peer.send(0, bytes([DATA, 0]) * 10)
    assert session.is_open
