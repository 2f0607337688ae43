"""Section 7.7: keying material of a session."""

from __future__ import annotations

import pytest
from conformance_bench import MakeBench

from wtransport._protocol.exporter import EXPORTER_LABEL, export_keying_material, exporter_context

rule = pytest.mark.rule


@rule("7.7-context")
@pytest.mark.parametrize(
    ("session_id", "label", "context", "encoded"),
    [
        (0, b"label", b"", "0000000000000000 05 6c6162656c 00"),
        (4, b"EXPORTER-app", b"\x01\x02\x03", "0000000000000004 0c 4558504f525445522d617070 03 010203"),
        (2**62 - 4, b"", b"", "3ffffffffffffffc 00 00"),
    ],
)
def test_context(role: str, session_id: int, label: bytes, context: bytes, encoded: str) -> None:
    assert EXPORTER_LABEL == b"EXPORTER-WebTransport"
    assert exporter_context(session_id, label, context) == bytes.fromhex(encoded)


@rule("7.7-context")
@pytest.mark.parametrize("length", [1, 32, 100])
def test_context_is_that_of_both_ends(wire_bench: MakeBench, length: int) -> None:
    ends = wire_bench()
    mine = export_keying_material(ends.session, label=b"label", context=b"context", length=length)
    context = ends.session_id.to_bytes(8, "big") + b"\x05label\x07context"
    assert mine == ends.peer.pair.far.port.export_keying_material(b"EXPORTER-WebTransport", context, length)
    assert len(mine) == length
    assert mine != export_keying_material(ends.bystander, label=b"label", context=b"context", length=length)


@rule("7.7-lengths")
@pytest.mark.in_memory
@pytest.mark.parametrize("size", [0, 255, 256, 1000])
@pytest.mark.parametrize("part", ["label", "context"])
def test_lengths(bench: MakeBench, part: str, size: int) -> None:
    ends = bench()
    parts = {"label": b"", "context": b""} | {part: bytes(size)}
    if size <= 255:
        assert len(export_keying_material(ends.session, length=32, **parts)) == 32
    else:
        with pytest.raises(ValueError, match=part):
            export_keying_material(ends.session, length=32, **parts)
