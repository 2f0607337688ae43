"""The authorities that sign servers' certificates: a file of them is read once, not for every connection.

aioquic reads it in the middle of each client's handshake: 6 ms for the list of public authorities, as much as all else
that a connection costs.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

from aioquic import tls

__all__ = ["AuthorityStore", "CryptoModule", "check_authorities"]

_openssl: Any = vars(tls)["crypto"]  # pyOpenSSL, as aioquic has it

MAX_FILES = 8
"""Files that are kept in memory, parsed."""


class AuthorityStore:
    """Stands in for pyOpenSSL's X509Store, of which aioquic makes one for each handshake."""

    def __init__(self) -> None:
        """Begin with an empty one."""
        self._locations: list[tuple[str | None, str | None]] = []
        self._certificates: list[Any] = []

    def load_locations(self, cafile: str | None, capath: str | None = None) -> None:
        """Trust the authorities of a file, or of a directory."""
        self._locations.append((cafile, capath))

    def add_cert(self, certificate: Any) -> None:
        """Trust one more."""
        self._certificates.append(certificate)

    def made(self) -> Any:
        """Return the real store; one for all who trust the same file, as it is now, and nobody else.

        Raises:
            OpenSSL.crypto.Error: something cannot be read.
        """
        if len(self._locations) == 1 and not self._certificates:
            cafile, capath = self._locations[0]
            if cafile is not None and capath is None:
                return _read_as_of_now(cafile)
        store = _openssl.X509Store()
        for certificate in self._certificates:
            store.add_cert(certificate)
        for location in self._locations:
            store.load_locations(*location)
        return store


class CryptoModule:
    """Stands in for the module `OpenSSL.crypto` in `aioquic.tls`: all of it but the stores."""

    X509Store = AuthorityStore

    def __getattr__(self, name: str) -> Any:
        """Return what the module has."""
        return getattr(_openssl, name)

    @staticmethod
    def X509StoreContext(store: AuthorityStore, *arguments: Any) -> Any:  # noqa: N802 - its name there
        """Return what verifies a certificate."""
        return _openssl.X509StoreContext(store.made(), *arguments)


def check_authorities(cafile: str) -> None:
    """See to it that a file can be used, before a handshake needs it.

    Raises:
        OSError: it cannot be read.
        ValueError: no authority could be read from it.
    """
    with open(cafile, "rb"):
        pass
    try:
        _read_as_of_now(cafile)
    except _openssl.Error as exc:
        reasons = ", ".join(str(parts[-1]) for parts in exc.args[0]) if exc.args else ""
        raise ValueError(reasons or "no certificate in it") from exc


def _read_as_of_now(cafile: str) -> Any:
    try:
        now = os.stat(cafile)
    except OSError:
        return _read(cafile)  # which has the words for it
    return _read(cafile, now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)


@lru_cache(maxsize=MAX_FILES)
def _read(cafile: str, *_version: int) -> Any:
    store = _openssl.X509Store()
    store.load_locations(cafile)
    return store
