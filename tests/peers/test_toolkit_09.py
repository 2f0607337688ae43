"""The toolkit classes of pywebtransport 0.9.1, unmodified and on handles of ours, with our classes at the other end.

They run in an environment that has both packages; what is in this process is all ours. Each class acts and serves, on
a client's handles and on a server's. (0.9.1 has no broker, so its PubSubManager only acts.)
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from loopback import client_config, running, server_config
from peers import python_or_skip, run_program, running_server
from toolkit_exercise import EXERCISES, EXPECTED, act, serve, toolkit_of
from udp_proxy import proxied

from wtransport import ServerApp, WebTransportClient, WebTransportSession
from wtransport.types import EventType

pytestmark = [pytest.mark.peer, pytest.mark.timeout(120)]

PEER = "toolkit09"
SERVED = [exercise for exercise in EXERCISES if exercise != "pubsub"]
OURS = toolkit_of("wtransport")


@pytest.fixture(autouse=True)
def needs_the_peer() -> None:
    python_or_skip(PEER)


class OurServer:
    """Does the other part of the exercise that a session's path names."""

    def __init__(self, certificate: Any) -> None:
        self.found: asyncio.Queue[Any] = asyncio.Queue()
        self.app = ServerApp(config=server_config(certificate))
        self.app.pattern_route(pattern="/.*")(self.exercise)

    async def exercise(self, session: WebTransportSession) -> None:
        _, name, role = session.path.split("/")
        stream = await anext(session.incoming_bidirectional_streams())
        try:
            if role == "serves":
                self.found.put_nowait(await act(name, OURS, session, stream))
            else:
                self.found.put_nowait(await serve(name, OURS, session, stream))
        except Exception as error:
            self.found.put_nowait(error)
            raise
        closed = session.events.wait_for(event_type=EventType.SESSION_CLOSED, timeout=10)
        await closed  # what was sent last must arrive


async def run_client(url: str, certificate: Any, exercise: str, role: str) -> Any:
    options = {"--url": url, "--cert": certificate.certfile, "--exercise": exercise, "--role": role}
    return await run_program(PEER, "client", *(item for option in options.items() for item in option))


@pytest.mark.parametrize("exercise", EXERCISES)
async def test_old_client_acts(certificate: Any, exercise: str) -> None:
    server = OurServer(certificate)
    async with running(server.app) as url:
        assert await run_client(url, certificate, exercise, "acts") == EXPECTED[exercise]
        assert await server.found.get() is None


@pytest.mark.parametrize("exercise", SERVED)
async def test_old_client_serves(certificate: Any, exercise: str) -> None:
    server = OurServer(certificate)
    async with running(server.app) as url:
        assert await run_client(url, certificate, exercise, "serves") is None
        assert await server.found.get() == EXPECTED[exercise]


@pytest.mark.parametrize("role", ["acts", "serves"])
async def test_old_reliable_datagrams_over_a_path_that_loses_packets(certificate: Any, role: str) -> None:
    server = OurServer(certificate)
    async with running(server.app) as url, proxied(url, loss=0.2, seed=3) as path:
        found = await run_client(path.url, certificate, "reliable", role), await server.found.get()
        assert found in ((EXPECTED["reliable"], None), (None, EXPECTED["reliable"]))


async def use_server(certificate: Any, exercise: str, role: str) -> tuple[Any, Any]:
    """Do one part here, the other in the peer's server; what each end found."""
    async with (
        running_server(PEER, certificate.certfile, certificate.keyfile) as port,
        WebTransportClient(config=client_config(certificate)) as client,
    ):
        session = await client.connect(url=f"https://127.0.0.1:{port}/{exercise}/{role}")
        stream = await session.create_bidirectional_stream()
        if role == "acts":
            found = await act(exercise, OURS, session, stream)
        else:
            found = await serve(exercise, OURS, session, stream)
        closed = await session.events.wait_for(event_type=EventType.SESSION_CLOSED, timeout=10)
        assert closed.data["code"] == 0, closed.data["reason"]
        return found, json.loads(closed.data["reason"])


@pytest.mark.parametrize("exercise", EXERCISES)
async def test_old_server_acts(certificate: Any, exercise: str) -> None:
    assert await use_server(certificate, exercise, "serves") == (None, EXPECTED[exercise])


@pytest.mark.parametrize("exercise", SERVED)
async def test_old_server_serves(certificate: Any, exercise: str) -> None:
    assert await use_server(certificate, exercise, "acts") == (EXPECTED[exercise], None)


async def test_what_old_ends_do_with_named_parameters(certificate: Any) -> None:
    from wtransport.rpc import InvalidParamsError, RpcManager

    async with (
        running_server(PEER, certificate.certfile, certificate.keyfile) as port,
        WebTransportClient(config=client_config(certificate)) as client,
    ):
        session = await client.connect(url=f"https://127.0.0.1:{port}/rpc/acts")
        stream = await session.create_bidirectional_stream()
        async with RpcManager(stream=stream, session_id=session.session_id) as manager:
            with pytest.raises(InvalidParamsError):
                await manager.call(method="add", params={"a": 1, "b": 2})
            assert await manager.call(method="add", params=[1, 2]) == 3
