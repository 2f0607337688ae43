"""A server in a process of its own that reports what it holds: one JSON line for each line it reads.

Run by `test_server_memory`; arguments are the certificate and its key. The first line it prints is the port.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from typing import Any

from wtransport import ServerApp, ServerConfig, WebTransportSession


def _resident_kib() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def _pending_timers(loop: Any) -> int:
    """Count timers that will still fire; a cancelled one stays in the loop's heap until its time has come."""
    return sum(not handle.cancelled() for handle in loop._scheduled)


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    return await reader.readline()


async def main(certfile: str, keyfile: str) -> None:
    app = ServerApp(config=ServerConfig(bind_host="127.0.0.1", bind_port=0, certfile=certfile, keyfile=keyfile))

    @app.route(path="/echo")
    async def echo(session: WebTransportSession) -> None:
        async for stream in session.incoming_bidirectional_streams():
            await stream.write_all(data=await stream.read_all())

    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    async with app:
        await app.server.listen()
        address = app.server.local_address
        assert address is not None
        print(address[1], flush=True)
        while await _read_line(commands):
            listener = app.server._listener
            while listener is not None and len(listener._table):
                await asyncio.sleep(0.05)  # draining periods run by the clock
            gc.collect()
            report = {
                "resident_kib": _resident_kib(),
                "tasks": len(asyncio.all_tasks()),
                "timers": _pending_timers(loop),
                "objects": len(gc.get_objects()),
            }
            print(json.dumps(report), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
