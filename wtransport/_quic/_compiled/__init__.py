"""The QUIC data path in compiled code: what happens for every packet, frame and acknowledgement.

There is no pure twin here: without these modules aioquic and the rest of `_quic` do the same work.
"""

from __future__ import annotations

from ..._speedups._library import use_library
from .kernels import NAMES  # type: ignore[import-not-found]
from .kernels import __file__ as library

use_library(__name__, library, NAMES)
