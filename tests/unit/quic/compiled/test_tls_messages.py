"""Handshakes of TLS read and written in C: what aioquic makes of the same messages, whatever is done to them."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aioquic import tls
from aioquic._buffer import Buffer
from aioquic.quic.configuration import QuicConfiguration
from aioquic.tls import Alert, AlertDescription, CipherSuite, Epoch, Group, State
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from wtransport._quic.client_hello import OneShareContext
from wtransport._quic.factory import CIPHER_SUITES
from wtransport._quic.key_schedule import KeyScheduleProxy
from wtransport._quic.tls_context import HandshakeContext, PublishedCertificate

EPOCHS = Epoch.INITIAL, Epoch.HANDSHAKE, Epoch.ONE_RTT
PARAMETERS = 0x39, b"\x01\x02\x43\xe8"


class PlainContext(HandshakeContext):
    """The same without the kernel."""

    handle_message = tls.Context.handle_message
    _client_send_hello = OneShareContext._client_send_hello


class End:
    """One side of a handshake, with what it had done."""

    def __init__(self, kind: type[HandshakeContext], *, is_client: bool, **options: Any) -> None:
        options = {"alpn_protocols": ["h3"], "cipher_suites": CIPHER_SUITES} | options
        self.left: list[int] = []
        self.tls: Any = kind(is_client=is_client, **options)
        self.tls.handshake_extensions = [PARAMETERS]
        self.output = {epoch: Buffer(capacity=8192) for epoch in EPOCHS}
        self.keys: list[tuple[Any, ...]] = []
        self.protocols: list[Any] = []
        self.tls.update_traffic_key_cb = lambda *keys: self.keys.append(keys)
        self.tls.alpn_cb = self.protocols.append
        inherited = self.tls._handle_reassembled_message

        def note(message_type: int, input_buf: Buffer, output_buf: Any) -> None:
            self.left.append(message_type)
            inherited(message_type=message_type, input_buf=input_buf, output_buf=output_buf)

        self.tls._handle_reassembled_message = note

    def take(self, data: bytes) -> None:
        self.tls.handle_message(data, self.output)

    def written(self) -> bytes:
        """Return the messages that it wrote, one after the other."""
        data = b"".join(buf.data for buf in self.output.values())
        for buf in self.output.values():
            buf.seek(0)
        return data

    def result(self, data: bytes, *, with_secrets: bool = True) -> tuple[Any, ...]:
        """Return what became of bytes from the peer."""
        before = self.tls.state
        try:
            self.take(data)
        except Exception as exc:
            return type(exc).__name__, str(exc), self.tls.state
        context, schedule = self.tls, self.tls.key_schedule
        found: tuple[Any, ...] = (
            before, context.state, context.alpn_negotiated, context.received_extensions, context._receive_buffer,
            context._peer_certificate, context._peer_certificate_chain, context.early_data_accepted, self.protocols,
            context.session_resumed, context._psk_key_exchange_mode, context.client_random, context.legacy_session_id,
        )  # fmt: skip
        if with_secrets:
            found += (context._enc_key, context._dec_key, self.keys, self.written())
            found += () if schedule is None else (schedule.generation, schedule.secret, schedule.derive_secret(b"any"))
        return found


def client(kind: type[HandshakeContext] = HandshakeContext, like: End | None = None, **options: Any) -> End:
    """Return a client that wrote its first message; with the keys of another, which wrote the same."""
    end = End(kind, is_client=True, **({"server_name": "example.com", "verify_mode": ssl.CERT_NONE} | options))
    end.tls._supported_groups = [Group.X25519, Group.SECP256R1]
    end.take(b"")
    if like is not None:
        end.tls.client_random = like.tls.client_random
        end.tls._x25519_private_key = like.tls._x25519_private_key
        end.tls._key_schedule_proxy = KeyScheduleProxy(like.tls._cipher_suites, like.tls._key_schedule_proxy.steps)
        end.written()
    return end


@pytest.fixture(scope="module")
def make_server(certificate: Any) -> Callable[..., End]:
    configuration = QuicConfiguration(is_client=False)
    configuration.load_cert_chain(*certificate)
    published = PublishedCertificate(configuration.certificate)

    def make(kind: type[HandshakeContext] = HandshakeContext, **options: Any) -> End:
        end = End(kind, is_client=False, **options)
        end.tls.certificate, end.tls.certificate_private_key = published, configuration.private_key
        return end

    return make


def messages(data: bytes) -> list[bytes]:
    found = []
    while data:
        size = 4 + int.from_bytes(data[1:4])
        found.append(data[:size])
        data = data[size:]
    return found


def sized(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3) + body


KINDS = [HandshakeContext, PlainContext]


@pytest.mark.parametrize("suite", CIPHER_SUITES)
@pytest.mark.parametrize("servers", KINDS)
@pytest.mark.parametrize("clients", KINDS)
def test_either_side_with_either_kind(make_server: Any, clients: Any, servers: Any, suite: CipherSuite) -> None:
    ours, theirs = client(clients, cipher_suites=[suite]), make_server(servers)
    theirs.take(ours.written())
    ours.take(theirs.written())
    theirs.take(ours.written())
    assert (ours.tls.state, theirs.tls.state) == (State.CLIENT_POST_HANDSHAKE, State.SERVER_POST_HANDSHAKE)
    secrets = [{(keys[1], keys[3]) for keys in end.keys} for end in (ours, theirs)]
    assert secrets[0] == secrets[1]
    assert len(ours.keys) == len(theirs.keys) == 4
    for end, kind in ((ours, clients), (theirs, servers)):
        assert end.protocols == ["h3"]
        assert end.tls.received_extensions == [PARAMETERS]
        assert bool(end.left) == (kind is PlainContext)


@pytest.mark.parametrize("name", [None, "example.com", "192.0.2.1", "::1", "a" * 250])
@pytest.mark.parametrize("protocols", [None, ["h3"], ["h3", "hq-interop", "x" * 255]])
@pytest.mark.parametrize("tickets", [False, True])
def test_a_clients_first_message_is_what_aioquic_writes(name: Any, protocols: Any, tickets: bool) -> None:
    ends = [End(kind, is_client=True, server_name=name, alpn_protocols=protocols) for kind in KINDS]
    written = []
    for end in ends:
        end.tls._supported_groups = [Group.X25519, Group.SECP256R1, Group.SECP384R1]
        end.tls.new_session_ticket_cb = print if tickets else None
        end.tls.client_random = b"r" * 32
        end.take(b"")
        data = end.written()
        written.append(data.replace(end.tls._share[1], b"share"))
        assert end.tls._x25519_private_key.public_key().public_bytes_raw() == end.tls._share[1]
        assert end.tls._key_schedule_proxy.steps == [(True, None), (False, data)]
    assert written[0] == written[1]


def test_a_name_that_is_not_ascii_is_no_host_name() -> None:
    for kind in KINDS:
        with pytest.raises(UnicodeEncodeError):
            client(kind, server_name="bücher.example")


@pytest.mark.parametrize("groups", [[], [Group.SECP256R1], [Group.X25519, Group.X448], [Group.GREASE, Group.X25519]])
def test_other_groups_are_aioquics_matter(groups: list[Group]) -> None:
    results = []
    for kind in KINDS:
        end = End(kind, is_client=True, verify_mode=ssl.CERT_NONE)
        end.tls._supported_groups = groups
        try:
            end.take(b"")
        except AssertionError as exc:
            results.append(str(exc))
        else:
            results.append([group for group, _ in tls.pull_client_hello(Buffer(data=end.written())).key_share])
    assert results[0] == results[1]


# Messages that were changed on their way, or by who sent them.


def changes(message: bytes) -> Iterator[bytes]:
    """Yield a message with each byte changed, cut at each place, and with a byte too many at each."""
    for i in range(4, len(message)):
        for bit in (1, 0x80):
            yield message[:i] + bytes([message[i] ^ bit]) + message[i + 1 :]
        yield sized(message[0], message[4:i])
        yield sized(message[0], message[4:i] + b"\x00" + message[i:])
    yield sized(message[0], message[4:] + b"\x00")


SERVER_MESSAGES = ["ServerHello", "EncryptedExtensions", "Certificate", "CertificateVerify", "Finished"]


@pytest.fixture(scope="module")
def flight(make_server: Any) -> tuple[End, list[bytes]]:
    """Return a client, and what a server answered it."""
    first = client()
    theirs = make_server(PlainContext)
    theirs.take(first.written())
    return first, messages(theirs.written())


def results_at(first: End, before: list[bytes], data: bytes) -> list[tuple[Any, ...]]:
    results = []
    for kind in KINDS:
        end = client(kind, like=first)
        for each in before:
            end.take(each)
        results.append(end.result(data))
    return results


@pytest.mark.parametrize("name", SERVER_MESSAGES)
def test_a_client_takes_and_refuses_what_aioquic_does(flight: Any, name: str) -> None:
    first, sent = flight
    index = SERVER_MESSAGES.index(name)
    ours, theirs = results_at(first, sent[:index], sent[index])
    assert ours == theirs
    assert ours[0] is not ours[1]
    # A certificate is many bytes to which nothing but its own parser pays attention.
    step = 9 if name == "Certificate" else 1
    for changed in list(changes(sent[index]))[::step]:
        ours, theirs = results_at(first, sent[:index], changed)
        if ours[:2] == ("AlertIllegalParameter", "ServerHello has another session id"):
            continue
        assert ours == theirs, changed.hex()


@pytest.mark.parametrize("index", range(5))
def test_messages_out_of_turn(flight: Any, index: int) -> None:
    first, sent = flight
    for message in [*sent, sized(24, b"\x00"), sized(1, bytes(60)), sized(0, b"")]:
        ours, theirs = results_at(first, sent[:index], message)
        assert ours == theirs
        if message not in sent:
            assert ours[0] == "AlertUnexpectedMessage"


def test_messages_in_pieces(flight: Any) -> None:
    first, sent = flight
    data = b"".join(sent)
    for size in (1, 7, 100, len(data) - 1, len(data)):
        ends = [client(kind, like=first) for kind in KINDS]
        for end in ends:
            for start in range(0, len(data), size):
                end.take(data[start : start + size])
        assert ends[0].result(b"") == ends[1].result(b"")
        assert ends[0].tls.state is State.CLIENT_POST_HANDSHAKE


def extension(kind: int, value: bytes) -> bytes:
    return kind.to_bytes(2) + len(value).to_bytes(2) + value


def with_extensions(message: bytes, extensions: list[bytes]) -> bytes:
    """Return a hello, or EncryptedExtensions, with other extensions."""
    kind, body = message[0], message[4:]
    if kind == 8:
        head = b""
    else:
        end = 35 + body[34]
        head = body[: end + 3] if kind == 2 else body[: end + 4 + int.from_bytes(body[end : end + 2])]
    joined = b"".join(extensions)
    return sized(kind, head + len(joined).to_bytes(2) + joined)


def extensions_of(message: bytes) -> list[bytes]:
    for size in range(2, len(message) - 3):
        start = len(message) - size
        if int.from_bytes(message[start : start + 2]) == size - 2 and with_extensions(message, []) == sized(
            message[0], message[4:start] + b"\x00\x00"
        ):
            data, found = message[start + 2 :], []
            while data:
                end = 4 + int.from_bytes(data[2:4])
                found.append(data[:end])
                data = data[end:]
            return found
    raise AssertionError(message.hex())


ODD_EXTENSIONS = st.builds(
    extension,
    st.sampled_from([0, 5, 10, 13, 16, 27, 41, 42, 43, 44, 45, 51, 0x39, 0x0A0A]),
    st.sampled_from([b"", b"\x00", b"\x00\x00", b"\x03\x04", b"\x02\x03\x04", b"\x00\x03\x02h3", b"\x00\x02\x04\x03"])
    | st.binary(max_size=12),
)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_extensions_of_a_server(flight: Any, data: st.DataObject) -> None:
    first, sent = flight
    index = data.draw(st.integers(0, 1))
    own = extensions_of(sent[index])
    drawn = data.draw(st.lists(st.sampled_from(own) | ODD_EXTENSIONS, max_size=4))
    ours, theirs = results_at(first, sent[:index], with_extensions(sent[index], drawn))
    assert ours == theirs


def server_results(make_server: Any, data: bytes, **attributes: Any) -> list[tuple[Any, ...]]:
    results = []
    for kind in KINDS:
        end = make_server(kind)
        vars(end.tls).update(attributes)
        found = end.result(data, with_secrets=False)
        results.append((*found, [keys[:3] for keys in end.keys], [len(each) for each in messages(end.written())[:3]]))
    return results


@pytest.fixture(scope="module")
def hello() -> bytes:
    return client().written()


def test_a_server_takes_and_refuses_what_aioquic_does(make_server: Any, hello: bytes) -> None:
    ours, theirs = server_results(make_server, hello)
    assert ours == theirs
    assert ours[1] is State.SERVER_EXPECT_FINISHED
    for changed in changes(hello):
        ours, theirs = server_results(make_server, changed)
        assert ours == theirs, changed.hex()


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_any_extensions_of_a_client(make_server: Any, hello: bytes, data: st.DataObject) -> None:
    own = extensions_of(hello)
    drawn = data.draw(st.permutations(own)) + data.draw(st.lists(st.sampled_from(own) | ODD_EXTENSIONS, max_size=3))
    drawn = data.draw(st.permutations(drawn)) if data.draw(st.booleans()) else drawn
    ours, theirs = server_results(make_server, with_extensions(hello, drawn[: data.draw(st.integers(0, len(drawn)))]))
    assert ours == theirs


def shares(*pairs: tuple[int, bytes]) -> bytes:
    listed = b"".join(group.to_bytes(2) + len(key).to_bytes(2) + key for group, key in pairs)
    return extension(51, len(listed).to_bytes(2) + listed)


POINT = tls.encode_public_key(ec.derive_private_key(7, ec.SECP256R1()).public_key())
KEY = bytes([9] + [0] * 31)


@pytest.mark.parametrize(
    "listed",
    [
        shares(),
        shares((0x0A0A, b"\x00"), (0x11EC, bytes(1216)), (0x1D, KEY)),
        shares((0x1D, KEY), POINT),
        shares(POINT, (0x1D, KEY)),
        shares((0x1D, KEY[:-1])),
        shares((0x1D, b"")),
        shares((0x1D, bytes(32))),  # of which every shared key is zero (RFC 8446, 7.4.2)
        shares((0x1D, KEY), (0x1D, bytes(32))),
        shares((0x11EC, bytes(1216))),
        extension(51, b"\x00\x05\x00\x1d\x00\x01"),
    ],
)
def test_key_shares(make_server: Any, hello: bytes, listed: bytes) -> None:
    others = [each for each in extensions_of(hello) if each[:2] != b"\x00\x33"]
    ours, theirs = server_results(make_server, with_extensions(hello, [*others, listed]))
    assert ours == theirs


@pytest.mark.parametrize(
    "attributes",
    [
        {"_alpn_protocols": None},
        {"_alpn_protocols": ["hq", "h3"]},
        {"_alpn_protocols": ["hq"]},
        {"_cipher_suites": [CipherSuite.CHACHA20_POLY1305_SHA256]},
        {"_cipher_suites": []},
        {"_supported_versions": [0x0305]},
        {"_supported_groups": [Group.SECP256R1]},
        {"_request_client_certificate": True},
        {"get_session_ticket_cb": print},
        {"certificate": None},
    ],
    ids=str,
)
def test_what_a_server_may_be_set_to(make_server: Any, hello: bytes, attributes: dict[str, Any]) -> None:
    ours, theirs = server_results(make_server, hello, **attributes)
    assert ours == theirs


def test_a_clients_last_message(make_server: Any) -> None:
    for cut in range(36):
        for change in ("none", "cut", "bit", "longer"):
            results = []
            for kind in KINDS:
                ours, theirs = client(), make_server(kind)
                theirs.take(ours.written())
                ours.take(theirs.written())
                last = ours.written()
                assert len(last) == 36
                if change == "cut":
                    last = sized(20, last[4 : 4 + cut])[: 4 + cut]
                elif change == "bit":
                    last = last[:cut] + bytes([last[cut] ^ 1]) + last[cut + 1 :]
                elif change == "longer":
                    last = sized(20, last[4:] + bytes(1 + cut))
                found = theirs.result(last, with_secrets=False)
                results.append(
                    (*found[:2], len(theirs.keys)) if isinstance(found[0], str) else (found[1], theirs.keys[-1][:2])
                )
            assert results[0] == results[1], (change, cut)
            assert (results[0][0] is State.SERVER_POST_HANDSHAKE) == (change == "none")
            if change == "none":
                break


def test_the_callback_of_a_protocol_may_refuse(make_server: Any, flight: Any, hello: bytes) -> None:
    class Refusal(Alert):
        description = AlertDescription.missing_extension

    def refuse(_: Any) -> None:
        raise Refusal("no")

    for kind in KINDS:
        for end, data in ((make_server(kind), [hello]), (client(kind, like=flight[0]), flight[1])):
            end.tls.alpn_cb = refuse
            with pytest.raises(Refusal):
                for each in data:
                    end.take(each)


def test_another_session_id_is_refused(flight: Any) -> None:
    """RFC 8446, 4.1.3."""
    first, (sent, *_) = flight
    for session_id in (b"\x00", bytes(32)):
        for kind in KINDS:
            end = client(kind, like=first)
            with pytest.raises(Alert) as caught:
                end.take(sized(2, sent[4:38] + bytes([len(session_id)]) + session_id + sent[39:]))
            assert caught.value.description == AlertDescription.illegal_parameter


def test_a_certificate_that_is_not_trusted(flight: Any) -> None:
    first, sent = flight
    for kind in KINDS:
        end = client(kind, like=first, verify_mode=ssl.CERT_REQUIRED)
        with pytest.raises(Alert) as caught:
            end.take(b"".join(sent))
        assert caught.value.description == AlertDescription.bad_certificate
        assert end.tls.state is State.CLIENT_EXPECT_CERTIFICATE_VERIFY
