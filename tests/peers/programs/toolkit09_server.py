"""The toolkit of pywebtransport 0.9.1 on server handles of ours; the path says the exercise, and who acts."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # this checkout of wtransport

import peerkit
from toolkit_exercise import act, serve, toolkit_of

from wtransport import ServerApp, ServerConfig, WebTransportSession

toolkit = toolkit_of("pywebtransport")


async def exercise(session: WebTransportSession) -> None:
    """The path names what the client does; this end does the other part."""
    _, name, role = session.path.split("/")
    stream = await anext(session.incoming_bidirectional_streams())
    try:
        if role == "serves":
            found = await act(name, toolkit, session, stream)
        else:
            found = await serve(name, toolkit, session, stream)
    except BaseException as error:
        await session.close(error_code=1, reason=repr(error))
        raise
    await session.close(reason=json.dumps(found))


async def run(cert: str, key: str, port: int) -> None:
    config = ServerConfig(bind_host=peerkit.HOST, bind_port=port, certfile=cert, keyfile=key)
    app = ServerApp(config=config)
    app.pattern_route(pattern="/.*")(exercise)
    async with app:
        serving = asyncio.ensure_future(app.serve())
        while not app.server.is_serving:
            await asyncio.sleep(0.01)
        peerkit.ready(port)
        await peerkit.until_stdin_ends()
        serving.cancel()


if __name__ == "__main__":
    peerkit.run_server(run)
