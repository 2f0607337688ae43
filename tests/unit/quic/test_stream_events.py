"""How much one event says of a stream."""

from __future__ import annotations

from typing import Any

import pytest
from port_pair import limits
from quic_twins import current

from wtransport._quic.stream_table import MAX_EVENT_BYTES

pytestmark = pytest.mark.usefixtures("quic_twin")


def test_what_was_behind_a_gap_comes_in_pieces() -> None:
    events: list[Any] = []
    given = limits(stream_window=100_000, connection_window=100_000)
    table = current().StreamTable(is_client=False, limits=given, emit=events.append)
    data = bytes(range(250)) * 320
    for start in range(1000, len(data), 1000):
        table.on_stream_frame(0, start, data[start : start + 1000], start + 1000 >= len(data))
    assert events == []
    table.on_stream_frame(0, 0, data[:1000], False)
    assert b"".join(event.data for event in events) == data
    assert max(len(event.data) for event in events) == MAX_EVENT_BYTES
    assert [event.end_stream for event in events] == [False] * (len(events) - 1) + [True]
