"""The README: its two programs work together as they stand, and it stays one screen."""

from __future__ import annotations

from pathlib import Path

from programs import ROOT, python_blocks, run_program, started, unused_udp_port, wait_for_server

from wtransport.utils import generate_self_signed_cert

README = ROOT / "README.md"
PORT = "4433"
MOST_LINES = 70


def test_the_client_of_the_readme_talks_to_its_server(tmp_path: Path) -> None:
    programs = python_blocks(README)
    assert sorted(programs) == ["client.py", "server.py"]
    port = str(unused_udp_port())
    for name, text in programs.items():
        assert PORT in text
        # The only change: two runs of the tests on one machine must not meet on the port that the README names.
        (tmp_path / name).write_text(text.replace(PORT, port), encoding="utf-8")
    # What the README says about the certificate.
    certfile, _ = generate_self_signed_cert(hostname="localhost", output_dir=str(tmp_path))

    with started("server.py", cwd=tmp_path):
        wait_for_server(url=f"https://localhost:{port}/echo", certfile=certfile)
        printed = run_program("client.py", cwd=tmp_path)
    assert printed == "b'hello'\n"


def test_the_readme_is_one_screen() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
