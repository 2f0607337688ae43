"""A listener in virtual time, and strangers who hold the keys that everybody holds: those of Initial packets."""

from __future__ import annotations

import logging
from collections import Counter

from aioquic.buffer import Buffer
from aioquic.quic.crypto import CryptoPair
from aioquic.quic.packet import QuicPacketType, pull_quic_header
from aioquic.quic.packet_builder import QuicPacketBuilder
from fuzzing.byte_source import ByteSource
from fuzzing.certificates import certificate
from fuzzing.outcomes import Trace, check
from fuzzing.repeatable import no_randomness
from listener_rig import ListenerRig

from wtransport._adapter.admission import AdmissionSettings
from wtransport._adapter.handshakes import HandshakeLimits
from wtransport.config import ServerConfig

__all__ = ["FrontDoor"]

_LIMITS = HandshakeLimits(unfinished=5, per_address=2, attempts_per_address=6, timeout=2.0)
_MODES = ("auto", "always", "never")
_ADDRESSES = [("192.0.2.50", 5000), ("192.0.2.50", 5001), ("192.0.2.51", 5000), ("fe80::1%lo", 5000, 0, 1)]
_VERSIONS = [1, 1, 1, 0x6B3343CF, 0x1A2A3A4A]
_SMALLEST = 1200

CLIENT_HELLO = bytes.fromhex(
    "010001d203035a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a000006130213011303010001a300"
    "33010c010a0017004104eab6aaa39ad0c2205b24263f0193a80295bf04c6497bc45ddba8d4742f064be4eaad66f3e88c5e8873bf"
    "deb69eb1aade327bc81e8dee10c9767220e14b6fbddf00180061043d219b4a76024099ae5af7f4f38b9ec9b8d087c5572bda07e2"
    "2b6a6e136d86c9f7a60a503d712355c9b0912ce7c3e3a7e1709f9d191eca632904ca4ac9fed80e6a9594cb7ec1393b66afc7746b"
    "bdf8aa0a83fb72b2b9433ce3c07eed71c80df0001d0020b01f83b1e5a44486af6f5a01803ca89ea5c9d0a00074bb1fd717ea9421"
    "d5e738001e00381a3c2478e4bc66947a95e59b642dcfb332c6f7c06bda06d66758a9907231a9e62c288382a25b0460a9f940569e"
    "54d2e6946bee8d74fec20c002b0003020304000d00140012040308040401050308050501020108070808000a000a000800170018"
    "001d001e0000000e000c0000096c6f63616c686f73740010000500030268330039004701048000ea600404801000000504801000"
    "0006048010000007048010000008024080090240800a01030b01190e01080f085a5a5a5a5a5a5a5a110c00000001000000016b33"
    "43cf"
)
"""A client's first TLS message, with the transport parameters of a client whose connection id is eight times 0x5a."""


class _Complaints(logging.Handler):
    """Keeps what is logged as an error: an exception that somebody caught is one all the same."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(f"{record.getMessage()}: {record.exc_info and record.exc_info[1]!r}")


class FrontDoor:
    """A listener and its books: what came from each address, and what went there."""

    def __init__(self, source: ByteSource) -> None:
        self.source = source
        self.trace: Trace = []
        settings = AdmissionSettings(source.pick(_MODES), validation_threshold=3, limits=_LIMITS)
        config = None
        if source.flag():
            certfile, keyfile = certificate()
            config = ServerConfig(certfile=certfile, keyfile=keyfile, connection_idle_timeout=5.0)
        self.rig = ListenerRig(settings, config=config)
        self.is_real = config is not None
        self.received: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.last = b""
        self.tokens: list[tuple[bytes, bytes]] = []  # of Retry packets, with the connection id to use them with
        self.has_used_token = False
        """Tokens are encrypted, and so random: what they lead to cannot be compared."""
        self.complaints = _Complaints()

    def run(self) -> Trace:
        """Run all of the source."""
        logger = logging.getLogger("wtransport")
        logger.addHandler(self.complaints)
        try:
            self.play()
        finally:
            logger.removeHandler(self.complaints)
            self.rig.loop.close()
        return [] if self.has_used_token else self.trace

    def play(self) -> None:
        """Make all moves that the source has."""
        with no_randomness():
            steps = (self.initial, self.initial, self.anything, self.altered, self.short, self.advance, self.mood)
            while self.source.has_more:
                self.source.pick(steps)()
                check(not self.complaints.messages, f"an error was logged: {self.complaints.messages}")
                check(self.rig.listener.unfinished_handshakes <= _LIMITS.unfinished, "too many handshakes")
            self.finish()

    def send(self, data: bytes, address: tuple[object, ...]) -> None:
        """Have a datagram arrive, and check what it makes the listener send."""
        host = str(address[0])
        self.last = data
        self.received[host] += len(data)
        connections = len(self.rig.accepted)
        connection = self.rig.route(data, address)
        stateless = list(self.rig.sent)
        if connection is not None and self.is_real:
            connection.receive(data, address, self.rig.loop.time())
            connection.end_batch()
        self.rig.loop.run_until_idle()
        if connection is None:
            check(len(stateless) <= 1, "several answers to one datagram")
            check(all(len(answer) <= len(data) for answer, _ in stateless), "an answer is larger than its cause")
        self.settle()
        self.trace.append((connection is not None, len(self.rig.accepted) - connections, len(stateless)))

    def settle(self) -> None:
        """Enter in the books what was sent."""
        for answer, address in self.rig.sent:
            host = str(address[0])
            self.sent[host] += len(answer)
            check(self.sent[host] <= 3 * self.received[host], f"{host} got over three times of what it sent")
            if answer[0] & 0xF0 == 0xF0:
                header = pull_quic_header(Buffer(data=answer), host_cid_length=8)
                if header.packet_type is QuicPacketType.RETRY:
                    self.tokens.append((header.token, header.source_cid))
        self.rig.sent.clear()

    def initial(self) -> None:
        """Send an Initial packet with proper protection and whatever frames."""
        source = self.source
        destination = source.pick([b"client%02d", b"client%02d", b"a", b"long client id %05d", b"OUR-ID-%d"])
        destination = destination % source.below(8) if b"%" in destination else destination
        token, choice = b"", source.below(4)
        self.has_used_token |= choice in (1, 2) and bool(self.tokens)
        match choice:
            case 1 if self.tokens:
                token, destination = source.pick(self.tokens)
            case 2 if self.tokens:
                token, destination = source.pick(self.tokens)
                place = source.byte() % len(token)
                token = token[:place] + bytes([token[place] ^ 1 << source.below(8)]) + token[place + 1 :]
            case 3:
                token = source.blob(60)
        hello = CLIENT_HELLO
        if source.flag():
            place = int.from_bytes(source.take(2)) % len(hello)
            hello = hello[:place] + source.blob(4) + hello[place + source.below(4) :]
        frames = b"\x06\x00" + (0x4000 | len(hello)).to_bytes(2) + hello
        match source.below(6):
            case 3:
                frames = source.blob()
            case 4:
                frames += source.blob(20)
            case 5:
                frames = b"\x01"
        version = source.pick(_VERSIONS)
        size = _SMALLEST if len(frames) > 255 or source.byte() % 4 else 600  # too small to be answered
        packet = _protected(frames, destination=destination, token=token, version=version, size=size)
        self.send(packet, source.pick(_ADDRESSES))

    def anything(self) -> None:
        """Send bytes."""
        data = self.source.blob()
        self.send(data.ljust(self.source.pick([0, 21, 43, 1199, 1200]), b"\x00"), self.source.pick(_ADDRESSES))

    def altered(self) -> None:
        """Send the last datagram again, altered."""
        if self.last:
            place = int.from_bytes(self.source.take(2)) % len(self.last)
            kind = self.source.below(4)
            data = self.last[:place] + (self.source.take(1) if kind else b"") + self.last[place + (kind != 2) :]
            self.send(self.last[: place % 400] if kind == 3 else data, self.source.pick(_ADDRESSES))

    def short(self) -> None:
        """Send a packet with a short header, to a connection that there is or is not."""
        known = [bytes(each) for each in self.rig.listener.routes]
        identifier = self.source.pick(known) if known and self.source.flag() else self.source.take(8)
        self.send(bytes([0x40 | self.source.below(64)]) + identifier + self.source.blob(), self.source.pick(_ADDRESSES))

    def advance(self) -> None:
        """Let time pass."""
        self.rig.loop.advance(self.source.pick([0.0, 0.01, 0.3, 1.5, 3.0, 12.0]))
        self.settle()

    def mood(self) -> None:
        """Change what the program says of newcomers."""
        self.rig.welcome = self.source.byte() % 4 != 1

    def finish(self) -> None:
        """Let everything run out."""
        self.rig.loop.advance(100.0)
        self.settle()
        listener = self.rig.listener
        self.trace.append(sorted(self.rig.counters.items()))
        check(not self.complaints.messages, f"an error was logged: {self.complaints.messages}")
        if self.is_real:
            check(listener.unfinished_handshakes == 0, "a handshake never ends")
            check(not listener.routes, "connection ids are left")
            check(not self.rig.loop.live_timers(), "a timer is left")


def _protected(frames: bytes, *, destination: bytes, token: bytes, version: int, size: int) -> bytes:
    """Return a client's Initial packet, which everybody can make (RFC 9001, 5.2)."""
    keys = CryptoPair()
    keys.setup_initial(cid=destination, is_client=True, version=version if version != 0x1A2A3A4A else 1)
    builder = QuicPacketBuilder(
        host_cid=b"\x5a" * 8,
        peer_cid=destination,
        peer_token=token,
        version=version,
        is_client=True,
        max_datagram_size=size,
    )
    builder.start_packet(QuicPacketType.INITIAL, keys)
    frames = frames or b"\x01"
    builder.start_frame(frames[0], len(frames)).push_bytes(frames[1:])
    datagrams, _ = builder.flush()
    return datagrams[0]
