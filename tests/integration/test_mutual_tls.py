"""Client certificates: who is asked, who is let in, and what each end sees of the other's certificate."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from loopback import client_config, running, server_config
from pki import SERVER_AUTH, Authority, Files, der_of

from wtransport.client import WebTransportClient
from wtransport.exceptions import CertificateError, ConnectionError
from wtransport.server import ServerApp, WebTransportServer
from wtransport.session import WebTransportSession

WAIT = 30.0


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


class Site:
    """A server, and a way to connect to it."""

    def __init__(self, url: str, certificate: Any, seen: asyncio.Queue[bytes | None]) -> None:
        self.url = url
        self.seen = seen
        self._certificate = certificate

    @asynccontextmanager
    async def session(self, files: Files | None = None, **settings: Any) -> AsyncIterator[WebTransportSession]:
        """A session of a client that has these files."""
        if files is not None:
            settings |= {"certfile": files.certfile, "keyfile": files.keyfile}
        async with WebTransportClient(config=client_config(self._certificate, **settings)) as client:
            yield await client.connect(url=self.url)

    async def refusal(self, files: Files | None = None) -> str:
        """Return why a client with these files does not get in."""
        with pytest.raises(ConnectionError) as caught:
            async with self.session(files):
                pass
        assert self.seen.empty()
        return caught.value.message


@asynccontextmanager
async def site(certificate: Any, **settings: Any) -> AsyncIterator[Site]:
    app = ServerApp(config=server_config(certificate, **settings))
    seen: asyncio.Queue[bytes | None] = asyncio.Queue()

    @app.route(path="/")
    async def tell(session: WebTransportSession) -> None:
        seen.put_nowait(session.peer_certificate)
        await session.incoming_datagrams().__anext__()

    async with running(app) as url:
        yield Site(url + "/", certificate, seen)


@pytest.mark.parametrize("mode", [ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED])
async def test_both_ends_see_the_certificate_of_the_other(certificate: Any, authority: Authority, mode: Any) -> None:
    files = authority.issue()
    async with (
        site(certificate, ca_certs=authority.certfile, verify_mode=mode) as place,
        place.session(files) as session,
    ):
        assert await asyncio.wait_for(place.seen.get(), WAIT) == der_of(files.certfile)
        assert session.peer_certificate == session.connection.peer_certificate == der_of(certificate.certfile)


async def test_an_authority_between_may_have_issued_it(certificate: Any, authority: Authority, tmp_path: Path) -> None:
    files = Authority(tmp_path, "between", issuer=authority).issue()
    async with (
        site(certificate, ca_certs=authority.certfile, verify_mode=ssl.CERT_REQUIRED) as place,
        place.session(files),
    ):
        assert await asyncio.wait_for(place.seen.get(), WAIT) == der_of(files.certfile)


async def test_where_it_is_optional_a_client_without_one_gets_in(certificate: Any, authority: Authority) -> None:
    async with site(certificate, ca_certs=authority.certfile) as place, place.session():
        assert await asyncio.wait_for(place.seen.get(), WAIT) is None


async def test_where_it_is_required_a_client_without_one_does_not(certificate: Any, authority: Authority) -> None:
    async with site(certificate, ca_certs=authority.certfile, verify_mode=ssl.CERT_REQUIRED) as place:
        text = await place.refusal()
        assert "does not accept the client's certificate" in text
        assert "requires a client certificate" in text


@pytest.mark.parametrize("mode", [ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED])
async def test_a_bad_certificate_keeps_its_client_out(
    certificate: Any, authority: Authority, tmp_path: Path, mode: Any
) -> None:
    async with site(certificate, ca_certs=authority.certfile, verify_mode=mode) as place:
        for name, files in {
            "stranger": Authority(tmp_path, "stranger").issue("of a stranger"),
            "expired": authority.issue("expired", valid=(-9, -2)),
            "usage": authority.issue("of a server", usage=SERVER_AUTH),
        }.items():
            text = await place.refusal(files)
            assert "does not accept the client's certificate" in text, name
        # And the server goes on.
        async with place.session(authority.issue()):
            assert await asyncio.wait_for(place.seen.get(), WAIT)


@pytest.mark.parametrize("settings", [{}, {"ca_certs": True, "verify_mode": ssl.CERT_NONE}])
async def test_a_client_is_not_asked_without_a_reason(certificate: Any, authority: Authority, settings: Any) -> None:
    if "ca_certs" in settings:
        settings = settings | {"ca_certs": authority.certfile}
    async with site(certificate, **settings) as place, place.session(authority.issue()):
        assert await asyncio.wait_for(place.seen.get(), WAIT) is None


async def test_a_client_that_checks_nothing_still_sees_the_certificate(certificate: Any) -> None:
    async with site(certificate) as place, place.session(verify_mode=ssl.CERT_NONE, ca_certs=None) as session:
        assert session.peer_certificate == der_of(certificate.certfile)


async def test_authorities_that_cannot_be_read_are_told_before_anything_is_bound(
    certificate: Any, tmp_path: Path
) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("no certificate")
    async with WebTransportServer(config=server_config(certificate, ca_certs=str(path))) as server:
        with pytest.raises(CertificateError, match="CA certificates"):
            await server.listen()
        assert not server.is_serving


async def test_a_key_of_another_certificate_is_told(certificate: Any, authority: Authority) -> None:
    files = authority.issue()
    async with WebTransportServer(config=server_config(certificate, keyfile=files.keyfile)) as server:
        with pytest.raises(CertificateError, match="not that of the certificate"):
            await server.listen()
    config = client_config(certificate, certfile=files.certfile, keyfile=certificate.keyfile)
    async with WebTransportClient(config=config) as client:
        with pytest.raises(CertificateError, match="not that of the certificate"):
            await client.connect(url="https://127.0.0.1:9/")
