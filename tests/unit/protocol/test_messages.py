"""RFC 9114, sections 4.1, 4.4 and 7, on request streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pytest
from cuts import every_cut, random_cuts, read_pieces
from hypothesis import given
from hypothesis import strategies as st

from wtransport._protocol.messages import DataRead, HeadersRead, MessageEnded, MessageItem, MessageReader
from wtransport._protocol.violations import ConnectionViolation, ProtocolViolation, StreamViolation
from wtransport._speedups import encode_frame
from wtransport.constants import ErrorCodes

HEADERS = encode_frame(0x01, b"head")
TRAILERS = encode_frame(0x01, b"tail")
DATA = encode_frame(0x00, b"body")
GREASE = encode_frame(0x21, b"grease")
EMPTY_DATA = encode_frame(0x00, b"")

# Frames that a request stream must never carry, with their code; on a client PUSH_PROMISE has another one.
FORBIDDEN = {
    "CANCEL_PUSH": 0x03,
    "SETTINGS": 0x04,
    "GOAWAY": 0x07,
    "MAX_PUSH_ID": 0x0D,
    "PRIORITY": 0x02,
    "PING": 0x06,
    "WINDOW_UPDATE": 0x08,
    "CONTINUATION": 0x09,
    "PRIORITY_UPDATE": 0xF0700,
    "PRIORITY_UPDATE of a push": 0xF0701,
}


def merged(items: Iterable[MessageItem]) -> list[MessageItem]:
    """Join pieces of content, which may be cut anywhere."""
    result: list[MessageItem] = []
    for item in items:
        last = result[-1] if result else None
        if isinstance(item, DataRead) and isinstance(last, DataRead):
            result[-1] = DataRead(last.data + item.data)
        else:
            result.append(item)
    return result


def read(
    pieces: list[bytes],
    *,
    is_client: bool = False,
    end_stream: bool = True,
    tunnel: bool = False,
    limit: int = 1000,
    content: int | None = None,
    interim: tuple[bytes, ...] = (),
) -> tuple[list[MessageItem], Exception | None]:
    """Read a message the way the engine does: act on headers before the next item is taken."""
    reader = MessageReader(is_client=is_client, max_field_section_size=limit)

    def feed(piece: bytes) -> Iterator[MessageItem]:
        for item in reader.feed(piece, False):
            if isinstance(item, HeadersRead):
                if item.payload in interim:
                    reader.interim()
                elif tunnel and not item.is_trailers:
                    reader.tunnel()
                if content is not None and not item.is_trailers:
                    reader.expect_content(content)
            yield item

    items, error = read_pieces(feed, pieces, ProtocolViolation)
    if error is None and end_stream:
        last, error = read_pieces(lambda piece: reader.feed(piece, True), [b""], ProtocolViolation)
        items += last
    assert reader.has_ended == (MessageEnded() in items)
    return merged(items), error


def expect(
    wire: bytes,
    items: Sequence[MessageItem],
    code: int | None = None,
    kind: type[ProtocolViolation] | None = None,
    **how: object,
) -> None:
    """Hold every cut of a message against the items and the violation expected."""
    for pieces in every_cut(wire):
        seen, error = read(pieces, **how)  # type: ignore[arg-type]
        assert seen == list(items)
        if code is None:
            assert error is None
        else:
            assert isinstance(error, kind or ConnectionViolation)
            assert error.error_code == code


@pytest.mark.parametrize("is_client", [True, False])
def test_a_whole_message(is_client: bool) -> None:
    expected: list[MessageItem] = [
        HeadersRead(b"head"),
        DataRead(b"bodybody"),
        HeadersRead(b"tail", is_trailers=True),
        MessageEnded(),
    ]
    expect(HEADERS + DATA + EMPTY_DATA + DATA + TRAILERS, expected, is_client=is_client)


def test_headers_alone_are_a_message() -> None:
    expect(HEADERS, [HeadersRead(b"head"), MessageEnded()])


def test_nothing_is_said_of_the_end_before_it_comes() -> None:
    expect(HEADERS + DATA, [HeadersRead(b"head"), DataRead(b"body")], end_stream=False)


def test_the_end_may_come_with_the_last_bytes() -> None:
    reader = MessageReader(is_client=False)
    assert list(reader.feed(HEADERS, True)) == [HeadersRead(b"head"), MessageEnded()]
    assert list(reader.feed(b"", True)) == []


def test_content_comes_as_it_arrives() -> None:
    reader = MessageReader(is_client=False)
    list(reader.feed(HEADERS + DATA[:3], False))
    assert list(reader.feed(DATA[3:4], False)) == [DataRead(DATA[3:4])]


def test_unknown_frames_are_skipped_wherever_they_stand() -> None:
    wire = GREASE + HEADERS + GREASE + DATA + GREASE + TRAILERS + GREASE
    expected: list[MessageItem] = [
        HeadersRead(b"head"),
        DataRead(b"body"),
        HeadersRead(b"tail", is_trailers=True),
        MessageEnded(),
    ]
    expect(wire, expected)
    expect(GREASE + HEADERS + GREASE + DATA + GREASE, [*expected[:2], MessageEnded()], tunnel=True)


def test_interim_responses_are_followed_by_the_final_one() -> None:
    wire = encode_frame(0x01, b"103") + encode_frame(0x01, b"100") + HEADERS + DATA
    expected: list[MessageItem] = [
        HeadersRead(b"103"),
        HeadersRead(b"100"),
        HeadersRead(b"head"),
        DataRead(b"body"),
        MessageEnded(),
    ]
    expect(wire, expected, is_client=True, interim=(b"103", b"100"), tunnel=True)


def test_content_after_an_interim_response_is_unexpected() -> None:
    wire = encode_frame(0x01, b"103") + DATA
    expect(wire, [HeadersRead(b"103")], ErrorCodes.H3_FRAME_UNEXPECTED, is_client=True, interim=(b"103",))


@pytest.mark.parametrize("data", [DATA, EMPTY_DATA])
@pytest.mark.parametrize("is_client", [True, False])
def test_data_before_headers_is_unexpected(data: bytes, is_client: bool) -> None:
    expect(data + HEADERS, [], ErrorCodes.H3_FRAME_UNEXPECTED, is_client=is_client)


@pytest.mark.parametrize("frame", [DATA, EMPTY_DATA, HEADERS])
def test_nothing_known_follows_trailers(frame: bytes) -> None:
    expected: list[MessageItem] = [HeadersRead(b"head"), HeadersRead(b"tail", is_trailers=True)]
    expect(HEADERS + TRAILERS + frame, expected, ErrorCodes.H3_FRAME_UNEXPECTED)


@pytest.mark.parametrize("frame_type", FORBIDDEN.values(), ids=FORBIDDEN)
@pytest.mark.parametrize("tunnel", [True, False])
@pytest.mark.parametrize("is_client", [True, False])
def test_frames_of_other_streams_are_unexpected(frame_type: int, tunnel: bool, is_client: bool) -> None:
    frame = encode_frame(frame_type, b"\x00")
    code = ErrorCodes.H3_FRAME_UNEXPECTED
    expect(HEADERS + frame, [HeadersRead(b"head")], code, is_client=is_client, tunnel=tunnel)
    expect(frame, [], code, is_client=is_client)


def test_push_promise_is_unexpected_by_a_server_and_above_the_limit_of_a_client() -> None:
    frame = encode_frame(0x05, b"\x00\x00\x00")
    expect(HEADERS + frame, [HeadersRead(b"head")], ErrorCodes.H3_FRAME_UNEXPECTED)
    expect(HEADERS + frame, [HeadersRead(b"head")], ErrorCodes.H3_ID_ERROR, is_client=True)
    expect(frame, [], ErrorCodes.H3_ID_ERROR, is_client=True)
    expect(HEADERS + frame, [HeadersRead(b"head")], ErrorCodes.H3_FRAME_UNEXPECTED, is_client=True, tunnel=True)


@pytest.mark.parametrize("is_client", [True, False])
def test_a_tunnel_carries_data_only(is_client: bool) -> None:
    expected: list[MessageItem] = [HeadersRead(b"head"), DataRead(b"body")]
    code = ErrorCodes.H3_FRAME_UNEXPECTED
    expect(HEADERS + DATA + TRAILERS, expected, code, is_client=is_client, tunnel=True)
    expect(HEADERS + DATA, [*expected, MessageEnded()], is_client=is_client, tunnel=True)


def test_trailers_before_the_tunnel_leave_no_room_for_data() -> None:
    reader = MessageReader(is_client=False)
    assert len(list(reader.feed(HEADERS + TRAILERS, False))) == 2
    reader.tunnel()
    with pytest.raises(ConnectionViolation):
        list(reader.feed(DATA, False))


@pytest.mark.parametrize("signal", ["40 41 00", "80 00 00 41 04", "c0 00 00 00 00 00 00 41 40 40"])
@pytest.mark.parametrize("before", [b"", GREASE, HEADERS, HEADERS + DATA, HEADERS + TRAILERS])
def test_the_webtransport_signal_is_a_frame_error_anywhere_in_a_message(signal: str, before: bytes) -> None:
    for pieces in every_cut(before + bytes.fromhex(signal)):
        _, error = read(pieces)
        assert isinstance(error, ConnectionViolation)
        assert error.error_code == ErrorCodes.H3_FRAME_ERROR


@pytest.mark.parametrize("is_client", [True, False])
@pytest.mark.parametrize("tunnel", [True, False])
def test_an_end_inside_a_frame_is_a_frame_error(is_client: bool, tunnel: bool) -> None:
    whole = HEADERS + DATA + GREASE
    boundaries = {0, len(HEADERS), len(HEADERS + DATA), len(whole)}
    for end in set(range(len(whole))) - boundaries:
        _, error = read([whole[:end]], is_client=is_client, tunnel=tunnel)
        assert isinstance(error, ConnectionViolation)
        assert error.error_code == ErrorCodes.H3_FRAME_ERROR


@pytest.mark.parametrize("wire", [b"", GREASE])
def test_an_end_without_a_message_is_a_stream_error(wire: bytes) -> None:
    expect(wire, [], ErrorCodes.H3_REQUEST_INCOMPLETE, StreamViolation)
    expect(wire, [], ErrorCodes.H3_MESSAGE_ERROR, StreamViolation, is_client=True)


def test_a_field_section_over_the_limit_is_refused_at_its_length() -> None:
    header = bytes.fromhex("01 41 01")  # HEADERS of 257 bytes, none of which has come
    expect(header, [], ErrorCodes.H3_EXCESSIVE_LOAD, StreamViolation, limit=256)
    expect(HEADERS + header, [HeadersRead(b"head")], ErrorCodes.H3_EXCESSIVE_LOAD, StreamViolation, limit=256)
    assert read([bytes.fromhex("01 41 00") + bytes(256)], limit=256) == (
        [HeadersRead(bytes(256)), MessageEnded()],
        None,
    )


def test_content_is_held_to_the_content_length() -> None:
    code = ErrorCodes.H3_MESSAGE_ERROR
    for wire, length, is_good in [
        (HEADERS + DATA, 4, True),
        (HEADERS, 0, True),
        (HEADERS + EMPTY_DATA, 0, True),
        (HEADERS + DATA + DATA + TRAILERS, 8, True),
        (HEADERS + DATA, 5, False),
        (HEADERS + DATA, 3, False),
        (HEADERS + DATA, 0, False),
        (HEADERS, 1, False),
    ]:
        for pieces in every_cut(wire):
            _, error = read(pieces, content=length)
            if is_good:
                assert error is None
            else:
                assert isinstance(error, StreamViolation)
                assert error.error_code == code


FRAMES = st.sampled_from(
    [HEADERS, TRAILERS, DATA, EMPTY_DATA, GREASE, encode_frame(0x04, b""), encode_frame(0x41, b"")]
)


@given(st.data(), st.lists(FRAMES, max_size=6), st.booleans(), st.booleans())
def test_the_cut_never_matters(data: st.DataObject, frames: list[bytes], is_client: bool, tunnel: bool) -> None:
    wire = b"".join(frames)
    pieces = data.draw(random_cuts(wire))
    whole, whole_error = read([wire], is_client=is_client, tunnel=tunnel)
    cut, cut_error = read(pieces, is_client=is_client, tunnel=tunnel)
    assert cut == whole
    assert repr(cut_error) == repr(whole_error)


@given(st.binary(max_size=40), st.booleans())
def test_any_bytes_are_read_or_refused(wire: bytes, is_client: bool) -> None:
    read([wire], is_client=is_client)
