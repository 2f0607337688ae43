"""Application error codes on the wire (draft-ietf-webtrans-http3-16, section 4.4).

RESET_STREAM and STOP_SENDING carry HTTP/3 codes. The 32-bit codes of WebTransport applications are spread over a range
of them that leaves out the code points of the form ``31 * n + 33``, which HTTP/3 reserves (RFC 9114, section 8.1).
"""

from __future__ import annotations

from typing import Final

from ..constants import MAX_APPLICATION_ERROR_CODE, ErrorCodes

__all__ = ["from_wire", "to_wire"]

_FIRST: Final = int(ErrorCodes.WT_APPLICATION_ERROR_FIRST)
_LAST: Final = int(ErrorCodes.WT_APPLICATION_ERROR_LAST)


def to_wire(application_code: int) -> int:
    """Return the HTTP/3 error code that stands for an application error code.

    Raises:
        TypeError: application_code is not an int.
        ValueError: application_code is not in 0..2**32-1.
    """
    if not isinstance(application_code, int):
        raise TypeError(f"application_code must be an int, not {type(application_code).__name__}")
    if not 0 <= application_code <= MAX_APPLICATION_ERROR_CODE:
        raise ValueError(f"application_code must be in 0..2**32-1, not {application_code}")
    return _FIRST + application_code + application_code // 30


def from_wire(code: int) -> int | None:
    """Return the application error code that an HTTP/3 error code stands for, or None when it stands for none."""
    if not _FIRST <= code <= _LAST or (code - 0x21) % 31 == 0:
        return None
    shifted = code - _FIRST
    return shifted - shifted // 31
