"""The middleware chain, and each middleware of the package."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from wtransport.server import (
    MiddlewareManager,
    create_auth_middleware,
    create_cors_middleware,
    create_logging_middleware,
    create_rate_limit_middleware,
)
from wtransport.server.middleware import RateLimiter


def make_session(
    *, path: str = "/", address: tuple[str, int] | None = ("192.0.2.1", 1), headers: dict[str, str] | None = None
) -> Any:
    return SimpleNamespace(path=path, headers=headers or {}, connection=SimpleNamespace(remote_address=address))


class Recorder:
    """A middleware that notes its calls in a shared list."""

    def __init__(self, calls: list[str], name: str, *, answer: bool = True) -> None:
        self.calls, self.name, self.answer = calls, name, answer

    async def __call__(self, *, session: Any) -> bool:
        self.calls.append(self.name)
        return self.answer


async def test_an_empty_chain_lets_everything_pass() -> None:
    assert await MiddlewareManager().process_request(session=make_session())


async def test_the_chain_runs_in_order_and_ends_at_the_first_refusal() -> None:
    calls: list[str] = []
    chain = MiddlewareManager()
    for name, answer in (("a", True), ("b", False), ("c", True)):
        chain.add_middleware(middleware=Recorder(calls, name, answer=answer))
    assert not await chain.process_request(session=make_session())
    assert calls == ["a", "b"]


async def test_an_exception_refuses_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(*, session: Any) -> bool:
        raise RuntimeError("broken on purpose")

    chain = MiddlewareManager()
    chain.add_middleware(middleware=broken)
    with caplog.at_level(logging.ERROR):
        assert not await chain.process_request(session=make_session())
    assert "broken on purpose" in caplog.text


async def test_middleware_can_be_removed() -> None:
    calls: list[str] = []
    chain = MiddlewareManager()
    one, two = Recorder(calls, "one"), Recorder(calls, "two")
    chain.add_middleware(middleware=one)
    chain.add_middleware(middleware=two)
    chain.remove_middleware(middleware=one)
    chain.remove_middleware(middleware=one)
    assert chain.get_middleware_count() == 1
    assert await chain.process_request(session=make_session())
    assert calls == ["two"]


def test_middleware_must_be_callable() -> None:
    not_callable: Any = object()
    with pytest.raises(TypeError, match="middleware"):
        MiddlewareManager().add_middleware(middleware=not_callable)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_the_rate_limit_window_slides() -> None:
    clock = Clock()
    limiter = RateLimiter(max_requests=2, window_seconds=10, clock=clock)
    session = make_session()
    assert await limiter(session=session)  # at 0
    clock.now += 6
    assert await limiter(session=session)  # at 6
    clock.now += 3
    assert not await limiter(session=session)  # at 9: both are in the window
    clock.now += 1
    assert await limiter(session=session)  # at 10: the first one left, the refusal did not count
    assert not await limiter(session=session)
    clock.now += 6
    assert await limiter(session=session)  # at 16: the one of 6 left


async def test_addresses_are_limited_apart_whatever_their_ports() -> None:
    limiter = RateLimiter(max_requests=1, window_seconds=10, clock=Clock())
    assert await limiter(session=make_session(address=("192.0.2.1", 1000)))
    assert not await limiter(session=make_session(address=("192.0.2.1", 2000)))
    assert await limiter(session=make_session(address=("2001:db8::1", 1000)))


async def test_a_request_without_an_address_is_refused() -> None:
    assert not await create_rate_limit_middleware()(session=make_session(address=None))


async def test_idle_addresses_are_forgotten() -> None:
    clock = Clock()
    limiter = RateLimiter(max_requests=5, window_seconds=10, cleanup_interval=100, clock=clock)
    for n in range(50):
        assert await limiter(session=make_session(address=(f"192.0.2.{n}", 1)))
    assert len(limiter) == 50
    clock.now += 101
    assert await limiter(session=make_session())
    assert len(limiter) == 1


async def test_the_table_of_addresses_is_bounded_and_keeps_the_recent_ones() -> None:
    clock = Clock()
    limiter = RateLimiter(max_requests=1, window_seconds=10, max_tracked_clients=3, clock=clock)
    for n in (1, 2, 3):
        assert await limiter(session=make_session(address=(f"192.0.2.{n}", 1)))
    assert not await limiter(session=make_session(address=("192.0.2.1", 1)))  # now the most recent one
    assert await limiter(session=make_session(address=("192.0.2.4", 1)))  # drops 192.0.2.2
    assert len(limiter) == 3
    assert not await limiter(session=make_session(address=("192.0.2.1", 1)))
    assert await limiter(session=make_session(address=("192.0.2.2", 1)))


async def test_a_rate_limiter_starts_anew_when_entered_and_is_empty_when_left() -> None:
    limiter = RateLimiter(max_requests=1, window_seconds=10, clock=Clock())
    assert await limiter(session=make_session())
    async with limiter as entered:
        assert entered is limiter
        assert await limiter(session=make_session())
    assert len(limiter) == 0


@pytest.mark.parametrize("name", ["max_requests", "window_seconds", "cleanup_interval"])
def test_rate_limits_must_be_positive(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        create_rate_limit_middleware(**{name: 0})


@pytest.mark.parametrize(
    ("allowed", "origin", "passes"),
    [
        (["https://example.org"], "https://example.org", True),
        (["https://example.org", "http://localhost:8080"], "http://localhost:8080", True),
        (["https://example.org"], "https://example.org.evil.test", False),
        (["https://example.org"], "https://evil-example.org", False),
        (["https://example.org"], "http://example.org", False),
        (["https://example.org"], "https://example.org:8443", False),
        (["https://*.example.org"], "https://a.example.org", False),
        (["https://example.org"], "null", False),
        (["*"], "https://anything.test", True),
        (["*"], None, False),
        (["https://example.org"], None, False),
        ([], "https://example.org", False),
    ],
)
async def test_origins_are_compared_exactly(allowed: list[str], origin: str | None, passes: bool) -> None:
    headers = {} if origin is None else {"origin": origin}
    middleware = create_cors_middleware(allowed_origins=allowed)
    assert await middleware(session=make_session(headers=headers)) is passes


def test_origins_must_be_a_list() -> None:
    one_string: Any = "https://example.org"
    with pytest.raises(TypeError, match="allowed_origins"):
        create_cors_middleware(allowed_origins=one_string)


@pytest.mark.parametrize(("token", "passes"), [("secret", True), ("guess", False)])
async def test_authentication_sees_the_request_headers(token: str, passes: bool) -> None:
    async def check(*, headers: dict[str, str]) -> bool:
        return headers.get("authorization") == "secret"

    middleware = create_auth_middleware(auth_handler=check)
    assert await middleware(session=make_session(headers={"authorization": token})) is passes


async def test_a_failing_authentication_refuses() -> None:
    async def check(*, headers: dict[str, str]) -> bool:
        raise OSError("directory is down")

    chain = MiddlewareManager()
    chain.add_middleware(middleware=create_auth_middleware(auth_handler=check))
    assert not await chain.process_request(session=make_session())


async def test_the_logging_middleware_names_path_and_address(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="wtransport"):
        assert await create_logging_middleware()(session=make_session(path="/echo"))
    assert "/echo" in caplog.text
    assert "192.0.2.1" in caplog.text
