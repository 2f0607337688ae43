"""What becomes of packets that belong to no connection: who may begin one, and the answers that take no connection.

Nothing is kept about a client before its first packet has passed everything here, and no answer is larger than what it
answers; so forged packets gain nothing. What costs least is looked at first: version, kind and size of the packet; the
token of a Retry; limits, the program's own among them; last whether the packet arrived as it was sent.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Self

from .._quic.port import NetworkAddress
from .._quic.retry_tokens import InvalidToken, RetryTokens, ValidatedAddress
from ..config import ServerConfig
from ..constants import ErrorCodes
from ..types import Address
from .addresses import to_address
from .counters import ListenerCounters
from .handshakes import ConnectionT, Crowding, HandshakeLimits, Handshakes
from .outlet import Outlet
from .packets import (
    CONNECTION_ID_SIZE,
    FIXED_BIT,
    MIN_CLIENT_CHOSEN_CID,
    MIN_INITIAL_DATAGRAM,
    MIN_RESET_TRIGGER,
    InitialPacket,
    LongHeader,
    encode_refusal,
    encode_retry,
    encode_stateless_reset,
    encode_version_negotiation,
    is_initial,
)
from .rate_limit import LimitLog, RateLimit

ANSWERS_PER_SECOND = 1000
"""Answers of one kind that are given without a connection: version negotiations, refusals, stateless resets. A Retry is
not among them: under load it is what lets clients through."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AdmissionSettings:
    """Who is let in; the meaning of each is that of the setting in `ServerConfig`."""

    address_validation: str = "auto"
    validation_threshold: int = 200
    limits: HandshakeLimits = field(default_factory=HandshakeLimits)

    @classmethod
    def of(cls, config: ServerConfig) -> Self:
        """Return what a configuration says."""
        # Half of a small server's places are kept for clients that are where they say.
        threshold = min(config.address_validation_threshold, max(config.max_connections // 2, 1))
        limits = HandshakeLimits(
            unfinished=config.max_unfinished_handshakes,
            per_address=config.max_handshakes_per_address,
            attempts_per_address=config.max_connection_attempts_per_address,
            timeout=config.handshake_timeout,
        )
        return cls(config.address_validation, threshold, limits)


class Newcomer(NamedTuple):
    """A client whose first packet may make a connection."""

    host: str
    original_cid: bytes
    """The destination connection id of its very first packet."""
    retry_cid: bytes | None
    """That of this packet, if it follows a Retry: the client is where it says."""


class Admission(Generic[ConnectionT]):
    """Decides about packets of strangers; see the module's docstring."""

    def __init__(
        self,
        settings: AdmissionSettings,
        *,
        counters: ListenerCounters,
        may_accept: Callable[[Address], bool],
        clock: Callable[[], float],
    ) -> None:
        """See `listen` for `may_accept`."""
        self.is_open = True
        """False refuses whoever is new."""

        self.handshakes: Handshakes[ConnectionT] = Handshakes(settings.limits)
        self._settings = settings
        self._counters = counters
        self._may_accept = may_accept
        self._clock = clock
        self._tokens = RetryTokens()
        self._log = LimitLog(_logger)
        self._negotiations, self._refusals, self._resets = (RateLimit(ANSWERS_PER_SECOND, 1.0) for _ in range(3))

    def meet(
        self, data: bytes, header: LongHeader, addr: NetworkAddress, outlet: Outlet, *, supported_versions: list[int]
    ) -> Newcomer | None:
        """Take a packet with a long header; return who may have a connection, or None when that was all."""
        counters = self._counters
        if header.version not in supported_versions:
            self._negotiate_version(data, header, addr, outlet, supported_versions)
            return None
        if (
            len(data) < MIN_INITIAL_DATAGRAM
            or len(header.destination_cid) < MIN_CLIENT_CHOSEN_CID
            or not is_initial(data, header)
        ):
            counters.unknown_connection += 1
            return None
        packet = InitialPacket.read(data, header)
        address = to_address(addr)
        if packet is None or address is None:
            counters.malformed += 1
            return None
        newcomer = self._identify(packet, address[0], addr, outlet)
        if newcomer is None:
            return None
        if not self.is_open or not self._is_welcome(address):
            counters.refused += 1
            self._refuse(header, ErrorCodes.CONNECTION_REFUSED, addr, outlet)
            return None
        if not packet.is_authentic:
            counters.undecryptable += 1
            return None
        return newcomer

    def reset(self, data: bytes, token: bytes | None, addr: NetworkAddress, outlet: Outlet) -> None:
        """Take a packet with a short header whose connection nobody knows (RFC 9000, 10.3); `token` is its id's."""
        self._counters.unknown_connection += 1
        if token is None or len(data) < MIN_RESET_TRIGGER or not data[0] & FIXED_BIT:
            return
        if self._may_answer(self._resets, outlet):
            self._counters.resets_sent += 1
            outlet.transport.sendto(encode_stateless_reset(token, trigger_size=len(data)), addr)

    def _negotiate_version(
        self, data: bytes, header: LongHeader, addr: NetworkAddress, outlet: Outlet, supported_versions: list[int]
    ) -> None:
        # A version negotiation packet (version 0) is never answered: two servers would go on for ever.
        if not header.version or len(data) < MIN_INITIAL_DATAGRAM or not self.is_open:
            self._counters.malformed += 1
        elif self._may_answer(self._negotiations, outlet):
            self._counters.versions_negotiated += 1
            outlet.transport.sendto(encode_version_negotiation(header, supported_versions), addr)

    def _identify(self, packet: InitialPacket, host: str, addr: NetworkAddress, outlet: Outlet) -> Newcomer | None:
        """Return who sent a first packet, unless a limit keeps it out or its address must be validated first."""
        header, mode, now = packet.header, self._settings.address_validation, self._clock()
        verdict = None
        if packet.token and mode != "never":
            verdict = self._tokens.check(packet.token, addr=addr, destination_cid=header.destination_cid, now=now)
        if isinstance(verdict, InvalidToken):
            # A client takes one Retry only: it has to begin anew, and should know (RFC 9000, 8.1.3).
            self._counters.invalid_tokens += 1
            self._refuse(header, ErrorCodes.INVALID_TOKEN, addr, outlet)
            return None
        is_validated = isinstance(verdict, ValidatedAddress)
        crowding = self.handshakes.crowding(host, now, is_validated=is_validated) if self.is_open else None
        if not is_validated and self.is_open and self._must_validate(mode, crowding, host, now):
            self._retry(header, addr, outlet, now)
            return None
        if crowding is not None:
            self._count(crowding)
            self._log.reached(crowding.value, by=host, now=now)
            return None
        if isinstance(verdict, ValidatedAddress):
            return Newcomer(host, verdict.original_cid, header.destination_cid)
        return Newcomer(host, header.destination_cid, None)

    def _must_validate(self, mode: str, crowding: Crowding | None, host: str, now: float) -> bool:
        if mode != "auto":
            return mode == "always"
        if len(self.handshakes) >= self._settings.validation_threshold:
            self._log.reached("address_validation_threshold", by=host, now=now)
            return True
        if crowding is not None:
            self._log.reached(crowding.value, by=host, now=now)
        return crowding is not None

    def _retry(self, header: LongHeader, addr: NetworkAddress, outlet: Outlet, now: float) -> None:
        if not self._may_answer(None, outlet):
            return
        retry_cid = os.urandom(CONNECTION_ID_SIZE)
        token = self._tokens.create(addr=addr, original_cid=header.destination_cid, retry_cid=retry_cid, now=now)
        self._counters.retries_sent += 1
        outlet.transport.sendto(encode_retry(header, source_cid=retry_cid, token=token), addr)

    def _refuse(self, header: LongHeader, error_code: int, addr: NetworkAddress, outlet: Outlet) -> None:
        if self._may_answer(self._refusals, outlet):
            outlet.transport.sendto(encode_refusal(header, error_code), addr)

    def _may_answer(self, limit: RateLimit | None, outlet: Outlet) -> bool:
        if outlet.is_open and not outlet.is_paused and (limit is None or limit.take(self._clock())):
            return True
        self._counters.answers_withheld += 1
        return False

    def _is_welcome(self, address: Address) -> bool:
        try:
            return self._may_accept(address)
        except Exception:
            _logger.exception("deciding about a connection from %s failed; it is refused", address)
            return False

    def _count(self, crowding: Crowding) -> None:
        match crowding:
            case Crowding.ALL:
                self._counters.over_handshake_limit += 1
            case Crowding.ADDRESS:
                self._counters.over_address_limit += 1
            case Crowding.ATTEMPTS:
                self._counters.over_attempt_limit += 1
