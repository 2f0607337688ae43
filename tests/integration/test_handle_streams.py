"""Stream handles at both ends of a real connection on loopback."""

from __future__ import annotations

from handle_pair import session_pair


async def test_echo(certificate):
    async with session_pair(certificate) as pair:
        stream = await pair.client.create_bidirectional_stream()
        await stream.write_all(data=b"hello")
        async for other in pair.server.incoming_bidirectional_streams():
            assert await other.read_all() == b"hello"
            await other.write(data="world", end_stream=True)
            break
        assert await stream.read_all() == b"world"
        assert stream.is_closed
