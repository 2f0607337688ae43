"""Objects of streams that nobody called the constructor of are whole: no kernel reads or writes what is not there."""

from __future__ import annotations

from wtransport._quic._compiled.receiving import ReceiveHalf
from wtransport._quic._compiled.streams import QuicStream


def test_a_stream_made_without_its_constructor_is_whole() -> None:
    stream = QuicStream.__new__(QuicStream)
    assert not stream.is_finished
    assert (stream.send.unsent, stream.receive.kept) == (0, [])


def test_a_receiving_side_made_without_its_constructor_is_whole() -> None:
    half = ReceiveHalf.__new__(ReceiveHalf)
    assert (half.window.received, half.window.limit) == (0, 0)
