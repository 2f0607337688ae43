"""Tests of that program over real connections on loopback, which take milliseconds each; with pytest-asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from echo_app import make_app

from wtransport import ClientConfig, ClientError, ServerConfig, WebTransportClient
from wtransport.utils import generate_self_signed_cert


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    directory: Path = tmp_path_factory.mktemp("certificate")
    return generate_self_signed_cert(hostname="localhost", output_dir=str(directory))


@pytest.fixture
async def url(certificate: tuple[str, str]) -> AsyncIterator[str]:
    """The program, running on a port of its own."""
    certfile, keyfile = certificate
    app = make_app(ServerConfig(bind_host="127.0.0.1", bind_port=0, certfile=certfile, keyfile=keyfile))
    async with app:
        await app.server.listen()
        address = app.server.local_address
        assert address is not None
        yield f"https://{address[0]}:{address[1]}"


@pytest.fixture
async def client(certificate: tuple[str, str]) -> AsyncIterator[WebTransportClient]:
    # Short time-outs: what takes longer on loopback never comes.
    config = ClientConfig(ca_certs=certificate[0], connect_timeout=10.0, read_timeout=10.0)
    async with WebTransportClient(config=config) as client:
        yield client


async def test_what_is_sent_comes_back(url: str, client: WebTransportClient) -> None:
    session = await client.connect(url=f"{url}/echo")
    stream = await session.create_bidirectional_stream()
    await stream.write_all(data=b"hello")
    assert await stream.read_all() == b"hello"


async def test_other_paths_are_refused(url: str, client: WebTransportClient) -> None:
    with pytest.raises(ClientError) as caught:
        await client.connect(url=f"{url}/nowhere")
    assert caught.value.details["status"] == 404
