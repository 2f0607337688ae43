"""A certificate for targets that need one, made once and kept below build/."""

from __future__ import annotations

import contextlib
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from fuzzing.worlds import ROOT

__all__ = ["certificate"]

_DAYS = 300  # longer than the month for which it is used


def certificate() -> tuple[str, str]:
    """Return the paths of a self-signed certificate and its key.

    The key is an Ed25519 one: its signatures have one length, so that a handshake has the same packets each time.
    """
    directory = ROOT / "build" / "fuzz" / f"certificate-{datetime.now(UTC):%Y-%m}"
    if not directory.exists():
        directory.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=directory.parent))
        key = Ed25519PrivateKey.generate()
        (made / "cert.pem").write_bytes(_self_signed(key))
        (made / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        with contextlib.suppress(OSError):  # another process was faster
            made.rename(directory)
    return str(directory / "cert.pem"), str(directory / "key.pem")


def _self_signed(key: Ed25519PrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=now - timedelta(days=1),
        not_valid_after=now + timedelta(days=_DAYS),
    )
    return builder.sign(key, None).public_bytes(Encoding.PEM)
