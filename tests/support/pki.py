"""A certificate authority for tests: certificates good and bad in every way that a check must see."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
LOOPBACK = ipaddress.ip_address("127.0.0.1")


class Files(NamedTuple):
    """A certificate chain and its key, both PEM; what configurations take as certfile and keyfile."""

    certfile: str
    keyfile: str


class Authority:
    """Issues certificates into a directory."""

    def __init__(
        self,
        directory: Path,
        name: str = "authority",
        *,
        issuer: Authority | None = None,
        key_usage: bool | None = True,
        valid: tuple[int, int] = (-1, 9),
    ) -> None:
        """Make a root, or an authority below `issuer`; `key_usage` is whether it may sign, None leaves that unsaid."""
        self.directory = directory
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name(name)
        self.issuer = issuer
        builder = _builder(self.name, issuer or self, self.key, valid).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        if key_usage is not None:
            builder = builder.add_extension(_key_usage(signs_certificates=key_usage), critical=True)
        self.certificate = builder.sign((issuer or self).key, hashes.SHA256())
        self.certfile = self._write(f"{name}.pem", _pem(self.certificate))

    def issue(
        self,
        name: str = "client",
        *,
        usage: x509.ObjectIdentifier | None = CLIENT_AUTH,
        names: list[x509.GeneralName] | None = None,
        valid: tuple[int, int] = (-1, 5),
        is_authority: bool = False,
    ) -> Files:
        """Issue a certificate, in a file with the authorities between it and the root; `valid` is in days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(name), self, key, valid).add_extension(
            x509.BasicConstraints(ca=is_authority, path_length=None), critical=True
        )
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        chain = _pem(builder.sign(self.key, hashes.SHA256()))
        between = self
        while between.issuer is not None:
            chain += _pem(between.certificate)
            between = between.issuer
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Files(self._write(f"{name}.pem", chain), self._write(f"{name}.key", private))

    def issue_for_server(self, name: str = "server") -> Files:
        """Issue a certificate for localhost."""
        return self.issue(name, usage=SERVER_AUTH, names=[x509.DNSName("localhost"), x509.IPAddress(LOOPBACK)])

    def _write(self, name: str, data: bytes) -> str:
        path = self.directory / name
        path.write_bytes(data)
        return str(path)


def der_of(certfile: str) -> bytes:
    """Return the first certificate of a PEM file as DER."""
    certificate = x509.load_pem_x509_certificates(Path(certfile).read_bytes())[0]
    return certificate.public_bytes(serialization.Encoding.DER)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _builder(
    subject: x509.Name, issuer: Authority, key: ec.EllipticCurvePrivateKey, valid: tuple[int, int]
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + valid[0] * DAY)
        .not_valid_after(now + valid[1] * DAY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
