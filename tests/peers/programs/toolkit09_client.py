"""The toolkit of pywebtransport 0.9.1 on client handles of ours: one exercise, acting or serving."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # this checkout of wtransport

from toolkit_exercise import act, serve, toolkit_of

from wtransport import ClientConfig, WebTransportClient


async def main(options: argparse.Namespace) -> object:
    toolkit = toolkit_of("pywebtransport")
    async with WebTransportClient(config=ClientConfig(ca_certs=options.cert)) as client:
        session = await client.connect(url=f"{options.url}/{options.exercise}/{options.role}")
        stream = await session.create_bidirectional_stream()
        if options.role == "acts":
            found = await act(options.exercise, toolkit, session, stream)
        else:
            found = await serve(options.exercise, toolkit, session, stream)
        await session.close()
        return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("--url", "--cert", "--exercise", "--role"):
        parser.add_argument(name, required=True)
    print(json.dumps(asyncio.run(main(parser.parse_args()))), flush=True)
