"""A client of one kind and a server of another, over real QUIC in memory; and what is tried out between them."""

from __future__ import annotations

from typing import Any

from aioquic.buffer import Buffer
from draft_kinds import SESSIONS, Kind
from draft_rules import Outcome
from engine_pair import EnginePair
from quic_frames import note_frames

from wtransport._protocol import events
from wtransport._protocol.engine import Engine
from wtransport._protocol.violations import ConnectionViolation
from wtransport._quic import port as quic
from wtransport._quic.transport_parameters import encode_reset_stream_at
from wtransport._speedups import encode_varint
from wtransport.constants import ErrorCodes
from wtransport.exceptions import SessionError, StreamError

VERSION_FIELD = {"sec-webtransport-http3-draft02": "1"}

RESET_STREAM, RESET_STREAM_AT = 0x04, 0x24

GRANTED = 1 << 20
"""Bytes, and streams, that an end grants by capsules when its settings granted nothing."""


class DraftEngine(Engine):
    """An engine in the disguise of a kind: it announces what that kind does, and wants what that kind wants."""

    def __init__(self, kind: Kind, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._kind = kind
        if not kind.is_ours:
            self._local_settings = dict((kind.client if self.is_client else kind.server) or {})

    def _on_handshake_started(self, event: quic.HandshakeStarted) -> None:
        super()._on_handshake_started(event)
        self._local_settings = self._local_settings | dict(self._kind.silent_drafts)

    def on_settings(self, settings: dict[int, int]) -> None:
        try:
            super().on_settings(settings)
            self._check_needs(settings)
        except ConnectionViolation as violation:
            raise ConnectionViolation(self._kind.refusal_code, violation.reason) from None

    def _check_needs(self, settings: dict[int, int]) -> None:
        has_limits = all(settings.get(limit) for limit in (0x2B61, 0x2B64, 0x2B65))
        if self.draft == 14 and self._kind.needs_limits and not has_limits:
            raise ConnectionViolation(self._kind.refusal_code, "a limit is missing")


def _restrict_resets(kind: Kind, connection: Any) -> None:
    """Let a connection send and understand no other reset_stream_at transport parameters than its kind."""
    parse, table = connection._parse_transport_parameters, connection.table
    serialize_all = connection._serialize_transport_parameters

    def serialize() -> bytes:
        parameters: bytes = serialize_all().removesuffix(encode_reset_stream_at())
        return parameters + b"".join(encode_varint(identifier) + b"\x00" for identifier in sorted(kind.resets))

    def parse_known(data: bytes, from_session_ticket: bool = False) -> None:
        parse(data, from_session_ticket)
        announced = kind.knows_resets & _parameter_ids(data)
        table.remote.reset_stream_at = bool(announced)

    connection._serialize_transport_parameters = serialize
    connection._parse_transport_parameters = parse_known


def _note_resets(connection: Any) -> None:
    """Let a connection keep the types of the frames by which the peer reset streams, in `reset_types`."""
    connection.reset_types = []
    for frame_type in (RESET_STREAM, RESET_STREAM_AT):
        note_frames(connection, frame_type, connection.reset_types.append)


def _parameter_ids(data: bytes) -> set[int]:
    buffer = Buffer(data=data)
    identifiers = set()
    while not buffer.eof():
        identifiers.add(buffer.pull_uint_var())
        buffer.pull_bytes(buffer.pull_uint_var())
    return identifiers


class DraftPair(EnginePair):
    """Two engines in disguise."""

    def __init__(self, certificate: tuple[str, str], client: Kind, server: Kind) -> None:
        client_options = {"strict": client.is_strict, "max_sessions": SESSIONS}
        server_options = {"strict": server.is_strict, "max_sessions": SESSIONS}
        super().__init__(certificate, client=client_options, server=server_options)
        self.kinds = {"client": client, "server": server}
        self.client = self._disguise(client, self.client)
        if not server.has_datagrams:
            self._server_quic.quic.max_datagram_frame_size = None

    def _disguise(self, kind: Kind, engine: Engine) -> Engine:
        port: Any = engine.port
        if not kind.has_datagrams and engine.is_client:
            port._connection._configuration.max_datagram_frame_size = None
        if not kind.is_ours:
            _restrict_resets(kind, port._connection)
        _note_resets(port._connection)
        return DraftEngine(kind, config=engine._config, port=port, is_client=engine.is_client)

    def _make_server(self, data: bytes) -> None:
        super()._make_server(data)
        self.server = self._disguise(self.kinds["server"], self.server)

    # What comes of it.

    def outcome(self) -> Outcome:
        """Connect, ask for a session, and tell what came of it in the words of `draft_rules`."""
        self.connect()
        drafts = (self.client.draft, self.server.draft)
        closed = [event for event in self.server_events if isinstance(event, events.ConnectionClosed)]
        if closed:
            return Outcome(None, None, closed_with=closed[0].error_code)
        profile = self.client.profile
        assert profile is not None, "the client neither closed the connection nor found a draft"
        self.ends = self.ask()
        ours, theirs = self.ends
        facts = {"token": profile.connect_token, "has_version": self._has_version(ours)}
        if theirs is None:
            rejected = self.take("client", events.SessionRejected)
            code = None if rejected.status is not None else ours.end_error.error_code
            return Outcome(*drafts, **facts, status=rejected.status, reset_with=code)
        assert ("sec-webtransport-http3-draft02" in theirs.headers) == facts["has_version"]
        assert ours.flow.send.enabled == theirs.flow.send.enabled == ours.flow.receive.enabled
        return Outcome(
            *drafts, **facts, flow_control=ours.flow.send.enabled, sessions=1 + self.more_sessions(SESSIONS + 1)
        )

    def _has_version(self, session: Any) -> bool:
        profile = self.client.profile
        return (profile is not None and profile.sends_draft02_header) or self.kinds["client"].always_sends_version

    def ask(self, *, protocols: tuple[str, ...] = ("chat", "moq-00")) -> tuple[Any, Any]:
        """Ask for a session; return both ends, the server's None when it was refused."""
        headers = VERSION_FIELD if self.kinds["client"].always_sends_version else {}
        ours = self.client.open_session(authority="localhost", path="/", headers=headers, protocols=protocols)
        self.pump()
        requests = [event for event in self.server_events if isinstance(event, events.SessionRequested)]
        if not requests:
            return ours, None
        self.server_events.remove(requests[0])
        theirs = requests[0].session
        theirs.accept(protocol="moq-00" if "moq-00" in theirs.available_protocols else None)
        self.pump()
        self.take("client", events.SessionOpened)
        for side, session in (("client", ours), ("server", theirs)):
            self._grant(self.kinds[side], session)
        self.pump()
        return ours, theirs

    def _grant(self, kind: Kind, session: Any) -> None:
        """A limit that the settings leave out begins at 0: grant by capsules, as such a peer has to."""
        settings = (kind.client if session.is_client else kind.server) or {}
        if session.flow.receive.enabled and 0x2B61 not in settings:
            session.grant_data(GRANTED)
            for unidirectional in (False, True):
                session.grant_streams(GRANTED, unidirectional=unidirectional)

    def more_sessions(self, attempts: int) -> int:
        """Return how many more sessions the client gets, at most so many, and end them."""
        opened: list[Any] = []
        try:
            for _ in range(attempts):
                ours, theirs = self.ask()
                if theirs is None:
                    break
                opened.append(ours)
        except SessionError:
            pass  # the client knows better than to ask
        for session in opened:
            session.close()
        self.pump()
        return len(opened)

    # What is tried out.

    def exercise(self) -> None:
        """Exchange one of everything on the session that `outcome` opened, end it, and look at what is left."""
        ours, theirs = self.ends
        assert ours.protocol == theirs.protocol == "moq-00"
        echoed = ours.response_headers.get("sec-webtransport-http3-draft")
        assert echoed == ("draft02" if self._has_version(ours) else None)
        for sender, receiver in ((ours, theirs), (theirs, ours)):
            self._try_streams(sender, receiver)
            self._try_datagram(sender, receiver)
            self._try_resets(sender, receiver)
            self._try_reset_at_once(sender, receiver)
        self._try_close(ours, theirs)

    def _other(self, session: Any, stream: Any) -> Any:
        """Return the other end of a stream that was just opened."""
        self.pump()
        opened = self.take("client" if session.is_client else "server", events.StreamOpened).stream
        assert opened.stream_id == stream.stream_id
        return opened

    def _try_streams(self, sender: Any, receiver: Any) -> None:
        uni = sender.open_stream(unidirectional=True)
        uni.write(b"one way", end_stream=True)
        assert self.read_all(self._other(receiver, uni)) == b"one way"
        bidi = sender.open_stream(unidirectional=False)
        bidi.write(b"there", end_stream=True)
        other = self._other(receiver, bidi)
        assert self.read_all(other) == b"there"
        other.write(b"and back", end_stream=True)
        self.pump()
        assert self.read_all(bidi) == b"and back"

    def _try_datagram(self, sender: Any, receiver: Any) -> None:
        for payload in (b"datagram", b"", bytes(1000)):
            assert sender.send_datagram(payload)
            self.pump()
            assert receiver.datagrams.pop() == payload

    def _try_resets(self, sender: Any, receiver: Any) -> None:
        maps_codes = {session: self._kind(session).maps_codes for session in (sender, receiver)}
        # Draft-02 has codes of one octet; the later ones have four (draft-ietf-webtrans-http3-02, 4.3).
        for code in (0, 29, 30, 255) if self.client.draft == 2 else (0, 30, 255, 256, 0xFFFFFFFF):
            stream = sender.open_stream(unidirectional=False)
            stream.write(b"x")
            other = self._other(receiver, stream)
            assert other.read() == b"x"
            self._reset(stream, code)
            self.pump()
            assert self._failure(other.read).application_code == (code if maps_codes[sender] else None)
            self._reset(other, code)
            self.pump()
            assert self._failure(stream.read).application_code == (code if maps_codes[receiver] else None)
        stopped = sender.open_stream(unidirectional=True)
        stopped.write(b"x")
        self._other(receiver, stopped).stop(77)
        self.pump()
        assert self._failure(lambda: stopped.write(b"more")).application_code == 77

    def _try_reset_at_once(self, sender: Any, receiver: Any) -> None:
        """A stream that is reset before anything went out is known to the other end all the same (3.3)."""
        reset_types = self._connection(receiver).reset_types
        reset_types.clear()
        for unidirectional in (False, True):
            stream = sender.open_stream(unidirectional=unidirectional)
            stream.write(b"lost")
            stream.reset(5)
            other = self._other(receiver, stream)
            assert self._failure(other.read).application_code == 5
            if not unidirectional:
                other.reset(6)
                self.pump()
                assert self._failure(stream.read).application_code == 6
        takes_it = self._kind(sender).knows_resets & self._kind(receiver).resets
        assert reset_types == [RESET_STREAM_AT if takes_it else RESET_STREAM] * 2

    def _connection(self, session: Any) -> Any:
        return session.port._connection

    def _reset(self, stream: Any, code: int) -> None:
        if self._kind(stream.session).maps_codes:
            stream.reset(code)
        else:
            stream.session.port.reset_stream(stream.stream_id, code)
            stream._end_sending()

    def _kind(self, session: Any) -> Kind:
        return self.kinds["client" if session.is_client else "server"]

    def _failure(self, action: Any) -> StreamError:
        try:
            action()
        except StreamError as error:
            return error
        raise AssertionError("no failure")

    def _try_close(self, ours: Any, theirs: Any) -> None:
        left = ours.open_stream(unidirectional=False)
        left.write(b"left open")
        other = self._other(theirs, left)
        theirs.close(4_000_000_000, "bye")
        self.pump()
        assert (ours.close_code, ours.close_reason, ours.ended_by_peer) == (4_000_000_000, "bye", True)
        assert ours.end_error is theirs.end_error is None
        for stream in (left, other):
            assert self._failure(lambda stream=stream: stream.write(b"x"))
        for engine in (self.client, self.server):
            assert not engine.sessions
            assert not engine.streams
            assert not engine.is_closed
        # The connection goes on, with another session that the other end closes.
        ours, theirs = self.ask()
        ours.close(int(ErrorCodes.NO_ERROR), "")
        self.pump()
        assert (theirs.close_code, theirs.close_reason, theirs.ended_by_peer) == (0, "", True)
