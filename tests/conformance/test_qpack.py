"""Section 8.4: field sections and QPACK streams, of a peer whose dynamic table must be empty."""

from __future__ import annotations

import pytest
from conformance_bench import Bench, MakeBench
from scripted_peer import HEADERS

from wtransport._speedups import encode_frame, encode_varint
from wtransport.constants import ErrorCodes

rule = pytest.mark.rule

DECOMPRESSION_FAILED = ErrorCodes.QPACK_DECOMPRESSION_FAILED
ENCODER_STREAM_ERROR = ErrorCodes.QPACK_ENCODER_STREAM_ERROR
DECODER_STREAM_ERROR = ErrorCodes.QPACK_DECODER_STREAM_ERROR
ENCODER, DECODER = 0x02, 0x03

LARGE = bytes.fromhex("ff" * 10 + "7f")
"""What an integer over 62 bits goes on with, after a prefix of ones."""


def section(ends: Bench, payload: str | bytes) -> None:
    """Send a field section as a request, or as the response to one."""
    data = bytes.fromhex(payload) if isinstance(payload, str) else payload
    ends.begin_message(encode_frame(HEADERS, data))


def instruct(ends: Bench, stream_type: int, data: str | bytes, *, cut: bool = False) -> None:
    """Send instructions on a QPACK stream, byte by byte if `cut`."""
    instructions = bytes.fromhex(data) if isinstance(data, str) else data
    stream_id = ends.peer.next_id(unidirectional=True)
    ends.peer.send(stream_id, encode_varint(stream_type))
    for piece in [instructions[index : index + 1] for index in range(len(instructions))] if cut else [instructions]:
        if ends.peer.closed is None:
            ends.peer.send(stream_id, piece)


@rule("8.4-undecodable")
@pytest.mark.parametrize(
    "payload",
    ["", "00", "0000ff", "000050", "00005003", "0000500361", "0000236162", "00002361", "0000ffffff"],
    ids=[
        "no prefix",
        "half a prefix",
        "cut index",
        "no value",
        "empty value that is longer",
        "cut value",
        "cut name",
        "name without a value",
        "endless index",
    ],
)
def test_undecodable(bench: MakeBench, payload: str) -> None:
    ends = bench()
    section(ends, payload)
    ends.check_connection_error(DECOMPRESSION_FAILED)


@rule("8.4-dynamic-reference")
@pytest.mark.parametrize(
    "payload",
    ["0200d9", "0100", "020080", "000080", "000010", "0000400161", "0000000161", "0080d9", "ff0000"],
    ids=[
        "insert count",
        "insert count alone",
        "insert count and index",
        "index",
        "post-base index",
        "name reference",
        "post-base name reference",
        "negative base",
        "large insert count",
    ],
)
def test_dynamic_reference(bench: MakeBench, payload: str) -> None:
    ends = bench()
    section(ends, payload)
    ends.check_connection_error(DECOMPRESSION_FAILED)


@rule("8.4-static-index")
@pytest.mark.parametrize("payload", ["0000ff24", "0000ff8001", "00005f540161"], ids=["99", "191", "99 as a name"])
def test_static_index(bench: MakeBench, payload: str) -> None:
    ends = bench()
    section(ends, payload)
    ends.check_connection_error(DECOMPRESSION_FAILED)


@rule("8.4-huffman")
@pytest.mark.parametrize(
    "value",
    ["8118", "821fff", "81ff", "84ffffffff", "851fffffffff", "811e"],
    ids=["zeros", "11 bits", "8 bits", "EOS", "a and EOS", "not all ones"],
)
def test_huffman(bench: MakeBench, value: str) -> None:
    ends = bench()
    section(ends, "000050" + value)
    ends.check_connection_error(DECOMPRESSION_FAILED)


@rule("8.4-blocked-streams")
def test_blocked_streams(bench: MakeBench) -> None:
    # None may block: neither one that names an insert to come, nor after an encoder stream came that may bring it.
    ends = bench()
    instruct(ends, ENCODER, "20")
    assert ends.peer.closed is None
    section(ends, "020080")
    ends.check_connection_error(DECOMPRESSION_FAILED)


@rule("8.4-capacity")
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
@pytest.mark.parametrize("instruction", ["21", "3e", "3f00", "3fe11f"], ids=["1", "30", "31", "4096"])
def test_capacity(bench: MakeBench, instruction: str, cut: bool) -> None:
    ends = bench()
    instruct(ends, ENCODER, instruction, cut=cut)
    ends.check_connection_error(ENCODER_STREAM_ERROR)


@rule("8.4-insert")
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
@pytest.mark.parametrize("instruction", ["c10161", "41610161", "4000", "c100"])
def test_insert(bench: MakeBench, instruction: str, cut: bool) -> None:
    ends = bench()
    instruct(ends, ENCODER, instruction, cut=cut)
    ends.check_connection_error(ENCODER_STREAM_ERROR)


@rule("8.4-evicted-entry")
@pytest.mark.parametrize("instruction", ["00", "05", "800161", "820161"])
def test_evicted_entry(bench: MakeBench, instruction: str) -> None:
    ends = bench()
    instruct(ends, ENCODER, instruction)
    ends.check_connection_error(ENCODER_STREAM_ERROR)


@rule("8.4-insert-count-increment")
@pytest.mark.parametrize("instruction", ["00", "01", "3e", "3fe11f"], ids=["0", "1", "62", "many"])
def test_insert_count_increment(bench: MakeBench, instruction: str) -> None:
    ends = bench()
    instruct(ends, DECODER, instruction)
    ends.check_connection_error(DECODER_STREAM_ERROR)


@rule("8.4-section-acknowledgment")
@pytest.mark.parametrize("stream_id", [0, 4, 100])
def test_section_acknowledgment(bench: MakeBench, stream_id: int) -> None:
    ends = bench()
    instruct(ends, DECODER, bytes([0x80 | stream_id]))
    ends.check_connection_error(DECODER_STREAM_ERROR)


@rule("8.4-large-integer")
@pytest.mark.parametrize("prefix", ["00005f", "0000ff", "000027", "0000507f"])
def test_large_integer_in_a_section(bench: MakeBench, prefix: str) -> None:
    ends = bench()
    section(ends, bytes.fromhex(prefix) + LARGE + bytes(20))
    ends.check_connection_error(DECOMPRESSION_FAILED)


@rule("8.4-large-integer")
@pytest.mark.parametrize(
    ("stream_type", "first", "code"),
    [
        (ENCODER, 0x3F, ENCODER_STREAM_ERROR),
        (ENCODER, 0x1F, ENCODER_STREAM_ERROR),
        (ENCODER, 0xFF, ENCODER_STREAM_ERROR),
        (DECODER, 0x3F, DECODER_STREAM_ERROR),
        (DECODER, 0xFF, DECODER_STREAM_ERROR),
        (DECODER, 0x7F, DECODER_STREAM_ERROR),
    ],
    ids=["capacity", "duplicate", "insert", "increment", "acknowledgment", "cancellation"],
)
def test_large_integer_in_an_instruction(bench: MakeBench, stream_type: int, first: int, code: int) -> None:
    ends = bench()
    instruct(ends, stream_type, bytes([first]) + LARGE)
    ends.check_connection_error(code)


@rule("8.4-long-string")
@pytest.mark.parametrize("prefix", ["0000507f", "00002f"], ids=["value", "name"])
def test_long_string_in_a_section(bench: MakeBench, prefix: str) -> None:
    ends = bench()
    section(ends, bytes.fromhex(prefix) + b"\x80\x80\x40" + bytes(100))
    ends.check_connection_error(DECOMPRESSION_FAILED)


@rule("8.4-long-string")
@pytest.mark.parametrize("prefix", ["c17f", "5f"], ids=["value", "name"])
def test_long_string_in_an_instruction(bench: MakeBench, prefix: str) -> None:
    # Refused at its length, or at once: nothing waits for the string.
    ends = bench()
    instruct(ends, ENCODER, bytes.fromhex(prefix) + b"\x80\x80\x40" + bytes(100))
    ends.check_connection_error(ENCODER_STREAM_ERROR)


@rule("8.4-harmless-instructions")
@pytest.mark.parametrize("instructions", ["", "20", "2020"])
def test_harmless_instructions_of_the_encoder(bench: MakeBench, instructions: str) -> None:
    ends = bench()
    instruct(ends, ENCODER, instructions)
    ends.check_nothing_wrong()


@rule("8.4-harmless-instructions")
@pytest.mark.parametrize("instructions", ["", "40", "44", "7f05"])
def test_harmless_instructions_of_the_decoder(bench: MakeBench, instructions: str) -> None:
    ends = bench()
    instruct(ends, DECODER, instructions)
    ends.check_nothing_wrong()
