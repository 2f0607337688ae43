"""Remote procedure calls that are given up: at which moment whatever, nothing stays behind at either end."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any

import pytest
from toolkit import cancelled_after, leaves_no_task, stream_pair, until

from wtransport.rpc import RpcError, RpcManager, RpcTimeoutError

TURNS = range(12)


class Methods:
    """Methods that say what became of them."""

    def __init__(self, manager: RpcManager) -> None:
        self.started: list[Any] = []
        self.cancelled: list[Any] = []
        for func in (self.hang, self.stubborn, self.echo):
            manager.register(func=func)

    async def hang(self, tag: Any = None) -> None:
        self.started.append(tag)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.append(tag)
            raise

    async def stubborn(self) -> str:
        self.started.append("stubborn")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.append("stubborn")
        return "never mind"

    async def echo(self, value: Any) -> Any:
        await asyncio.sleep(0)
        return value


async def test_a_call_that_times_out_cancels_the_method(certificate: Any) -> None:
    async with (
        stream_pair(certificate) as pair,
        leaves_no_task(),
        RpcManager(stream=pair.client, session_id="c") as client,
        RpcManager(stream=pair.server, session_id="s") as server,
    ):
        methods = Methods(server)
        with pytest.raises(RpcTimeoutError):
            await client.call(method="hang", params=[1], timeout=0.05)
        await until(lambda: methods.cancelled == [1])
        assert await client.call(method="echo", params=[2]) == 2


async def test_a_cancelled_call_frees_its_place(certificate: Any) -> None:
    async with (
        stream_pair(certificate) as pair,
        leaves_no_task(),
        RpcManager(stream=pair.client, session_id="c") as client,
        RpcManager(stream=pair.server, session_id="s", rpc_concurrency_limit=1) as server,
    ):
        methods = Methods(server)
        running = asyncio.ensure_future(client.call(method="hang", params=["running"]))
        waiting = asyncio.ensure_future(client.call(method="hang", params=["waiting"]))
        last = asyncio.ensure_future(client.call(method="echo", params=["last"]))
        await until(lambda: methods.started == ["running"])
        waiting.cancel()
        await asyncio.sleep(0.02)
        running.cancel()
        assert await last == "last"
        assert (methods.started, methods.cancelled) == (["running"], ["running"])
        assert await client.call(method="echo", params=["more"]) == "more"


async def test_a_method_may_refuse_to_be_cancelled(certificate: Any) -> None:
    async with (
        stream_pair(certificate) as pair,
        leaves_no_task(),
        RpcManager(stream=pair.client, session_id="c") as client,
        RpcManager(stream=pair.server, session_id="s", rpc_concurrency_limit=1) as server,
    ):
        methods = Methods(server)
        with pytest.raises(RpcTimeoutError):
            await client.call(method="stubborn", params=[], timeout=0.02)
        await until(lambda: methods.cancelled == ["stubborn"])
        assert await client.call(method="echo", params=[1]) == 1


@pytest.mark.parametrize("turns", TURNS)
async def test_cancelling_a_call_at_any_moment_leaves_nothing_behind(certificate: Any, turns: int) -> None:
    async with (
        stream_pair(certificate) as pair,
        leaves_no_task(),
        RpcManager(stream=pair.client, session_id="c") as client,
        RpcManager(stream=pair.server, session_id="s") as server,
    ):
        methods = Methods(server)
        await cancelled_after(turns, lambda: client.call(method="hang", params=[]))
        assert len(client._calls) == 0
        await client.call(method="echo", params=[1])
        await until(lambda: methods.cancelled == methods.started)
        await until(lambda: not server._requests._workers and not server._requests._running)


@pytest.mark.parametrize("turns", TURNS[1:])
async def test_cancelling_a_manager_at_any_moment_leaves_nothing_behind(certificate: Any, turns: int) -> None:
    async with stream_pair(certificate) as pair, leaves_no_task():

        async def use() -> None:
            async with RpcManager(stream=pair.client, session_id="c") as client:
                Methods(client)
                await client.call(method="echo", params=[1])

        async with RpcManager(stream=pair.server, session_id="s") as server:
            Methods(server)
            calling = asyncio.ensure_future(server.call(method="hang", params=[]))
            await cancelled_after(turns, use)
            assert pair.client.is_closed or not pair.client.can_write
            with pytest.raises(RpcError):
                await calling


@pytest.mark.parametrize("turns", range(6))
async def test_closing_can_be_cancelled(certificate: Any, turns: int) -> None:
    async with stream_pair(certificate) as pair, leaves_no_task():
        client = await RpcManager(stream=pair.client, session_id="c").__aenter__()
        Methods(client)
        async with RpcManager(stream=pair.server, session_id="s") as server:
            calls = [asyncio.ensure_future(server.call(method="hang", params=[])) for _ in range(3)]
            await asyncio.sleep(0.02)
            await cancelled_after(turns, client.close)
            await client.close()
            for call in calls:
                with pytest.raises(RpcError):
                    await call


async def test_calls_that_cannot_be_sent_time_out_and_are_not_cancelled_over_there(certificate: Any) -> None:
    settings = {"max_stream_write_buffer": 10_000, "flow_control_window_size": 65536}
    async with (
        stream_pair(certificate, client=settings, server=settings) as pair,
        leaves_no_task(),
        RpcManager(stream=pair.client, session_id="c") as client,
    ):
        calls = [asyncio.ensure_future(client.call(method="m", params=["x" * 9000], timeout=0.1)) for _ in range(50)]
        for call in calls:
            with pytest.raises(RpcTimeoutError):
                await call
        # Now the peer reads: whole requests, then their cancellations.
        requests, cancellations = set(), set()
        while len(cancellations) < len(requests) or not requests:
            (length,) = struct.unpack("!I", await pair.server.readexactly(n=4))
            message = json.loads(await pair.server.readexactly(n=length))
            if message["method"] == "m":
                requests.add(message["id"])
            else:
                assert message.keys() == {"method", "params"}
                assert message["method"] == "$/cancelRequest"
                cancellations.update(message["params"])
        assert cancellations == requests
        assert 0 < len(requests) < 50


async def test_answers_to_cancelled_calls_are_passed_over(certificate: Any) -> None:
    async with (
        stream_pair(certificate) as pair,
        leaves_no_task(),
        RpcManager(stream=pair.client, session_id="c") as client,
    ):
        with pytest.raises(RpcTimeoutError):
            await client.call(method="m", params=[], timeout=0.02)
        (length,) = struct.unpack("!I", await pair.server.readexactly(n=4))
        request = json.loads(await pair.server.readexactly(n=length))
        for result in ({"result": 1}, {"error": {"code": 1, "message": "m"}}):
            payload = json.dumps({"id": request["id"], **result}).encode()
            await pair.server.write(data=struct.pack("!I", len(payload)) + payload)
        client.register(func=lambda: 2, name="two")
        payload = json.dumps({"id": "x", "method": "two"}).encode()
        await pair.server.write(data=struct.pack("!I", len(payload)) + payload)
        (length,) = struct.unpack("!I", await pair.server.readexactly(n=4))
        while (message := json.loads(await pair.server.readexactly(n=length))).get("id") != "x":
            (length,) = struct.unpack("!I", await pair.server.readexactly(n=4))
        assert message["result"] == 2
