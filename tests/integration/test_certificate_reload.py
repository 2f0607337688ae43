"""Another certificate without a restart."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from loopback import client_config, server_config, url_of
from pki import Authority, Files, der_of

from wtransport.client import WebTransportClient
from wtransport.exceptions import CertificateError, ConfigurationError, ConnectionError, ServerError
from wtransport.server import WebTransportServer
from wtransport.session import WebTransportSession


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def files(authority: Authority) -> Files:
    return authority.issue_for_server("first")


@pytest.fixture
async def server(files: Files) -> AsyncIterator[WebTransportServer]:
    async with WebTransportServer(config=server_config(files)) as server:
        await server.listen()
        yield server


@pytest.fixture
async def client(authority: Authority) -> AsyncIterator[WebTransportClient]:
    async with WebTransportClient(config=client_config(authority)) as client:
        yield client


async def use(session: WebTransportSession) -> None:
    stream = await session.create_bidirectional_stream()
    await stream.write_all(data=b"still here")
    await stream.close(error_code=1)


async def test_new_connections_see_the_new_certificate_and_old_ones_go_on(
    authority: Authority, files: Files, server: WebTransportServer, client: WebTransportClient
) -> None:
    old = await client.connect(url=url_of(server))
    second = authority.issue_for_server("second")
    await server.reload_certificate(certfile=second.certfile, keyfile=second.keyfile)
    new = await client.connect(url=url_of(server))
    assert old.peer_certificate == der_of(files.certfile)
    assert new.peer_certificate == der_of(second.certfile)
    await use(old)
    assert not old.is_closed
    diagnostics = await server.diagnostics()
    assert (diagnostics.certfile_path, diagnostics.keyfile_path) == second
    assert server.config.certfile == second.certfile


async def test_renewed_files_of_the_same_names_are_read_again(
    authority: Authority, files: Files, server: WebTransportServer, client: WebTransportClient
) -> None:
    second = authority.issue_for_server("second")
    for source, target in zip(second, files, strict=True):
        shutil.copy(source, target)
    await server.reload_certificate()
    assert (await client.connect(url=url_of(server))).peer_certificate == der_of(second.certfile)


async def test_bad_files_leave_the_old_certificate_in_place(
    authority: Authority, files: Files, server: WebTransportServer, client: WebTransportClient, tmp_path: Path
) -> None:
    second = authority.issue_for_server("second")
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    config = server.config
    for arguments in (
        {"certfile": second.certfile},  # without its key
        {"certfile": str(garbage), "keyfile": second.keyfile},
        {"certfile": second.certfile, "keyfile": str(garbage)},
        {"certfile": str(tmp_path / "missing.pem"), "keyfile": second.keyfile},
    ):
        with pytest.raises(CertificateError):
            await server.reload_certificate(**arguments)
    wrong: Any = 5
    with pytest.raises(ConfigurationError):
        await server.reload_certificate(certfile=wrong)
    assert server.config is config
    assert (await client.connect(url=url_of(server))).peer_certificate == der_of(files.certfile)


async def test_the_authorities_of_clients_are_read_again(authority: Authority, files: Files, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    trusted = tmp_path / "trusted.pem"
    shutil.copy(authority.certfile, trusted)
    of_client = other.issue("client of the other")
    config = client_config(authority, certfile=of_client.certfile, keyfile=of_client.keyfile)
    async with (
        WebTransportServer(config=server_config(files, ca_certs=str(trusted))) as server,
        WebTransportClient(config=config) as client,
    ):
        await server.listen()
        with pytest.raises(ConnectionError, match="does not accept the client's certificate"):
            await client.connect(url=url_of(server))
        shutil.copy(other.certfile, trusted)
        await server.reload_certificate()
        await client.connect(url=url_of(server))


async def test_only_a_server_that_listens_has_a_certificate_to_replace(files: Files) -> None:
    server = WebTransportServer(config=server_config(files))
    with pytest.raises(ServerError, match="does not listen"):
        await server.reload_certificate()
    async with server:
        await server.listen()
    with pytest.raises(ServerError, match="does not listen"):
        await server.reload_certificate()
