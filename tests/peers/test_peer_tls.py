"""TLS between our server and a client whose TLS is not aioquic's: exporters agree, client certificates are taken."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any

import pytest
from peers import PROGRAMS, python_or_skip
from pki import Authority, Files, der_of
from serving import Certificate, serving

from wtransport import WebTransportSession

pytestmark = [pytest.mark.peer, pytest.mark.timeout(60)]


async def exports_of_client(url: str, certificate: tuple[str, ...] = ()) -> tuple[int, list[str]]:
    """Run the client; return its exit code and what it exported."""
    program = str(PROGRAMS / "pywebtransport_tls.py")
    process = await asyncio.create_subprocess_exec(
        python_or_skip("pywebtransport"), program, url, *certificate, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return process.returncode or 0, json.loads(output or b"[]")


async def meet(certificate: Certificate, files: Files | None, **settings: Any) -> tuple[int, list[str], list[Any]]:
    """Return the client's exit code, its exports, and the server's exports and what it saw as certificate."""
    seen: list[Any] = []

    async def handler(session: WebTransportSession) -> None:
        for arguments in ({"label": "label"}, {"label": "a longer label", "context": b"\x01\x02\x03", "length": 100}):
            seen.append((await session.export_keying_material(**arguments)).hex())
        seen.append(session.peer_certificate)
        async for _ in session.incoming_datagrams():
            pass

    async with serving(certificate, {"/": handler}, **settings) as site:
        return *await exports_of_client(f"{site.url}/", files or ()), seen


async def test_both_ends_export_the_same(certificate: Certificate) -> None:
    code, theirs, ours = await meet(certificate, None)
    assert code == 0
    assert [*theirs, None] == ours


@pytest.mark.parametrize("mode", [ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED])
async def test_a_clients_certificate_is_taken(certificate: Certificate, tmp_path: Path, mode: ssl.VerifyMode) -> None:
    authority = Authority(tmp_path)
    files = authority.issue()
    code, theirs, ours = await meet(certificate, files, ca_certs=authority.certfile, verify_mode=mode)
    assert code == 0
    assert [*theirs, der_of(files.certfile)] == ours


async def test_a_client_with_none_is_refused_where_one_is_required(certificate: Certificate, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    code, _, seen = await meet(certificate, None, ca_certs=authority.certfile, verify_mode=ssl.CERT_REQUIRED)
    assert code != 0
    assert seen == []


async def test_a_client_with_a_strangers_certificate_is_refused(certificate: Certificate, tmp_path: Path) -> None:
    authority, files = Authority(tmp_path), Authority(tmp_path, "stranger").issue()
    code, _, seen = await meet(certificate, files, ca_certs=authority.certfile)
    assert code != 0
    assert seen == []
