"""Which client certificates a server accepts."""

from __future__ import annotations

from pathlib import Path

import pytest
from aioquic.tls import Alert, AlertDescription
from cryptography import x509
from pki import CLIENT_AUTH, SERVER_AUTH, Authority

from wtransport._quic.client_certificates import ClientCertificates
from wtransport.exceptions import CertificateError


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path)


def check(certfile: str, authority: Authority, *, is_required: bool = False) -> None:
    certificate, *chain = x509.load_pem_x509_certificates(Path(certfile).read_bytes())
    ClientCertificates.load(authority.certfile, is_required=is_required).check(certificate, chain)


def refusal(certfile: str, authority: Authority) -> tuple[AlertDescription, str]:
    with pytest.raises(Alert) as caught:
        check(certfile, authority)
    return caught.value.description, str(caught.value)


@pytest.mark.parametrize(
    "details", [{}, {"usage": None}, {"names": [x509.DNSName("client.example")]}, {"valid": (0, 4000)}]
)
def test_a_certificate_of_the_authority_is_accepted(authority, details):
    check(authority.issue(**details).certfile, authority, is_required=True)


def test_authorities_between_come_with_the_certificate(authority, tmp_path):
    between = Authority(tmp_path, "between", issuer=Authority(tmp_path, "upper", issuer=authority))
    files = between.issue()
    check(files.certfile, authority)
    certificate, *chain = x509.load_pem_x509_certificates(Path(files.certfile).read_bytes())
    assert len(chain) == 2
    with pytest.raises(Alert):
        ClientCertificates.load(authority.certfile, is_required=False).check(certificate, chain[1:])


def test_an_authority_that_does_not_say_its_usage_is_taken(tmp_path):
    authority = Authority(tmp_path, key_usage=None)
    check(authority.issue().certfile, authority)


def test_every_authority_of_the_file_counts(authority, tmp_path):
    other = Authority(tmp_path, "other")
    both = tmp_path / "both.pem"
    both.write_bytes(Path(authority.certfile).read_bytes() + Path(other.certfile).read_bytes())
    other.certfile = str(both)
    for each in (authority, other):
        check(each.issue().certfile, other)


def test_a_certificate_of_another_authority_is_refused(authority, tmp_path):
    # Also when that one has the same name, and comes along.
    other = Authority(tmp_path, "authority2", key_usage=True)
    other.name = authority.name
    assert refusal(other.issue().certfile, authority)[0] == AlertDescription.bad_certificate
    stranger = Authority(tmp_path, "between", issuer=Authority(tmp_path, "stranger")).issue()
    assert refusal(stranger.certfile, authority)[0] == AlertDescription.bad_certificate


@pytest.mark.parametrize("valid", [(-9, -2), (2, 9)])
def test_a_certificate_outside_of_its_time_is_refused(authority, valid):
    description, text = refusal(authority.issue(valid=valid).certfile, authority)
    assert description == AlertDescription.certificate_expired
    assert "expired or is not valid yet" in text


def test_a_certificate_for_servers_is_refused(authority):
    assert CLIENT_AUTH != SERVER_AUTH
    description, text = refusal(authority.issue(usage=SERVER_AUTH).certfile, authority)
    assert description == AlertDescription.bad_certificate
    assert "EKU" in text


def test_an_authority_is_no_client(authority):
    assert refusal(authority.certfile, authority)[0] == AlertDescription.bad_certificate
    assert refusal(authority.issue(is_authority=True).certfile, authority)[0] == AlertDescription.bad_certificate


def test_what_may_not_sign_or_is_over_is_no_authority(tmp_path):
    for number, details in enumerate(({"key_usage": False}, {"valid": (-9, -2)})):
        authority = Authority(tmp_path, f"authority{number}", **details)
        assert refusal(authority.issue().certfile, authority)[0] == AlertDescription.bad_certificate


def test_a_client_without_a_certificate_is_refused_only_where_one_is_required(authority):
    ClientCertificates.load(authority.certfile, is_required=False).check(None, [])
    with pytest.raises(Alert, match="requires a client certificate") as caught:
        ClientCertificates.load(authority.certfile, is_required=True).check(None, [])
    assert caught.value.description == AlertDescription.certificate_required


@pytest.mark.parametrize(
    "content", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_file_without_authorities_is_told(tmp_path, content):
    path = tmp_path / "empty.pem"
    path.write_bytes(content)
    with pytest.raises(CertificateError, match="cannot load the CA certificates") as caught:
        ClientCertificates.load(str(path), is_required=False)
    assert caught.value.certificate_path == str(path)
    with pytest.raises(CertificateError):
        ClientCertificates.load(str(tmp_path / "missing.pem"), is_required=False)
