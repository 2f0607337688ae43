"""The stream on which both ends send."""

from __future__ import annotations

from ..constants import ErrorCodes
from ..types import StreamDirection
from ._base import checked_code
from .receive import WebTransportReceiveStream
from .send import WebTransportSendStream

__all__ = ["WebTransportStream"]


class WebTransportStream(WebTransportReceiveStream, WebTransportSendStream):
    """A bidirectional stream: everything of the receive stream and of the send stream."""

    __slots__ = ()

    _DIRECTION = StreamDirection.BIDIRECTIONAL

    async def close(self, *, error_code: int | None = None) -> None:
        """End both sides. No effect on a closed stream.

        Args:
            error_code: None sends the FIN and asks the peer to stop sending if its FIN has not come; a code
                (0..2**32-1) resets the sending side with it and asks the peer to stop, also with it.
        """
        if error_code is None:
            self._close()
        else:
            self._abort(checked_code(error_code))

    def _close(self) -> None:
        self._finish()
        self._stop(int(ErrorCodes.NO_ERROR))

    def _abort(self, error_code: int) -> None:
        self._reset(error_code)
        self._stop(error_code)
