"""Sends the two messages of this library: the CONNECT request, and the response to a request."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from .._quic.port import QuicPort
from .._speedups import encode_frame
from ..constants import H3_FRAME_TYPE_HEADERS, ErrorCodes
from . import fields, handshake
from .qpack import FieldEncoder, Fields

__all__ = ["FieldSectionSender"]


_OK: Final = 200


@cache
def _plain_acceptance() -> bytes:
    """Return the HEADERS frame of a response that has no more to say than 200."""
    section = handshake.response_fields(status=_OK, headers={})
    return encode_frame(H3_FRAME_TYPE_HEADERS, FieldEncoder().encode(0, section))


class FieldSectionSender:
    """Puts field sections on request streams, in HEADERS frames."""

    def __init__(self, port: QuicPort, encoder: FieldEncoder) -> None:
        """`encoder` is the connection's own."""
        self._port = port
        self._encoder = encoder

    def send_request(self, stream_id: int, section: Fields) -> None:
        """Send a CONNECT request, whose field section `handshake.request_fields` made."""
        self._send(stream_id, section, end_stream=False)

    def send_response(
        self,
        stream_id: int,
        status: int,
        *,
        headers: Mapping[str, str],
        protocol: str | None = None,
        request: Mapping[str, str] | None = None,
    ) -> None:
        """Send a final response; one that opens no session ends the stream, and the request is read no further.

        Arguments are those of `handshake.response_fields`.

        Raises:
            ValueError: status, protocol or a header cannot be sent; nothing was.
            TypeError: a header is not made of strings.
        """
        if status == _OK and not headers and protocol is None and not handshake.has_draft02_header(request or {}):
            self._port.send_stream(stream_id, _plain_acceptance(), False)  # as nearly always
            return
        opens = 200 <= status < 300
        section = handshake.response_fields(
            status=status,
            headers=fields.check_user_headers(headers, opens_session=opens),
            protocol=protocol,
            request=request or {},
        )
        self._send(stream_id, section, end_stream=not opens)
        if not opens:
            self._port.stop_stream(stream_id, ErrorCodes.H3_NO_ERROR)

    def _send(self, stream_id: int, section: Fields, *, end_stream: bool) -> None:
        frame = encode_frame(H3_FRAME_TYPE_HEADERS, self._encoder.encode(stream_id, section))
        self._port.send_stream(stream_id, frame, end_stream)
