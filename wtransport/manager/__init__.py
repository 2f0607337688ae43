"""Bounded collections of live connections and sessions."""

from __future__ import annotations

from .connection import ConnectionManager
from .session import SessionManager

__all__ = ["ConnectionManager", "SessionManager"]
