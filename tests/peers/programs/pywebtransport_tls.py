"""What pywebtransport 0.21 (rustls) makes of the TLS side: exports keying material, with or without a certificate."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys

from pywebtransport import ClientConfig, WebTransportClient


async def main(url: str, certificate: list[str]) -> None:
    files = dict(zip(("certfile", "keyfile"), certificate, strict=True)) if certificate else {}
    async with WebTransportClient(config=ClientConfig(verify_mode=ssl.CERT_NONE, **files)) as client:
        session = await client.connect(url=url)
        exports = [
            await session.export_keying_material(label="label", context=b"", length=32),
            await session.export_keying_material(label="a longer label", context=b"\x01\x02\x03", length=100),
        ]
        print(json.dumps([each.hex() for each in exports]), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
