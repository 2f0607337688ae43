"""Results that were found before, kept for whoever asks for the same next."""

from __future__ import annotations

from typing import TypeVar

__all__ = ["MAX_REMEMBERED", "Remembered"]

MAX_REMEMBERED = 64
"""Results in one memory; with one more all are forgotten: what many ask for is soon there again."""

_Key = TypeVar("_Key")
_Result = TypeVar("_Result")


class Remembered(dict[_Key, _Result]):
    """Results by what they were found from, a bounded number; looked up as in any dictionary."""

    __slots__ = ()

    def remember(self, key: _Key, result: _Result) -> None:
        """Keep a result that was not known."""
        if len(self) >= MAX_REMEMBERED:
            self.clear()
        self[key] = result
