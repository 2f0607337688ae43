"""What the exporter of a session depends on (draft-16, 4.8)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from wtransport._protocol.exporter import EXPORTER_LABEL, export_keying_material, exporter_context


class RecordingPort:
    """Returns what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, bytes, int]] = []

    def export_keying_material(self, label: bytes, context: bytes, length: int) -> bytes:
        self.asked.append((label, context, length))
        return bytes(length)


def session(port: RecordingPort, stream_id: int = 4) -> Any:
    return SimpleNamespace(port=port, stream_id=stream_id)


@pytest.mark.parametrize(
    ("session_id", "label", "context", "encoded"),
    [
        (0, b"label", b"", "0000000000000000 05 6c6162656c 00"),
        (4, b"EXPORTER-app", b"\x01\x02\x03", "0000000000000004 0c 4558504f525445522d617070 03 010203"),
        (2**62 - 4, b"", b"", "3ffffffffffffffc 00 00"),
    ],
)
def test_the_context_names_session_label_and_context(session_id, label, context, encoded):
    assert exporter_context(session_id, label, context) == bytes.fromhex(encoded)


def test_parts_of_255_bytes_are_the_longest():
    encoded = exporter_context(0, b"l" * 255, b"c" * 255)
    assert encoded[8] == encoded[8 + 1 + 255] == 255
    assert len(encoded) == 8 + 2 * 256
    for name, parts in (("label", (b"l" * 256, b"")), ("context", (b"", b"c" * 256))):
        with pytest.raises(ValueError, match=f"{name} must be at most 255 bytes, not 256"):
            exporter_context(0, *parts)


def test_the_tls_label_is_the_drafts():
    port = RecordingPort()
    assert export_keying_material(session(port), label=b"label", context=b"", length=20) == bytes(20)
    assert port.asked == [(EXPORTER_LABEL, exporter_context(4, b"label", b""), 20)]
    assert EXPORTER_LABEL == b"EXPORTER-WebTransport"


@pytest.mark.parametrize("length", [0, -1, 8161])
def test_a_length_that_cannot_be_had_is_refused(length):
    port = RecordingPort()
    with pytest.raises(ValueError, match="length must be from 1 to 8160 bytes"):
        export_keying_material(session(port), label=b"label", context=b"", length=length)
    assert not port.asked
