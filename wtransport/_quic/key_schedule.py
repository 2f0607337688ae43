"""TLS 1.3's key schedule (RFC 8446, section 7.1) on hashlib: what aioquic has, in half the time.

A connection derives some sixty secrets, with objects of `cryptography` that check their types each time. Names and
arguments are aioquic's, which calls this in place of its own: see `aioquic_tuning`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aioquic.tls import CipherSuite, cipher_suite_hash
from cryptography.hazmat.primitives.hashes import HashAlgorithm

from .backend import IS_COMPILED

__all__ = ["KeySchedule", "KeyScheduleProxy", "PureKeySchedule", "hkdf_expand_label", "hkdf_extract"]

_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))
"""What HMAC makes of the bytes of a key (RFC 2104)."""

_MESSAGE_HASH = b"\xfe"  # type of a message that is never sent

_CONSTRUCTORS: dict[str, tuple[Any, int]] = {
    "sha256": (hashlib.sha256, 64),
    "sha384": (hashlib.sha384, 128),
}
"""By the name of the algorithm: its constructor, and the bytes of a block."""


if TYPE_CHECKING or not IS_COMPILED:
    _compiled_hmac: Any = None
else:
    from ._compiled.hkdf import hmac as _compiled_hmac


def hmac(algorithm: HashAlgorithm, key: bytes, message: bytes) -> bytes:
    """Return the HMAC of a message; no key here is longer than a block."""
    if _compiled_hmac is not None:
        made: bytes = _compiled_hmac(algorithm.name == "sha384", key, message)
        return made
    new, block = _CONSTRUCTORS[algorithm.name]
    key = key.ljust(block, b"\x00")
    digest: bytes = new(key.translate(_OUTER) + new(key.translate(_INNER) + message).digest()).digest()
    return digest


def hkdf_extract(algorithm: HashAlgorithm, salt: bytes, key_material: bytes) -> bytes:
    """HKDF-Extract (RFC 5869, 2.2)."""
    return hmac(algorithm, salt, key_material)


def hkdf_expand_label(algorithm: HashAlgorithm, secret: bytes, label: bytes, hash_value: bytes, length: int) -> bytes:
    """HKDF-Expand-Label (RFC 8446, 7.1).

    Args:
        algorithm: SHA-256 or SHA-384.
        secret: what to derive from.
        label: says what for, without "tls13 ".
        hash_value: the context, mostly a hash of the transcript.
        length: bytes of the result, up to 255 times those of a hash.
    """
    info = b"%b%c%b" % (_label(label, length), len(hash_value), hash_value)
    result = block = hmac(algorithm, secret, info + b"\x01")
    number = 2
    while len(result) < length:
        block = hmac(algorithm, secret, block + info + bytes([number]))
        result += block
        number += 1
    return result[:length]


@lru_cache(maxsize=64)
def _label(label: bytes, length: int) -> bytes:
    return length.to_bytes(2) + bytes([6 + len(label)]) + b"tls13 " + label


class PureKeySchedule:
    """The secrets of one handshake, and the hash of its transcript."""

    def __init__(self, cipher_suite: CipherSuite) -> None:
        """Begin with nothing."""
        self.cipher_suite = cipher_suite
        self.algorithm = cipher_suite_hash(cipher_suite)
        self.generation = 0
        self.secret = bytes(self.algorithm.digest_size)
        self._transcript = _CONSTRUCTORS[self.algorithm.name][0]()

    def certificate_verify_data(self, context_string: bytes) -> bytes:
        """Return what the CertificateVerify message signs (RFC 8446, 4.4.3)."""
        return b"%b%b\x00%b" % (b" " * 64, context_string, self._transcript.digest())

    def finished_verify_data(self, secret: bytes) -> bytes:
        """Return what the Finished message of the owner of a traffic secret says (RFC 8446, 4.4.4)."""
        algorithm = self.algorithm
        key = hkdf_expand_label(algorithm, secret, b"finished", b"", algorithm.digest_size)
        return hmac(algorithm, key, self._transcript.digest())

    def derive_secret(self, label: bytes) -> bytes:
        """Derive-Secret, with the transcript so far."""
        return hkdf_expand_label(
            self.algorithm, self.secret, label, self._transcript.digest(), self.algorithm.digest_size
        )

    def extract(self, key_material: bytes | None = None) -> None:
        """Go on to the next secret; without key material with zeros."""
        algorithm, size = self.algorithm, self.algorithm.digest_size
        if self.generation:
            self.secret = hkdf_expand_label(algorithm, self.secret, b"derived", _empty_hash(algorithm.name), size)
        self.generation += 1
        self.secret = hkdf_extract(algorithm, self.secret, bytes(size) if key_material is None else key_material)

    def update_hash(self, data: bytes) -> None:
        """Add a message to the transcript."""
        self._transcript.update(data)


@lru_cache(maxsize=4)
def _empty_hash(name: str) -> bytes:
    digest: bytes = _CONSTRUCTORS[name][0]().digest()
    return digest


if TYPE_CHECKING or not IS_COMPILED:
    _KeySchedule = PureKeySchedule
else:
    from ._compiled.key_schedule import KeySchedule as _KeySchedule


class KeySchedule(_KeySchedule):
    """The secrets of one handshake, and the hash of its transcript."""


_Step = tuple[bool, bytes | None]
"""Whether the next secret was extracted, or else a message came; and what with, or which."""


class KeyScheduleProxy:
    """A client's schedule until the server has chosen the cipher suite: keeps what will be needed of any."""

    def __init__(self, cipher_suites: Iterable[CipherSuite], steps: Iterable[_Step] = ()) -> None:
        """Begin; the server chooses one of these cipher suites. Steps that were taken before come first."""
        self._cipher_suites = list(cipher_suites)
        self.steps: list[_Step] = list(steps)

    def extract(self, key_material: bytes | None = None) -> None:
        """Go on to the next secret."""
        self.steps.append((True, key_material))

    def update_hash(self, data: bytes) -> None:
        """Add a message to the transcript."""
        self.steps.append((False, data))

    def after_retry(self, cipher_suite: CipherSuite, retry: bytes) -> KeyScheduleProxy:
        """Return what goes on after a HelloRetryRequest, in which the first message is a hash (RFC 8446, 4.4.1)."""
        transcript = _CONSTRUCTORS[cipher_suite_hash(cipher_suite).name][0]()
        for is_extract, data in self.steps:
            if not is_extract:
                transcript.update(data or b"")
        digest = transcript.digest()
        other = KeyScheduleProxy([cipher_suite])
        other.extract(None)
        other.update_hash(_MESSAGE_HASH + len(digest).to_bytes(3) + digest)
        other.update_hash(retry)
        return other

    def select(self, cipher_suite: CipherSuite) -> KeySchedule:
        """Return the schedule of a cipher suite, as far as this has come.

        Raises:
            KeyError: it was not offered.
        """
        if cipher_suite not in self._cipher_suites:
            raise KeyError(cipher_suite)
        schedule = KeySchedule(cipher_suite)
        for is_extract, data in self.steps:
            if is_extract:
                schedule.extract(data)
            else:
                schedule.update_hash(data or b"")
        return schedule
