"""Utilities: time, bytes, logging, QUIC configuration and test certificates."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import logging
import ssl
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aioquic.tls import verify_certificate
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from wtransport import utils
from wtransport.exceptions import CertificateError


def _load(path: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(Path(path).read_bytes())


@pytest.fixture
def package_logger(monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    """Return the package's logger as a fresh program finds it, and put it back."""
    logger = logging.getLogger("wtransport")
    before = logger.level
    monkeypatch.setattr(utils, "_applied_level", None)
    logger.setLevel(logging.NOTSET)
    yield logger
    logger.setLevel(before)


def test_get_logger_returns_the_named_logger() -> None:
    assert utils.get_logger(name="wtransport.x") is logging.getLogger("wtransport.x")


def test_a_configured_level_is_applied_and_can_change(package_logger: logging.Logger) -> None:
    utils.apply_log_level(level="warning")
    assert package_logger.level == logging.WARNING
    utils.apply_log_level(level="INFO", debug=True)
    assert package_logger.level == logging.DEBUG


def test_a_level_that_the_program_set_stays(package_logger: logging.Logger) -> None:
    package_logger.setLevel(logging.ERROR)
    utils.apply_log_level(level="DEBUG")
    assert package_logger.level == logging.ERROR


def test_an_unknown_level_is_refused(package_logger: logging.Logger) -> None:
    with pytest.raises(ValueError, match="LOUD"):
        utils.apply_log_level(level="LOUD")


def test_timestamps_are_of_the_wall_clock() -> None:
    before = time.time()
    assert before <= utils.get_timestamp() <= time.time()


def test_session_ids_differ_and_fit_a_url() -> None:
    ids = {utils.generate_session_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(set(each) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") for each in ids)


def test_ensure_bytes_takes_every_kind_of_data() -> None:
    assert utils.ensure_bytes(data=b"ab") == b"ab"
    assert utils.ensure_bytes(data=bytearray(b"ab")) == b"ab"
    assert utils.ensure_bytes(data=memoryview(b"abcd")[::2]) == b"ac"
    assert utils.ensure_bytes(data="é") == b"\xc3\xa9"
    assert utils.ensure_bytes(data="é", encoding="latin-1") == b"\xe9"
    with pytest.raises(TypeError, match="int"):
        utils.ensure_bytes(data=3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ns"),
        (5e-7, "500ns"),
        (2.5e-4, "250.0µs"),
        (0.25, "250.0ms"),
        (1.5, "1.5s"),
        (59.9, "59.9s"),
        (119.97, "2m0.0s"),
        (125, "2m5.0s"),
        (3603, "1h0m3.0s"),
        (90061, "25h1m1.0s"),
        (-1.5, "-1.5s"),
    ],
)
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert utils.format_duration(seconds=seconds) == text


def test_a_timer_runs_from_start_to_stop() -> None:
    timer = utils.Timer(name="t")
    assert timer.elapsed == 0.0
    with pytest.raises(RuntimeError, match="'t' was not started"):
        timer.stop()
    timer.start()
    first = timer.elapsed
    assert timer.elapsed >= first >= 0.0
    total = timer.stop()
    assert timer.elapsed == timer.stop() == total
    timer.start()
    assert timer.elapsed < total + 1
    with utils.Timer() as another:
        pass
    assert another.elapsed == another.elapsed


def test_a_quic_configuration_has_what_it_was_given() -> None:
    quic = utils.create_quic_configuration(
        alpn_protocols=["h3"],
        congestion_control_algorithm="cubic",
        idle_timeout=7.0,
        is_client=False,
        max_datagram_size=1400,
    )
    assert quic.alpn_protocols == ["h3"]
    assert quic.congestion_control_algorithm == "cubic"
    assert quic.idle_timeout == 7.0
    assert not quic.is_client
    assert quic.max_datagram_frame_size == 1400


@pytest.mark.parametrize(
    "wrong", [{"congestion_control_algorithm": "bbr"}, {"idle_timeout": 0}, {"max_datagram_size": 0}]
)
def test_a_quic_configuration_refuses_wrong_values(wrong: dict[str, object]) -> None:
    values: dict[str, object] = {
        "alpn_protocols": ["h3"],
        "congestion_control_algorithm": "reno",
        "idle_timeout": 1.0,
        "is_client": True,
        "max_datagram_size": 65535,
    }
    with pytest.raises(ValueError, match=next(iter(wrong))):
        utils.create_quic_configuration(**{**values, **wrong})  # type: ignore[arg-type]


def test_a_certificate_is_good_for_its_name_and_loopback(tmp_path: Path) -> None:
    certfile, keyfile = utils.generate_self_signed_cert(hostname="server.test", output_dir=str(tmp_path))
    assert (certfile, keyfile) == (str(tmp_path / "server.test.crt"), str(tmp_path / "server.test.key"))
    certificate = _load(certfile)
    for name in ("server.test", "localhost", "127.0.0.1", "::1"):
        verify_certificate(certificate=certificate, cafile=certfile, server_name=name)
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certfile, keyfile)


def test_a_certificate_for_an_address_has_it_once(tmp_path: Path) -> None:
    certfile, _ = utils.generate_self_signed_cert(hostname="127.0.0.1", output_dir=str(tmp_path))
    names = _load(certfile).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = names.get_values_for_type(x509.IPAddress)
    assert addresses == [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")]


def test_fourteen_days_are_what_a_browser_accepts(tmp_path: Path) -> None:
    certfile, _ = utils.generate_self_signed_cert(hostname="h", output_dir=str(tmp_path), days_valid=14)
    certificate = _load(certfile)
    # Both ends are inclusive, so the validity is one second longer than their difference: RFC 5280, 4.1.2.5.
    validity = certificate.not_valid_after_utc - certificate.not_valid_before_utc + datetime.timedelta(seconds=1)
    assert validity == datetime.timedelta(days=14)
    assert certificate.not_valid_before_utc < datetime.datetime.now(datetime.UTC)


@pytest.mark.parametrize(("key_size", "curve"), [(2048, 256), (4096, 256), (256, 256), (384, 384), (521, 521)])
def test_keys_are_of_an_elliptic_curve(tmp_path: Path, key_size: int, curve: int) -> None:
    certfile, keyfile = utils.generate_self_signed_cert(hostname="h", output_dir=str(tmp_path), key_size=key_size)
    key = load_pem_private_key(Path(keyfile).read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.curve.key_size == curve
    assert key.public_key() == _load(certfile).public_key()


def test_only_the_owner_may_read_the_key_even_if_the_file_was_there(tmp_path: Path) -> None:
    old = tmp_path / "sub" / "h.key"
    old.parent.mkdir()
    old.write_text("x")
    old.chmod(0o644)
    _, keyfile = utils.generate_self_signed_cert(hostname="h", output_dir=str(tmp_path / "sub"))
    assert stat.S_IMODE(Path(keyfile).stat().st_mode) == 0o600
    _, keyfile = utils.generate_self_signed_cert(hostname="h", output_dir=str(tmp_path / "new" / "dir"))
    assert stat.S_IMODE(Path(keyfile).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *[("hostname", name) for name in ("", "../evil", "a/b", "a\\b", ".", "..", "é.test", "a b", "a\nb", "a\x00")],
        ("days_valid", 0),
        ("key_size", 1024),
        ("key_size", 0),
    ],
)
def test_wrong_arguments_write_nothing(tmp_path: Path, argument: str, value: object) -> None:
    values = {"hostname": "h", "output_dir": str(tmp_path), argument: value}
    with pytest.raises(ValueError, match=argument):
        utils.generate_self_signed_cert(**values)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_the_hash_is_that_of_the_first_certificate(tmp_path: Path) -> None:
    first, _ = utils.generate_self_signed_cert(hostname="first", output_dir=str(tmp_path))
    second, _ = utils.generate_self_signed_cert(hostname="second", output_dir=str(tmp_path))
    der = _load(first).public_bytes(Encoding.DER)
    chain = tmp_path / "chain.pem"
    chain.write_text("a comment\n" + Path(first).read_text() + Path(second).read_text())
    raw = tmp_path / "raw.der"
    raw.write_bytes(der)
    for path in (first, str(chain), str(raw)):
        assert utils.certificate_hash(path) == hashlib.sha256(der).digest()


def test_a_file_without_certificate_has_no_hash(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="not found"):
        utils.certificate_hash(str(tmp_path / "none"))
    (tmp_path / "empty").write_text("")
    with pytest.raises(CertificateError, match="No certificate"):
        utils.certificate_hash(str(tmp_path / "empty"))
