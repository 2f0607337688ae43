"""What the streams of a peer turn out to be, and what is wrong with some (RFC 9114, 6.2; draft-16, 4.2 and 4.3)."""

from __future__ import annotations

import pytest
from cuts import every_cut
from scripted_peer import DRAFT16, MakePeer, ScriptedPeer, stream_header

from wtransport._protocol.error_codes import to_wire
from wtransport._protocol.settings import encode_settings
from wtransport._speedups import encode_frame, encode_varint
from wtransport.constants import ErrorCodes
from wtransport.exceptions import StreamError

BOTH = pytest.mark.parametrize("unidirectional", [False, True])
SETTINGS_STREAM = b"\x00" + encode_frame(0x04, encode_settings(DRAFT16))

NON_MINIMAL_HEADERS = {
    True: [bytes.fromhex("800000544000"), bytes.fromhex("c000000000000054c000000000000000")],
    False: [bytes.fromhex("800000414000"), bytes.fromhex("c000000000000041c000000000000000")],
}


def arrive(peer: ScriptedPeer, pieces: list[bytes], *, unidirectional: bool, fin: bool = False) -> int:
    """Let a new stream of the peer arrive in pieces."""
    stream_id = peer.next_id(unidirectional=unidirectional)
    for index, piece in enumerate(pieces):
        peer.send(stream_id, piece, fin and index == len(pieces) - 1)
    return stream_id


# Data streams.


@BOTH
def test_a_header_may_come_in_any_pieces(engine: MakePeer, unidirectional: bool) -> None:
    for header in [stream_header(0, unidirectional=unidirectional), *NON_MINIMAL_HEADERS[unidirectional]]:
        for pieces in every_cut(header + b"body"):
            peer = engine()
            session = peer.open_session()
            stream = peer.stream(arrive(peer, pieces, unidirectional=unidirectional))
            assert stream.session is session
            assert stream.read() == b"body"
            assert peer.port.held_credit == 0
            assert (stream.bytes_received, session.flow.peer_data_sent) == (4, 4)


@BOTH
def test_a_stream_is_told_of_once_its_header_is_whole(engine: MakePeer, unidirectional: bool) -> None:
    peer = engine()
    peer.open_session()
    peer.names()
    header = stream_header(0, unidirectional=unidirectional)
    stream_id = arrive(peer, [header[:-1]], unidirectional=unidirectional)
    assert peer.names() == []
    peer.send(stream_id, header[-1:])
    assert peer.names() == ["StreamOpened"]


@BOTH
def test_a_header_with_the_fin_is_an_empty_stream(engine: MakePeer, unidirectional: bool) -> None:
    for pieces in every_cut(stream_header(0, unidirectional=unidirectional)):
        peer = engine()
        peer.open_session()
        peer.names()
        arrive(peer, pieces, unidirectional=unidirectional, fin=True)
        stream = peer.take_event("StreamOpened").stream
        assert stream.at_eof
        assert peer.closed is None


@BOTH
def test_a_fin_inside_the_header_drops_the_stream(engine: MakePeer, unidirectional: bool) -> None:
    header = stream_header(0x4000, unidirectional=unidirectional)
    for size in range(len(header)):
        peer = engine()
        session = peer.open_session()
        peer.names()
        stream_id = arrive(peer, [header[:size]], unidirectional=unidirectional, fin=True)
        assert peer.names() == []
        assert peer.closed is None
        expected = None if unidirectional else ErrorCodes.H3_REQUEST_INCOMPLETE
        assert peer.ends(stream_id) == (expected, None)
        session.close()
        peer.send(0, b"", fin=True)
        peer.assert_nothing_left()


@BOTH
def test_a_reset_inside_the_header_drops_the_stream(engine: MakePeer, unidirectional: bool) -> None:
    header = stream_header(0x4000, unidirectional=unidirectional)
    for size in range(len(header)):
        peer = engine()
        session = peer.open_session()
        peer.names()
        stream_id = peer.next_id(unidirectional=unidirectional)
        if size:
            peer.send(stream_id, header[:size])
        peer.reset(stream_id, to_wire(1))
        assert peer.names() == []
        assert peer.closed is None
        session.close()
        peer.send(0, b"", fin=True)
        peer.assert_nothing_left()


def test_stop_sending_inside_the_header_reaches_the_stream(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    header = stream_header(0, unidirectional=False)
    stream_id = arrive(peer, [header[:2]], unidirectional=False)
    peer.stop(stream_id, to_wire(4))
    peer.send(stream_id, header[2:] + b"question")
    stream = peer.take_event("StreamOpened").stream
    assert (stream.can_send, stream.stop_code) == (False, 4)
    with pytest.raises(StreamError):
        stream.write(b"answer")
    assert stream.read() == b"question"


def test_stop_sending_before_the_header_reaches_the_stream(engine: MakePeer) -> None:
    peer = engine()
    peer.open_session()
    stream_id = peer.next_id(unidirectional=False)
    peer.stop(stream_id, to_wire(4))
    peer.send(stream_id, stream_header(0, unidirectional=False) + b"question")
    stream = peer.take_event("StreamOpened").stream
    assert (stream.can_send, stream.stop_code) == (False, 4)


@BOTH
@pytest.mark.parametrize("session_id", [1, 2, 3, 2**62 - 1])
def test_an_id_of_no_connect_stream_closes_the_connection(
    engine: MakePeer, unidirectional: bool, session_id: int
) -> None:
    peer = engine()
    peer.open_session()
    peer.open_stream(session_id, unidirectional=unidirectional)
    assert peer.closed == ErrorCodes.H3_ID_ERROR


@BOTH
def test_an_id_beyond_the_stream_limit_closes_the_connection(server: MakePeer, unidirectional: bool) -> None:
    peer = server()
    peer.port.local_max_streams_bidi = 10
    peer.open_stream(36, unidirectional=unidirectional)
    assert peer.closed is None
    peer.open_stream(40, unidirectional=unidirectional)
    assert peer.closed == ErrorCodes.H3_ID_ERROR


@BOTH
def test_a_client_knows_all_its_sessions(client: MakePeer, unidirectional: bool) -> None:
    peer = client()
    peer.open_session()
    stream_id = peer.open_stream(400, b"what?", unidirectional=unidirectional)
    gone = ErrorCodes.WT_SESSION_GONE
    assert peer.ends(stream_id) == (None if unidirectional else gone, gone)
    assert peer.closed is None
    assert peer.port.held_credit == 0


def test_the_signal_counts_at_the_beginning_only(server: MakePeer) -> None:
    """draft-16, 4.3: 0x41 after anything else on a bidirectional stream is H3_FRAME_ERROR."""
    peer = server()
    arrive(peer, [b"\x21\x01x" + stream_header(0, unidirectional=False)], unidirectional=False)
    assert peer.closed == ErrorCodes.H3_FRAME_ERROR


# Critical streams.


def test_a_second_control_stream(engine: MakePeer) -> None:
    peer = engine()
    arrive(peer, [SETTINGS_STREAM], unidirectional=True)
    assert peer.closed == ErrorCodes.H3_STREAM_CREATION_ERROR


@pytest.mark.parametrize("stream_type", [b"\x02", b"\x03"])
def test_a_second_qpack_stream(engine: MakePeer, stream_type: bytes) -> None:
    peer = engine()
    arrive(peer, [stream_type], unidirectional=True)
    assert peer.closed is None
    arrive(peer, [stream_type], unidirectional=True)
    assert peer.closed == ErrorCodes.H3_STREAM_CREATION_ERROR


@pytest.mark.parametrize("stream_type", [0, 2, 3])
@pytest.mark.parametrize("end", ["fin", "fin with bytes", "reset"])
def test_a_critical_stream_must_stay(engine: MakePeer, stream_type: int, end: str) -> None:
    peer = engine()
    stream_id = peer.control_id if stream_type == 0 else arrive(peer, [bytes([stream_type])], unidirectional=True)
    if end == "reset":
        peer.reset(stream_id, int(ErrorCodes.H3_NO_ERROR))
    else:
        grease = b"\x21\x00" if stream_type == 0 else b"\x20" if stream_type == 2 else b""
        peer.send(stream_id, grease if end != "fin" else b"", fin=True)
    assert peer.closed == ErrorCodes.H3_CLOSED_CRITICAL_STREAM


def test_our_control_stream_must_not_be_stopped(engine: MakePeer) -> None:
    peer = engine()
    peer.stop(2 if peer.port.is_client else 3, int(ErrorCodes.H3_NO_ERROR))
    assert peer.closed == ErrorCodes.H3_CLOSED_CRITICAL_STREAM


def test_a_control_stream_that_is_only_a_fin_after_its_type(engine: MakePeer) -> None:
    peer = engine(settings=None)
    peer.send(peer.control_id, b"\x00", fin=True)
    assert peer.closed == ErrorCodes.H3_CLOSED_CRITICAL_STREAM


@pytest.mark.parametrize(
    ("stream_type", "instruction", "code"),
    [
        (2, b"\x3f\xe1\x1f", ErrorCodes.QPACK_ENCODER_STREAM_ERROR),  # capacity 4096, where 0 is the most
        (2, b"\x41a\x01b", ErrorCodes.QPACK_ENCODER_STREAM_ERROR),  # an insert that cannot fit
        (3, b"\x01", ErrorCodes.QPACK_DECODER_STREAM_ERROR),  # an increment without inserts
        (3, b"\x80", ErrorCodes.QPACK_DECODER_STREAM_ERROR),  # an acknowledgement of nothing
    ],
)
def test_qpack_streams_may_say_next_to_nothing(
    engine: MakePeer, stream_type: int, instruction: bytes, code: ErrorCodes
) -> None:
    peer = engine()
    stream_id = arrive(peer, [bytes([stream_type])], unidirectional=True)
    peer.send(stream_id, instruction)
    assert peer.closed == code


# Other unidirectional streams.


@pytest.mark.parametrize("stream_type", [0x21, 0x1F * 1000 + 0x21, 0x04, 0x55, 2**62 - 1])
@pytest.mark.parametrize("fin", [False, True])
def test_unknown_types_are_nobodys(engine: MakePeer, stream_type: int, fin: bool) -> None:
    peer = engine()
    session = peer.open_session()
    stream_id = arrive(peer, [encode_varint(stream_type) + b"whatever"], unidirectional=True, fin=fin)
    assert peer.ends(stream_id) == (None, None if fin else ErrorCodes.H3_STREAM_CREATION_ERROR)
    assert peer.port.held_credit == 0
    if not fin:
        peer.send(stream_id, b"more", fin=True)
    assert peer.closed is None
    session.close()
    peer.send(0, b"", fin=True)
    peer.assert_nothing_left()


def test_push_streams(engine: MakePeer) -> None:
    peer = engine()
    arrive(peer, [b"\x01\x00"], unidirectional=True)
    assert peer.closed == (ErrorCodes.H3_ID_ERROR if peer.port.is_client else ErrorCodes.H3_STREAM_CREATION_ERROR)


@pytest.mark.parametrize("first", [b"\x00\x00", b"\x01\x02\x00\x00", b"\x21\x00"])
def test_a_server_opens_no_requests(client: MakePeer, first: bytes) -> None:
    peer = client()
    arrive(peer, [first], unidirectional=False)
    assert peer.closed == ErrorCodes.H3_STREAM_CREATION_ERROR


def test_no_stream_can_be_opened_for_control(engine: MakePeer) -> None:
    """A peer that allows no unidirectional stream cannot speak HTTP/3 (RFC 9114, 6.2)."""
    peer = engine(max_streams=0)
    assert peer.closed == ErrorCodes.H3_STREAM_CREATION_ERROR
