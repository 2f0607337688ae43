"""The kernels compiled by Cython, a module per file and all in one library; types come from their pure twins."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._pure import (
        CapsuleParser,
        ChunkQueue,
        DatagramInbox,
        DatagramQueue,
        DatagramTap,
        DataStream,
        DeadlineTimer,
        Doorway,
        DriverLoop,
        FrameParser,
        HandlerCaller,
        KeptStreams,
        Listener,
        PortEvents,
        ReceiveCredit,
        SendCredit,
        SessionCreditBooks,
        SessionStreams,
        SpareTask,
        StreamArrivals,
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
else:
    from .._library import use_library
    from .kernels import NAMES
    from .kernels import __file__ as library

    use_library(__name__, library, NAMES)

    from .arrivals import KeptStreams, StreamArrivals
    from .capsules import CapsuleParser, encode_capsule
    from .chunks import ChunkQueue
    from .credit import ReceiveCredit, SendCredit
    from .data_stream import DataStream, StreamBytes, StreamSignal
    from .datagrams import DatagramInbox, DatagramQueue, DatagramTap, decode_datagram, encode_datagram, sort_datagrams
    from .deadline_timer import DeadlineTimer
    from .doorway import Doorway
    from .driver_loop import DriverLoop
    from .frames import FrameParser, decode_stream_header, encode_frame, encode_frame_header, encode_stream_header
    from .handlers import HandlerCaller, Listener
    from .packets import packet_owners, packet_runs, packets_size, packets_to
    from .port_events import PortEvents
    from .session_streams import SessionCreditBooks, SessionStreams, StreamPlaces, StreamRegistry
    from .spare_task import SpareTask
    from .stream_handle import StreamHandle
    from .udp_socket import UdpSocket
    from .varint import decode_varint, encode_varint, encode_varint_into, varint_size

__all__ = [
    "CapsuleParser",
    "ChunkQueue",
    "DataStream",
    "DatagramInbox",
    "DatagramQueue",
    "DatagramTap",
    "DeadlineTimer",
    "Doorway",
    "DriverLoop",
    "FrameParser",
    "HandlerCaller",
    "KeptStreams",
    "Listener",
    "PortEvents",
    "ReceiveCredit",
    "SendCredit",
    "SessionCreditBooks",
    "SessionStreams",
    "SpareTask",
    "StreamArrivals",
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
