"""Connection handles on loopback: beginning, ending, failing, and what is left behind."""

from __future__ import annotations

import asyncio
import gc
import uuid
import weakref

import pytest
from handle_pair import connection_pair, session_pair
from loopback import HOST, client_config, no_leftovers

from wtransport._adapter import dial
from wtransport.connection import ConnectionDiagnostics, WebTransportConnection
from wtransport.exceptions import ClientError, SessionError
from wtransport.exceptions import ConnectionError as WebTransportConnectionError
from wtransport.exceptions import TimeoutError as WebTransportTimeoutError
from wtransport.types import ConnectionState, EventType, SessionState


def test_the_classes_report_the_module_of_the_09_api():
    for each in (WebTransportConnection, ConnectionDiagnostics):
        assert each.__module__ == "wtransport.connection.connection"


async def until_closed(connection: WebTransportConnection) -> dict:
    event = await connection.events.wait_for(event_type=EventType.CONNECTION_CLOSED, timeout=30)
    return event.data


async def connect_to(port: int, certificate, **settings) -> WebTransportConnection:
    config = client_config(certificate, **settings)
    protocol, transport = await dial(host=HOST, port=port, config=config)
    return WebTransportConnection(config=config, protocol=protocol, transport=transport, is_client=True)


# Beginning.


async def test_a_connection_begins_idle_and_becomes_connected(certificate):
    async with connection_pair(certificate) as pair:
        client = pair.client
        assert client.state is ConnectionState.IDLE
        assert uuid.UUID(client.connection_id)
        assert client.is_client
        await client.initialize()
        await client.initialize()
        assert client.state is ConnectionState.CONNECTING
        event = await client.events.wait_for(event_type=EventType.CONNECTION_ESTABLISHED, timeout=30)
        assert event.data == {"connection": client, "connection_id": client.connection_id}
        assert client.is_connected
        await pair.server.events.wait_for(event_type=EventType.CONNECTION_ESTABLISHED, timeout=30)
        assert pair.server.is_connected
        assert not pair.server.is_client
        assert client.connection_id != pair.server.connection_id


async def test_addresses_match(certificate):
    async with session_pair(certificate) as pair:
        client, server = pair.connections.client, pair.connections.server
        assert client.local_address == server.remote_address
        assert client.remote_address == server.local_address


async def test_diagnostics_tell_what_there_is(certificate):
    async with session_pair(certificate) as pair:
        stream = await pair.client.create_bidirectional_stream()
        client = pair.connections.client
        diagnostics = await client.diagnostics()
        assert diagnostics.connection_id == client.connection_id
        assert diagnostics.state is ConnectionState.CONNECTED
        assert diagnostics.is_client
        assert diagnostics.connected_at is not None
        assert diagnostics.closed_at is None
        assert diagnostics.max_datagram_size == pair.client.max_datagram_size
        assert diagnostics.remote_max_datagram_frame_size > 0
        assert (diagnostics.session_count, diagnostics.active_session_handles) == (1, 1)
        assert (diagnostics.stream_count, diagnostics.active_stream_handles) == (1, 1)
        assert diagnostics.draft is not None
        assert diagnostics.round_trip_time > 0
        assert client.get_all_sessions() == [pair.client]
        await pair.client.close()
        diagnostics = await client.diagnostics()
        assert (diagnostics.session_count, diagnostics.active_session_handles) == (0, 0)
        assert (diagnostics.stream_count, diagnostics.active_stream_handles) == (0, 0)
        assert stream.is_closed


async def test_only_clients_open_sessions(certificate):
    async with session_pair(certificate) as pair:
        with pytest.raises(WebTransportConnectionError, match="client"):
            await pair.connections.server.create_session(path="/")


async def test_several_sessions_share_a_connection(certificate):
    async with connection_pair(certificate) as pair:
        first = await pair.open_session("/1")
        second = await pair.open_session("/2")
        assert [session.path for session in pair.client.get_all_sessions()] == ["/1", "/2"]
        await first.client.close()
        await second.client.send_datagram(data=b"x")
        assert await second.server.read_datagram() == b"x"


async def test_the_request_event_is_told_to_the_connection(certificate):
    async with connection_pair(certificate) as pair:
        await pair.client.initialize()
        await pair.client.events.wait_for(event_type=EventType.CONNECTION_ESTABLISHED, timeout=30)
        heard = []
        pair.server.events.on(event_type=EventType.SESSION_REQUEST, handler=heard.append)
        server = (await pair.open_session("/p")).server
        heard += server.events.get_event_history(event_type=EventType.SESSION_REQUEST)
        expected = {
            "session": server,
            "session_id": server.session_id,
            "control_stream_id": 0,
            "path": "/p",
            "headers": server.headers,
            "connection": pair.server,
        }
        assert [event.data for event in heard] == [expected, expected]


async def test_a_request_that_nobody_takes_is_refused(certificate):
    async with connection_pair(certificate) as pair:
        await pair.client.initialize()
        await pair.client.events.wait_for(event_type=EventType.CONNECTION_ESTABLISHED, timeout=30)
        pair.server.on_session_request = None
        with pytest.raises(ClientError, match="404"):
            await pair.client.create_session(path="/")


async def test_a_handler_of_the_connection_may_accept(certificate):
    async with connection_pair(certificate) as pair:
        await pair.client.initialize()
        await pair.client.events.wait_for(event_type=EventType.CONNECTION_ESTABLISHED, timeout=30)
        pair.server.on_session_request = None

        async def accept(event) -> None:
            await event.data["session"].accept()

        pair.server.events.on(event_type=EventType.SESSION_REQUEST, handler=accept)
        session = await pair.client.create_session(path="/")
        assert session.state is SessionState.CONNECTED


# Failing.


async def test_nobody_answers(certificate):
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=(HOST, 0)
    )
    port = transport.get_extra_info("sockname")[1]
    with no_leftovers():
        connection = await connect_to(port, certificate, connect_timeout=0.3)
        with pytest.raises(WebTransportTimeoutError, match="handshake"):
            await connection.create_session(path="/")
        await connection.close()
        assert connection.is_closed
    transport.close()


async def test_nobody_listens(certificate):
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=(HOST, 0)
    )
    port = transport.get_extra_info("sockname")[1]
    transport.close()
    await asyncio.sleep(0)
    connection = await connect_to(port, certificate)
    failed = []
    connection.events.on(event_type=EventType.CONNECTION_FAILED, handler=failed.append)
    with pytest.raises(WebTransportConnectionError) as caught:
        await connection.create_session(path="/")
    assert isinstance(caught.value.__cause__, OSError)
    assert isinstance(caught.value, ConnectionError)
    assert connection.state is ConnectionState.FAILED
    assert len(failed) == 1
    assert failed[0].data["connection"] is connection
    with pytest.raises(WebTransportConnectionError):
        await connection.create_session(path="/")
    await connection.close()
    assert connection.is_closed


async def test_a_certificate_that_is_not_trusted_is_named(certificate):
    async with connection_pair(certificate, client={"ca_certs": None}) as pair:
        with pytest.raises(WebTransportConnectionError, match=r"(?i)certificate"):
            await pair.client.create_session(path="/")
        assert pair.client.state is ConnectionState.FAILED


async def test_several_requests_wait_for_the_handshake_and_one_that_is_cancelled_is_never_sent(certificate):
    async with connection_pair(certificate) as pair:
        first, *others = [asyncio.create_task(pair.client.create_session(path=f"/{number}")) for number in range(3)]
        await asyncio.sleep(0)
        first.cancel()
        sessions = await asyncio.gather(*others)
        assert [session.path for session in sessions] == ["/1", "/2"]
        assert pair.client.get_all_sessions() == sessions
        assert [(await pair.requests.get()).path for _ in others] == ["/1", "/2"]
        for session in sessions:
            await session.close()


async def test_closing_while_connecting_ends_the_attempt(certificate):
    async with connection_pair(certificate) as pair:
        creating = asyncio.create_task(pair.client.create_session(path="/"))
        await asyncio.sleep(0)
        await pair.client.close()
        with pytest.raises(WebTransportConnectionError):
            await creating
        assert pair.client.is_closed


async def test_closing_while_the_request_waits_ends_it(certificate):
    async with connection_pair(certificate) as pair:
        pair.accepts_at_once = False
        creating = asyncio.create_task(pair.client.create_session(path="/"))
        session = await pair.requests.get()
        await pair.client.close()
        with pytest.raises(WebTransportConnectionError):
            await creating
        await session.events.wait_for(event_type=EventType.SESSION_CLOSED, timeout=30)
        with pytest.raises(SessionError):
            await session.accept()


async def test_the_server_leaves_while_the_request_waits(certificate):
    async with connection_pair(certificate) as pair:
        pair.accepts_at_once = False
        creating = asyncio.create_task(pair.client.create_session(path="/"))
        await pair.requests.get()
        await pair.server.close(error_code=0x107, reason="going")
        with pytest.raises((WebTransportConnectionError, ClientError)):
            await creating


# Ending.


async def test_a_connection_that_was_never_used_can_be_closed(certificate):
    async with connection_pair(certificate) as pair:
        await pair.client.close()
        assert pair.client.is_closed
        assert pair.servers == []


async def test_closing_is_told_to_both_ends(certificate):
    async with session_pair(certificate) as pair:
        client, server = pair.connections.client, pair.connections.server
        lost = []
        for each in (client, server):
            each.events.on(event_type=EventType.CONNECTION_LOST, handler=lost.append)
        await client.close(error_code=0x155, reason="enough")
        await client.close()
        assert client.is_closed
        for each in (client, server):
            data = await until_closed(each)
            assert data == {
                "connection": each,
                "connection_id": each.connection_id,
                "error_code": 0x155,
                "reason": "enough",
            }
        assert server.is_closed
        assert (await server.diagnostics()).closed_at is not None
        assert lost == []
        assert pair.server.is_closed
        assert pair.client.is_closed


async def test_a_lost_connection_is_told_as_lost_and_closed(certificate):
    async with session_pair(certificate) as pair:
        client = pair.connections.client
        lost = []
        client.events.on(event_type=EventType.CONNECTION_LOST, handler=lambda event: lost.append(event.data))
        client._protocol.abort(OSError("the network is gone"))
        data = await until_closed(client)
        assert lost == [data]
        assert "the network is gone" in data["reason"]
        with pytest.raises(WebTransportConnectionError, match="the network is gone") as caught:
            await client.create_session(path="/")
        assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("ends_first", ["client", "server"])
async def test_the_socket_is_closed_when_close_returns(certificate, ends_first):
    async with connection_pair(certificate) as pair:
        await pair.client.initialize()
        await pair.client.events.wait_for(event_type=EventType.CONNECTION_ESTABLISHED, timeout=30)
        sock = pair.client._protocol.transport.get_extra_info("socket")
        assert sock.fileno() >= 0
        if ends_first == "server":
            await asyncio.gather(until_closed(pair.client), pair.server.close())
        await pair.client.close()
        assert sock.fileno() == -1


@pytest.mark.parametrize("code", [-1, 2**62])
async def test_codes_that_cannot_be_sent_are_refused(certificate, code):
    async with connection_pair(certificate) as pair:
        with pytest.raises(ValueError, match="error_code"):
            await pair.client.close(error_code=code)
        assert pair.client.state is ConnectionState.IDLE


async def test_closing_is_quick_when_the_peer_is_silent(certificate):
    took = []
    for _ in range(3):  # a busy machine is seldom busy for so long
        async with session_pair(certificate, client={"close_timeout": 0.5}) as pair:
            pair.connections.server._protocol.receive = lambda data, addr, now: None
            began = asyncio.get_running_loop().time()
            await pair.connections.client.close()
            took.append(asyncio.get_running_loop().time() - began)
            assert pair.connections.client.is_closed
            del pair.connections.server._protocol.receive
    assert min(took) < 1.0


async def test_the_block_begins_and_closes(certificate):
    async with connection_pair(certificate) as pair:
        async with pair.client as connection:
            assert connection is pair.client
            await connection.create_session(path="/")
        assert connection.is_closed
        with pytest.raises(WebTransportConnectionError):
            await connection.initialize()


async def test_a_graceful_shutdown_waits_for_the_sessions(certificate):
    async with session_pair(certificate) as pair:
        client, server = pair.connections.client, pair.connections.server
        stopping = asyncio.create_task(server.graceful_shutdown())
        await pair.client.events.wait_for(event_type=EventType.SESSION_DRAINING, timeout=30)
        assert client.state is ConnectionState.DRAINING
        with pytest.raises(SessionError, match="GOAWAY"):
            await client.create_session(path="/")
        assert server.state is ConnectionState.DRAINING
        await pair.client.send_datagram(data=b"still open")
        assert await pair.server.read_datagram() == b"still open"
        assert not stopping.done()
        await pair.client.close()
        await stopping
        assert server.is_closed
        await until_closed(client)


async def test_a_graceful_shutdown_does_not_wait_for_ever(certificate):
    async with session_pair(certificate, server={"close_timeout": 0.3}) as pair:
        server = pair.connections.server
        async with asyncio.timeout(30):
            await server.graceful_shutdown()
        assert server.is_closed
        await pair.client.events.wait_for(event_type=EventType.SESSION_CLOSED, timeout=30)


async def test_a_graceful_shutdown_without_sessions_just_closes(certificate):
    async with connection_pair(certificate) as pair:
        await pair.client.graceful_shutdown()
        assert pair.client.is_closed


# What is left.


async def test_nothing_is_left_of_a_connection(certificate):
    loop = asyncio.get_running_loop()
    with no_leftovers():
        async with session_pair(certificate) as pair:
            for _ in range(20):
                stream = await pair.client.create_bidirectional_stream()
                await stream.write_all(data=b"x")
                other = await anext(pair.server.incoming_bidirectional_streams())
                await other.write_all(data=await other.read_all())
                assert await stream.read_all() == b"x"
            handles = [weakref.ref(each) for each in (pair.client, pair.server, pair.connections.client, stream, other)]
        del pair, stream, other
        # The listener lets go of a connection when its draining period is over.
        async with asyncio.timeout(30):
            while any(handle() is not None for handle in handles):
                gc.collect()
                await asyncio.sleep(0.01)
    assert [timer for timer in loop._scheduled if not timer.cancelled()] == []


async def test_a_stream_that_is_over_is_held_by_nobody(certificate):
    async with session_pair(certificate) as pair:
        streams = []
        incoming = pair.server.incoming_bidirectional_streams()
        for _ in range(10):
            stream = await pair.client.create_bidirectional_stream()
            await stream.write_all(data=b"x")
            other = await anext(incoming)
            await other.write_all(data=await other.read_all())
            await stream.read_all()
            streams += [weakref.ref(stream), weakref.ref(other)]
        del stream, other
        async with asyncio.timeout(30):
            while any(each() is not None for each in streams):
                gc.collect()
                await asyncio.sleep(0.01)
        for end in (pair.connections.client, pair.connections.server):
            diagnostics = await end.diagnostics()
            assert (diagnostics.stream_count, diagnostics.active_stream_handles) == (0, 0)


async def test_a_session_that_is_over_is_held_by_nobody(certificate):
    async with connection_pair(certificate) as pair:
        sessions = []
        for _ in range(5):
            both = await pair.open_session()
            await both.client.close()
            await both.server.events.wait_for(event_type=EventType.SESSION_CLOSED, timeout=30)
            sessions += [weakref.ref(both.client), weakref.ref(both.server)]
        del both
        async with asyncio.timeout(30):
            while any(each() is not None for each in sessions):
                gc.collect()
                await asyncio.sleep(0.01)
