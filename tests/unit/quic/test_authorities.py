"""Files of authorities are read once, and again as soon as they are others."""

from __future__ import annotations

import os
import shutil

import pytest
from aioquic import tls
from aioquic.tls import AlertBadCertificate
from cryptography import x509

from wtransport._quic import authorities
from wtransport._quic.authorities import check_authorities
from wtransport.utils import generate_self_signed_cert


@pytest.fixture(autouse=True)
def nothing_read_yet():
    authorities._read.cache_clear()


@pytest.fixture
def another(tmp_path):
    """Return a certificate that the one of the other tests has nothing to do with."""
    (tmp_path / "other").mkdir()
    return generate_self_signed_cert(hostname="other.test", output_dir=str(tmp_path / "other"), days_valid=5)[0]


def load(path: str) -> x509.Certificate:
    with open(path, "rb") as file:
        return x509.load_pem_x509_certificate(file.read())


def verify(path: str, **trusted) -> None:
    tls.verify_certificate(load(path), **trusted)


def test_what_a_file_holds_is_trusted_and_nothing_else(certificate, another):
    for _ in range(2):
        verify(certificate.certfile, cafile=certificate.certfile)
        with pytest.raises(AlertBadCertificate):
            verify(another, cafile=certificate.certfile)
        with pytest.raises(AlertBadCertificate):
            verify(certificate.certfile)  # the public ones


def test_a_file_is_read_once(certificate):
    for _ in range(3):
        verify(certificate.certfile, cafile=certificate.certfile)
        check_authorities(certificate.certfile)
    assert authorities._read.cache_info().misses == 1


@pytest.mark.parametrize("how", ["written", "renamed"])
def test_a_file_that_was_replaced_is_read_again(certificate, another, tmp_path, how):
    trusted = str(tmp_path / "trusted.pem")
    shutil.copy(certificate.certfile, trusted)
    os.utime(trusted, ns=(10**18, 10**18))
    verify(certificate.certfile, cafile=trusted)
    with pytest.raises(AlertBadCertificate):
        verify(another, cafile=trusted)
    fresh = trusted if how == "written" else trusted + ".new"
    shutil.copy(another, fresh)
    os.utime(fresh, ns=(10**18, 10**18))  # that alone would not tell
    os.replace(fresh, trusted)
    verify(another, cafile=trusted)
    with pytest.raises(AlertBadCertificate):
        verify(certificate.certfile, cafile=trusted)


def test_a_file_that_is_gone_is_no_longer_trusted(certificate, tmp_path):
    trusted = tmp_path / "trusted.pem"
    shutil.copy(certificate.certfile, trusted)
    check_authorities(str(trusted))
    trusted.unlink()
    with pytest.raises(FileNotFoundError):
        check_authorities(str(trusted))
    with pytest.raises(tls.crypto.Error):
        verify(certificate.certfile, cafile=str(trusted))


def test_a_file_and_certificates_are_trusted_together_and_by_nobody_else(certificate, another):
    with open(another, "rb") as file:
        data = file.read()
    for path in (certificate.certfile, another):
        verify(path, cafile=certificate.certfile, cadata=data)
    verify(another, cadata=data)
    for path, trusted in ((certificate.certfile, {"cadata": data}), (another, {"cafile": certificate.certfile})):
        with pytest.raises(AlertBadCertificate):
            verify(path, **trusted)


@pytest.mark.parametrize(
    "content", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_file_without_certificates_is_told_of_before_the_handshake(tmp_path, content):
    garbage = tmp_path / "garbage.pem"
    garbage.write_text(content)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"\S"):
            check_authorities(str(garbage))


def test_a_directory_is_no_file(tmp_path):
    with pytest.raises(OSError, match=r"\S"):
        check_authorities(str(tmp_path))


def test_few_files_are_kept(certificate, tmp_path):
    for number in range(20):
        shutil.copy(certificate.certfile, tmp_path / f"{number}.pem")
        check_authorities(str(tmp_path / f"{number}.pem"))
    assert authorities._read.cache_info().currsize == authorities.MAX_FILES
