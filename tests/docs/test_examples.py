"""Every example of the documentation is run for real, over loopback, and prints what it should."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from examples import EXAMPLES, load_example
from programs import run_program

SHARED = {"devious_baton.py", "devious_baton_player.py", "local.py", "private_authority.py"}
"""What the examples import; no programs."""

SERVING = {"devious_baton_server.py"}
"""What runs until it is stopped; `test_devious_baton` runs it."""

# In order of time where one task prints; lines of server and client may change places.
PRINTED = {
    "certificate_reload": """\
        new connections get the new one: True
        the old connection: b'still here'
    """,
    "client_certificates": """\
        b'hello anna'
        without a certificate: refused
    """,
    "datagrams": """\
        came back: b'ping'
        too large: 100000 bytes; the limit is that of the session: True
        largest came back whole: True
        anna hears: b'hello, room'
        ben hears: b'hello, room'
        server got: b'message 0'
        server got: b'message 1'
        server got: b'message 2'
        unconfirmed: 0
    """,
    "devious_baton_client": """\
        server: got [254, 0], in datagrams [253], lost 0
        client: got [253, 255], lost 0, closed with 0
        server: got [255, 255, 255], in datagrams [], lost 0
        client: got [254, 254, 254, 0, 0, 0], lost 0, closed with 0
        server: got [253], in datagrams [], lost 1
        client: got [252, 254], lost 1, closed with 0
        client: refused with 400
    """,
    "graceful_shutdown": """\
        client: the server wants to go; finishing
        client: b'last words'
        server: everybody has left
    """,
    "keying_material": """\
        b'welcome'
    """,
    "load_balancing": """\
        in turn: ['first', 'second', 'first', 'second']
        one is away: ['second', 'second', 'second', 'second']
        it is back: ['first', 'second']
    """,
    "pools": """\
        [b'QUESTION 0\\n', b'QUESTION 1\\n', b'QUESTION 2\\n', b'QUESTION 3\\n']
        the same session: True
    """,
    "publish_subscribe": """\
        refused: not allowed
        subscribers: 1
        news: b'good morning'
        news: b'good night'
    """,
    "reconnecting": """\
        answer: b'ping'
        lost; connecting again
        answer: b'ping'
    """,
    "routes_and_middleware": """\
        server: starting
        /time b'ten past nine'
        /rooms/kitchen b'welcome to kitchen'
        /vip 503
        /nowhere 404
        wrong token 403
        wrong origin 403
        server: stopping
    """,
    "rpc_calls": """\
        by position: 3.5
        server: the client is called anna
        by name: 3.0
        at once: [0.0, 0.5, 1.0]
        error 1001 cannot divide by zero
        Method 'multiply' not found.
        gave up, and the server was told
        server: the caller does not wait any more
    """,
    "streams": """\
        upper: b'HELLO, WORLD'
        at once: [b'STREAM 0', b'STREAM 1', b'STREAM 2']
        count: b'4194304'
        time-out: nothing came within read_timeout
        server: the client gave up with code 17
        client: the server gave up with code 404
    """,
    "structured_messages": """\
        server: Position(x=1.5, y=-2.0)
        server: Question(text='what is the answer?')
        client: Answer(text='42', certainty=0.9)
    """,
    "subprotocols": """\
        chosen: chat.v2
        b'speaking chat.v2'
        without an offer: None
        chosen by the handler: game.v3
    """,
}


@pytest.mark.parametrize("name", sorted(PRINTED))
def test_example_prints_what_it_should(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(load_example(name, monkeypatch).main())
    printed = capsys.readouterr().out.splitlines()
    expected = [line.strip() for line in PRINTED[name].strip().splitlines()]
    assert sorted(printed) == sorted(expected)


def test_every_example_is_run() -> None:
    found = {path.name for path in EXAMPLES.glob("*.py")}
    assert found - SHARED - SERVING == {f"{name}.py" for name in PRINTED}


def test_an_example_is_a_program(tmp_path: Path) -> None:
    # One for all: that a script finds its imports from any directory.
    printed = run_program(str(EXAMPLES / "structured_messages.py"), cwd=tmp_path)
    assert "Answer(text='42', certainty=0.9)" in printed


def test_the_example_tests_pass(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "testing", tmp_path / "testing", ignore=shutil.ignore_patterns("__pycache__"))
    printed = run_program("-m", "pytest", cwd=tmp_path / "testing")
    assert "2 passed" in printed
