"""The port's surface: it is what the engine was promised, and asks for a flush when there is something to send."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from port_pair import SERVER_ADDRESS, PortPair, configuration, limits

from wtransport._quic.aioquic_port import AioquicPort
from wtransport._quic.port import QuicPort
from wtransport._quic.stream_commands import STREAMS_PER_FLUSH, StreamCommands


@pytest.fixture
def unconnected() -> AioquicPort:
    return AioquicPort(configuration=configuration(is_client=True), limits=limits())


def public_names(kind: type) -> dict[str, object]:
    return {name: value for name, value in vars(kind).items() if not name.startswith("_")}


def shape(method: Any) -> list[tuple[str, Any, Any]]:
    """Return names, kinds and defaults of a method's parameters, but for self."""
    parameters = inspect.signature(method).parameters.values()
    return [(each.name, each.kind, each.default) for each in parameters if each.name != "self"]


def test_the_port_has_all_that_the_protocol_promises(unconnected) -> None:
    promised = public_names(QuicPort)
    for name, value in promised.items():
        ours = inspect.getattr_static(AioquicPort, name)
        if isinstance(value, property):
            assert inspect.isdatadescriptor(ours)
            continue
        if not inspect.isfunction(ours):  # compiled: its twin has the types
            assert shape(ours) == shape(value)
            ours = vars(StreamCommands)[name]
        assert inspect.signature(ours) == inspect.signature(value)
    for name in QuicPort.__annotations__:
        assert hasattr(unconnected, name)


def test_before_the_connection_there_is_nothing(unconnected) -> None:
    port = unconnected
    assert port.is_client
    assert len(port.connection_id) == 8
    assert port.next_event() is None
    assert port.next_deadline() is None
    assert port.datagrams_to_send(0.0) == []
    assert port.remote_address is None
    assert port.remote_max_datagram_frame_size == 0
    assert port.max_datagram_payload == 0
    assert port.round_trip_time == 0.0
    assert port.local_max_streams_bidi == 16
    assert port.open_stream(unidirectional=True) is None
    assert not port.is_terminated


def test_a_time_out_before_the_connection_is_harmless(unconnected) -> None:
    unconnected.handle_timeout(1.0)
    assert unconnected.next_event() is None


def test_hooks_are_optional(unconnected) -> None:
    unconnected.connect(SERVER_ADDRESS, 0.0)
    assert unconnected.datagrams_to_send(0.0)
    assert unconnected.remote_address == SERVER_ADDRESS


def test_commands_with_something_to_send_ask_for_a_flush(pair: PortPair) -> None:
    end, port = pair.client, pair.client.port
    stream_id = port.open_stream(unidirectional=False)
    pair.settle()
    for command in (
        lambda: port.send_stream(stream_id, b"x", False),
        lambda: port.stop_stream(stream_id, 0),
        lambda: port.reset_stream(stream_id, 0),
        lambda: port.send_datagram(b"x"),
        lambda: port.close(0, ""),
    ):
        end.wants_flush = False
        command()
        assert end.wants_flush
        pair.run(0.1)


def test_datagrams_and_ends_of_streams_ask_for_a_prompt_flush(pair: PortPair) -> None:
    port = pair.client.port
    stream_id = port.open_stream(unidirectional=False)
    asked: list[str] = []
    port.request_flush = lambda: asked.append("flush")
    port.request_prompt_flush = lambda is_whole: asked.append("whole" if is_whole else "prompt")
    port.send_stream(stream_id, b"x", False)
    port.send_stream(stream_id, b"x", True)
    port.send_datagram(b"x")
    sender = port.datagram_sender(b"prefix")
    sender.limit = 10
    assert sender.send(b"x")
    assert asked == ["flush", "prompt", "whole", "whole"]


def test_who_begins_many_streams_in_one_turn_has_them_sent_on_the_way(certificate: Any) -> None:
    pair = PortPair(tuple(certificate), server_limits=limits(max_streams_uni=2 * STREAMS_PER_FLUSH)).connect()
    port = pair.client.port
    asked: list[str] = []
    port.request_flush = lambda: asked.append("flush")
    port.request_flush_at_once = lambda: asked.append("at once")
    for _ in range(2 * STREAMS_PER_FLUSH):
        stream_id = port.open_stream(unidirectional=True)
        port.send_stream_header(stream_id, b"x")
    assert asked == 2 * (["flush"] * (STREAMS_PER_FLUSH - 1) + ["at once"])


def test_getters_and_opening_ask_for_none(pair: PortPair) -> None:
    port = pair.client.port
    pair.settle()
    pair.client.wants_flush = False
    stream_id = port.open_stream(unidirectional=False)
    port.unsent_bytes(stream_id)
    port.consume(stream_id, 0)
    assert port.max_datagram_payload == 1200 - 11 - 16 - 3
    assert not pair.client.wants_flush


def test_unsent_bytes_fall_as_they_are_sent(pair: PortPair) -> None:
    port = pair.client.port
    stream_id = port.open_stream(unidirectional=True)
    port.send_stream(stream_id, bytes(1000), False)
    assert port.unsent_bytes(stream_id) == 1000
    pair.run(0.001)
    assert port.unsent_bytes(stream_id) == 0
    assert port.unsent_bytes(999) == 0


def test_connecting_twice_or_from_a_server_is_a_mistake(pair: PortPair) -> None:
    for end in pair.ends:
        with pytest.raises(RuntimeError):
            end.port.connect(SERVER_ADDRESS, pair.now)
