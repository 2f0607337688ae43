"""A client that begins a stream and leaves it at that: the stream is given up after a while, and nothing is left."""

from __future__ import annotations

import pytest
from scripted_peer import ScriptedPeer, stream_header

from wtransport._protocol.limits import REQUEST_TIMEOUT
from wtransport.constants import ErrorCodes

INCOMPLETE = ErrorCodes.H3_REQUEST_INCOMPLETE


def beginnings(peer: ScriptedPeer) -> dict[str, bytes]:
    connect = peer.connect_frame()
    return {
        "half a frame type": stream_header(0, unidirectional=False)[:1],
        "no session id": stream_header(1 << 20, unidirectional=False)[:-1],
        "half a frame header": connect[:1],
        "half a field section": connect[:-1],
        "an unknown frame": b"\x21\x05abcde",
    }


@pytest.mark.parametrize(
    "name", ["half a frame type", "no session id", "half a frame header", "half a field section", "an unknown frame"]
)
def test_half_a_beginning_is_given_up(server, name) -> None:
    peer: ScriptedPeer = server()
    stream_id = peer.next_id(unidirectional=False)
    peer.send(stream_id, beginnings(peer)[name])
    peer.wait(REQUEST_TIMEOUT - 0.1)
    assert peer.ends(stream_id) == (None, None)
    peer.wait(0.2)
    assert peer.ends(stream_id) == (INCOMPLETE, INCOMPLETE)
    assert peer.closed is None
    peer.answer_ends()
    peer.assert_nothing_left()
    assert peer.engine.next_deadline() is None
    traffic = peer.engine.traffic
    assert traffic.streams_unclaimed + traffic.sessions_rejected == 1


@pytest.mark.parametrize("name", ["half a frame header", "half a field section"])
def test_one_that_is_finished_in_time_is_a_request(server, name) -> None:
    peer: ScriptedPeer = server()
    stream_id = peer.next_id(unidirectional=False)
    connect, first = peer.connect_frame(), beginnings(peer)[name]
    peer.send(stream_id, first)
    peer.wait(REQUEST_TIMEOUT - 0.1)
    peer.send(stream_id, connect[len(first) :])
    session = peer.take_event("SessionRequested").session
    peer.wait(2 * REQUEST_TIMEOUT)
    session.accept()
    assert peer.ends(stream_id) == (None, None)
    assert peer.status(stream_id) == 200


def test_each_stream_has_its_own_time(server) -> None:
    peer: ScriptedPeer = server()
    streams = []
    for _ in range(3):
        streams.append(peer.next_id(unidirectional=False))
        peer.send(streams[-1], peer.connect_frame()[:-1])
        peer.wait(1.0)
    peer.wait(REQUEST_TIMEOUT - 2.5)
    assert [peer.ends(stream_id)[0] for stream_id in streams] == [INCOMPLETE, None, None]
    peer.wait(1.0)
    assert [peer.ends(stream_id)[0] for stream_id in streams] == [INCOMPLETE, INCOMPLETE, None]


def test_a_stream_that_ends_meanwhile_is_not_touched_again(server) -> None:
    peer: ScriptedPeer = server()
    stream_id = peer.next_id(unidirectional=False)
    peer.send(stream_id, peer.connect_frame()[:-1])
    peer.reset(stream_id, 0x10C)
    before = peer.ends(stream_id)
    assert peer.engine.next_deadline() is None
    peer.wait(2 * REQUEST_TIMEOUT)
    assert peer.ends(stream_id) == before
    peer.assert_nothing_left()


def test_a_request_held_for_settings_is_given_up_as_well(server) -> None:
    peer: ScriptedPeer = server(settings=None)
    stream_id = peer.request()
    peer.wait(REQUEST_TIMEOUT + 0.1)
    assert peer.ends(stream_id) == (INCOMPLETE, INCOMPLETE)


def test_a_data_stream_is_complete_with_its_header(server) -> None:
    peer: ScriptedPeer = server()
    session = peer.open_session()
    header = stream_header(session.stream_id, unidirectional=False)
    stream_id = peer.next_id(unidirectional=False)
    peer.send(stream_id, header[:1])
    peer.send(stream_id, header[1:])
    peer.wait(2 * REQUEST_TIMEOUT)
    assert peer.ends(stream_id) == (None, None)
    assert peer.stream(stream_id) is not None


def test_clients_wait_for_nothing_of_the_kind(client) -> None:
    """A server opens no requests; what it does open is bounded by the streams that it may have."""
    peer: ScriptedPeer = client()
    peer.send(peer.next_id(unidirectional=True), b"\x40")
    assert peer.engine.next_deadline() is None
