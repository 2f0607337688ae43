"""Wire numbers, error codes, limits and default settings.

Three files by what can change alone: `wire` follows the protocol documents, `error_codes` is the one table of codes,
`defaults` holds the settings a program gets when it says nothing. Import the names from here.

The WebTransport text meant by "the draft" everywhere in this package is draft-ietf-webtrans-http3-16 (`WT_DRAFT`);
the older drafts that peers still speak are named by number.
"""

from __future__ import annotations

# Star imports, and here only: each file lists its names in __all__, and repeating 180 of them would only drift.
from . import defaults, error_codes, wire
from .defaults import *  # noqa: F403
from .error_codes import *  # noqa: F403
from .wire import *  # noqa: F403

__all__: list[str] = []
__all__ += defaults.__all__
__all__ += error_codes.__all__
__all__ += wire.__all__
