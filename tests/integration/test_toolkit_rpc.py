"""Remote procedure calls over a connection on loopback: calls, errors, limits, ends."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import json
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from toolkit import StreamPair, leaves_no_task, stream_pair, until

from wtransport.constants import ErrorCodes
from wtransport.exceptions import StreamError
from wtransport.rpc import InvalidParamsError, MethodNotFoundError, RpcError, RpcErrorCode, RpcManager, RpcTimeoutError


@dataclass
class Ends:
    """A manager at each end of a stream."""

    pair: StreamPair
    client: RpcManager
    server: RpcManager


@contextlib.asynccontextmanager
async def managers(certificate: Any, *, settings: dict[str, Any] | None = None, **options: Any) -> AsyncIterator[Ends]:
    config = settings or {}
    async with (
        stream_pair(certificate, client=config, server=config) as pair,
        leaves_no_task(),
        RpcManager(stream=pair.client, session_id="c", **options) as client,
        RpcManager(stream=pair.server, session_id="s", **options) as server,
    ):
        yield Ends(pair, client, server)


@pytest.fixture
async def ends(certificate):
    async with managers(certificate) as ends:
        yield ends


@pytest.fixture
async def pair(certificate):
    async with stream_pair(certificate) as pair:
        yield pair


def framed(message: Any) -> bytes:
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    return struct.pack("!I", len(payload)) + payload


async def read_framed(stream: Any) -> Any:
    (length,) = struct.unpack("!I", await stream.readexactly(n=4))
    return json.loads(await stream.readexactly(n=length))


async def add(a: int, b: int = 0, *, c: int = 0) -> int:
    await asyncio.sleep(0)
    return a + b + c


async def test_both_ends_call(ends: Ends) -> None:
    for manager in (ends.client, ends.server):
        manager.register(func=add)
        manager.register(func=lambda text: text.upper(), name="upper")
    for manager in (ends.client, ends.server):
        assert await manager.call(method="add", params=[1, 2]) == 3
        assert await manager.call(method="upper", params=["abc"]) == "ABC"


async def test_parameters_by_name(ends: Ends) -> None:
    ends.server.register(func=add)
    assert await ends.client.call(method="add", params={"a": 1, "c": 5}) == 6
    for params in ({"a": 1, "nothing": 2}, {}, [], [1, 2, 3]):
        with pytest.raises(InvalidParamsError) as raised:
            await ends.client.call(method="add", params=params)
        assert raised.value.error_code == RpcErrorCode.INVALID_PARAMS
        assert raised.value.session_id == "c"


async def test_results_of_every_kind(ends: Ends) -> None:
    class Size(enum.Enum):
        BIG = "big"

    @dataclass
    class Box:
        size: Size
        content: bytes

    for value in (None, True, 1.5, "ü", [1, [2]], {"a": None}):
        ends.server.register(func=lambda value=value: value, name="value")
        assert await ends.client.call(method="value", params=[]) == value
    ends.server.register(func=lambda: Box(Size.BIG, b"\xff"), name="box")
    assert await ends.client.call(method="box", params=[]) == {"size": "big", "content": "/w=="}


async def test_failures_reach_the_caller(ends: Ends) -> None:
    async def busy() -> None:
        raise RpcError("busy", error_code=7)

    def broken(kind: str) -> None:
        raise TypeError("inside") if kind == "type" else KeyError("inside")

    async def cancelled() -> None:
        raise asyncio.CancelledError

    for func in (busy, broken, cancelled):
        ends.server.register(func=func)
    ends.server.register(func=object, name="object")

    async def error_of(method: str, params: list[Any]) -> RpcError:
        with pytest.raises(RpcError) as raised:
            await ends.client.call(method=method, params=params)
        return raised.value

    assert isinstance(await error_of("nothing", []), MethodNotFoundError)
    assert (await error_of("busy", [])).error_code == 7
    for kind in ("type", "key"):
        error = await error_of("broken", [kind])
        assert (error.error_code, "inside" in error.message) == (RpcErrorCode.INTERNAL_ERROR, True)
    assert "cancelled" in (await error_of("cancelled", [])).message
    assert "cannot be sent" in (await error_of("object", [])).message


async def test_mistakes_raise_at_once(ends: Ends) -> None:
    for arguments in ({"method": ""}, {"timeout": 0}, {"timeout": -1.0}):
        with pytest.raises(ValueError, match=next(iter(arguments))):
            await ends.client.call(**{"method": "m", "params": [], **arguments})
    with pytest.raises(TypeError, match="params"):
        await ends.client.call(method="m", params="text")
    with pytest.raises(InvalidParamsError):
        await ends.client.call(method="m", params=[object()])
    with pytest.raises(TypeError, match="func"):
        ends.client.register(func=None)
    with pytest.raises(ValueError, match="name"):
        ends.client.register(func=partial(add, 1))
    with pytest.raises(ValueError, match="name"):
        ends.client.register(func=add, name="$/add")
    for option in ("rpc_concurrency_limit", "max_message_size"):
        with pytest.raises(ValueError, match=option):
            RpcManager(stream=ends.pair.client, session_id="c", **{option: -1})


async def test_a_manager_that_is_not_entered_or_closed_cannot_call(pair: StreamPair) -> None:
    manager = RpcManager(stream=pair.client, session_id="c")
    with pytest.raises(RpcError, match="async with"):
        await manager.call(method="m", params=[])
    async with manager:
        pass
    with pytest.raises(RpcError, match="closed"):
        await manager.call(method="m", params=[])
    with pytest.raises(RpcError, match="closed"):
        await manager.__aenter__()
    await manager.close()


async def test_thousands_of_calls_at_once_respect_the_limit(certificate: Any) -> None:
    async with managers(certificate, rpc_concurrency_limit=5) as ends:
        running = most = 0

        async def work(number: int) -> int:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1
            return number

        ends.server.register(func=work)
        numbers = range(3000)
        results = await asyncio.gather(*(ends.client.call(method="work", params=[n]) for n in numbers))
        assert results == list(numbers)
        assert most == 5


async def test_the_limit_of_the_configuration_is_used(certificate: Any) -> None:
    async with managers(certificate, settings={"rpc_concurrency_limit": 2}) as ends:
        started: list[int] = []
        go_on = asyncio.Event()

        async def work(number: int) -> None:
            started.append(number)
            await go_on.wait()

        ends.server.register(func=work)
        calls = [asyncio.ensure_future(ends.client.call(method="work", params=[n])) for n in range(4)]
        await until(lambda: len(started) == 2)
        go_on.set()
        await asyncio.gather(*calls)
        assert started == [0, 1, 2, 3]


async def test_too_many_waiting_requests_are_refused(certificate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wtransport.rpc._requests._MAX_WAITING_BYTES", 5000)
    async with managers(certificate, rpc_concurrency_limit=1) as ends:
        go_on = asyncio.Event()

        async def work() -> str:
            await go_on.wait()
            return "done"

        ends.server.register(func=work)
        calls = [asyncio.ensure_future(ends.client.call(method="work", params=[])) for _ in range(10)]
        await until(lambda: sum(call.done() for call in calls) >= 4)
        go_on.set()
        results = await asyncio.gather(*calls, return_exceptions=True)
        refused = [each for each in results if isinstance(each, RpcError)]
        assert {each.error_code for each in refused} == {ErrorCodes.APP_RESOURCE_EXHAUSTED}
        assert [each for each in results if each == "done"] + refused == results
        assert 4 <= len(refused) <= 8


async def test_messages_up_to_the_limit_pass(certificate: Any) -> None:
    async with managers(certificate, max_message_size=5_000_000) as ends:
        ends.server.register(func=lambda text: text, name="echo")
        text = "x" * 4_000_000
        assert await ends.client.call(method="echo", params=[text]) == text
        with pytest.raises(RpcError, match="larger than max_message_size"):
            await ends.client.call(method="echo", params=["x" * 5_000_000])
        ends.server.register(func=lambda: "x" * 5_000_000, name="large")
        with pytest.raises(RpcError, match="cannot be sent"):
            await ends.client.call(method="large", params=[])
        assert await ends.client.call(method="echo", params=["again"]) == "again"


async def test_too_large_a_message_ends_the_stream(pair: StreamPair) -> None:
    async with RpcManager(stream=pair.server, session_id="s", max_message_size=100) as manager:
        calling = asyncio.ensure_future(manager.call(method="m", params=[]))
        await pair.client.write(data=struct.pack("!I", 101))
        with pytest.raises(RpcError, match="101 bytes"):
            await calling
        with pytest.raises(StreamError):
            await pair.client.read_all()
        with pytest.raises(RpcError, match="closed"):
            await manager.call(method="m", params=[])


async def test_nonsense_is_passed_over(pair: StreamPair) -> None:
    async with RpcManager(stream=pair.server, session_id="s") as manager:
        manager.register(func=add)
        nonsense: list[Any] = [
            b"{]",
            b"\xff",
            b"[" * 100_000,
            b"",
            1,
            [],
            {},
            None,
            {"id": 99, "result": 1},
            {"id": [1], "result": 1},
            {"id": None, "error": {}},
            {"method": "add"},
            {"method": "nothing"},
            {"method": "add", "params": [1, 2]},
            {"method": "$/cancelRequest"},
            {"method": "$/cancelRequest", "params": [[]]},
            {"method": "$/cancelRequest", "params": ["unknown"]},
            {"method": "$/unknown", "params": []},
        ]
        for message in nonsense:
            await pair.client.write(data=framed(message))
        answered = [
            {"id": 1, "method": 5},
            {"id": 2, "method": "add", "params": None},
            {"id": 3, "method": "add", "params": "ab"},
            {"id": "four", "method": "add", "params": [1, 2]},
        ]
        for message in answered:
            await pair.client.write(data=framed(message))
        answers = {}
        for _ in range(4):
            answer = await read_framed(pair.client)
            answers[answer["id"]] = answer.get("result", answer.get("error", {}).get("code"))
        invalid = RpcErrorCode.INVALID_PARAMS
        assert answers == {None: RpcErrorCode.INVALID_REQUEST, 2: invalid, 3: invalid, "four": 3}


async def test_the_wire_format(pair: StreamPair) -> None:
    async with RpcManager(stream=pair.client, session_id="c") as manager:
        calling = asyncio.ensure_future(manager.call(method="m", params=[1, "ü"]))
        request = await read_framed(pair.server)
        assert request == {"id": request["id"], "method": "m", "params": [1, "ü"]}
        assert isinstance(request["id"], int | str)
        await pair.server.write(data=framed({"id": request["id"], "result": {"a": 1}}))
        assert await calling == {"a": 1}
        manager.register(func=add)
        await pair.server.write(data=framed({"id": "x", "method": "add", "params": [1, 2]}))
        assert await read_framed(pair.server) == {"id": "x", "result": 3}
        await pair.server.write(data=framed({"id": "y", "method": "none", "params": []}))
        answer = await read_framed(pair.server)
        assert answer["id"] == "y"
        assert answer["error"].keys() == {"code", "message"}
        assert answer["error"]["code"] == -32601


@pytest.mark.parametrize(
    ("response", "code"),
    [
        ({"error": {"code": 5, "message": "no", "data": 1}}, 5),
        ({"error": "text"}, RpcErrorCode.INTERNAL_ERROR),
        ({"error": {}}, RpcErrorCode.INTERNAL_ERROR),
        ({}, RpcErrorCode.INVALID_REQUEST),
    ],
)
async def test_error_responses_of_every_shape(pair: StreamPair, response: dict[str, Any], code: int) -> None:
    async with RpcManager(stream=pair.client, session_id="c") as manager:
        calling = asyncio.ensure_future(manager.call(method="m", params=[]))
        request = await read_framed(pair.server)
        await pair.server.write(data=framed({"id": request["id"], **response}))
        with pytest.raises(RpcError) as raised:
            await calling
        assert raised.value.error_code == code


async def test_a_null_error_beside_a_result_is_no_error(pair: StreamPair) -> None:
    async with RpcManager(stream=pair.client, session_id="c") as manager:
        calling = asyncio.ensure_future(manager.call(method="m", params=[]))
        request = await read_framed(pair.server)
        await pair.server.write(data=framed({"id": request["id"], "result": 1, "error": None}))
        assert await calling == 1


async def test_a_caller_that_ends_its_side_still_gets_its_answer(pair: StreamPair) -> None:
    async with leaves_no_task(), RpcManager(stream=pair.server, session_id="s") as manager:
        manager.register(func=add)
        go_on = asyncio.Event()
        manager.register(func=go_on.wait, name="wait")
        await pair.client.write(data=framed({"id": 0, "method": "wait"}))
        await pair.client.write(data=framed({"id": 1, "method": "add", "params": [1, 2]}), end_stream=True)
        assert await read_framed(pair.client) == {"id": 1, "result": 3}
        go_on.set()
        assert await read_framed(pair.client) == {"id": 0, "result": True}
        assert await pair.client.read() == b""  # the manager closed by itself


async def test_closing_fails_the_calls_of_both_ends(ends: Ends) -> None:
    was_cancelled = asyncio.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            was_cancelled.set()
            raise

    ends.server.register(func=hang)
    ends.client.register(func=hang)
    calls = [asyncio.ensure_future(each.call(method="hang", params=[])) for each in (ends.client, ends.server)]
    await asyncio.sleep(0.05)
    await ends.client.close()
    for call in calls:
        with pytest.raises(RpcError, match="closed"):
            await call
    await was_cancelled.wait()


@pytest.mark.parametrize("how", ["session", "connection", "reset"])
async def test_whatever_ends_the_stream_ends_calls_and_methods(certificate: Any, how: str) -> None:
    async with managers(certificate) as ends:
        cancelled = []
        started = []

        async def hang() -> None:
            started.append(1)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(1)
                raise

        for each in (ends.client, ends.server):
            each.register(func=hang)
        calls = [asyncio.ensure_future(each.call(method="hang", params=[])) for each in (ends.client, ends.server)]
        await until(lambda: len(started) == 2)
        session = ends.pair.sessions.client
        match how:
            case "session":
                await session.close()
            case "connection":
                await session.connection.close()
            case "reset":
                await ends.pair.client.close(error_code=5)
        for call in calls:
            with pytest.raises(RpcError):
                await call
        await until(lambda: len(cancelled) == 2)


async def test_a_method_may_close_its_manager(ends: Ends) -> None:
    async def stop() -> None:
        await ends.server.close()

    ends.server.register(func=stop)
    with pytest.raises(RpcError, match="closed"):
        await ends.client.call(method="stop", params=[])


async def test_a_quiet_stream_outlives_the_read_timeout(certificate: Any) -> None:
    async with managers(certificate, settings={"read_timeout": 0.02}) as ends:
        ends.server.register(func=add)
        await asyncio.sleep(0.1)
        assert await ends.client.call(method="add", params=[1, 2]) == 3


async def test_a_message_that_is_never_finished_ends_the_stream(certificate: Any) -> None:
    async with (
        stream_pair(certificate, server={"read_timeout": 0.05}) as pair,
        leaves_no_task(),
        RpcManager(stream=pair.server, session_id="s"),
    ):
        await pair.client.write(data=struct.pack("!I", 10) + b"{")
        with pytest.raises(StreamError):
            await pair.client.read()


async def test_a_peer_that_reads_nothing_is_cut_off(certificate: Any) -> None:
    settings = {"write_timeout": 0.1, "max_stream_write_buffer": 10_000, "flow_control_window_size": 65536}
    async with (
        stream_pair(certificate, client=settings, server=settings) as pair,
        leaves_no_task(),
        RpcManager(stream=pair.server, session_id="s") as manager,
    ):
        manager.register(func=lambda: "x" * 9000, name="large")
        for number in range(100):
            await pair.client.write(data=framed({"id": number, "method": "large"}))
        with pytest.raises(StreamError):
            while True:
                await pair.client.write(data=framed({"id": 1, "method": "large"}))
                await asyncio.sleep(0.01)


async def test_time_out_is_the_built_in_one_as_well(ends: Ends) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    ends.server.register(func=hang)
    with pytest.raises(TimeoutError) as raised:
        await ends.client.call(method="hang", params=[], timeout=0.02)
    assert isinstance(raised.value, RpcTimeoutError)
