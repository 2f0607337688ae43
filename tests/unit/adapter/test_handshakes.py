"""The books of unfinished handshakes stay right and bounded, whatever comes in whatever order."""

from hypothesis import given
from hypothesis import strategies as st

from wtransport._adapter import handshakes as module
from wtransport._adapter.handshakes import ATTEMPT_PERIOD, Crowding, HandshakeLimits, Handshakes


def test_connections_expire_in_the_order_in_which_they_began():
    handshakes = Handshakes(HandshakeLimits(timeout=10.0))
    assert handshakes.next_timeout() is None
    for now, name in enumerate("abc"):
        handshakes.begin(name, "192.0.2.1", float(now), is_validated=False)
    assert handshakes.next_timeout() == 10.0
    assert handshakes.expired(9.9) == []
    assert handshakes.expired(11.0) == ["a", "b"]
    handshakes.end("a")
    assert handshakes.next_timeout() == 11.0
    assert len(handshakes) == 2


def test_ending_twice_or_what_never_began_counts_nothing():
    handshakes = Handshakes(HandshakeLimits(per_address=1))
    handshakes.begin("a", "192.0.2.1", 0.0, is_validated=False)
    handshakes.end("a")
    handshakes.end("a")
    handshakes.end("b")
    handshakes.begin("c", "192.0.2.1", 0.0, is_validated=False)
    assert handshakes.crowding("192.0.2.1", 0.0, is_validated=False) is Crowding.ADDRESS


def test_the_table_of_sources_is_bounded_and_forgets_nobody_with_an_open_handshake(monkeypatch):
    monkeypatch.setattr(module, "MAX_SOURCES", 10)
    handshakes = Handshakes(HandshakeLimits(per_address=1))
    handshakes.begin("open", "192.0.2.1", 0.0, is_validated=False)
    for number in range(100):
        handshakes.begin(number, f"2001:db8:0:{number:x}::1", 0.0, is_validated=False)
        handshakes.end(number)
        assert handshakes.sources <= 10
    assert handshakes.crowding("192.0.2.1", 0.0, is_validated=False) is Crowding.ADDRESS


def test_sources_beyond_the_table_are_bounded_by_the_open_handshakes(monkeypatch):
    monkeypatch.setattr(module, "MAX_SOURCES", 2)
    handshakes = Handshakes(HandshakeLimits(unfinished=4))
    for number in range(4):
        handshakes.begin(number, f"192.0.2.{number}", 0.0, is_validated=False)
    assert handshakes.crowding("192.0.2.9", 0.0, is_validated=False) is Crowding.ALL
    assert handshakes.sources == 4


hosts = st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8:1::1"])
steps = st.lists(st.tuples(hosts, st.booleans(), st.sampled_from([0.0, 1.0, ATTEMPT_PERIOD]), st.booleans()))


@given(steps)
def test_no_limit_is_ever_exceeded(attempts):
    limits = HandshakeLimits(unfinished=5, per_address=2, attempts_per_address=4)
    handshakes = Handshakes(limits)
    now, begun, unfinished = 0.0, [], {}
    for number, (host, is_validated, wait, ends_one) in enumerate(attempts):
        now += wait
        if ends_one and unfinished:
            first = next(iter(unfinished))
            handshakes.end(first)
            del unfinished[first]
        if handshakes.crowding(host, now, is_validated=is_validated) is None:
            handshakes.begin(number, host, now, is_validated=is_validated)
            source = "2001:db8::" if host.startswith("2001:db8::") else host, is_validated
            unfinished[number] = source
            begun.append((now, source))
        assert len(handshakes) == len(unfinished) <= limits.unfinished
        for source in unfinished.values():
            assert list(unfinished.values()).count(source) <= limits.per_address
    for at, source in begun:
        within = [time for time, other in begun if other == source and at <= time < at + ATTEMPT_PERIOD]
        assert len(within) <= 2 * limits.attempts_per_address  # a full bucket, and what flows in meanwhile
