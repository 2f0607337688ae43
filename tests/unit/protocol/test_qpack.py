"""RFC 9204 without a dynamic table; the vectors were made by hand from its appendix A."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wtransport._protocol.qpack import FieldDecoder, FieldEncoder, Fields, field_section_size, may_be_remembered
from wtransport._protocol.violations import ConnectionViolation, StreamViolation
from wtransport._remembered import MAX_REMEMBERED
from wtransport.constants import ErrorCodes

REQUEST: Fields = [
    (b":method", b"CONNECT"),
    (b":scheme", b"https"),
    (b":authority", b"example.com"),
    (b":path", b"/wt"),
    (b":protocol", b"webtransport-h3"),
    (b"origin", b"https://example.com"),
]

VECTORS: list[tuple[str, Fields]] = [
    (
        "00 00 cf d7 50 0b 65 78 61 6d 70 6c 65 2e 63 6f 6d 51 03 2f 77 74 27 02 3a 70 72 6f 74 6f 63 6f 6c 0f 77 65 62"
        "74 72 61 6e 73 70 6f 72 74 2d 68 33 5f 4b 13 68 74 74 70 73 3a 2f 2f 65 78 61 6d 70 6c 65 2e 63 6f 6d",
        REQUEST,
    ),
    (
        "00 00 cf d7 50 0b 65 78 61 6d 70 6c 65 2e 63 6f 6d 51 03 2f 77 74 27 02 3a 70 72 6f 74 6f 63 6f 6c 0c 77 65 62"
        "74 72 61 6e 73 70 6f 72 74",
        [*REQUEST[:4], (b":protocol", b"webtransport")],
    ),
    ("00 00 d9", [(b":status", b"200")]),
    ("00 00 ff 04", [(b":status", b"400")]),
    ("00 00 ff 05", [(b":status", b"403")]),
    ("00 00 db", [(b":status", b"404")]),
    ("00 00 5f 09 03 34 30 35", [(b":status", b"405")]),
    ("00 00 5f 09 03 34 32 39", [(b":status", b"429")]),
    (
        "00 00 d9 27 04 77 74 2d 70 72 6f 74 6f 63 6f 6c 08 22 6d 6f 71 2d 30 30 22",
        [(b":status", b"200"), (b"wt-protocol", b'"moq-00"')],
    ),
]


@pytest.mark.parametrize(("wire", "fields"), VECTORS)
def test_vectors_decode(wire: str, fields: Fields) -> None:
    assert FieldDecoder().decode(0, bytes.fromhex(wire)) == fields


@pytest.mark.parametrize(("wire", "fields"), VECTORS)
def test_vectors_encode_to_no_more_bytes(wire: str, fields: Fields) -> None:
    payload = FieldEncoder().encode(0, fields)
    assert len(payload) <= len(bytes.fromhex(wire))  # literals may be Huffman-coded, which the vectors are not
    assert FieldDecoder().decode(0, payload) == fields


@pytest.mark.parametrize("index", range(2, 8))
def test_responses_without_a_text_worth_compressing_encode_to_the_very_bytes(index: int) -> None:
    wire, fields = VECTORS[index]
    assert FieldEncoder().encode(0, fields) == bytes.fromhex(wire)


@pytest.mark.parametrize("wire", ["00 00", "00 05"], ids=["base 0", "base 5"])
def test_a_section_without_lines_is_legal(wire: str) -> None:
    assert FieldDecoder().decode(0, bytes.fromhex(wire)) == []


FAILURES = {
    "no prefix": "",
    "half a prefix": "00",
    "static index 99": "00 00 ff 24",
    "static index cut": "00 00 ff",
    "required insert count 1": "02 00 80",
    "reference into the dynamic table": "00 00 80",
    "post-base reference": "00 00 10",
    "name reference into the dynamic table": "00 00 40 01 61",
    "negative base": "00 80 d1",
    "negative base and no lines": "00 80",
    "value cut": "00 00 51 03 61",
    "value with an impossible length": "00 00 51 ff 80 80 80 80 80 80 80 01",
    "integer over 62 bits": "00 00 ff 80 80 80 80 80 80 80 80 80 01",
    "Huffman padding of a whole byte": "00 00 51 82 ff ff",
    "Huffman EOS": "00 00 51 84 ff ff ff ff",
}


@pytest.mark.parametrize("wire", FAILURES.values(), ids=FAILURES)
def test_undecodable_sections(wire: str) -> None:
    with pytest.raises(ConnectionViolation) as caught:
        FieldDecoder().decode(0, bytes.fromhex(wire))
    assert caught.value.error_code == ErrorCodes.QPACK_DECOMPRESSION_FAILED


@given(st.binary(max_size=60))
def test_any_section_decodes_or_fails(payload: bytes) -> None:
    try:
        fields = FieldDecoder().decode(0, payload)
    except ConnectionViolation:
        return
    assert FieldDecoder().decode(4, FieldEncoder().encode(4, fields)) == fields


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=20), st.binary(max_size=40)), min_size=1, max_size=10))
def test_what_is_encoded_decodes(fields: Fields) -> None:
    assert FieldDecoder().decode(0, FieldEncoder().encode(0, fields)) == fields


def test_the_size_counts_32_for_each_line() -> None:
    assert field_section_size(REQUEST) == 296


def test_a_section_over_our_limit_is_a_stream_error() -> None:
    payload = FieldEncoder().encode(0, REQUEST)
    assert FieldDecoder(max_field_section_size=296).decode(0, payload) == REQUEST
    with pytest.raises(StreamViolation) as caught:
        FieldDecoder(max_field_section_size=295).decode(0, payload)
    assert caught.value.error_code == ErrorCodes.H3_EXCESSIVE_LOAD


def test_what_is_remembered_of_a_section_is_nobodys_to_change() -> None:
    payload = FieldEncoder().encode(0, REQUEST)
    first = FieldDecoder().decode(0, payload)
    first.append((b"x", b"y"))
    assert FieldDecoder().decode(0, payload) == REQUEST


def test_only_short_sections_that_tell_nothing_personal_are_remembered() -> None:
    for name in (b"cookie", b"authorization", b"proxy-authorization", b"set-cookie"):
        assert not may_be_remembered([*REQUEST, (name, b"secret")])
    assert may_be_remembered(REQUEST)
    assert not may_be_remembered([*REQUEST, (b"a", bytes(1024))])
    secret = [*REQUEST, (b"cookie", b"only once")]
    payload = FieldEncoder().encode(0, secret)
    assert FieldDecoder().decode(0, payload) == secret
    assert payload not in FieldDecoder._known
    assert tuple(secret) not in FieldEncoder._known


def test_the_sections_remembered_are_bounded() -> None:
    for number in range(300):
        fields = [*REQUEST, (b"x", str(number).encode())]
        assert FieldDecoder().decode(0, FieldEncoder().encode(0, fields)) == fields
    assert len(FieldDecoder._known) <= MAX_REMEMBERED
    assert len(FieldEncoder._known) <= MAX_REMEMBERED


def test_one_pair_serves_many_streams() -> None:
    encoder, decoder = FieldEncoder(), FieldDecoder()
    for stream_id in range(0, 400, 4):
        assert decoder.decode(stream_id, encoder.encode(stream_id, REQUEST)) == REQUEST


@pytest.mark.parametrize("wire", ["", "20", "20 20"], ids=["nothing", "capacity 0", "capacity 0 twice"])
def test_encoder_stream_instructions_that_change_nothing(wire: str) -> None:
    FieldDecoder().feed_encoder_stream(bytes.fromhex(wire))


@pytest.mark.parametrize(
    "wire",
    ["ff", "20 40 00", "21", "3f e1 1f", "c0 01 61", "41 61 01 61", "00", "80 01 61"],
    ids=[
        "cut",
        "insert of nothing",
        "capacity 1",
        "capacity 4096",
        "insert with static name",
        "insert literal",
        "duplicate",
        "insert with dynamic name",
    ],
)
def test_encoder_stream_instructions_that_need_a_table(wire: str) -> None:
    with pytest.raises(ConnectionViolation) as caught:
        FieldDecoder().feed_encoder_stream(bytes.fromhex(wire))
    assert caught.value.error_code == ErrorCodes.QPACK_ENCODER_STREAM_ERROR


def test_a_cancellation_on_the_decoder_stream_is_legal_for_any_stream() -> None:
    encoder = FieldEncoder()
    encoder.encode(4, REQUEST)
    encoder.feed_decoder_stream(bytes.fromhex("40 44 7f"))


@pytest.mark.parametrize("wire", ["00", "01", "84"], ids=["increment 0", "increment too big", "nothing to acknowledge"])
def test_decoder_stream_instructions_about_inserts_never_made(wire: str) -> None:
    encoder = FieldEncoder()
    encoder.encode(4, REQUEST)
    with pytest.raises(ConnectionViolation) as caught:
        encoder.feed_decoder_stream(bytes.fromhex(wire))
    assert caught.value.error_code == ErrorCodes.QPACK_DECODER_STREAM_ERROR
