"""A thousand sessions and ten thousand streams, ended in every way: the engine keeps nothing of them."""

from __future__ import annotations

from scripted_peer import DRAIN, MakePeer, datagram, with_flow_control

MORE = with_flow_control(data=1 << 20, bidi=1 << 20, uni=1 << 20)


def test_a_thousand_sessions_leave_nothing(server: MakePeer) -> None:
    peer = server(settings=MORE)
    endings = ["ours", "theirs", "fin", "reset", "stop", "reject", "violation"]
    for number in range(1000):
        early = peer.open_stream(number * 4 * 3, b"early", unidirectional=True)
        ending = endings[number % len(endings)]
        session_id = peer.request()
        session = peer.take_event("SessionRequested").session
        if ending == "reject":
            session.reject(404)
        else:
            session.accept()
        peer.open_stream(session_id, b"unread", unidirectional=False)
        peer.open_stream(session_id, b"unread", unidirectional=True, fin=True)
        peer.datagrams(datagram(session_id, b"x"))
        match ending:
            case "ours":
                session.open_stream(unidirectional=False).write(b"x")
                session.close(1)
                peer.send(session_id, b"", fin=True)
            case "theirs":
                peer.send_close(session_id, 1)
            case "fin":
                peer.send(session_id, b"", fin=True)
            case "reset":
                peer.reset(session_id, 0x10C)
            case "stop":
                peer.stop(session_id, 0x10C)
            case "violation":
                peer.send_capsule(session_id, DRAIN, b"x")
        peer.answer_ends()
        peer.events.clear()
        assert early in peer.port.streams
        assert peer.port.held_credit == 0
        peer.port.streams = {key: value for key, value in peer.port.streams.items() if key in (2, 3)}
        peer.next_id(unidirectional=False)
    peer.assert_nothing_left()
    assert len(peer.engine._router._ended_sessions) <= 256
    assert peer.closed is None


def test_ten_thousand_streams_leave_nothing(engine: MakePeer) -> None:
    peer = engine(settings=MORE)
    session = peer.open_session()
    for number in range(10_000):
        unidirectional = bool(number & 1)
        if not number % 1000:
            peer.wait(5.0)  # so many streams must not be aborted at once
        if number & 2:
            stream = session.open_stream(unidirectional=unidirectional)
            assert stream is not None
            stream_id = stream.stream_id
        else:
            stream_id = peer.open_stream(0, b"x", unidirectional=unidirectional)
            stream = peer.stream(stream_id)
            stream.take()
            if number & 4:
                stream.read()
        if stream.is_local or not unidirectional:
            match number >> 3 & 3:
                case 0 | 1:
                    stream.write(b"y", end_stream=True)
                case 2:
                    stream.reset(1)
                case _:
                    peer.stop(stream_id, 1)
        if not (stream.is_local and unidirectional):
            match number >> 5 & 3:
                case 0 | 1:
                    peer.send(stream_id, b"z", fin=True)
                case 2:
                    peer.reset(stream_id, 1)
                case _:
                    stream.stop(1)
                    peer.answer_ends()
        stream.stop(0) if stream.can_receive else None
        del peer.port.streams[stream_id]
    peer.pump()
    assert peer.names().count("StreamFinished") == 10_000
    assert session.streams == {}
    assert not session.credit._blocked
    assert not session.credit._unsettled
    assert not len(peer.engine.places)
    session.close()
    peer.send(0, b"", fin=True)
    peer.assert_nothing_left()
