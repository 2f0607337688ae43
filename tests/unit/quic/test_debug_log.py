"""The log of a connection: what is seen of it, and what is not."""

from __future__ import annotations

import logging

import pytest
from aioquic.quic.connection import QuicConnectionAdapter

from wtransport._quic.aioquic_port import Connection
from wtransport._quic.hardened_connection import _DebugLog

logger = logging.getLogger("tests.debug_log")


@pytest.fixture(params=[_DebugLog, Connection._LOG], ids=["python", "this backend's"])
def log(request):
    return request.param(logger, {"id": "c0ffee"})


@pytest.mark.parametrize(
    ("method", "told_as", "silent_at"),
    [
        ("debug", logging.DEBUG, logging.INFO),
        ("warning", logging.DEBUG, logging.INFO),
        ("info", logging.INFO, logging.WARNING),
    ],
)
def test_messages_are_seen_where_somebody_looks(log, caplog, method, told_as, silent_at):
    with caplog.at_level(told_as, logger.name):
        getattr(log, method)("%s and %s", 1, "two", extra={"more": 3})
        assert log.isEnabledFor(told_as)
    with caplog.at_level(silent_at, logger.name):
        getattr(log, method)("unseen")
        assert not log.isEnabledFor(told_as)
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (told_as, "[c0ffee] 1 and two")


def test_a_logger_that_is_switched_off_says_nothing(log, caplog, monkeypatch):
    with caplog.at_level(logging.DEBUG, logger.name):
        log.debug("seen")
        monkeypatch.setattr(logger, "disabled", True)
        log.debug("unseen")
        log.info("unseen")
        assert not log.isEnabledFor(logging.DEBUG)
    assert [record.getMessage() for record in caplog.records] == ["[c0ffee] seen"]


def test_a_logger_that_does_not_remember_its_answers_is_asked(log, caplog, monkeypatch):
    def is_enabled(self, level):
        return level >= self.getEffectiveLevel()

    with caplog.at_level(logging.INFO, logger.name), monkeypatch.context() as patches:
        patches.delattr(logger, "_cache")
        patches.setattr(logging.Logger, "isEnabledFor", is_enabled)
        log.info("seen")
        log.debug("unseen")
        assert log.isEnabledFor(logging.INFO)
        assert not log.isEnabledFor(logging.DEBUG)
    assert [record.getMessage() for record in caplog.records] == ["[c0ffee] seen"]


def test_whatever_is_wrong_here_is_told(log, caplog):
    log.error("%d is wrong", 7)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("ERROR", "[c0ffee] 7 is wrong")]


def test_loggers_of_another_kind_are_asked(log):
    class Asked(logging.Logger):
        def isEnabledFor(self, level):
            return asked.append(level) is None and False

    asked = []
    other = type(log)(Asked("asked"), log.extra)
    other.debug("unseen")
    other.info("unseen")
    assert asked == [logging.DEBUG, logging.INFO]


def test_it_knows_its_logger(log):
    assert isinstance(log, QuicConnectionAdapter | Connection._LOG)
    assert (log.logger, log.extra) == (logger, {"id": "c0ffee"})
