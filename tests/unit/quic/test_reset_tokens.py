"""Stateless reset tokens: found again after a restart, different for everything else."""

from wtransport._quic.reset_tokens import ResetTokens

KEY = b"private key"


def test_the_same_key_port_and_id_give_the_same_token():
    token = ResetTokens(private_key=KEY, port=443).token(b"8 bytes!")
    assert len(token) == 16
    assert ResetTokens(private_key=KEY, port=443).token(b"8 bytes!") == token


def test_nothing_else_does():
    tokens = {
        ResetTokens(private_key=key, port=port).token(cid)
        for key in (KEY, b"another")
        for port in (443, 4433, 65535)
        for cid in (b"8 bytes!", b"8 bytes?", b"")
    }
    assert len(tokens) == 18
