"""Resets and stop requests: what is told of them, what is credited, and what is forgotten."""

from __future__ import annotations

import pytest
from quic_tables import make_table

from wtransport._quic.port import StreamBytes, StreamDiscarded, StreamReset, StreamStopped

pytestmark = pytest.mark.usefixtures("quic_twin")


def test_the_peers_reset_is_reported_once_with_its_size() -> None:
    table = make_table()
    table.on_stream_frame(2, 0, b"abc", False)
    table.on_reset(2, 77, 10)
    table.on_reset(2, 77, 10)
    assert table.events == [StreamBytes(2, b"abc", False), StreamReset(2, 77, 10)]
    assert table.streams == {}


def test_a_reset_after_the_fin_arrived_is_no_news() -> None:
    table = make_table()
    table.on_stream_frame(0, 0, b"abc", True)
    table.on_reset(0, 5, 3)
    assert table.events == [StreamBytes(0, b"abc", True)]


def test_a_reset_in_a_gap_after_the_fin_gives_back_the_missing_bytes() -> None:
    table = make_table()
    table.on_stream_frame(2, 5, b"end", True)
    table.on_reset(2, 5, 8)
    assert table.events == [StreamReset(2, 5, 8)]
    assert table.receive_window.consumed == table.receive_window.received == 8


def test_stop_sending_resets_and_is_reported_once() -> None:
    table = make_table()
    table.on_stream_frame(0, 0, b"x", False)
    stream = table.streams[0]
    table.write(stream, bytes(100), False)
    stream.send.next_frame(30, 1000)
    table.on_stop_sending(0, 66)
    table.on_stop_sending(0, 66)
    assert [event for event in table.events if isinstance(event, StreamStopped)] == [StreamStopped(0, 66, 70)]
    assert stream.send.reset_code == 66
    assert stream.send.offset == 30
    assert not stream.send.is_open
    assert list(table.ready) == [stream]


@pytest.mark.parametrize("dropped", [0, 70])
def test_a_stream_of_which_a_stop_dropped_bytes_is_known_until_that_was_told(dropped) -> None:
    table = make_table()
    table.on_stream_frame(0, 0, b"x", True)
    stream = table.streams[0]
    table.write(stream, bytes(30 + dropped), False)
    stream.send.next_frame(30, 1000)
    table.on_stop_sending(0, 66)
    stream.send.on_reset_delivery(True)
    table.forget_if_finished(stream)
    assert table.unsent_bytes(0) == dropped
    assert (0 in table.streams) == bool(dropped)
    table.stop_told(0)
    assert table.unsent_bytes(0) == 0
    assert not table.streams
    table.stop_told(0)


def test_telling_of_a_stop_lets_nothing_go_that_is_not_over() -> None:
    table = make_table()
    table.on_stream_frame(0, 0, b"x", True)
    table.write(table.streams[0], bytes(70), False)
    table.on_stop_sending(0, 66)
    table.stop_told(0)
    assert table.unsent_bytes(0) == 70


def test_stop_sending_that_overtakes_the_first_bytes_is_told_after_them() -> None:
    table = make_table()
    table.on_stop_sending(0, 66)
    table.on_stream_frame(0, 1, b"bc", False)
    assert table.events == []
    assert table.streams[0].send.reset_code == 66
    table.on_stream_frame(0, 0, b"a", False)
    assert table.events == [StreamBytes(0, b"abc", False), StreamStopped(0, 66, 0)]
    table.on_stream_frame(0, 3, b"d", True)
    assert table.events[2:] == [StreamBytes(0, b"d", True)]


def test_stop_sending_for_a_stream_that_was_reset_is_no_news() -> None:
    table = make_table()
    table.on_stream_frame(0, 0, b"x", False)
    table.reset(table.streams[0], 1)
    table.on_stop_sending(0, 66)
    assert not any(isinstance(event, StreamStopped) for event in table.events)
    assert table.streams[0].send.reset_code == 1


def test_a_stopped_stream_is_discarded_and_credited_at_once() -> None:
    table = make_table()
    table.on_stream_frame(2, 0, b"read", False)
    table.on_stream_frame(2, 10, b"beyond a gap", False)
    table.consume(2, 4)
    table.stop(table.streams[2], 5)
    assert table.receive_window.consumed == table.receive_window.received == 22
    table.on_stream_frame(2, 4, b"filler", False)
    table.on_stream_frame(2, 22, b"more", False)
    assert table.receive_window.consumed == table.receive_window.received == 26
    table.on_stream_frame(2, 30, b"", True)
    assert table.receive_window.consumed == table.receive_window.received == 30
    assert table.events == [StreamBytes(2, b"read", False), StreamDiscarded(2, 30)]
    assert table.streams == {}


def test_a_stopped_stream_that_is_reset_reports_the_reset() -> None:
    table = make_table()
    table.on_stream_frame(2, 0, b"abc", False)
    table.consume(2, 3)
    table.stop(table.streams[2], 5)
    table.on_reset(2, 5, 50)
    assert table.events == [StreamBytes(2, b"abc", False), StreamReset(2, 5, 50)]
    assert table.receive_window.consumed == table.receive_window.received == 50
    assert table.streams == {}
