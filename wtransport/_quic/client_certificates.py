"""Client certificates: what a server that asks for them accepts (mutual TLS).

aioquic asks and checks that the client has the certificate's key. Whether the certificate itself is any good is decided
here: against the configured authorities alone, never against the system's or a public list.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from aioquic.tls import Alert, AlertBadCertificate, AlertCertificateExpired, AlertDescription
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store, VerificationError

from ..exceptions import CertificateError

__all__ = ["ClientCertificates"]


class AlertCertificateRequired(Alert):
    """The client sent no certificate to a server that needs one (RFC 8446, 4.4.2.4)."""

    description = AlertDescription.certificate_required


class ClientCertificates:
    """The rule of a server for its clients' certificates; one for all its connections."""

    def __init__(self, *, authorities: list[x509.Certificate], is_required: bool) -> None:
        """Trust these authorities, at least one; `is_required` refuses clients without a certificate."""
        self._is_required = is_required
        # The rules of public web certificates (RFC 5280; CA/Browser Forum), with the two eased that private
        # authorities often break: many make client certificates without a subjectAltName, as nothing compares names,
        # and `openssl req -x509` makes authorities without keyUsage. What is there must still fit.
        self._policies = (
            PolicyBuilder()
            .store(Store(authorities))
            .extension_policies(
                ca_policy=ExtensionPolicy.webpki_defaults_ca().may_be_present(
                    x509.KeyUsage, Criticality.AGNOSTIC, _check_authority_usage
                ),
                ee_policy=ExtensionPolicy.webpki_defaults_ee().may_be_present(
                    x509.SubjectAlternativeName, Criticality.AGNOSTIC, None
                ),
            )
        )

    @classmethod
    def load(cls, ca_certs: str, *, is_required: bool) -> ClientCertificates:
        """Read the authorities from a PEM file.

        Raises:
            CertificateError: it cannot be read, or holds no certificate.
        """
        try:
            with open(ca_certs, "rb") as file:
                return cls(authorities=x509.load_pem_x509_certificates(file.read()), is_required=is_required)
        except (OSError, ValueError) as exc:
            raise CertificateError(
                f"cannot load the CA certificates: {exc}", certificate_path=ca_certs, certificate_error=str(exc)
            ) from exc

    def check(self, certificate: x509.Certificate | None, chain: Sequence[x509.Certificate]) -> None:
        """Accept what the client sent, or end the handshake.

        Args:
            certificate: the client's own; None: it sent none.
            chain: the further certificates it sent.

        Raises:
            Alert: the handshake must end; its text is for both ends.
        """
        if certificate is None:
            if self._is_required:
                raise AlertCertificateRequired("the server requires a client certificate")
            return
        now = datetime.datetime.now(datetime.UTC)
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise AlertCertificateExpired("the client's certificate has expired or is not valid yet")
        try:
            # Usage, if the certificate limits it, must include clientAuth: the verifier sees to that.
            self._policies.build_client_verifier().verify(certificate, list(chain))
        except (VerificationError, ValueError, UnsupportedAlgorithm) as exc:
            raise AlertBadCertificate(f"client certificate: {exc}") from exc


def _check_authority_usage(_policy: Policy, _certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("an authority's keyUsage does not allow it to sign certificates")
