"""A client that is asked for the key of another group, or for a cookie (RFC 8446, 4.1.4)."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from aioquic import tls
from aioquic._buffer import Buffer
from aioquic.quic.configuration import QuicConfiguration
from aioquic.tls import Alert, AlertDescription, CipherSuite, Epoch, Group
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from wtransport._quic.backend import IS_COMPILED
from wtransport._quic.client_hello import HELLO_RETRY_RANDOM
from wtransport._quic.key_schedule import KeySchedule, KeyScheduleProxy
from wtransport._quic.tls_context import HandshakeContext

SUITE = CipherSuite.AES_128_GCM_SHA256
VERSION, KEY_SHARE, COOKIE = 43, 51, 44
TLS_1_3 = (VERSION, b"\x03\x04")
P256 = (KEY_SHARE, b"\x00\x17")
X25519 = (KEY_SHARE, b"\x00\x1d")
GROUPS = [Group.X25519, Group.SECP256R1]


def retry_request(
    *extensions: tuple[int, bytes], suite: int = SUITE, session_id: bytes = b"", compression: int = 0
) -> bytes:
    listed = b"".join(kind.to_bytes(2) + len(value).to_bytes(2) + value for kind, value in extensions)
    body = b"\x03\x03" + HELLO_RETRY_RANDOM + bytes([len(session_id)]) + session_id + suite.to_bytes(2)
    body += bytes([compression]) + len(listed).to_bytes(2) + listed
    return b"\x02" + len(body).to_bytes(3) + body


class RetryingContext(tls.Context):
    """A server that takes keys of P-256 only, and asks for one when it is not there, or for a cookie."""

    request: bytes | None = None
    extensions: tuple[tuple[int, bytes], ...] = (TLS_1_3, P256)

    def __init__(self, **settings: Any) -> None:
        super().__init__(is_client=False, **settings)
        self.hellos: list[bytes] = []

    def _server_handle_hello(self, input_buf: Buffer, initial_buf: Buffer, handshake_buf: Buffer) -> None:
        data = input_buf.data_slice(0, input_buf.capacity)
        self.hellos.append(data)
        if self.request is None:
            input_buf.seek(input_buf.capacity)
            self.request = retry_request(*self.extensions)
            initial_buf.push_bytes(self.request)
            return
        self._supported_groups = [Group.SECP256R1 if P256 in self.extensions else Group.X25519]
        first = KeySchedule(SUITE)
        first.update_hash(self.hellos[0])
        digest = first.certificate_verify_data(b"")[-32:]  # ends with the hash of the transcript
        before = b"\xfe\x00\x00\x20" + digest + self.request

        class Schedule(KeySchedule):
            def update_hash(self, data: bytes, before: list[bytes] = [before]) -> None:  # noqa: B006 - used up
                super().update_hash(before.pop() + data if before else data)

        patched = tls.KeySchedule
        tls.KeySchedule = Schedule
        try:
            super()._server_handle_hello(input_buf, initial_buf, handshake_buf)
        finally:
            tls.KeySchedule = patched


def buffers() -> dict[Epoch, Buffer]:
    return {epoch: Buffer(capacity=8192) for epoch in (Epoch.INITIAL, Epoch.HANDSHAKE, Epoch.ONE_RTT)}


def taken(output: dict[Epoch, Buffer]) -> bytes:
    data = b"".join(buf.data for buf in output.values())
    for buf in output.values():
        buf.seek(0)
    return data


def client(**settings: Any) -> tuple[HandshakeContext, dict[Epoch, Buffer], bytes]:
    """Return a client, its buffers, and its first message."""
    made = HandshakeContext(is_client=True, verify_mode=ssl.CERT_NONE, cipher_suites=[SUITE], **settings)
    made._supported_groups = list(GROUPS)
    output = buffers()
    made.handle_message(b"", output)
    return made, output, taken(output)


def server(certificate: Any) -> RetryingContext:
    configuration = QuicConfiguration(is_client=False)
    configuration.load_cert_chain(*certificate)
    made = RetryingContext(alpn_protocols=["h3"], cipher_suites=[SUITE])
    made.certificate, made.certificate_private_key = configuration.certificate, configuration.private_key
    return made


def parsed(message: bytes) -> tls.ClientHello:
    return tls.pull_client_hello(Buffer(data=message))


def test_the_first_message_has_one_key_share_and_all_groups() -> None:
    _, _, message = client(server_name="example.com")
    hello = parsed(message)
    assert [group for group, _ in hello.key_share] == [Group.X25519]
    assert hello.supported_groups == GROUPS
    assert hello.server_name == "example.com"
    assert parsed(client(server_name="192.0.2.1")[2]).server_name is None


@pytest.mark.parametrize(
    "extensions",
    [(TLS_1_3, P256), (TLS_1_3, P256, (COOKIE, b"\x00\x03abc")), (TLS_1_3, (COOKIE, b"\x00\x01c"))],
    ids=["group", "group and cookie", "cookie"],
)
def test_a_handshake_with_a_retry(extensions: Any, certificate: Any) -> None:
    ours, output, message = client(server_name="example.com", alpn_protocols=["h3"])
    theirs = server(certificate)
    theirs.extensions = extensions
    answers = buffers()
    for _ in range(3):
        theirs.handle_message(message, answers)
        ours.handle_message(taken(answers), output)
        message = taken(output)
    assert (ours.state, theirs.state) == (tls.State.CLIENT_POST_HANDSHAKE, tls.State.SERVER_POST_HANDSHAKE)
    first, second = map(parsed, theirs.hellos)
    asked = Group.SECP256R1 if P256 in extensions else Group.X25519
    assert [group for group, _ in second.key_share] == [asked]
    assert (first.key_share == second.key_share) == (P256 not in extensions)
    cookies = [extension for extension in second.other_extensions if extension[0] == COOKIE]
    assert cookies == [extension for extension in extensions if extension[0] == COOKIE]
    second.other_extensions, second.key_share = first.other_extensions, first.key_share
    assert first == second


DECODE, ILLEGAL = AlertDescription.decode_error, AlertDescription.illegal_parameter
WRONG = {
    "no change": (retry_request(TLS_1_3), ILLEGAL),
    "the group that was sent": (retry_request(TLS_1_3, X25519), ILLEGAL),
    "a group that was not offered": (retry_request(TLS_1_3, (KEY_SHARE, b"\x00\x18")), ILLEGAL),
    "a whole key": (retry_request(TLS_1_3, (KEY_SHARE, b"\x00\x17\x00\x01a")), DECODE),
    "another version": (retry_request((VERSION, b"\x03\x03"), P256), ILLEGAL),
    "no version": (retry_request(P256), AlertDescription.missing_extension),
    "another cipher suite": (retry_request(TLS_1_3, P256, suite=0x1302), ILLEGAL),
    "a session id": (retry_request(TLS_1_3, P256, session_id=b"id"), ILLEGAL),
    "compression": (retry_request(TLS_1_3, P256, compression=1), ILLEGAL),
    "an extension twice": (retry_request(TLS_1_3, P256, P256), ILLEGAL),
    "an empty cookie": (retry_request(TLS_1_3, (COOKIE, b"\x00\x00")), DECODE),
    "a cut cookie": (retry_request(TLS_1_3, (COOKIE, b"\x00\x05ab")), DECODE),
}


@pytest.mark.parametrize(("request_", "alert"), WRONG.values(), ids=WRONG)
def test_what_a_retry_may_not_say(request_: bytes, alert: AlertDescription) -> None:
    ours, output, _ = client()
    with pytest.raises(Alert) as caught:
        ours.handle_message(request_, output)
    assert caught.value.description == alert
    assert taken(output) == b""


def test_every_cut_of_a_retry_is_refused() -> None:
    whole = retry_request(TLS_1_3, P256, (COOKIE, b"\x00\x03abc"))
    for end in range(38, len(whole)):
        ours, output, _ = client()
        with pytest.raises(Alert):
            ours.handle_message(b"\x02" + (end - 4).to_bytes(3) + whole[4:end], output)


def test_a_second_retry_is_refused() -> None:
    ours, output, _ = client()
    ours.handle_message(retry_request(TLS_1_3, P256), output)
    with pytest.raises(Alert) as caught:
        ours.handle_message(retry_request(TLS_1_3, (COOKIE, b"\x00\x01c")), output)
    assert caught.value.description == AlertDescription.unexpected_message


@pytest.mark.parametrize("share", ["old group", "other cipher suite"])
def test_the_servers_hello_must_keep_to_its_retry(share: str) -> None:
    ours, output, _ = client()
    ours._cipher_suites = [SUITE, CipherSuite.CHACHA20_POLY1305_SHA256]
    ours._key_schedule_proxy._cipher_suites = ours._cipher_suites
    ours.handle_message(retry_request(TLS_1_3, P256), output)
    buf = Buffer(capacity=1000)
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    hello = tls.ServerHello(
        random=bytes(32),
        legacy_session_id=b"",
        cipher_suite=SUITE if share == "old group" else CipherSuite.CHACHA20_POLY1305_SHA256,
        compression_method=0,
        key_share=(Group.X25519, bytes([9] * 32)) if share == "old group" else tls.encode_public_key(key),
        supported_version=tls.TLS_VERSION_1_3,
    )
    tls.push_server_hello(buf, hello)
    with pytest.raises(Alert):
        ours.handle_message(buf.data, output)


@pytest.mark.parametrize("suite", [SUITE, CipherSuite.AES_256_GCM_SHA384])
def test_the_transcript_after_a_retry(suite: CipherSuite) -> None:
    proxy = KeyScheduleProxy([suite])
    proxy.extract(None)
    proxy.update_hash(b"hello")
    plain = KeySchedule(suite)
    plain.update_hash(b"hello")
    size = plain.algorithm.digest_size
    expected = KeySchedule(suite)
    expected.extract(None)
    expected.update_hash(b"\xfe\x00\x00" + bytes([size]) + plain.certificate_verify_data(b"")[-size:])
    expected.update_hash(b"retry")
    made = proxy.after_retry(suite, b"retry").select(suite)
    assert made.derive_secret(b"any") == expected.derive_secret(b"any")


@pytest.mark.skipif(not IS_COMPILED, reason="the stock path sends a key of each group")
def test_a_connection_with_a_retry(make_pair: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hellos: list[list[bytes]] = []  # kept here, as a connection lets go of what only the handshake needs

    def context(*, is_client: bool, **settings: Any) -> tls.Context:
        if is_client:
            return HandshakeContext(is_client=True, **settings)
        settings["cipher_suites"] = [SUITE]
        made = RetryingContext(**settings)
        hellos.append(made.hellos)
        return made

    monkeypatch.setattr("wtransport._quic._compiled.connection_setup.HandshakeContext", context)
    pair = make_pair().connect()
    assert pair.is_connected
    assert [len(each) for each in hellos] == [2]


def test_a_certificate_that_was_met_before_is_not_read_again(certificate: Any) -> None:
    der = server(certificate).certificate.public_bytes(Encoding.DER)
    first, second = client()[0], client()[0]
    for ours in (first, second):
        ours._set_peer_certificate(tls.Certificate(certificates=[(der, b""), (der, b"")]))
    assert first._peer_certificate is second._peer_certificate
    assert first._peer_certificate.public_bytes(Encoding.DER) == der
    assert first._peer_certificate_chain == [first._peer_certificate]
    for broken in (der[:-1], b"", der + b"\x00"):
        with pytest.raises(Alert) as caught:
            client()[0]._set_peer_certificate(tls.Certificate(certificates=[(broken, b"")]))
        assert caught.value.description == AlertDescription.bad_certificate
