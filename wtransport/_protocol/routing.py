"""Which reader takes what arrives on which stream, and where streams go whose session is not there."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import cast

from .._quic.port import (
    StreamDiscarded,
    StreamDrained,
    StreamReset,
    StreamRoomRaised,
    StreamStopped,
)
from .._speedups import StreamRegistry
from ..constants import ErrorCodes
from . import limits
from .early import EarlyArrivals, EarlyStream
from .host import EngineHost
from .postponed import PostponedResets
from .readers import DiscardingReader, StreamReader
from .requests import ConnectReader
from .session import SessionCore
from .stream import StreamCore
from .violations import ConnectionViolation

__all__ = ["StreamRouter"]


class _LeftHost:
    """What handles still ask for when the connection is over."""

    __slots__ = ("is_client", "places", "port", "traffic")

    sessions: Mapping[int, SessionCore] = MappingProxyType({})
    streams: Mapping[int, StreamCore] = MappingProxyType({})

    def __init__(self, host: EngineHost) -> None:
        self.port = host.port
        self.places = host.places
        self.traffic = host.traffic
        self.is_client = host.is_client


class StreamRouter(StreamRegistry):
    """The readers of a connection's streams."""

    readers: dict[int, StreamReader]

    def __init__(self, host: EngineHost, early: EarlyArrivals, readers: dict[int, StreamReader]) -> None:
        """Begin without streams; `readers` is what is looked into when bytes come."""
        super().__init__(host, readers, StreamCore)
        self.connects: dict[int, ConnectReader] = {}
        self._host = host
        self._early = early
        self._ended_sessions: OrderedDict[int, None] = OrderedDict()
        self._stopped_connects: dict[int, tuple[float, int]] = {}  # until when, and the peer's code
        self._postponed = PostponedResets()
        self._waiting_resets = self._postponed.waiting

    def read(self, stream_id: int, reader: StreamReader) -> None:
        """Let a reader take what arrives on a stream from now on."""
        self.readers[stream_id] = reader
        if isinstance(reader, ConnectReader):
            self.connects[stream_id] = reader

    def forget(self, stream_id: int) -> None:
        """Drop a stream whose end has come."""
        self.readers.pop(stream_id, None)
        self._stopped_connects.pop(stream_id, None)
        self._beginnings.pop(stream_id, None)
        was_request = self.connects.pop(stream_id, None) is not None
        if was_request and stream_id not in self._ended_sessions and stream_id not in self._host.sessions:
            self.session_ended(stream_id)  # it was never to be one: nothing waits for it any longer

    def clear(self) -> None:
        """Drop everything: the connection is over."""
        self.readers.clear()
        self.connects.clear()
        self._sending.clear()
        self._stopped_connects.clear()
        self._beginnings.clear()
        self._postponed.clear()
        self._early.clear()

    def leave(self) -> None:
        """Let go of the engine, after `clear`: the handles that are left have little to ask for."""
        self._host = cast("EngineHost", _LeftHost(self._host))

    def await_beginning(self, stream_id: int, now: float) -> None:
        """Give a stream that the peer just opened a while to say what for, if its first bytes did not."""
        reader = self.readers.get(stream_id)
        if reader is not None and reader.is_beginning:
            self._beginnings[stream_id] = now + limits.REQUEST_TIMEOUT
            self._host.deadlines.watch()

    def await_end(self, stream_id: int, wire_code: int, now: float) -> None:
        """Give a CONNECT stream whose other direction the peer stopped a while to tell how the session ended."""
        self._stopped_connects.setdefault(stream_id, (self._patience(now), wire_code))
        self._host.deadlines.watch()

    def _patience(self, now: float) -> float:
        return now + limits.CLOSE_PROBE_TIMEOUTS * self._host.port.probe_timeout

    def postpones(self, event: StreamReset, reader: StreamReader, now: float) -> bool:
        """Tell whether a reset waits for the end of the session, which would explain it better."""
        if not self._postponed.add(event, reader, self._patience(now)):
            return False
        self._host.deadlines.watch()
        return True

    def discard(self, stream_id: int, wire_code: int, *, has_ended: bool) -> None:
        """Reset and stop a stream; unless its end has come, wait for that."""
        self.forget(stream_id)
        self._host.places.give_up(stream_id)
        self._host.port.reset_stream(stream_id, wire_code)
        if not has_ended:
            self._host.port.stop_stream(stream_id, wire_code)
            self.readers[stream_id] = DiscardingReader(self._host, stream_id)

    def discard_early(self, early: EarlyStream, wire_code: int) -> None:
        """Reset and stop a data stream whose session is not there, and count what came of it."""
        stream_id, nbytes = early.stream_id, early.nbytes
        self._host.port.consume(stream_id, nbytes)
        self.discard(stream_id, wire_code, has_ended=early.has_ended)
        traffic = self._host.traffic
        traffic.streams_unclaimed += 1
        counted = early.header_size + nbytes
        traffic.count_late_bytes(nbytes + max(early.final_size - counted, 0))
        if not early.has_ended:
            self.readers[stream_id] = DiscardingReader(self._host, stream_id, counted=counted)

    def _end_reading(self, stream: StreamCore, *, still_arriving: bool) -> None:
        """Wait for the end of a data stream that was stopped, if it has not come; it may wait here already."""
        stream_id = stream.stream_id
        if still_arriving:
            self.readers[stream_id] = DiscardingReader(self._host, stream_id, counted=stream.receive_offset)
        else:
            self.readers.pop(stream_id, None)
        reset = self._postponed.take(stream_id)
        if reset is not None and still_arriving:
            self.readers[stream_id].on_reset(reset.error_code, reset.final_size)

    @property
    def has_sending(self) -> bool:
        """Tell whether there are streams that are over but for bytes to send, or were when it was last looked at."""
        return bool(self._sending)

    def on_stopped(self, event: StreamStopped) -> None:
        """Pass on the peer's STOP_SENDING, also to a stream that is over but for what it has to send."""
        stream = self._sending.pop(event.stream_id, None)
        reader = self.readers.get(event.stream_id) if stream is None else stream
        if reader is not None:
            reader.on_stopped(event.error_code, event.unsent)

    def on_drained(self, event: StreamDrained) -> None:
        """Pass on that the unsent bytes of a stream fell to the mark asked for."""
        if event.stream_id in self._ended_sessions:
            self._reset_unsent(event.stream_id)
            return
        reader = self.readers.get(event.stream_id)
        if reader is not None:
            reader.on_drained()

    def _reset_unsent(self, session_id: int) -> None:
        """Reset what still has bytes to send: the peer was told that their session is over (draft-16, 6)."""
        for stream in [each for each in self._sending.values() if each.session.stream_id == session_id]:
            del self._sending[stream.stream_id]
            stream.reset_unsent(ErrorCodes.WT_SESSION_GONE)

    def on_room(self, event: StreamRoomRaised) -> None:
        """Pass on that the transport takes more bytes of a stream."""
        reader = self.readers.get(event.stream_id)
        if reader is not None:
            reader.on_room()

    def on_discarded(self, event: StreamDiscarded) -> None:
        """Pass on the end of a stream whose reading was given up."""
        reader = self.readers.get(event.stream_id)
        if reader is not None:
            reader.on_discarded(event.final_size)

    def route_data_stream(self, stream_id: int, session_id: int, header_size: int, now: float) -> StreamReader:
        """Return who reads a data stream whose header was read (draft-16, 4.6)."""
        session = self._host.sessions.get(session_id)
        self._host.places.hold(stream_id)
        if session is not None and session.is_open:
            session.on_stream_opened(stream_id, header_size)
        elif session is None and self._is_over(session_id):
            self.discard_early(EarlyStream(stream_id, session_id, header_size), ErrorCodes.WT_SESSION_GONE)
        else:
            if session is None:
                self.check_session_id(session_id)
            early = EarlyStream(stream_id, session_id, header_size)
            if self._early.add_stream(early, now, is_known=session is not None):
                self.readers[stream_id] = early
                self._host.deadlines.watch()
            else:
                self.discard_early(early, ErrorCodes.WT_BUFFERED_STREAM_REJECTED)
        return self.readers[stream_id]

    def _is_over(self, session_id: int) -> bool:
        """Tell whether there will be no session of this id any more: a client knows all that it asked for."""
        if self._host.is_client:
            self.check_session_id(session_id)
        return self._host.is_client or session_id in self._ended_sessions

    def check_session_id(self, session_id: int) -> None:
        """Refuse an id that the client cannot have opened under the server's stream limit (RFC 9297, 2.1)."""
        port = self._host.port
        limit = port.remote_max_streams_bidi if self._host.is_client else port.local_max_streams_bidi
        if session_id >> 2 >= limit:
            raise ConnectionViolation(ErrorCodes.H3_ID_ERROR, f"session id {session_id} is beyond the stream limit")

    def early_datagram(self, session_id: int, data: bytes, now: float) -> None:
        """Keep a datagram whose session is not open yet; drop it when there will be none."""
        session = self._host.sessions.get(session_id)
        if session is None:
            connect = self.connects.get(session_id)
            if self._is_over(session_id) or (connect is not None and connect.refuses_datagram()):
                self._host.traffic.count_late_datagrams(1)
                return
            self.check_session_id(session_id)
        if self._early.add_datagram(session_id, data, now):
            self._host.deadlines.watch()
        else:
            self._host.traffic.count_late_datagrams(1)

    def session_ended(self, session_id: int) -> None:
        """Remember that a session is over, and reset what still waited for it."""
        self._ended_sessions[session_id] = None
        if len(self._ended_sessions) > limits.MAX_REMEMBERED_SESSIONS:
            self._ended_sessions.popitem(last=False)
        if self._early.waiting:
            self._reject_early(session_id, ErrorCodes.WT_SESSION_GONE)

    @property
    def has_deadlines(self) -> bool:
        """Tell whether anything waits here for a while only."""
        return bool(self._early.waiting or self._postponed.waiting or self._stopped_connects or self._beginnings)

    def next_deadline(self) -> float | None:
        """Return when `expire` has something to do, or None."""
        deadline = self._early.next_deadline()
        until = self._postponed.next_deadline()
        if until is not None and (deadline is None or until < deadline):
            deadline = until
        for until, _ in self._stopped_connects.values():
            if deadline is None or until < deadline:
                deadline = until
        for until in self._beginnings.values():
            deadline = until if deadline is None else min(deadline, until)
            break
        return deadline

    def expire(self, now: float) -> None:
        """Give up what waited too long for a CONNECT that did not come, or not whole, or for its end."""
        for stream_id, (until, wire_code) in list(self._stopped_connects.items()):
            if now >= until:
                del self._stopped_connects[stream_id]
                self.connects[stream_id].end_abnormally(wire_code)
        for stream_id, until in list(self._beginnings.items()):
            if now < until:
                break
            del self._beginnings[stream_id]
            reader = self.readers.get(stream_id)
            if reader is not None and reader.is_beginning:
                reader.give_up()
        for reset in self._postponed.expired(now):
            stream = self.readers[reset.stream_id]
            if isinstance(stream, StreamCore):
                self._host.guard(stream.session, stream.on_reset, reset.error_code, reset.final_size)
        for session_id in self._early.expired(now):
            if session_id in self._host.sessions:
                self._early.postpone(session_id, now)
            else:
                self._reject_early(session_id, ErrorCodes.WT_BUFFERED_STREAM_REJECTED)

    def _reject_early(self, session_id: int, wire_code: int) -> None:
        streams, datagrams = self._early.take(session_id)
        self._host.traffic.count_late_datagrams(len(datagrams))
        for stream in streams:
            self.discard_early(stream, wire_code)
