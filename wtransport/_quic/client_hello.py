"""A client's first message of TLS with one key share, and another one for servers that ask for it.

Knows aioquic's privates. aioquic makes a key of every group that it offers, of which a server takes one, and knows no
HelloRetryRequest (RFC 8446, 4.1.4). Here the key is of the first group, which nearly every server takes.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Any

from aioquic import tls
from aioquic._buffer import Buffer
from aioquic.tls import (
    AlertDecodeError,
    AlertIllegalParameter,
    AlertMissingExtension,
    AlertUnexpectedMessage,
    ExtensionType,
    Group,
)
from cryptography.hazmat.primitives.asymmetric import ec

from .key_agreement import take_x25519
from .key_schedule import KeyScheduleProxy

__all__ = ["HELLO_RETRY_RANDOM", "OneShareContext", "is_address"]

HELLO_RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""What a ServerHello has in place of random bytes when it is a HelloRetryRequest (RFC 8446, 4.1.3)."""

_RANDOM = slice(6, 38)  # of the message: behind type, length and version
_SESSION_ID = 38  # its length, behind that

_CURVES: dict[int, type[ec.EllipticCurve]] = {
    Group.SECP256R1: ec.SECP256R1,
    Group.SECP384R1: ec.SECP384R1,
    Group.SECP521R1: ec.SECP521R1,
}


class OneShareContext(tls.Context):
    """A client's TLS that offers several groups, and the key of one."""

    _key_schedule_proxy: Any
    _was_retried = False
    _share_group: int

    def _client_send_hello(self, output_buf: Buffer) -> None:
        if self.session_ticket is not None or not self._supported_groups or not self._can_make(self._supported_groups):
            super()._client_send_hello(output_buf)
            return
        self._key_schedule_proxy = KeyScheduleProxy(self._cipher_suites)
        self._key_schedule_proxy.extract(None)
        self._write_hello(output_buf, self._make_share(self._supported_groups[0]))

    def _client_handle_hello(self, input_buf: Buffer, output_buf: Buffer) -> None:
        message = input_buf.data_slice(0, input_buf.capacity)
        if message[_RANDOM] == HELLO_RETRY_RANDOM:
            self._retry_hello(input_buf, output_buf)
            return
        session_id = self.legacy_session_id or b""
        if len(message) > _SESSION_ID and message[_SESSION_ID:][: 1 + message[_SESSION_ID]] != b"%c%b" % (
            len(session_id),
            session_id,
        ):
            raise AlertIllegalParameter("ServerHello has another session id")
        super()._client_handle_hello(input_buf, output_buf)

    @staticmethod
    def _can_make(groups: list[Any]) -> bool:
        return all(group == Group.X25519 or group in _CURVES for group in groups)

    def _make_share(self, group: int) -> tuple[int, bytes]:
        """Make a key, which replaces any that was offered before, and return its share."""
        self._share_group = group
        self._ec_private_keys = []
        self._x25519_private_key = None
        if group == Group.X25519:
            self._x25519_private_key = take_x25519()
            self._share = tls.encode_public_key(self._x25519_private_key.public_key())
        else:
            self._ec_private_keys.append(ec.generate_private_key(_CURVES[group]()))
            self._share = tls.encode_public_key(self._ec_private_keys[0].public_key())
        return self._share

    def _write_hello(self, output_buf: Buffer, share: tuple[int, bytes], cookie: bytes | None = None) -> None:
        extensions = self.handshake_extensions
        if cookie is not None:
            extensions = [*extensions, (ExtensionType.COOKIE, cookie)]
        hello = tls.ClientHello(
            random=self.client_random or b"",
            legacy_session_id=self.legacy_session_id or b"",
            cipher_suites=list(map(int, self._cipher_suites)),
            legacy_compression_methods=self._legacy_compression_methods,
            alpn_protocols=self._alpn_protocols,
            key_share=[share],
            psk_key_exchange_modes=self._psk_key_exchange_modes if self.new_session_ticket_cb is not None else None,
            server_name=None if is_address(self._server_name) else self._server_name,
            signature_algorithms=self._signature_algorithms,
            supported_groups=list(self._supported_groups),
            supported_versions=self._supported_versions,
            other_extensions=extensions,
        )
        with tls.push_message(self._key_schedule_proxy, output_buf):
            tls.push_client_hello(output_buf, hello)
        self._set_state(tls.State.CLIENT_EXPECT_SERVER_HELLO)

    def _retry_hello(self, input_buf: Buffer, output_buf: Buffer) -> None:
        """Send another ClientHello, with what the server asks for.

        Raises:
            Alert: the request is malformed, asks for what was not offered or for no change, or is the second one.
        """
        if self._was_retried:
            raise AlertUnexpectedMessage("a second HelloRetryRequest")
        message = input_buf.data_slice(0, input_buf.capacity)
        cipher_suite, extensions = self._pull_retry(input_buf)
        version = extensions.get(ExtensionType.SUPPORTED_VERSIONS)
        if version is None:
            raise AlertMissingExtension("HelloRetryRequest has no version")
        if int.from_bytes(version) not in self._supported_versions or len(version) != 2:
            raise AlertIllegalParameter("HelloRetryRequest has a version we did not advertise")
        asked, cookie = extensions.get(ExtensionType.KEY_SHARE), extensions.get(ExtensionType.COOKIE)
        if asked is None and cookie is None:
            raise AlertIllegalParameter("HelloRetryRequest asks for no change")
        if cookie is not None and (len(cookie) < 3 or int.from_bytes(cookie[:2]) != len(cookie) - 2):
            raise AlertDecodeError("HelloRetryRequest has a broken cookie")
        share = self._share
        if asked is not None:
            group = int.from_bytes(asked)
            if len(asked) != 2:
                raise AlertDecodeError("HelloRetryRequest has a broken group")
            if group not in self._supported_groups or group == self._share_group:
                raise AlertIllegalParameter("HelloRetryRequest asks for a group we did not offer, or have sent")
            share = self._make_share(group)
        self._was_retried = True
        self._key_schedule_proxy = self._key_schedule_proxy.after_retry(cipher_suite, message)
        self._write_hello(output_buf, share, cookie)
        # From now on there is one to choose (RFC 8446, 4.1.4).
        self._cipher_suites = [cipher_suite]

    def _pull_retry(self, buf: Buffer) -> tuple[tls.CipherSuite, dict[int, bytes]]:
        """Return the cipher suite and the extensions of a HelloRetryRequest."""
        tls.pull_handshake_type(buf, tls.HandshakeType.SERVER_HELLO)
        extensions: dict[int, bytes] = {}

        def pull_extension() -> None:
            kind, value = buf.pull_uint16(), tls.pull_opaque(buf, 2)
            if kind in extensions:
                raise AlertIllegalParameter("HelloRetryRequest has an extension twice")
            extensions[kind] = value

        with tls.pull_block(buf, 3):
            if buf.pull_uint16() != tls.TLS_VERSION_1_2:
                raise AlertDecodeError("HelloRetryRequest version is not 1.2")
            buf.pull_bytes(len(HELLO_RETRY_RANDOM))
            session_id = tls.pull_opaque(buf, 1)
            chosen, compression = buf.pull_uint16(), buf.pull_uint8()
            tls.pull_list(buf, 2, pull_extension)
        if session_id != self.legacy_session_id or compression not in self._legacy_compression_methods:
            raise AlertIllegalParameter("HelloRetryRequest has another session id or compression")
        for cipher_suite in self._cipher_suites:
            if cipher_suite == chosen:
                return cipher_suite, extensions
        raise AlertIllegalParameter("HelloRetryRequest has a cipher suite we did not advertise")


@lru_cache(maxsize=256)
def is_address(name: str | None) -> bool:
    """Tell whether a server is named by its address, which goes into no message (RFC 6066, 3)."""
    try:
        ipaddress.ip_address(name or "")
    except ValueError:
        return False
    return True
