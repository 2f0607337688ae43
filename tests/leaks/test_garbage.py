"""A connection that is over is freed at once, at both ends, without waiting for the garbage collector."""

from __future__ import annotations

import asyncio
import gc
import ssl
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from serving import Certificate, serving

from wtransport import ClientConfig, WebTransportClient, WebTransportSession
from wtransport.types import EventType

CONNECTIONS = 3


@asynccontextmanager
async def _nothing_collected() -> AsyncIterator[list[Any]]:
    """What only the collector would have freed of this package, in a list that is filled at the end."""
    found: list[Any] = []
    gc.collect()
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found += [each for each in gc.garbage if type(each).__module__.startswith("wtransport")]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def test_a_connection_that_is_over_is_no_work_for_the_garbage_collector(certificate: Certificate) -> None:
    handles: list[weakref.ref[Any]] = []

    def note(session: WebTransportSession) -> None:
        handles.extend((weakref.ref(session), weakref.ref(session.connection)))

    async def stay(session: WebTransportSession) -> None:
        note(session)
        if not session.is_closed:
            await session.events.wait_for(event_type=EventType.SESSION_CLOSED)

    async with serving(certificate, {"/": stay}) as site, _nothing_collected() as found:
        for _ in range(CONNECTIONS):
            async with WebTransportClient(config=ClientConfig(verify_mode=ssl.CERT_NONE)) as client:
                session = await client.connect(url=site.url + "/")
                note(session)
                del session
        async with asyncio.timeout(20):  # the server's draining periods
            while any(handle() is not None for handle in handles):
                await asyncio.sleep(0.05)
    assert len(handles) == 4 * CONNECTIONS
    assert [type(each).__name__ for each in found] == []
