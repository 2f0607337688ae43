"""The stream table and the writer of its frames, of the side that `backend` chose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .backend import IS_COMPILED

if TYPE_CHECKING or not IS_COMPILED:
    from .frame_writer import FrameWriter
    from .stream_table import StreamTable
    from .streams import QuicStream
else:
    from ._compiled.frames import FrameWriter
    from ._compiled.streams import QuicStream
    from ._compiled.table import StreamTable

__all__ = ["FrameWriter", "QuicStream", "StreamTable"]
