"""Session handles at both ends of a real connection on loopback."""

from __future__ import annotations

import asyncio

import pytest
from handle_pair import barrier, connection_pair, session_pair

from wtransport.exceptions import ClientError, SessionError
from wtransport.exceptions import TimeoutError as WebTransportTimeoutError
from wtransport.session import SessionDiagnostics, WebTransportSession
from wtransport.types import EventType, SessionState


@pytest.fixture
async def pair(certificate):
    async with session_pair(certificate) as pair:
        yield pair


def test_the_classes_report_the_module_of_the_09_api():
    assert WebTransportSession.__module__ == SessionDiagnostics.__module__ == "wtransport.session.session"


async def closed(session: WebTransportSession) -> dict:
    event = await session.events.wait_for(event_type=EventType.SESSION_CLOSED, timeout=30)
    return event.data


# Opening.


async def test_both_ends_know_the_request(certificate):
    async with connection_pair(certificate, client={"headers": {"X-Own": "configured"}}) as pair:
        sessions = await pair.open_session("/path?query=1", headers={"X-Call": "given"})
        server, client = sessions.server, sessions.client
        assert server.path == client.path == "/path?query=1"
        assert server.headers["x-own"] == client.headers["x-own"] == "configured"
        assert server.headers["x-call"] == "given"
        assert server.headers[":path"] == "/path?query=1"
        host, port = pair.client.remote_address
        assert server.headers[":authority"] == f"{host}:{port}"
        assert server.headers["user-agent"] == pair.client.config.user_agent
        assert server.state is client.state is SessionState.CONNECTED
        assert server.session_id != client.session_id
        assert client.connection is client._connection is pair.client
        server.headers.clear()
        assert server.headers


async def test_a_session_is_ready_once(pair):
    for session in (pair.client, pair.server):
        event = await session.events.wait_for(event_type=EventType.SESSION_READY)
        assert event.data["session"] is session
        assert event.data["session_id"] == session.session_id
        assert event.data["ready_at"] == (await session.diagnostics()).ready_at
        assert len(session.events.get_event_history(event_type=EventType.SESSION_READY)) == 1


async def test_a_rejection_has_its_status(certificate):
    async with connection_pair(certificate) as pair:
        pair.accepts_at_once = False
        creating = asyncio.create_task(pair.client.create_session(path="/nowhere"))
        session = await pair.requests.get()
        assert session.state is SessionState.CONNECTING
        await session.reject(status_code=404, headers={"x-why": "unknown"})
        with pytest.raises(ClientError, match="404") as caught:
            await creating
        assert caught.value.details["status"] == 404
        assert session.is_closed
        assert pair.client.get_all_sessions() == []
        with pytest.raises(SessionError):
            await session.accept()
        pair.accepts_at_once = True
        assert (await pair.open_session()).client.state is SessionState.CONNECTED


async def test_an_acceptance_has_headers_and_the_subprotocol(certificate):
    async with connection_pair(certificate) as pair:
        pair.accepts_at_once = False
        creating = asyncio.create_task(pair.client.create_session(path="/", wt_available_protocols=["one", "two"]))
        session = await pair.requests.get()
        assert session.wt_available_protocols == ["one", "two"]
        with pytest.raises(ValueError, match="three"):
            await session.accept(wt_protocol="three")
        await session.accept(wt_protocol="two", headers={"x-mine": "yes"})
        client = await creating
        assert client.wt_protocol == session.wt_protocol == "two"
        assert client.response_status == 200
        assert client.response_headers["x-mine"] == "yes"
        with pytest.raises(SessionError):
            await session.accept()


@pytest.mark.parametrize(("offered", "chosen"), [(["c", "b", "a"], "b"), (["c"], None), ([], None)])
async def test_the_server_chooses_the_clients_favourite_of_its_own(certificate, offered, chosen):
    async with connection_pair(certificate, server={"wt_available_protocols": ["a", "b"]}) as pair:
        sessions = await pair.open_session(wt_available_protocols=offered)
        assert sessions.client.wt_protocol == sessions.server.wt_protocol == chosen


async def test_a_request_without_an_answer_times_out_and_is_withdrawn(certificate):
    async with connection_pair(certificate, client={"connect_timeout": 0.4}) as pair:
        pair.accepts_at_once = False
        with pytest.raises(WebTransportTimeoutError, match="answer to the session request"):
            await pair.client.create_session(path="/")
        session = await pair.requests.get()
        await closed(session)
        assert pair.client.get_all_sessions() == pair.server.get_all_sessions() == []


async def test_a_request_that_is_cancelled_is_withdrawn(certificate):
    async with connection_pair(certificate) as pair:
        pair.accepts_at_once = False
        creating = asyncio.create_task(pair.client.create_session(path="/"))
        session = await pair.requests.get()
        creating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await creating
        await closed(session)
        assert pair.client.get_all_sessions() == []


async def test_nothing_can_be_done_before_the_answer(certificate):
    async with connection_pair(certificate) as pair:
        pair.accepts_at_once = False
        creating = asyncio.create_task(pair.client.create_session(path="/"))
        session = await pair.requests.get()
        for operation in (
            session.create_bidirectional_stream(),
            session.create_unidirectional_stream(),
            session.send_datagram(data=b"x"),
            session.drain(),
        ):
            with pytest.raises(SessionError) as caught:
                await operation
            assert caught.value.session_id == session.session_id
            assert caught.value.session_state is SessionState.CONNECTING
        await session.close()
        with pytest.raises(ClientError, match="403"):
            await creating


# Closing.


@pytest.mark.parametrize("closer", ["client", "server"])
async def test_both_ends_learn_code_and_reason(pair, closer):
    here, there = (pair.client, pair.server) if closer == "client" else (pair.server, pair.client)
    await here.close(error_code=4711, reason="grüße")
    assert here.is_closed
    for session in (here, there):
        data = await closed(session)
        assert data == {
            "session": session,
            "session_id": session.session_id,
            "code": 4711,
            "reason": "grüße",
            "error_code": 4711,
        }
        assert (session.close_code, session.close_reason) == (4711, "grüße")
        diagnostics = await session.diagnostics()
        assert (diagnostics.close_code, diagnostics.close_reason) == (4711, "grüße")
        assert diagnostics.closed_at is not None
    await here.close(error_code=1)
    await there.close()
    assert here.close_code == there.close_code == 4711
    assert pair.connections.client.get_all_sessions() == pair.connections.server.get_all_sessions() == []


async def test_a_long_reason_is_cut_between_characters(pair):
    await pair.client.close(reason="ä" * 600 + "x")
    assert (await closed(pair.server))["reason"] == "ä" * 512


async def test_a_handler_that_comes_after_the_end_is_called(pair):
    await pair.client.close(error_code=5)
    await closed(pair.client)
    await asyncio.sleep(0.05)
    heard = []
    pair.server.events.on(event_type=EventType.SESSION_CLOSED, handler=heard.append)
    await asyncio.sleep(0)
    assert [event.data["code"] for event in heard] == [5]


@pytest.mark.parametrize("code", [-1, 2**32])
async def test_codes_that_the_peer_cannot_get_are_refused(pair, code):
    with pytest.raises(ValueError, match="error_code"):
        await pair.client.close(error_code=code)
    assert not pair.client.is_closed


async def test_nothing_can_be_done_after_the_end(pair):
    await pair.client.close()
    for operation in (
        pair.client.create_bidirectional_stream(),
        pair.client.create_unidirectional_stream(),
        pair.client.send_datagram(data=b"x"),
        pair.client.read_datagram(),
        pair.client.grant_data_credit(max_data=1 << 40),
        pair.client.grant_streams_credit(max_streams=1 << 20, is_unidirectional=True),
        pair.client.drain(),
    ):
        with pytest.raises(SessionError) as caught:
            await operation
        assert caught.value.session_id == pair.client.session_id
    assert [stream async for stream in pair.client.incoming_bidirectional_streams()] == []
    assert [data async for data in pair.client.incoming_datagrams()] == []


async def test_the_block_closes_the_session(pair):
    async with pair.client as session:
        assert session is pair.client
    assert (await closed(pair.server))["code"] == 0


async def test_an_exception_in_the_block_gives_its_code(pair):
    with pytest.raises(SessionError):
        async with pair.client:
            raise SessionError("mine", error_code=99)
    assert (await closed(pair.server))["code"] == 99


async def test_closing_the_connection_with_the_session(pair):
    await pair.client.close(error_code=7, reason="bye", close_connection=True)
    assert pair.connections.client.is_closed
    data = await closed(pair.server)
    assert (data["code"], data["reason"]) == (7, "bye")


async def test_the_loss_of_the_connection_ends_the_session_with_its_error(pair):
    waiting = asyncio.create_task(anext(pair.server.incoming_bidirectional_streams(), None))
    reading = asyncio.create_task(pair.server.read_datagram())
    pair.connections.client._protocol.abort(OSError("the network is gone"))
    for session in (pair.client, pair.server):
        data = await closed(session)
        assert data["code"] != 0
        assert session.close_code is None
        assert session.is_closed
    assert await waiting is None
    with pytest.raises(SessionError):
        await reading


async def test_draining_is_told_and_nothing_more(pair):
    await pair.server.drain()
    event = await pair.client.events.wait_for(event_type=EventType.SESSION_DRAINING, timeout=30)
    assert event.data == {"session": pair.client, "session_id": pair.client.session_id}
    assert pair.client.state is SessionState.DRAINING
    stream = await pair.client.create_unidirectional_stream()
    await stream.write_all(data=b"still possible")
    other = await anext(pair.server.incoming_unidirectional_streams())
    assert await other.read_all() == b"still possible"


# Streams that come in.


async def test_streams_that_came_before_the_handler_are_delivered_in_order(pair):
    opened = []
    for number in range(3):
        uni = await pair.client.create_unidirectional_stream()
        await uni.write_all(data=b"%d" % number)
        bidi = await pair.client.create_bidirectional_stream()
        opened += [uni.stream_id, bidi.stream_id]
    await barrier(pair)
    heard = []
    pair.server.events.on(event_type=EventType.STREAM_OPENED, handler=lambda event: heard.append(event.data))
    assert heard == []
    while len(heard) < 6:
        await asyncio.sleep(0)
    assert [data["stream_id"] for data in heard] == opened
    assert await heard[0]["stream"].read_all() == b"0"


async def test_streams_that_nobody_took_do_not_overtake(pair):
    heard = []
    first = await pair.client.create_unidirectional_stream()
    await barrier(pair)
    pair.server.events.on(event_type=EventType.STREAM_OPENED, handler=lambda event: heard.append(event.data))
    # Before the loop turns, another one comes.
    pair.server._on_stream_opened(_core_like(pair.server, stream_id=2002))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [data["stream_id"] for data in heard] == [first.stream_id, 2002]


def _core_like(session, stream_id):
    from wtransport._protocol.stream import StreamCore

    return StreamCore(stream_id, session._core, is_local=False)


async def test_wait_for_gets_one_stream_after_the_other(pair):
    opened = [(await pair.client.create_unidirectional_stream()).stream_id for _ in range(5)]
    seen = []
    for _ in opened:
        event = await pair.server.events.wait_for(event_type=EventType.STREAM_OPENED, timeout=30)
        seen.append(event.data["stream_id"])
    assert seen == opened


async def test_iterators_and_handlers_both_get_every_stream(pair):
    heard = []
    pair.server.events.on(event_type=EventType.STREAM_OPENED, handler=lambda event: heard.append(event.data["stream"]))
    incoming = pair.server.incoming_bidirectional_streams()
    await pair.client.create_bidirectional_stream()
    stream = await anext(incoming)
    assert heard == [stream]


async def test_iterators_of_one_direction_share(pair):
    async def take(count: int) -> list[int]:
        incoming = pair.server.incoming_bidirectional_streams()
        return [(await anext(incoming)).stream_id for _ in range(count)]

    taking = [asyncio.create_task(take(2)) for _ in range(2)]
    opened = [(await pair.client.create_bidirectional_stream()).stream_id for _ in range(4)]
    first, second = await asyncio.gather(*taking)
    assert sorted(first + second) == opened


async def test_an_iterator_that_waits_ends_with_the_session(pair):
    async def collect() -> list:
        return [stream async for stream in pair.server.incoming_unidirectional_streams()]

    collecting = asyncio.create_task(collect())
    stream = await pair.client.create_unidirectional_stream()
    await barrier(pair)
    await pair.client.close()
    async with asyncio.timeout(30):
        assert [each.stream_id for each in await collecting] == [stream.stream_id]


async def test_a_stream_reset_before_it_was_taken_is_still_handed_out(pair):
    stream = await pair.client.create_unidirectional_stream()
    await barrier(pair)
    await stream.close(error_code=6)
    await barrier(pair)
    other = await anext(pair.server.incoming_unidirectional_streams())
    with pytest.raises(Exception, match="reset") as caught:
        await other.read()
    assert caught.value.application_code == 6


# Credit.


async def test_opening_waits_for_credit_and_times_out(certificate):
    async with session_pair(
        certificate,
        client={"stream_creation_timeout": 1.0},
        server={"initial_max_streams_uni": 2, "flow_control_window_auto_scale": False},
    ) as pair:
        raised = []
        pair.client.events.on(
            event_type=EventType.SESSION_MAX_STREAMS_UNI_UPDATED, handler=lambda event: raised.append(event.data)
        )
        blocked = pair.server.events.wait_for(event_type=EventType.SESSION_STREAMS_BLOCKED, timeout=30)
        blocking = asyncio.create_task(blocked)
        await asyncio.sleep(0)  # it listens from its first step on
        for _ in range(2):
            await pair.client.create_unidirectional_stream()
        with pytest.raises(WebTransportTimeoutError, match="create_unidirectional_stream"):
            await pair.client.create_unidirectional_stream()
        event = await blocking
        assert event.data == {"session_id": pair.server.session_id, "is_unidirectional": True}
        waiting = [asyncio.create_task(pair.client.create_unidirectional_stream()) for _ in range(2)]
        await asyncio.sleep(0)
        assert len((await pair.client.diagnostics()).pending_uni_stream_futures) == 2
        await pair.server.grant_streams_credit(max_streams=4, is_unidirectional=True)
        streams = [await each for each in waiting]
        assert streams[0].stream_id < streams[1].stream_id
        assert raised == [{"session_id": pair.client.session_id, "max_streams_uni": 4}]
        diagnostics = await pair.client.diagnostics()
        assert diagnostics.local_max_streams_uni == diagnostics.local_streams_uni_opened == 4
        await barrier(pair)
        assert (await pair.server.diagnostics()).peer_streams_uni_opened == 4


async def test_writing_waits_for_the_credit_of_the_session(certificate):
    async with session_pair(
        certificate,
        client={"max_stream_write_buffer": 1000},
        server={"initial_max_data": 2000, "flow_control_window_auto_scale": False},
    ) as pair:
        blocking = asyncio.create_task(
            pair.server.events.wait_for(event_type=EventType.SESSION_DATA_BLOCKED, timeout=30)
        )
        updating = asyncio.create_task(
            pair.client.events.wait_for(event_type=EventType.SESSION_MAX_DATA_UPDATED, timeout=30)
        )
        stream = await pair.client.create_unidirectional_stream()
        writing = asyncio.create_task(stream.write_all(data=bytes(5000)))
        other = await anext(pair.server.incoming_unidirectional_streams())
        await other.readexactly(n=2000)
        assert (await blocking).data == {"session_id": pair.server.session_id}
        assert not writing.done()
        await pair.server.grant_data_credit(max_data=5000)
        assert len(await other.read_all()) == 3000
        await writing
        assert (await updating).data == {"session_id": pair.client.session_id, "max_data": 5000}
        diagnostics = await pair.client.diagnostics()
        assert (diagnostics.local_max_data, diagnostics.local_data_sent) == (5000, 5000)
        assert (await pair.server.diagnostics()).peer_data_sent == 5000


async def test_credit_comes_back_as_streams_end(certificate):
    async with session_pair(certificate, server={"initial_max_streams_bidi": 3}) as pair:

        async def echo() -> None:
            async for stream in pair.server.incoming_bidirectional_streams():
                await stream.write_all(data=await stream.read_all())

        echoing = asyncio.create_task(echo())

        async def ask() -> None:
            stream = await pair.client.create_bidirectional_stream()
            await stream.write_all(data=b"x")
            assert await stream.read_all() == b"x"

        async with asyncio.timeout(20):
            await asyncio.gather(*(ask() for _ in range(40)))
        await pair.client.close()
        await echoing


async def test_an_opener_that_is_cancelled_lets_the_next_one_go(certificate):
    async with session_pair(
        certificate, server={"initial_max_streams_bidi": 1, "flow_control_window_auto_scale": False}
    ) as pair:
        await pair.client.create_bidirectional_stream()
        first = asyncio.create_task(pair.client.create_bidirectional_stream())
        second = asyncio.create_task(pair.client.create_bidirectional_stream())
        await asyncio.sleep(0)
        first.cancel()
        await pair.server.grant_streams_credit(max_streams=2, is_unidirectional=False)
        await second
        assert first.cancelled()


async def test_who_waits_for_credit_learns_of_the_end(certificate):
    async with session_pair(
        certificate, server={"initial_max_streams_bidi": 1, "flow_control_window_auto_scale": False}
    ) as pair:
        await pair.client.create_bidirectional_stream()
        waiting = asyncio.create_task(pair.client.create_bidirectional_stream())
        await asyncio.sleep(0)
        await pair.server.close()
        with pytest.raises(SessionError):
            await waiting


@pytest.mark.parametrize("operation", ["grant_data_credit", "grant_streams_credit"])
async def test_negative_credit_is_refused(pair, operation):
    arguments = {"max_data": -1} if operation == "grant_data_credit" else {"max_streams": -1, "is_unidirectional": True}
    with pytest.raises(ValueError, match="max_"):
        await getattr(pair.client, operation)(**arguments)
