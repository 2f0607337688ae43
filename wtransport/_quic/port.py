"""The narrow QUIC interface that the WebTransport engine calls, and the events it gets back.

The engine knows nothing else of QUIC: another transport can stand behind it by implementing `QuicPort`. Nothing here
does I/O or reads a clock; times are seconds of one monotonic clock, passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from .. import _speedups

NetworkAddress: TypeAlias = Any
"""A socket address as the operating system gives it: ``(host, port)``, or with flow info and scope for IPv6."""


@dataclass(slots=True)
class HandshakeStarted:
    """Application data may be written: the ALPN protocol and the peer's transport parameters are known."""

    alpn_protocol: str | None


@dataclass(slots=True)
class HandshakeFinished:
    """The TLS handshake is complete."""


@dataclass(slots=True)
class Terminated:
    """The QUIC connection is over; the last event.

    `is_application` tells an application close (frame 0x1d) from a transport one, `by_peer` who began it. With
    `timed_out` nobody did: the peer was silent for too long (RFC 9000, 10.1).
    """

    error_code: int
    reason: str
    is_application: bool
    by_peer: bool
    timed_out: bool = False


@dataclass(init=False, eq=False, repr=False)
class StreamBytes(_speedups.StreamBytes):  # made for nearly every packet of a stream: the kernel has all that runs then
    """In-order stream bytes arrived; `end_stream` marks the FIN (`data` may then be empty)."""

    __slots__ = ()

    stream_id: int
    data: bytes
    end_stream: bool


@dataclass(slots=True)
class StreamReset:
    """The peer reset its sending side; `final_size` counts the bytes it claims to have sent.

    Bytes that it wanted to arrive all the same (RESET_STREAM_AT) were told of before.
    """

    stream_id: int
    error_code: int
    final_size: int


@dataclass(slots=True)
class StreamDiscarded:
    """A stream that we stopped reading came to its end; `final_size` counts all the bytes the peer sent."""

    stream_id: int
    final_size: int


@dataclass(slots=True)
class StreamStopped:
    """The peer asked us to stop sending (STOP_SENDING); the transport answers with RESET_STREAM by itself.

    `unsent` counts the bytes that were queued and dropped before they were sent for the first time. A stream of the
    peer never begins with this event: when STOP_SENDING overtakes the first bytes, it is told of after those.
    """

    stream_id: int
    error_code: int
    unsent: int = 0


@dataclass(slots=True)
class StreamOver:
    """A stream of the peer is over in both directions, as far as QUIC goes.

    It counts as one of those that the peer may have open until `QuicPort.release_stream`, so that no more of them pile
    up than were allowed, however small and short they are. A stream that was released before is over without a word.
    """

    stream_id: int


@dataclass(slots=True)
class StreamDrained:
    """The unsent bytes of a watched stream fell to its low-water mark, see `QuicPort.watch_unsent`."""

    stream_id: int


@dataclass(slots=True)
class StreamRoomRaised:
    """The peer lets us send more on a stream, see `QuicPort.watch_room`."""

    stream_id: int


@dataclass(slots=True)
class DatagramsArrived:
    """DATAGRAM frames arrived, in this order; all those of one UDP payload, or of several."""

    datagrams: list[bytes]


@dataclass(slots=True)
class DatagramsDrained:
    """The outgoing datagram queue has room again after `QuicPort.send_datagram` returned False."""


@dataclass(slots=True)
class StreamCreditRaised:
    """The peer lets us open more streams of one direction (MAX_STREAMS)."""

    unidirectional: bool


QuicEvent: TypeAlias = (
    HandshakeStarted
    | HandshakeFinished
    | Terminated
    | StreamBytes
    | StreamReset
    | StreamDiscarded
    | StreamStopped
    | StreamOver
    | StreamDrained
    | StreamRoomRaised
    | DatagramsArrived
    | DatagramsDrained
    | StreamCreditRaised
)


class DatagramSender(Protocol):
    """A way to send datagrams that all begin with the same bytes, which the sizes here leave out."""

    limit: int
    """Bytes of the largest datagram that `send` queues; -1 when it shall queue none, as in the beginning."""

    @property
    def sent(self) -> int:
        """Return how many datagrams were queued."""

    @property
    def bytes_sent(self) -> int:
        """Return the bytes of those."""

    def send(self, data: Any) -> bool:
        """Queue a datagram; False when it is not ``bytes``, or larger than the limit, or the queue is full."""

    def push(self, data: bytes) -> bool:
        """Queue a datagram that is known to fit into a packet, whatever the limit; False when the queue is full."""


class QuicPort(Protocol):
    """One QUIC connection, sans I/O.

    Four kinds of methods: inputs (`receive_datagram`, `handle_timeout`), commands of the engine, outputs that are
    pulled (`next_event`, `datagrams_to_send`, `next_deadline`), and getters. After any input or command, pull events
    until there are none, then datagrams, then the deadline. Commands call `request_flush`, so that the driver need
    not be told by their callers.
    """

    request_flush: Callable[[], None]
    """Called when a command left something to send. Set by the driver; does nothing before that."""

    request_prompt_flush: Callable[[bool], None] | None
    """Called instead for what others wait for: with True for a datagram, with False for the end of a stream, which the
    same command may follow with more that belongs to it. None: `request_flush` is called."""

    request_flush_at_once: Callable[[], None] | None
    """Called instead now and then while streams are begun one after the other; None: `request_flush` is called."""

    on_cid_issued: Callable[[bytes], None]
    """Called with a connection id by which the peer may address us from now on. Set by a server's demultiplexer."""

    on_cid_retired: Callable[[bytes], None]
    """Called with a connection id that the peer stopped using. Set by a server's demultiplexer."""

    unsent_bytes: Callable[[int], int]
    """Given a stream's id returns how many of its bytes were queued and not sent for the first time.

    After a reset these are the bytes that it dropped, for as long as the stream is known: until QUIC is done with it,
    and a `StreamStopped` that says so was taken.
    """

    receive_datagrams: Callable[[Sequence[tuple[bytes, NetworkAddress]], float], None]
    """Takes UDP payloads with their senders' addresses, in the order in which they came, and the time."""

    datagrams_to_send: Callable[[float], list[tuple[bytes, NetworkAddress]]]
    """Given the time returns the UDP payloads to send now, with their destinations."""

    has_events: Callable[[], bool]
    """Tells whether `next_event` may have one; False once there is none, until more is received, sent or due."""

    has_room: Callable[[], bool]
    """Tells whether more may be received although `next_event` has some: so few that they are bounded, no datagrams."""

    send_room: Callable[[int], int]
    """Given a stream's id returns how many bytes the peer's credit for it allows beyond those sent and queued."""

    is_client: bool

    @property
    def connection_id(self) -> bytes:
        """Return the connection id that we chose first."""

    def connect(self, addr: NetworkAddress, now: float) -> None:
        """Client only: begin the handshake with `addr`."""

    def path_changed(self) -> None:
        """Client only: packets leave from another address from now on (RFC 9000, 9)."""

    def receive_datagram(self, data: bytes, addr: NetworkAddress, now: float) -> None:
        """Take one UDP payload."""

    def handle_timeout(self, now: float) -> None:
        """Do what is due at `now`; called at or after `next_deadline`."""

    def clear(self) -> None:
        """Let go of what only packets need: nothing is sent or received any more. Getters go on to answer."""

    def next_deadline(self) -> float | None:
        """Return when `handle_timeout` must be called, or None."""

    def next_event(self) -> QuicEvent | None:
        """Return the next event, or None."""

    def close(self, error_code: int, reason: str, *, is_application: bool = True) -> None:
        """Close the connection with an application error code, or with a transport one (RFC 9000, 10.2)."""

    def open_stream(self, *, unidirectional: bool) -> int | None:
        """Open a stream and return its id; None when the peer's MAX_STREAMS allows none now (it is told so)."""

    def send_stream_header(self, stream_id: int, data: bytes) -> None:
        """Queue the bytes that a new stream of ours begins with; they arrive even if it is reset later."""

    def send_stream(self, stream_id: int, data: bytes, end_stream: bool) -> None:
        """Queue stream bytes; the caller has checked that the sending side is open."""

    def watch_unsent(self, stream_id: int, low_water: int) -> None:
        """Ask for one `StreamDrained` when at most `low_water` bytes of the stream are unsent."""

    def watch_room(self, stream_id: int) -> None:
        """Ask for one `StreamRoomRaised` when the peer raises that credit (MAX_STREAM_DATA)."""

    def reset_stream(self, stream_id: int, error_code: int) -> None:
        """Reset the sending side, but for its header; no effect when it is already finished or reset."""

    def stop_stream(self, stream_id: int, error_code: int) -> None:
        """Ask the peer to stop sending; bytes that still arrive are discarded and credited at once."""

    def consume(self, stream_id: int, nbytes: int) -> None:
        """Give back flow-control credit for bytes of a stream that were read (or will not be)."""

    def release_stream(self, stream_id: int) -> None:
        """Let the peer open another stream in place of this one, at once or as soon as it is over; once for each."""

    def allow_streams(self, count: int, *, unidirectional: bool) -> None:
        """Let the peer have at least so many streams of a direction open at a time; never fewer than before."""

    def send_datagram(self, data: bytes) -> bool:
        """Queue a DATAGRAM frame payload of at most `max_datagram_payload` bytes; False when the queue is full."""

    def datagram_sender(self, prefix: bytes) -> DatagramSender:
        """Return a way to send datagrams that all begin with the same bytes."""

    def export_keying_material(self, label: bytes, context: bytes, length: int) -> bytes:
        """Return `length` bytes of the connection's TLS exporter (RFC 8446, 7.5); ConnectionError before its keys."""

    @property
    def peer_certificate(self) -> bytes | None:
        """Return the peer's certificate as DER, once the handshake is over; None when it sent none."""

    @property
    def max_datagram_payload(self) -> int:
        """Return the largest DATAGRAM frame payload that can be sent now, in bytes; 0 when the peer takes none."""

    @property
    def remote_max_datagram_frame_size(self) -> int:
        """Return the peer's max_datagram_frame_size transport parameter, in bytes; 0 when absent."""

    @property
    def remote_has_reset_stream_at(self) -> bool:
        """Tell whether the peer takes RESET_STREAM_AT frames (transport parameter reset_stream_at)."""

    @property
    def remote_address(self) -> NetworkAddress | None:
        """Return the address that datagrams are sent to now; follows migration."""

    @property
    def is_paced(self) -> bool:
        """Tell whether packets are held back by pacing, so that `next_deadline` is to be kept to the microsecond."""

    @property
    def is_terminated(self) -> bool:
        """Tell whether the connection is over and nothing is left to send or wait for."""

    @property
    def local_max_streams_bidi(self) -> int:
        """Return the total number of bidirectional streams the peer may open so far (MAX_STREAMS)."""

    @property
    def remote_max_streams_bidi(self) -> int:
        """Return the total number of bidirectional streams that the peer lets us open so far (MAX_STREAMS)."""

    @property
    def datagrams_dropped(self) -> int:
        """Return how many queued datagrams were never sent, as packets had become too small for them."""

    @property
    def probe_timeout(self) -> float:
        """Return the current probe timeout (PTO), in seconds."""

    @property
    def round_trip_time(self) -> float:
        """Return the smoothed round-trip time, in seconds; 0.0 before the first measurement."""
