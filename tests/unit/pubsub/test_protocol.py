"""The lines of publish and subscribe."""

from __future__ import annotations

import pytest

from wtransport.pubsub.protocol import checked_topic, encode_line, encode_message, is_valid_topic


@pytest.mark.parametrize("topic", ["a", "news/é", "x" * 1024, "a\u00a0b"])
def test_topics(topic: str) -> None:
    assert checked_topic(topic) == topic.encode()
    assert is_valid_topic(topic.encode())


@pytest.mark.parametrize("topic", ["", "a b", "a\tb", "a\n", "\x00", "\x7f", "x" * 1025])
def test_what_is_no_topic(topic: str) -> None:
    with pytest.raises(ValueError, match="topic"):
        checked_topic(topic)
    assert not is_valid_topic(topic.encode())


def test_lines() -> None:
    assert encode_line(b"SUB", b"a") == b"SUB a\n"
    assert encode_line(b"SUB-FAIL", b"a", "not\nallowed  here") == b"SUB-FAIL a not allowed here\n"
    assert len(encode_line(b"SUB-FAIL", b"a", "x" * 5000)) < 1100
    assert encode_message(b"PUB", b"a", b"x\n") == b"PUB a 2\nx\n"
