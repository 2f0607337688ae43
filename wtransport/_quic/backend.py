"""Which code does what happens for every packet: the compiled data path, or aioquic and the rest of this package."""

from __future__ import annotations

import os

import aioquic

from .._speedups import BACKEND

SWITCH = "WTRANSPORT_QUIC"
"""The environment variable that, when it is ``aioquic``, leaves packets to aioquic although kernels are compiled."""

KNOWN_VERSIONS = ("1.7.",)
"""How the versions of aioquic begin whose internals the compiled data path knows."""


def uses_compiled(*, kernels: str, aioquic_version: str, switch: str) -> bool:
    """Tell whether the compiled data path is to be used.

    Args:
        kernels: `BACKEND` of the kernels; the data path is built with them, all or nothing.
        aioquic_version: the one that is installed.
        switch: what `SWITCH` is set to; empty when it is not.
    """
    return kernels == "cython" and aioquic_version.startswith(KNOWN_VERSIONS) and switch.strip().lower() != "aioquic"


IS_COMPILED = uses_compiled(kernels=BACKEND, aioquic_version=aioquic.__version__, switch=os.environ.get(SWITCH, ""))
