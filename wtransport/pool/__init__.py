"""Bounded pools of sessions and streams that are used again and again."""

from __future__ import annotations

from .session import SessionPool
from .stream import StreamPool

__all__ = ["SessionPool", "StreamPool"]
