"""One engine on a real QUIC connection, and a peer that a test plays by hand on the connection's other end.

What the engine did is read off the wire: from the frames that reached the other end.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from port_pair import End, PortPair, limits
from scripted_peer import DRAFT16, ScriptedPeer

from wtransport._protocol.engine import Engine
from wtransport._protocol.qpack import FieldEncoder
from wtransport._quic.port import StreamBytes, StreamReset, StreamStopped, Terminated
from wtransport._speedups import encode_varint
from wtransport.config import ClientConfig, ServerConfig

__all__ = ["WirePeer"]

_EXCHANGE = 0.2
"""Seconds of virtual time for what one move of the peer causes: some round trips of 20 ms, an acknowledgement."""

_WINDOW = 1 << 20


class _Driven:
    """A port that its engine stands in front of, as a driver sees them."""

    def __init__(self, engine: Engine, port: Any) -> None:
        self._engine = engine
        self._port = port

    def __getattr__(self, name: str) -> Any:
        is_engines = name in ("receive_datagram", "handle_timeout", "datagrams_to_send", "next_deadline", "next_event")
        return getattr(self._engine if is_engines else self._port, name)


class _EngineEnd(End):
    """An end with an engine on its port; its events are the engine's."""

    def __init__(self, name: str, address: Any, config: ClientConfig | ServerConfig) -> None:
        super().__init__(name, address)
        self._config = config
        self.engine: Engine = None  # type: ignore[assignment]

    def attach(self, port: Any) -> None:
        super().attach(port)
        self.engine = Engine(config=self._config, port=port, is_client=self.name == "client")
        self.port = _Driven(self.engine, port)  # type: ignore[assignment]


class _Pair(PortPair):
    """A pair of which one end has an engine."""

    def __init__(self, certificate: tuple[str, str], config: ClientConfig | ServerConfig, *, is_client: bool) -> None:
        large = limits(
            stream_window=_WINDOW, connection_window=4 * _WINDOW, max_streams_bidi=1 << 10, max_streams_uni=1 << 10
        )
        super().__init__(certificate, client_limits=large, server_limits=large)
        plain = self.client if is_client else self.server
        self.near = _EngineEnd(plain.name, plain.address, config)
        if is_client:
            self.near.attach(plain.port)
            self.client, self.far = self.near, self.server
        else:
            self.server, self.far = self.near, self.client


class WirePeer(ScriptedPeer):
    """Plays the other end of one engine, over QUIC in memory and in virtual time."""

    def __init__(
        self,
        certificate: tuple[str, str],
        *,
        is_client: bool,
        settings: Mapping[int, int] | None = DRAFT16,
        **config: Any,
    ) -> None:
        """Connect; with `settings` the peer's control stream opens at once."""
        engine_config: ClientConfig | ServerConfig
        if is_client:
            engine_config = ClientConfig(**config)
        else:
            engine_config = ServerConfig(certfile=certificate[0], keyfile=certificate[1], **config)
        self.pair = _Pair(certificate, engine_config, is_client=is_client)
        self.port = SimpleNamespace(is_client=is_client)  # type: ignore[assignment]
        self._far = self.pair.far
        self._far.on_event = self._credit
        self._opened: dict[int, set[int]] = {}
        self._next_ids = [1, 3] if is_client else [0, 2]
        self._encoder = FieldEncoder()
        self._stops: dict[int, int] = {}
        self.events = self.pair.near.events
        self.pair.connect()
        self.engine = self.pair.near.engine
        self.control_id = self.next_id(unidirectional=True)
        if settings is not None:
            self.send_settings(settings)
        else:
            self.pump()

    def _credit(self, event: Any) -> None:
        if isinstance(event, StreamBytes):
            self._far.port.consume(event.stream_id, len(event.data))

    # What the peer does.

    @property
    def now(self) -> float:  # type: ignore[override]
        """Return the virtual time."""
        return self.pair.now

    def pump(self) -> None:
        """Let everything arrive that is on its way, and what it causes."""
        self.pair.run(_EXCHANGE)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.pair.run(seconds)

    def inject(self, frames: bytes) -> None:
        """Let a packet with just these QUIC frames arrive."""
        self.pair.inject(self._far, frames)
        self.pump()

    def _open(self, stream_id: int) -> None:
        """Open streams up to this one if it is one of the peer's; let it arrive there if it is the engine's."""
        if bool(stream_id & 1) == self.port.is_client:
            opened = self._opened.setdefault(stream_id & 3, set())
            while stream_id not in opened:
                other = self._far.port.open_stream(unidirectional=bool(stream_id & 2))
                if other is None or other > stream_id:
                    raise AssertionError(f"stream {stream_id} cannot be opened")
                opened.add(other)
        elif not self.sent(stream_id):
            self.pump()

    def queue(self, stream_id: int, data: bytes, fin: bool = False) -> None:
        self._open(stream_id)
        self._far.port.send_stream(stream_id, data, fin)

    def queue_reset(self, stream_id: int, code: int, final_size: int | None = None) -> None:
        if final_size is None:
            self._open(stream_id)
            self._far.port.reset_stream(stream_id, code)
        else:
            self.inject(b"\x04" + encode_varint(stream_id) + encode_varint(code) + encode_varint(final_size))

    def queue_stop(self, stream_id: int, code: int) -> None:
        self._open(stream_id)
        self._stops[stream_id] = code
        self._far.port.stop_stream(stream_id, code)

    def datagrams(self, *payloads: bytes) -> None:
        self.inject(b"".join(b"\x31" + encode_varint(len(payload)) + payload for payload in payloads))

    def close(self, code: int = 0x100, reason: str = "", *, is_application: bool = True) -> None:
        self._far.port.close(code, reason, is_application=is_application)
        self.pump()

    # What the engine did.

    def sent(self, stream_id: int) -> bytes:
        return self._far.received(stream_id)

    def has_fin(self, stream_id: int) -> bool:
        return any(event.stream_id == stream_id and event.end_stream for event in self._far.of(StreamBytes))

    @property
    def datagrams_sent(self) -> list[bytes]:
        return [data for event in self._far.events for data in getattr(event, "datagrams", [])]

    @property
    def closed(self) -> int | None:
        for event in self._far.of(Terminated):
            if not event.by_peer:
                raise AssertionError(f"the peer's QUIC closed the connection: {event}")
            return event.error_code
        return None

    def aborted(self) -> dict[int, tuple[int | None, int | None]]:
        ends: dict[int, list[int | None]] = {}
        for event in self._far.events:
            if isinstance(event, StreamReset) and event.error_code != self._stops.get(event.stream_id):
                ends.setdefault(event.stream_id, [None, None])[0] = event.error_code
            elif isinstance(event, StreamStopped):
                ends.setdefault(event.stream_id, [None, None])[1] = event.error_code
        return {stream_id: (codes[0], codes[1]) for stream_id, codes in ends.items()}

    def ends(self, stream_id: int) -> tuple[int | None, int | None]:
        return self.aborted().get(stream_id, (None, None))

    def assert_nothing_left(self, *, has_credit: bool = True) -> None:
        raise NotImplementedError("the peer in memory sees credit")
