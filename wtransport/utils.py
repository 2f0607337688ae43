"""Helpers of the public API that have no better home: logging, time, bytes, test certificates.

aioquic and cryptography are imported where they are used: together they cost more time than the rest of the package,
and most who import this module want a logger or a clock.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import logging
import os
import ssl
import time
from binascii import b2a_base64
from typing import TYPE_CHECKING, Self

from .constants import SUPPORTED_CONGESTION_CONTROL_ALGORITHMS
from .exceptions import CertificateError, certificate_not_found
from .types import Buffer, ConnectionId, SessionId, Timestamp

if TYPE_CHECKING:
    from aioquic.quic.configuration import QuicConfiguration
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

__all__ = [
    "Timer",
    "apply_log_level",
    "certificate_hash",
    "create_quic_configuration",
    "ensure_bytes",
    "format_duration",
    "generate_self_signed_cert",
    "generate_session_id",
    "get_logger",
    "get_timestamp",
    "random_uuid",
]

_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")  # RFC 4648, section 5
_SESSION_ID_BYTES = 16  # random bytes, so that an id cannot be guessed
_MIN_RSA_BITS = 2048  # what 0.9 programs pass as key_size
_CLOCK_SKEW = datetime.timedelta(hours=1)  # a peer's clock may be behind ours when it reads a fresh certificate
_MAX_COMMON_NAME = 64  # characters: RFC 5280, ub-common-name
_PEM_BEGIN = b"-----BEGIN CERTIFICATE-----"
_PEM_END = b"-----END CERTIFICATE-----"

_LEVELS = {"CRITICAL": 50, "ERROR": 40, "WARNING": 30, "INFO": 20, "DEBUG": 10}  # for each client there is a look-up

_package_logger = logging.getLogger("wtransport")
_applied_level: int | None = None


def get_logger(*, name: str) -> logging.Logger:
    """Return the logger called `name`; those of this package are below ``wtransport``."""
    return logging.getLogger(name)


def apply_log_level(*, level: str, debug: bool = False) -> None:
    """Give the ``wtransport`` logger the level that a configuration asks for.

    A level that the program has set on that logger itself is left alone. Handlers are the program's business.

    Args:
        level: DEBUG, INFO, WARNING, ERROR or CRITICAL, in any case.
        debug: DEBUG, whatever `level` says.

    Raises:
        ValueError: an unknown level.
    """
    global _applied_level
    number = logging.DEBUG if debug else _LEVELS.get(level) or logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"level must be DEBUG, INFO, WARNING, ERROR or CRITICAL, not {level!r}")
    logger = _package_logger
    if logger.level in (logging.NOTSET, _applied_level):
        if logger.level != number:  # setting it makes every logger forget what it is enabled for
            logger.setLevel(number)
        _applied_level = number


def get_timestamp() -> Timestamp:
    """Return the wall-clock time in seconds since the epoch; use `Timer` to measure."""
    return time.time()


def random_uuid() -> ConnectionId:
    """Return what ``str(uuid.uuid4())`` does (RFC 9562, 5.4), without an object of that class for each connection."""
    bits = bytearray(os.urandom(16))
    bits[6] = bits[6] & 0x0F | 0x40
    bits[8] = bits[8] & 0x3F | 0x80
    digits = bits.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def generate_session_id() -> SessionId:
    """Return a random URL-safe string that no other session has."""
    # What `secrets.token_urlsafe` does, at once.
    return b2a_base64(os.urandom(_SESSION_ID_BYTES), newline=False).translate(_TO_URL_SAFE, b"=").decode()


def ensure_bytes(*, data: Buffer | str, encoding: str = "utf-8") -> bytes:
    """Return `data` as bytes: ``bytes`` as they are, other buffers copied, ``str`` encoded.

    Raises:
        TypeError: anything else.
    """
    if isinstance(data, bytes):
        return data
    if isinstance(data, str):
        return data.encode(encoding)
    if isinstance(data, bytearray | memoryview):
        return bytes(data)
    raise TypeError(f"data must be bytes, bytearray, memoryview or str, not {type(data).__name__}")


def format_duration(*, seconds: float) -> str:
    """Return a duration for people, in units that suit it: ``"250.0ms"``, ``"1.5s"``, ``"2m5.0s"``, ``"1h0m3.0s"``."""
    if seconds < 0:
        return "-" + format_duration(seconds=-seconds)
    if seconds < 1e-6:
        return f"{seconds * 1e9:.0f}ns"
    if seconds < 1e-3:
        return f"{seconds * 1e6:.1f}µs"
    if seconds < 1:
        return f"{seconds * 1e3:.1f}ms"
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds, 1), 60)  # rounded first: never "1m60.0s"
    if minutes < 60:
        return f"{minutes:.0f}m{rest:.1f}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:.0f}h{minutes:.0f}m{rest:.1f}s"


class Timer:
    """A stopwatch on the monotonic clock; ``with Timer() as timer:`` starts and stops it."""

    def __init__(self, *, name: str = "timer") -> None:
        self.name = name
        self._started_at: float | None = None
        self._stopped_at: float | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def elapsed(self) -> float:
        """Seconds from start to stop, or until now while it runs; 0.0 before the start."""
        if self._started_at is None:
            return 0.0
        end = time.perf_counter() if self._stopped_at is None else self._stopped_at
        return end - self._started_at

    def start(self) -> None:
        """Start, or start again from zero."""
        self._started_at = time.perf_counter()
        self._stopped_at = None

    def stop(self) -> float:
        """Stop and return the elapsed seconds; stopping again changes nothing.

        Raises:
            RuntimeError: it was never started.
        """
        if self._started_at is None:
            raise RuntimeError(f"timer {self.name!r} was not started")
        if self._stopped_at is None:
            self._stopped_at = time.perf_counter()
        return self.elapsed


def create_quic_configuration(
    *,
    alpn_protocols: list[str],
    congestion_control_algorithm: str,
    idle_timeout: float,
    is_client: bool,
    max_datagram_size: int,
) -> QuicConfiguration:
    """Make aioquic's configuration for one end of a connection.

    Args:
        alpn_protocols: protocols to offer or accept, in order of preference.
        congestion_control_algorithm: ``"reno"`` or ``"cubic"``.
        idle_timeout: seconds of silence after which the connection is over.
        is_client: which end.
        max_datagram_size: largest DATAGRAM frame to accept, in bytes (max_datagram_frame_size, RFC 9221, section 3).

    Raises:
        ValueError: an argument is out of range.
    """
    from aioquic.quic.configuration import QuicConfiguration  # late: see the module's docstring

    if congestion_control_algorithm not in SUPPORTED_CONGESTION_CONTROL_ALGORITHMS:
        allowed = ", ".join(SUPPORTED_CONGESTION_CONTROL_ALGORITHMS)
        raise ValueError(f"congestion_control_algorithm must be one of {allowed}, not {congestion_control_algorithm!r}")
    if not idle_timeout > 0:
        raise ValueError(f"idle_timeout must be more than 0 seconds, not {idle_timeout!r}")
    if max_datagram_size < 1:
        raise ValueError(f"max_datagram_size must be at least 1 byte, not {max_datagram_size!r}")
    return QuicConfiguration(
        alpn_protocols=list(alpn_protocols),
        congestion_control_algorithm=congestion_control_algorithm,
        idle_timeout=idle_timeout,
        is_client=is_client,
        max_datagram_frame_size=max_datagram_size,
    )


def generate_self_signed_cert(
    *, hostname: str, output_dir: str = ".", days_valid: int = 365, key_size: int = 2048
) -> tuple[str, str]:
    """Write a self-signed certificate and its key for tests and development.

    The certificate is good for `hostname`, ``localhost``, 127.0.0.1 and ::1. Clients that are to trust it are given it
    as `ca_certs`, or its `certificate_hash`. A browser takes it by hash only with ``days_valid`` of at most 14 and an
    ECDSA key (W3C WebTransport, custom certificate requirements); the default of 365 days is that of the 0.9 API.

    Args:
        hostname: DNS name or IP address; also the name of both files.
        output_dir: where to write HOST.crt and HOST.key; made if missing. Older files of these names are replaced.
        days_valid: days from now, at least 1.
        key_size: which ECDSA curve: 256, 384 or 521 bits. A size of 2048 or more, an RSA key's in 0.9, means 256: the
            key is never RSA, which browsers refuse to take by hash.

    Returns:
        The paths of the certificate and of the key. Only the owner may read the key (mode 0600).

    Raises:
        ValueError: an argument is out of range, or `hostname` cannot name a file.
        OSError: a file cannot be written.
    """
    from cryptography.hazmat.primitives import serialization  # late, all of them: see the module's docstring
    from cryptography.hazmat.primitives.asymmetric import ec

    curves: dict[int, ec.EllipticCurve] = {256: ec.SECP256R1(), 384: ec.SECP384R1(), 521: ec.SECP521R1()}
    curve = curves[256] if key_size >= _MIN_RSA_BITS else curves.get(key_size)
    if curve is None:
        raise ValueError(f"key_size must be 256, 384, 521, or an RSA size of at least {_MIN_RSA_BITS}, not {key_size}")
    if days_valid < 1:
        raise ValueError(f"days_valid must be at least 1, not {days_valid}")
    if (
        not hostname
        or not hostname.isascii()
        or not hostname.isprintable()
        or set(hostname) & set("/\\ \0")
        or (hostname.startswith("."))
    ):
        raise ValueError(f"hostname must be an ASCII host name or an IP address, not {hostname!r}")

    key = ec.generate_private_key(curve)
    certificate = _self_signed(hostname, key, days_valid)
    os.makedirs(output_dir, exist_ok=True)
    cert_path = os.path.join(output_dir, f"{hostname}.crt")
    key_path = os.path.join(output_dir, f"{hostname}.key")
    pem_key = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write_private(key_path, pem_key)
    with open(cert_path, "wb") as file:
        file.write(certificate.public_bytes(serialization.Encoding.PEM))
    return cert_path, key_path


def certificate_hash(path: str) -> bytes:
    """Return the SHA-256 of a certificate's DER form: what a browser's ``serverCertificateHashes`` compares.

    Args:
        path: a PEM file, whose first certificate counts, or a DER file.

    Raises:
        CertificateError: the file does not exist or has no certificate.
    """
    if not os.path.isfile(path):
        raise certificate_not_found(path=path)
    with open(path, "rb") as file:
        data = file.read()
    if not data.startswith(b"\x30"):  # the SEQUENCE that every DER certificate begins with: X.690
        start, end = data.find(_PEM_BEGIN), data.find(_PEM_END)
        if start < 0 or end < start:
            raise CertificateError(
                f"No certificate in {path}", certificate_path=path, certificate_error="no_certificate"
            )
        data = ssl.PEM_cert_to_DER_cert(data[start : end + len(_PEM_END)].decode("ascii", "replace"))
    return hashlib.sha256(data).digest()


def _self_signed(hostname: str, key: ec.EllipticCurvePrivateKey, days_valid: int) -> x509.Certificate:
    # Late: see the module's docstring.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:_MAX_COMMON_NAME])])
    names: list[x509.GeneralName] = []
    for name in dict.fromkeys([hostname, "localhost", "127.0.0.1", "::1"]):
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            names.append(x509.DNSName(name))
    # Both ends of the validity are inclusive (RFC 5280, 4.1.2.5): without the second, 14 days would be too many.
    not_before = datetime.datetime.now(datetime.UTC).replace(microsecond=0) - _CLOCK_SKEW
    not_after = not_before + datetime.timedelta(days=days_valid) - datetime.timedelta(seconds=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )


def _write_private(path: str, data: bytes) -> None:
    """Write a file that only its owner may read, from its first byte on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        # An existing file kept its old mode.
        os.chmod(path, 0o600)
        file.write(data)
