"""Who takes what arrives on a QUIC stream: the engine keeps one reader for each stream that is alive."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .host import EngineHost

__all__ = ["DiscardingReader", "StreamReader"]


class StreamReader:
    """Takes the bytes and signals of one stream. Nothing happens unless a subclass says otherwise."""

    __slots__ = ()

    @property
    def is_beginning(self) -> bool:
        """Tell whether the peer still owes what it opened the stream for: a session's id, or a whole request."""
        return False

    def give_up(self) -> None:
        """Reset and stop a stream whose beginning takes too long."""

    def on_data(self, data: bytes, end_stream: bool) -> None:
        """Take bytes in order, and the FIN."""

    def on_reset(self, wire_code: int, final_size: int) -> None:
        """Take RESET_STREAM: nothing more will come."""

    def on_stopped(self, wire_code: int, unsent: int) -> None:
        """Take STOP_SENDING: what we wrote is no longer wanted, and `unsent` bytes of it were dropped."""

    def on_discarded(self, final_size: int) -> None:
        """Take the end of a stream whose reading was given up."""

    def on_drained(self) -> None:
        """Take the port's word that the unsent bytes fell to the mark asked for."""

    def on_room(self) -> None:
        """Take the port's word that it has room for more bytes."""


class DiscardingReader(StreamReader):
    """Waits for the end of a stream that we stopped; what was already on its way is credited and dropped."""

    __slots__ = ("_counted", "_host", "_stream_id")

    def __init__(self, host: EngineHost, stream_id: int, *, counted: int | None = None) -> None:
        """Wait. Of a data stream so many bytes, with its header, were `counted`; None: it is no data stream."""
        self._host = host
        self._stream_id = stream_id
        self._counted = counted

    def on_data(self, data: bytes, end_stream: bool) -> None:
        """Drop bytes."""
        self._host.port.consume(self._stream_id, len(data))
        if self._counted is not None:
            self._count_up_to(self._counted + len(data))
        if end_stream:
            self._host.forget_stream(self._stream_id)

    def on_reset(self, wire_code: int, final_size: int) -> None:
        """Stop waiting."""
        self._count_up_to(final_size)
        self._host.forget_stream(self._stream_id)

    def on_discarded(self, final_size: int) -> None:
        """Stop waiting."""
        self._count_up_to(final_size)
        self._host.forget_stream(self._stream_id)

    def _count_up_to(self, offset: int) -> None:
        if self._counted is not None and offset > self._counted:
            self._host.traffic.count_late_bytes(offset - self._counted)
            self._counted = offset
