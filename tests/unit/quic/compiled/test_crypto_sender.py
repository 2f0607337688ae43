"""`CryptoSender`: TLS messages are sent, and sent again, as aioquic's sender does it."""

from __future__ import annotations

import random

import pytest
from aioquic.quic.packet_builder import QuicDeliveryState
from aioquic.quic.stream import QuicStreamSender

from wtransport._quic._compiled import crypto_sender

ACKED, LOST = QuicDeliveryState.ACKED, QuicDeliveryState.LOST


def sent(sender, *sizes):
    return [sender.get_frame(size) for size in sizes]


def test_messages_go_out_in_frames_with_the_room_they_find():
    sender = crypto_sender.CryptoSender()
    assert sender.buffer_is_empty
    assert sender.get_frame(100) is None
    sender.write(b"hello, ")
    sender.write(bytearray(b"world"))
    frames = sent(sender, 5, 0, -1, 100, 100)
    assert [frame and (frame.offset, frame.data, frame.fin) for frame in frames] == [
        (0, b"hello", False),
        None,
        None,
        (5, b", world", False),
        None,
    ]
    assert sender.buffer_is_empty
    assert sender.next_offset == 12


def test_what_was_lost_goes_out_first_and_once():
    sender = crypto_sender.CryptoSender()
    sender.write(bytes(range(30)))
    sent(sender, 10, 10)
    for _ in range(2):
        sender.on_data_delivery(LOST, 10, 20, False)
        sender.on_data_delivery(LOST, 0, 10, False)
    assert sender.next_offset == 0
    frames = sent(sender, 4, 100, 100, 100, 100)
    assert [frame and (frame.offset, len(frame.data)) for frame in frames] == [(0, 4), (4, 6), (10, 10), (20, 10), None]


def test_what_arrived_late_is_not_sent_again():
    sender = crypto_sender.CryptoSender()
    sender.write(bytes(10))
    sender.get_frame(10)
    sender.on_data_delivery(LOST, 0, 10, False)
    assert not sender.buffer_is_empty
    sender.on_data_delivery(ACKED, 0, 10, False)
    assert sender.buffer_is_empty


@pytest.mark.parametrize("seed", range(50))
def test_it_does_what_aioquics_does(seed):
    draw = random.Random(seed)
    ours, theirs = crypto_sender.CryptoSender(), QuicStreamSender(stream_id=None, writable=True)
    under_way: list[tuple[int, int]] = []
    for _ in range(60):
        match draw.randrange(4):
            case 0:
                data = draw.randbytes(draw.randrange(40))
                ours.write(data)
                theirs.write(data)
            case 1 if under_way:
                start, stop = under_way.pop(draw.randrange(len(under_way)))
                fate = draw.choice((ACKED, LOST))
                ours.on_data_delivery(fate, start, stop, False)
                theirs.on_data_delivery(fate, start, stop, False)
            case _:
                assert ours.next_offset == theirs.next_offset
                frame = ours.get_frame(10)
                expected = theirs.get_frame(len(frame.data) if frame is not None else 10)
                assert frame == expected
                if frame is not None:
                    under_way.append((frame.offset, frame.offset + len(frame.data)))
