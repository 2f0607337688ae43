"""Token buckets, and warnings that do not flood the log."""

import logging

from wtransport._adapter.rate_limit import WARNING_INTERVAL, LimitLog, RateLimit


def test_so_many_at_once_and_as_many_again_in_each_period():
    limit = RateLimit(4, 2.0)
    assert [limit.take(10.0) for _ in range(5)] == [True] * 4 + [False]
    assert not limit.has(10.4)
    assert limit.has(10.5)
    assert limit.take(10.5)
    assert not limit.take(10.5)
    assert [limit.take(100.0) for _ in range(5)] == [True] * 4 + [False]


def test_looking_takes_nothing():
    limit = RateLimit(1, 1.0)
    assert limit.has(0.0)
    assert limit.has(0.0)
    assert limit.take(0.0)


def test_each_limit_has_warnings_of_its_own(caplog):
    limits = LimitLog(logging.getLogger("wtransport.test"))
    for now in (0.0, 1.0, 2.0, WARNING_INTERVAL):
        limits.reached("one", by="a", now=now)
    limits.reached("other", by="b", now=3.0)
    assert [record.getMessage() for record in caplog.records] == [
        "limit reached: one, by a",
        "limit reached: one, by a, and 2 times since the last warning",
        "limit reached: other, by b",
    ]
