"""Keys of X25519, and the spare one."""

from __future__ import annotations

import os

import pytest
from engine_pair import EnginePair
from network import SERVER_ADDRESS

from wtransport._quic import key_agreement
from wtransport._quic.key_agreement import generate_x25519, prepare_x25519, read_x25519, take_x25519


def share(key) -> bytes:
    return key.public_key().public_bytes_raw()


@pytest.fixture
def is_taken(monkeypatch):
    """Have spare keys made also where nobody takes them."""
    monkeypatch.setattr("wtransport._quic.key_agreement.IS_COMPILED", True)


@pytest.fixture(autouse=True)
def no_spare():
    take_x25519()
    yield
    take_x25519()


def test_two_keys_agree() -> None:
    ours, theirs = generate_x25519(), take_x25519()
    assert ours.exchange(read_x25519(share(theirs))) == theirs.exchange(read_x25519(share(ours)))


def test_a_share_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError):
        read_x25519(bytes(31))


def test_no_key_is_taken_twice(is_taken) -> None:
    taken = []
    for round_number in range(6):
        if round_number % 3:
            prepare_x25519()
        taken.append(share(take_x25519()))
    assert len(set(taken)) == len(taken)


def test_the_spare_key_is_taken_and_there_is_one_at_most(is_taken, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def generate():
        made.append(generate_x25519())
        return made[-1]

    monkeypatch.setattr("wtransport._quic.key_agreement.generate_x25519", generate)
    prepare_x25519()
    prepare_x25519()
    assert len(made) == 1
    assert take_x25519() is made[0]
    assert take_x25519() is made[1]
    assert len(made) == 2


@pytest.mark.parametrize("is_client", [False, True])
def test_a_spare_key_is_made_only_if_the_next_handshake_takes_it(is_client, certificate) -> None:
    ends = EnginePair(certificate)
    if is_client:
        prepare_x25519()
    ends.client.port.connect(SERVER_ADDRESS, ends.now)
    if not is_client:
        prepare_x25519()  # after the client has taken its own
    ends.pump()
    assert ends.client.is_ready
    assert not key_agreement._spare


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_the_child_of_a_fork_has_no_spare_key_of_its_parent(is_taken) -> None:
    prepare_x25519()
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(write_end, share(take_x25519()))
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        theirs = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    assert len(theirs) == 32
    assert theirs != share(take_x25519())
