"""Windows whose credit follows reading."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quic_twins import current

pytestmark = pytest.mark.usefixtures("quic_twin")


@given(st.integers(1, 1000), st.lists(st.tuples(st.integers(0, 400), st.floats(0, 1)), max_size=60))
def test_limit_never_exceeds_what_was_read_plus_the_window_and_never_stalls(window, steps) -> None:
    credit = current().ReceiveWindow(window)
    sent = 0
    for send, share in steps:
        sent += min(send, credit.limit - sent)
        credit.consume(int((sent - credit.consumed) * share))
        assert credit.limit <= credit.consumed + window
        assert credit.limit > sent or credit.consumed < sent, "all was read and still nothing may be sent"
    credit.consume(sent - credit.consumed)
    assert credit.limit - sent > window // 2


def test_limit_rises_once_half_the_window_was_read() -> None:
    credit = current().ReceiveWindow(100)
    assert not credit.consume(49)
    assert not credit.is_due
    assert credit.consume(1)
    assert credit.limit == 150
    assert credit.is_due


def test_lost_announcement_is_due_again() -> None:
    credit = current().ReceiveWindow(100)
    credit.consume(100)
    credit.announced = credit.limit
    assert not credit.is_due
    credit.announced = 0
    assert credit.is_due


def test_stream_limit_is_announced_when_half_of_it_is_used() -> None:
    streams = current().StreamLimit(4)
    streams.opened = 1
    assert not streams.stream_closed()
    assert streams.limit == 5
    assert not streams.is_due
    streams.opened = 2
    assert streams.is_due
    assert streams.stream_closed()
    streams.announced = streams.limit
    assert not streams.is_due
