# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""The log of a connection, which nearly nobody reads: to find that out takes no call into Python.

The twin is `_DebugLog` in `_quic/hardened_connection.py`.
"""

from __future__ import annotations

import logging

from aioquic.quic.connection import QuicConnectionAdapter

cdef object _DEBUG = logging.DEBUG
cdef object _INFO = logging.INFO
cdef object _Logger = logging.Logger


cdef bint _is_on(logger, level) except -1:
    """Do what ``Logger.isEnabledFor`` does, which remembers its answers; where they are not to be found it is asked."""
    if type(logger) is _Logger:
        if logger.disabled:
            return False
        answers = getattr(logger, "_cache", None)
        if type(answers) is dict:
            known = (<dict> answers).get(level)
            if known is not None:
                return known
    return logger.isEnabledFor(level)


cdef class DebugLog:
    """DebugLog(logger, extra)\n--\n\naioquic's log without its warnings; all that nobody sees costs next to nothing."""

    cdef readonly object logger
    cdef readonly object extra

    def __init__(self, logger, extra):
        self.logger = logger
        self.extra = extra

    def isEnabledFor(self, level):
        """Tell whether anybody sees messages of a level."""
        return _is_on(self.logger, level)

    def debug(self, msg, *args, **kwargs):
        """Log for debugging."""
        if _is_on(self.logger, _DEBUG):
            QuicConnectionAdapter(self.logger, self.extra).debug(msg, *args, **kwargs)

    warning = debug  # every broken packet of a stranger could cause one

    def info(self, msg, *args, **kwargs):
        """Log for information."""
        if _is_on(self.logger, _INFO):
            QuicConnectionAdapter(self.logger, self.extra).info(msg, *args, **kwargs)

    def __getattr__(self, name):
        return getattr(QuicConnectionAdapter(self.logger, self.extra), name)
