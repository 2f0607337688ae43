"""Which handler a path gets."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from wtransport.server import RequestRouter


async def first(session: Any) -> None: ...


async def second(session: Any) -> None: ...


async def fallback(session: Any) -> None: ...


def route(router: RequestRouter, path: str) -> Any:
    session: Any = SimpleNamespace(path=path)
    return router.route_request(session=session)


def test_an_empty_router_serves_nothing() -> None:
    assert route(RequestRouter(), "/") is None


def test_exact_paths_come_before_patterns_and_those_before_the_default() -> None:
    router = RequestRouter()
    router.set_default_handler(handler=fallback)
    router.add_pattern_route(pattern=r"/room/\d+$", handler=second)
    router.add_route(path="/room/1", handler=first)
    assert route(router, "/room/1") is first
    assert route(router, "/room/2") is second
    assert route(router, "/room/x") is fallback


def test_patterns_are_tried_in_order_and_from_the_beginning() -> None:
    router = RequestRouter()
    router.add_pattern_route(pattern="/a", handler=first)
    router.add_pattern_route(pattern="/ab", handler=second)
    assert route(router, "/abc") is first
    assert route(router, "/x/a") is None


@pytest.mark.parametrize("query", ["", "?", "?token=1", "?next=/other"])
def test_the_query_takes_no_part_in_routing(query: str) -> None:
    router = RequestRouter()
    router.add_route(path="/exact", handler=first)
    router.add_pattern_route(pattern=r"/room/\w+$", handler=second)
    assert route(router, "/exact" + query) is first
    assert route(router, "/room/a" + query) is second


def test_a_pattern_may_ask_for_a_query() -> None:
    router = RequestRouter()
    router.add_pattern_route(pattern=r"/x\?v=2", handler=second)
    assert route(router, "/x?v=2") is second
    assert route(router, "/x?v=3") is None


def test_a_path_keeps_its_newest_handler_until_it_is_removed() -> None:
    router = RequestRouter()
    router.add_route(path="/a", handler=first)
    router.add_route(path="/a", handler=second)
    assert router.get_route_handler(path="/a") is second
    router.remove_route(path="/a")
    router.remove_route(path="/a")
    assert router.get_route_handler(path="/a") is None


def test_the_list_of_routes_is_a_copy() -> None:
    router = RequestRouter()
    router.add_route(path="/a", handler=first)
    router.get_all_routes().clear()
    assert router.get_all_routes() == {"/a": first}


def test_stats_count_what_is_there() -> None:
    router = RequestRouter()
    assert router.get_route_stats() == {"exact_routes": 0, "pattern_routes": 0, "has_default_handler": False}
    router.add_route(path="/a", handler=first)
    router.add_pattern_route(pattern="/b", handler=first)
    router.set_default_handler(handler=fallback)
    assert router.get_route_stats() == {"exact_routes": 1, "pattern_routes": 1, "has_default_handler": True}


def test_mistakes_are_refused_at_the_call() -> None:
    router = RequestRouter()
    with pytest.raises(ValueError, match="path"):
        router.add_route(path="echo", handler=first)
    with pytest.raises(re.error):
        router.add_pattern_route(pattern="(", handler=first)
    not_callable: Any = "handler"
    with pytest.raises(TypeError, match="handler"):
        router.add_route(path="/a", handler=not_callable)
    with pytest.raises(TypeError, match="handler"):
        router.add_pattern_route(pattern="/a", handler=not_callable)
    with pytest.raises(TypeError, match="handler"):
        router.set_default_handler(handler=not_callable)
