"""`PubSubBroker`: the other end of `PubSubManager`, for many clients at once."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Protocol, Self

from ..constants import DEFAULT_CLOSE_TIMEOUT, DEFAULT_MAX_MESSAGE_SIZE, ErrorCodes
from ..exceptions import WebTransportError
from ..session import WebTransportSession
from ..stream import WebTransportStream
from ..stream._messages import cancel, is_worth_a_line, wait_for_end
from ..stream._waiter import WaitLine
from ..types import Data
from ..utils import ensure_bytes, get_timestamp
from ._client import BrokerClient, Offer, SlowSubscriberPolicy
from .exceptions import PubSubError
from .protocol import (
    MSG,
    SUB_FAIL,
    SUB_OK,
    Command,
    checked_topic,
    encode_line,
    encode_message,
    is_valid_topic,
    read_command,
    read_payload,
)

__all__ = ["Authorizer", "BrokerStats", "PubSubBroker", "SlowSubscriberPolicy"]

DEFAULT_MAX_QUEUE_SIZE = 256  # messages: some seconds of a lively topic
DEFAULT_MAX_QUEUE_BYTES = 4 * 1024 * 1024  # bytes for one subscriber: four of the largest messages
DEFAULT_MAX_CLIENTS = 10_000  # as many as a server has sessions by default
DEFAULT_MAX_SUBSCRIPTIONS = 1024  # topics of one client; each costs an entry in two tables

_logger = logging.getLogger(__name__)


class Authorizer(Protocol):
    """Decides what a client may do."""

    def __call__(self, *, session: WebTransportSession, action: str, topic: str) -> bool | Awaitable[bool]:
        """Return True to allow the `action`, ``"subscribe"`` or ``"publish"``."""


@dataclass(kw_only=True)
class BrokerStats:
    """What a broker has done: `created_at` in seconds since the epoch, what there is now, and counts."""

    created_at: float = field(default_factory=get_timestamp)
    clients: int = 0
    topics: int = 0
    subscriptions: int = 0
    messages_published: int = 0
    messages_delivered: int = 0
    messages_dropped: int = 0
    requests_refused: int = 0
    clients_disconnected: int = 0

    def to_dict(self) -> dict[str, float | int]:
        """Return the fields by name."""
        return asdict(self)


class PubSubBroker:
    """Gives the messages that clients publish to all subscribers of their topic, whatever their session.

    Use it in `async with`, and hand it streams or whole sessions: ``await broker.serve_session(session=session)`` is
    all that a handler of `ServerApp` has to do. A publisher that is subscribed gets its own messages, too.

    A subscriber that reads more slowly than others publish has a queue of its own; when that is full,
    `slow_subscribers` says what happens to it, and to it alone.

    Args:
        max_queue_size: messages that may wait for one client.
        max_queue_bytes: bytes that may wait for one client; besides, `max_stream_write_buffer` are on their way.
        slow_subscribers: what to do when a queue is full.
        max_message_size: most bytes of a message; a client that publishes a larger one is cut off.
        max_clients: streams served at once; one more is reset with APP_RESOURCE_EXHAUSTED.
        max_subscriptions: topics of one client; one more is refused.
        authorize: decides what clients may do; None allows everything.

    Raises:
        ValueError: a limit is not positive, or an unknown policy.
    """

    def __init__(
        self,
        *,
        max_queue_size: int = DEFAULT_MAX_QUEUE_SIZE,
        max_queue_bytes: int = DEFAULT_MAX_QUEUE_BYTES,
        slow_subscribers: SlowSubscriberPolicy | str = SlowSubscriberPolicy.DROP_NEWEST,
        max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE,
        max_clients: int = DEFAULT_MAX_CLIENTS,
        max_subscriptions: int = DEFAULT_MAX_SUBSCRIPTIONS,
        authorize: Authorizer | Callable[..., bool | Awaitable[bool]] | None = None,
    ) -> None:
        limits = {
            "max_queue_size": max_queue_size,
            "max_queue_bytes": max_queue_bytes,
            "max_message_size": max_message_size,
            "max_clients": max_clients,
            "max_subscriptions": max_subscriptions,
        }
        for name, limit in limits.items():
            if limit < 1:
                raise ValueError(f"{name} must be at least 1, not {limit}")
        self._max_queue_size = max_queue_size
        self._max_queue_bytes = max_queue_bytes
        self._policy = SlowSubscriberPolicy(slow_subscribers)
        self._max_message_size = max_message_size
        self._max_clients = max_clients
        self._max_subscriptions = max_subscriptions
        self._authorize = authorize
        self._clients: set[BrokerClient] = set()
        self._acceptors: set[asyncio.Task[None]] = set()
        self._topics: dict[bytes, dict[BrokerClient, None]] = {}
        self._stats = BrokerStats()
        self._gone = WaitLine()
        self._is_active = False

    def __repr__(self) -> str:
        return f"<PubSubBroker {len(self._clients)} clients, {len(self._topics)} topics>"

    @property
    def stats(self) -> BrokerStats:
        """Return the statistics as they are now."""
        self._stats.clients = len(self._clients)
        self._stats.topics = len(self._topics)
        self._stats.subscriptions = sum(map(len, self._topics.values()))
        return self._stats

    async def __aenter__(self) -> Self:
        """Begin to serve."""
        self._is_active = True
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()

    def subscriber_count(self, *, topic: str) -> int:
        """Return how many clients are subscribed to a topic."""
        return len(self._topics.get(topic.encode("utf-8"), ()))

    async def publish(self, *, topic: str, data: Data) -> int:
        """Publish a message of the server's own; waits for no subscriber.

        Args:
            topic: its name, without spaces and control characters, at most 1024 bytes of UTF-8.
            data: bytes-like or ``str``, which is sent as UTF-8.

        Returns:
            For how many subscribers it was queued.

        Raises:
            PubSubError: larger than `max_message_size`, or not in `async with`.
            TypeError: topic or data has another type.
            ValueError: the topic is not a valid name.
        """
        self._check_active()
        name = checked_topic(topic)
        payload = ensure_bytes(data=data)
        if len(payload) > self._max_message_size:
            raise PubSubError(
                f"message of {len(payload)} bytes is larger than max_message_size ({self._max_message_size})"
            )
        return await self._fan_out(name, payload)

    async def serve_session(self, *, session: WebTransportSession) -> None:
        """Serve a client on every bidirectional stream that the session's peer opens.

        It ends with the session, which is left open, or when this broker is closed.

        Raises:
            PubSubError: not in `async with`.
        """
        self._check_active()
        acceptor = asyncio.get_running_loop().create_task(self._accept_streams(session))
        self._acceptors.add(acceptor)
        try:
            await asyncio.wait([acceptor])
            if not acceptor.cancelled():
                acceptor.result()
        finally:
            self._acceptors.discard(acceptor)
            await wait_for_end(cancel([acceptor]), seconds=session.connection.config.close_timeout)

    async def serve(self, *, stream: WebTransportStream) -> None:
        """Serve the client at the other end of a stream until it ends, then close it. Cancelling closes it, too.

        Raises:
            PubSubError: not in `async with`.
        """
        self._check_active()
        if len(self._clients) >= self._max_clients:
            _logger.warning("%r is full: %r was refused", self, stream)
            self._stats.requests_refused += 1
            await stream.close(error_code=ErrorCodes.APP_RESOURCE_EXHAUSTED)
            return
        client = BrokerClient(
            stream, max_items=self._max_queue_size, max_bytes=self._max_queue_bytes, policy=self._policy
        )
        self._clients.add(client)
        writer = asyncio.get_running_loop().create_task(client.write())
        try:
            while True:
                await self._take(client, await read_command(stream))
        except asyncio.IncompleteReadError:
            pass  # the end of the stream
        except WebTransportError as error:
            _logger.info("Pub/Sub client %r: %s", stream, error)
            await stream.close(error_code=ErrorCodes.APPLICATION_ERROR)  # no effect on one that is closed
        finally:
            self._forget(client)
            ending = cancel([writer])
            await stream.close()
            await wait_for_end(ending, seconds=stream.session.connection.config.close_timeout)

    async def close(self) -> None:
        """Send every client what is queued for it, as far as that is possible within 5 seconds, and end its stream.

        Closing twice is no error. A broker can be entered again.
        """
        self._is_active = False
        for client in self._clients:
            client.end()
        if self._clients:
            await self._gone.until(lambda: not self._clients or None, seconds=DEFAULT_CLOSE_TIMEOUT)
        for client in list(self._clients):
            await client.stream.close(error_code=ErrorCodes.APP_SERVICE_UNAVAILABLE)
        await wait_for_end(cancel(self._acceptors), seconds=DEFAULT_CLOSE_TIMEOUT)

    async def _accept_streams(self, session: WebTransportSession) -> None:
        tasks: set[asyncio.Task[None]] = set()
        try:
            async for stream in session.incoming_bidirectional_streams():
                if not self._is_active:
                    await stream.close(error_code=ErrorCodes.APP_SERVICE_UNAVAILABLE)
                    continue
                task = asyncio.get_running_loop().create_task(self.serve(stream=stream))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        finally:
            await wait_for_end(cancel(tasks), seconds=session.connection.config.close_timeout)

    # Commands.

    async def _take(self, client: BrokerClient, command: Command) -> None:
        match command.name:
            case b"SUB":
                await client.answer(await self._subscribe(client, command.topic))
            case b"UNSUB":
                self._unsubscribe(client, command.topic)
            case b"PUB":
                payload = await read_payload(client.stream, command.rest, limit=self._max_message_size)
                if is_valid_topic(command.topic) and await self._may(client, "publish", command.topic):
                    await self._fan_out(command.topic, payload)
                else:
                    self._refuse(client, f"may not publish to {command.topic[:64]!r}")
            case _:
                self._refuse(client, f"unknown command {command.name[:64]!r}")

    async def _subscribe(self, client: BrokerClient, topic: bytes) -> bytes:
        """Subscribe a client; return the answer."""
        if not is_valid_topic(topic):
            return self._refusal(client, topic, "invalid topic")
        if topic not in client.topics and len(client.topics) >= self._max_subscriptions:
            return self._refusal(client, topic, "too many subscriptions")
        if not await self._may(client, "subscribe", topic):
            return self._refusal(client, topic, "not allowed")
        if client in self._clients:
            client.topics.add(topic)
            self._topics.setdefault(topic, {})[client] = None
        return encode_line(SUB_OK, topic)

    def _unsubscribe(self, client: BrokerClient, topic: bytes) -> None:
        client.topics.discard(topic)
        subscribers = self._topics.get(topic)
        if subscribers is not None:
            subscribers.pop(client, None)
            if not subscribers:
                del self._topics[topic]

    async def _fan_out(self, topic: bytes, payload: bytes) -> int:
        self._stats.messages_published += 1
        subscribers = self._topics.get(topic)
        if subscribers is None:
            return 0
        message = encode_message(MSG, topic, payload)
        too_slow = []
        queued = 0
        is_filling = False
        for client in subscribers:
            outcome = client.offer(message)
            if outcome is not Offer.QUEUED:
                self._on_slow(client, outcome)
                if outcome is Offer.TOO_SLOW:
                    too_slow.append(client)
            queued += outcome in (Offer.QUEUED, Offer.QUEUED_DROPPING)
            is_filling = is_filling or client.is_filling
        self._stats.messages_delivered += queued
        for client in too_slow:
            self._forget(client)
            await client.stream.close(error_code=ErrorCodes.APP_RESOURCE_EXHAUSTED)
        if is_filling:
            await asyncio.sleep(0)  # a publisher with much to say makes no pause; the writers need one
        return queued

    def _on_slow(self, client: BrokerClient, outcome: Offer) -> None:
        self._stats.messages_dropped += 1
        if outcome is Offer.TOO_SLOW:
            self._stats.clients_disconnected += 1
            _logger.warning("Pub/Sub client %r is too slow, and is cut off", client.stream)
        elif is_worth_a_line(client.dropped):
            _logger.warning("Pub/Sub client %r is slow: %d messages dropped so far", client.stream, client.dropped)

    async def _may(self, client: BrokerClient, action: str, topic: bytes) -> bool:
        if self._authorize is None:
            return True
        try:
            allowed = self._authorize(session=client.stream.session, action=action, topic=topic.decode("utf-8"))
            if inspect.isawaitable(allowed):
                allowed = await allowed
        except Exception:  # what a program's hook raises is a no, and the program's to know
            _logger.exception("authorize failed for topic %r", topic[:64])
            return False
        return bool(allowed)

    def _refusal(self, client: BrokerClient, topic: bytes, reason: str) -> bytes:
        self._refuse(client, f"{reason}: {topic[:64]!r}")
        return encode_line(SUB_FAIL, topic, reason)

    def _refuse(self, client: BrokerClient, what: str) -> None:
        self._stats.requests_refused += 1
        if is_worth_a_line(self._stats.requests_refused):
            _logger.warning(
                "%d Pub/Sub requests refused so far, the last of %r: %s",
                self._stats.requests_refused,
                client.stream,
                what,
            )

    def _forget(self, client: BrokerClient) -> None:
        for topic in list(client.topics):
            self._unsubscribe(client, topic)
        self._clients.discard(client)
        self._gone.wake_all()

    def _check_active(self) -> None:
        if not self._is_active:
            raise PubSubError("PubSubBroker is not active: use it in `async with`")
