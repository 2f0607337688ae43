"""A client of the trace of RFC 8448, section 3, comes to the secrets and the last message that stand there."""

from __future__ import annotations

import ssl

import pytest
from aioquic import tls
from aioquic._buffer import Buffer
from aioquic.tls import CipherSuite, Direction, Epoch, State
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from wtransport._quic.client_hello import OneShareContext
from wtransport._quic.key_schedule import KeyScheduleProxy
from wtransport._quic.tls_context import HandshakeContext

PRIVATE_KEY = bytes.fromhex("49af42ba7f7994852d713ef2784bcbcaa7911de26adc5642cb634540e7ea5005")
SUITE = CipherSuite.AES_128_GCM_SHA256

CLIENT_HELLO = bytes.fromhex(
    "010000c00303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece70000061301130313020100009100"
    "00000b0009000006736572766572ff01000100000a00140012001d00170018001901000101010201030104002300000033002600"
    "24001d002099381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d5413691e529aaf2c002b0003020304000d0020001e0403"
    "05030603020308040805080604010501060102010402050206020202002d00020101001c00024001"
)
FLIGHT = bytes.fromhex(
    # ServerHello
    "020000560303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e2692800130100002e00330024001d0020"
    "c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f002b00020304"
    # EncryptedExtensions
    "080000240022000a00140012001d00170018001901000101010201030104001c0002400100000000"
    # Certificate
    "0b0001b9000001b50001b0308201ac30820115a003020102020102300d06092a864886f70d01010b0500300e310c300a06035504"
    "031303727361301e170d3136303733303031323335395a170d3236303733303031323335395a300e310c300a0603550403130372"
    "736130819f300d06092a864886f70d010101050003818d0030818902818100b4bb498f8279303d980836399b36c6988c0c68de55"
    "e1bdb826d3901a2461eafd2de49a91d015abbc9a95137ace6c1af19eaa6af98c7ced43120998e187a80ee0ccb0524b1b018c3e0b"
    "63264d449a6d38e22a5fda430846748030530ef0461c8ca9d9efbfae8ea6d1d03e2bd193eff0ab9a8002c47428a6d35a8d88d79f"
    "7f1e3f0203010001a31a301830090603551d1304023000300b0603551d0f0404030205a0300d06092a864886f70d01010b050003"
    "81810085aad2a0e5b9276b908c65f73a7267170618a54c5f8a7b337d2df7a594365417f2eae8f8a58c8f8172f9319cf36b7fd6c5"
    "5b80f21a03015156726096fd335e5e67f2dbf102702e608ccae6bec1fc63a42a99be5c3eb7107c3c54e9b9eb2bd5203b1c3b84e0"
    "a8b2f759409ba3eac9d91d402dcc0cc8f8961229ac9187b42b4de10000"
    # CertificateVerify
    "0f000084080400805a747c5d88fa9bd2e55ab085a61015b7211f824cd484145ab3ff52f1fda8477b0b7abc90db78e2d33a5c141a"
    "078653fa6bef780c5ea248eeaaa785c4f394cab6d30bbe8d4859ee511f602957b15411ac027671459e46445c9ea58c181e818e95"
    "b8c3fb0bf3278409d3be152a3da5043e063dda65cdf5aea20d53dfacd42f74f3"
    # Finished
    "140000209b9b141d906337fbd2cbdce71df4deda4ab42c309572cb7fffee5454b78f0718"
)
CLIENT_FINISHED = bytes.fromhex("14000020a8ec436d677634ae525ac1fcebe11a039ec17694fac6e98527b642f2edd5ce61")

SECRETS = [
    (Direction.DECRYPT, Epoch.HANDSHAKE, "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38"),
    (Direction.ENCRYPT, Epoch.HANDSHAKE, "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21"),
    (Direction.DECRYPT, Epoch.ONE_RTT, "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"),
    (Direction.ENCRYPT, Epoch.ONE_RTT, "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"),
]
EXPORTER_MASTER = bytes.fromhex("fe22f881176eda18eb8f44529e6792c50c9a3f89452f68d8ae311b4309d3cf50")


class PlainContext(HandshakeContext):
    """The same without a kernel."""

    handle_message = tls.Context.handle_message
    _client_send_hello = OneShareContext._client_send_hello


@pytest.mark.parametrize("kind", [HandshakeContext, PlainContext])
@pytest.mark.parametrize("size", [1, 100, len(FLIGHT)])
def test_the_trace(kind: type[HandshakeContext], size: int) -> None:
    client = kind(is_client=True, cipher_suites=[SUITE], verify_mode=ssl.CERT_NONE)
    output = {epoch: Buffer(capacity=4096) for epoch in (Epoch.INITIAL, Epoch.HANDSHAKE, Epoch.ONE_RTT)}
    client.handle_message(b"", output)
    client._x25519_private_key = X25519PrivateKey.from_private_bytes(PRIVATE_KEY)
    client._key_schedule_proxy = KeyScheduleProxy([SUITE])
    client._key_schedule_proxy.extract(None)
    client._key_schedule_proxy.update_hash(CLIENT_HELLO)
    found, exporters = [], []

    def note(direction: Direction, epoch: Epoch, suite: CipherSuite, secret: bytes) -> None:
        assert suite is SUITE
        found.append((direction, epoch, secret.hex()))
        exporters.append(client.key_schedule.derive_secret(b"exp master"))

    client.update_traffic_key_cb = note
    for start in range(0, len(FLIGHT), size):
        client.handle_message(FLIGHT[start : start + size], output)
    assert client.state is State.CLIENT_POST_HANDSHAKE
    assert found == SECRETS
    assert exporters[2] == EXPORTER_MASTER
    assert output[Epoch.HANDSHAKE].data == CLIENT_FINISHED
    assert client._peer_certificate.serial_number == 2
