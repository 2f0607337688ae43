"""Datagrams between session handles on loopback."""

from __future__ import annotations

import asyncio

import pytest
from handle_pair import SessionPair, session_pair

from wtransport.exceptions import DatagramError, SessionError
from wtransport.exceptions import TimeoutError as WebTransportTimeoutError
from wtransport.types import EventType


@pytest.fixture
async def pair(certificate):
    async with session_pair(certificate) as pair:
        yield pair


async def arrived(pair: SessionPair, count: int) -> None:
    """Return when the server's engine has got so many datagrams."""
    while (await pair.server.diagnostics()).datagrams_received < count:
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("data", [b"abc", bytearray(b"abc"), memoryview(b"abc"), "abc", b""])
async def test_every_kind_of_data_arrives(pair, data):
    await pair.client.send_datagram(data=data)
    assert await pair.server.read_datagram() == (b"abc" if len(data) else b"")


async def test_sending_does_not_wait(pair):
    coroutine = pair.client.send_datagram(data=b"at once")
    with pytest.raises(StopIteration):
        coroutine.send(None)
    assert await pair.server.read_datagram() == b"at once"


async def test_other_types_are_refused(pair):
    with pytest.raises(TypeError):
        await pair.client.send_datagram(data=5)


async def test_the_largest_datagram_arrives_and_no_larger_one_is_taken(pair):
    size = pair.client.max_datagram_size
    assert size > 1000
    await pair.client.send_datagram(data=bytes(size))
    assert len(await pair.server.read_datagram()) == size
    with pytest.raises(DatagramError, match=f"Datagram size {size + 1} exceeds maximum {size}") as caught:
        await pair.client.send_datagram(data=bytes(size + 1))
    assert isinstance(caught.value, ValueError)
    assert (caught.value.datagram_size, caught.value.max_size) == (size + 1, size)


async def test_the_configuration_may_allow_less(certificate):
    async with session_pair(certificate, client={"max_datagram_size": 600}) as pair:
        assert pair.client.max_datagram_size <= 600
        with pytest.raises(DatagramError):
            await pair.client.send_datagram(data=bytes(601))


async def test_handlers_get_each_datagram(pair):
    heard = []
    pair.server.events.on(event_type=EventType.DATAGRAM_RECEIVED, handler=heard.append)
    for number in range(5):
        await pair.client.send_datagram(data=b"%d" % number)
    while len(heard) < 5:
        await asyncio.sleep(0.001)
    assert [event.data["data"] for event in heard] == [b"0", b"1", b"2", b"3", b"4"]
    assert heard[0].data == {"session": pair.server, "session_id": pair.server.session_id, "data": b"0"}
    assert heard[0].source is pair.server


async def test_a_plain_handler_costs_no_task(pair):
    tasks = []
    pair.server.events.on(
        event_type=EventType.DATAGRAM_RECEIVED, handler=lambda event: tasks.append(len(asyncio.all_tasks()))
    )
    before = len(asyncio.all_tasks())
    await pair.client.send_datagram(data=b"x")
    while not tasks:
        await asyncio.sleep(0.001)
    assert tasks == [before]


async def test_coroutine_handlers_may_answer(pair):
    async def echo(event) -> None:
        await pair.server.send_datagram(data=event.data["data"])

    pair.server.events.on(event_type=EventType.DATAGRAM_RECEIVED, handler=echo)
    await pair.client.send_datagram(data=b"ping")
    assert await pair.client.read_datagram() == b"ping"


async def test_what_came_before_the_handler_is_delivered_in_order(pair):
    for number in range(3):
        await pair.client.send_datagram(data=b"%d" % number)
    await arrived(pair, 3)
    heard = []
    pair.server.events.on(
        event_type=EventType.DATAGRAM_RECEIVED, handler=lambda event: heard.append(event.data["data"])
    )
    assert heard == []
    await asyncio.sleep(0)
    assert heard == [b"0", b"1", b"2"]
    await pair.client.send_datagram(data=b"3")
    while len(heard) < 4:
        await asyncio.sleep(0.001)
    assert heard[3] == b"3"


async def test_nothing_is_made_while_nobody_listens(pair):
    await pair.client.send_datagram(data=b"x")
    await arrived(pair, 1)
    assert pair.server.events.get_event_history(event_type=EventType.DATAGRAM_RECEIVED) == []


async def test_wait_for_gets_one_datagram_after_the_other(pair):
    for number in range(4):
        await pair.client.send_datagram(data=b"%d" % number)
    seen = []
    for _ in range(4):
        event = await pair.server.events.wait_for(event_type=EventType.DATAGRAM_RECEIVED, timeout=30)
        seen.append(event.data["data"])
    assert seen == [b"0", b"1", b"2", b"3"]


async def test_handlers_and_readers_both_get_every_datagram(pair):
    heard = []
    pair.server.events.on(
        event_type=EventType.DATAGRAM_RECEIVED, handler=lambda event: heard.append(event.data["data"])
    )
    incoming = pair.server.incoming_datagrams()
    for number in range(3):
        await pair.client.send_datagram(data=b"%d" % number)
    assert [await anext(incoming) for _ in range(3)] == heard == [b"0", b"1", b"2"]


async def test_readers_share(pair):
    reading = [asyncio.create_task(pair.server.read_datagram()) for _ in range(3)]
    await asyncio.sleep(0)
    for number in range(3):
        await pair.client.send_datagram(data=b"%d" % number)
    assert sorted(await asyncio.gather(*reading)) == [b"0", b"1", b"2"]


async def test_a_cancelled_reader_takes_nothing_with_it(pair):
    first = asyncio.create_task(pair.server.read_datagram())
    second = asyncio.create_task(pair.server.read_datagram())
    await asyncio.sleep(0)
    await pair.client.send_datagram(data=b"x")
    await arrived(pair, 1)
    first.cancel()
    results = await asyncio.wait_for(asyncio.gather(first, return_exceptions=True), 5)
    if isinstance(results[0], BaseException):
        assert await second == b"x"
    else:
        second.cancel()


async def test_reading_times_out(certificate):
    async with session_pair(certificate, server={"read_timeout": 0.02}) as pair:
        with pytest.raises(WebTransportTimeoutError, match="read_datagram"):
            await pair.server.read_datagram()
        assert [timer for timer in asyncio.get_running_loop()._scheduled if "_expire" in repr(timer)] == []


async def test_an_iterator_has_no_time_out_and_ends_with_the_session(certificate):
    async with session_pair(certificate, server={"read_timeout": 0.02}) as pair:

        async def collect() -> list[bytes]:
            return [data async for data in pair.server.incoming_datagrams()]

        collecting = asyncio.create_task(collect())
        await asyncio.sleep(0.1)
        await pair.client.send_datagram(data=b"x")
        await arrived(pair, 1)
        await pair.client.close()
        assert await collecting == [b"x"]


async def test_what_arrived_can_be_read_after_the_end(pair):
    await pair.client.send_datagram(data=b"last")
    await arrived(pair, 1)
    await pair.client.close()
    await pair.server.events.wait_for(event_type=EventType.SESSION_CLOSED, timeout=30)
    assert await pair.server.read_datagram() == b"last"
    with pytest.raises(SessionError):
        await pair.server.read_datagram()


async def test_a_burst_waits_for_room_instead_of_being_dropped(pair):
    """More than any queue holds, sent as fast as possible: the sender waits, and nothing fails."""
    count = 5000
    size = pair.client.max_datagram_size
    async with asyncio.timeout(30):
        await asyncio.gather(*(pair.client.send_datagram(data=bytes(size)) for _ in range(count)))
    diagnostics = await pair.client.diagnostics()
    assert diagnostics.datagrams_sent == count
    assert diagnostics.datagram_bytes_sent == count * size


async def test_nobody_overtakes_who_waits_for_room(pair):
    sent: list[str] = []

    async def send(name: str, count: int) -> None:
        for _ in range(count):
            await pair.client.send_datagram(data=b"")
        sent.append(name)

    names = [f"sender {number}" for number in range(6)]
    senders = [asyncio.create_task(send(name, 1000)) for name in names]  # more than the queue has room for
    await asyncio.sleep(0)  # all of them begin before anything is flushed
    assert len(sent) < len(names) - 1
    waiting = [name for name in names if name not in sent]
    cut = len(sent)
    one_each = [asyncio.create_task(send(f"one of {name}", 1)) for name in waiting]
    await asyncio.wait_for(asyncio.gather(*senders, *one_each), 10)
    newcomers = [name for name in sent[cut:] if name.startswith("one")]
    assert newcomers == [f"one of {name}" for name in waiting]
    coroutine = pair.client.send_datagram(data=b"")  # the line is empty again
    with pytest.raises(StopIteration):
        coroutine.send(None)


async def test_who_waits_for_room_learns_of_the_end(pair):
    size = pair.client.max_datagram_size
    sending = [asyncio.create_task(pair.client.send_datagram(data=bytes(size))) for _ in range(5000)]
    await asyncio.sleep(0)
    await pair.client.close()
    results = await asyncio.wait_for(asyncio.gather(*sending, return_exceptions=True), 10)
    assert all(result is None or isinstance(result, SessionError) for result in results)
    assert any(isinstance(result, SessionError) for result in results)


async def test_diagnostics_count_datagrams(pair):
    for _ in range(3):
        await pair.client.send_datagram(data=b"12345")
    await arrived(pair, 3)
    sent, received = await pair.client.diagnostics(), await pair.server.diagnostics()
    assert (sent.datagrams_sent, sent.datagram_bytes_sent) == (3, 15)
    assert (received.datagrams_received, received.datagram_bytes_received) == (3, 15)
