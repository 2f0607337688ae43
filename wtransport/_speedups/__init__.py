"""Kernels: the small functions and classes that run for every packet, compiled where that was possible.

Each has a pure Python twin with the same signature, results and errors; all of them come from one side, never a
mix. ``BACKEND`` names it. Not built is quiet and means pure Python; built but broken is an ``ImportError``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._switches import REQUIRE_EXTENSIONS, compiled_required, pure_requested

BACKEND: str

if TYPE_CHECKING or pure_requested():
    from ._pure import (
        CapsuleParser,
        ChunkQueue,
        DatagramInbox,
        DatagramQueue,
        DataStream,
        DeadlineTimer,
        Doorway,
        DriverLoop,
        FrameParser,
        HandlerCaller,
        PortEvents,
        ReceiveCredit,
        SendCredit,
        SessionCreditBooks,
        SessionStreams,
        StreamBytes,
        StreamHandle,
        StreamPlaces,
        StreamRegistry,
        StreamSignal,
        UdpSocket,
        decode_datagram,
        decode_stream_header,
        decode_varint,
        encode_capsule,
        encode_datagram,
        encode_frame,
        encode_frame_header,
        encode_stream_header,
        encode_varint,
        encode_varint_into,
        packet_owners,
        packet_runs,
        packets_size,
        packets_to,
        sort_datagrams,
        varint_size,
    )

    BACKEND = "python"
else:
    try:
        from ._compiled import (
            CapsuleParser,
            ChunkQueue,
            DatagramInbox,
            DatagramQueue,
            DataStream,
            DeadlineTimer,
            Doorway,
            DriverLoop,
            FrameParser,
            HandlerCaller,
            PortEvents,
            ReceiveCredit,
            SendCredit,
            SessionCreditBooks,
            SessionStreams,
            StreamBytes,
            StreamHandle,
            StreamPlaces,
            StreamRegistry,
            StreamSignal,
            UdpSocket,
            decode_datagram,
            decode_stream_header,
            decode_varint,
            encode_capsule,
            encode_datagram,
            encode_frame,
            encode_frame_header,
            encode_stream_header,
            encode_varint,
            encode_varint_into,
            packet_owners,
            packet_runs,
            packets_size,
            packets_to,
            sort_datagrams,
            varint_size,
        )

        BACKEND = "cython"
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(f"{__name__}._compiled."):
            raise  # a kernel is there and misses something else: broken, not absent
        if compiled_required():
            raise ImportError(f"{REQUIRE_EXTENSIONS} is set, but {error.name} was not compiled") from error
        from ._pure import (
            CapsuleParser,
            ChunkQueue,
            DatagramInbox,
            DatagramQueue,
            DataStream,
            DeadlineTimer,
            Doorway,
            DriverLoop,
            FrameParser,
            HandlerCaller,
            PortEvents,
            ReceiveCredit,
            SendCredit,
            SessionCreditBooks,
            SessionStreams,
            StreamBytes,
            StreamHandle,
            StreamPlaces,
            StreamRegistry,
            StreamSignal,
            UdpSocket,
            decode_datagram,
            decode_stream_header,
            decode_varint,
            encode_capsule,
            encode_datagram,
            encode_frame,
            encode_frame_header,
            encode_stream_header,
            encode_varint,
            encode_varint_into,
            packet_owners,
            packet_runs,
            packets_size,
            packets_to,
            sort_datagrams,
            varint_size,
        )

        BACKEND = "python"

__all__ = [
    "BACKEND",
    "CapsuleParser",
    "ChunkQueue",
    "DataStream",
    "DatagramInbox",
    "DatagramQueue",
    "DeadlineTimer",
    "Doorway",
    "DriverLoop",
    "FrameParser",
    "HandlerCaller",
    "PortEvents",
    "ReceiveCredit",
    "SendCredit",
    "SessionCreditBooks",
    "SessionStreams",
    "StreamBytes",
    "StreamHandle",
    "StreamPlaces",
    "StreamRegistry",
    "StreamSignal",
    "UdpSocket",
    "decode_datagram",
    "decode_stream_header",
    "decode_varint",
    "encode_capsule",
    "encode_datagram",
    "encode_frame",
    "encode_frame_header",
    "encode_stream_header",
    "encode_varint",
    "encode_varint_into",
    "packet_owners",
    "packet_runs",
    "packets_size",
    "packets_to",
    "sort_datagrams",
    "varint_size",
]
