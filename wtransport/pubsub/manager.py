"""`PubSubManager`: a client of a broker, over one stream."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Self

from ..constants import ErrorCodes
from ..exceptions import StreamError, WebTransportError
from ..stream import WebTransportStream
from ..stream._messages import Afterword, cancel, is_worth_a_line, wait_for_end, write_message
from ..stream._waiter import WaitLine
from ..types import Data
from ..utils import ensure_bytes, get_timestamp
from .exceptions import NotSubscribedError, PubSubError, SubscriptionFailedError
from .protocol import (
    MSG,
    PUB,
    SUB,
    SUB_FAIL,
    SUB_OK,
    UNSUB,
    Command,
    checked_topic,
    encode_line,
    encode_message,
    read_command,
    read_payload,
    stream_over,
)
from .subscription import Subscription

__all__ = ["PubSubManager", "PubSubStats"]

_logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class PubSubStats:
    """What a manager has done: `created_at` in seconds since the epoch, topics subscribed now, and counts."""

    created_at: float = field(default_factory=get_timestamp)
    topics_subscribed: int = 0
    messages_published: int = 0
    messages_received: int = 0
    subscription_errors: int = 0

    def to_dict(self) -> dict[str, float | int]:
        """Return the fields by name."""
        return asdict(self)


class _Topic:
    """A topic that the broker was asked for: unconfirmed at first."""

    __slots__ = ("failure", "is_confirmed", "line", "subscriptions")

    def __init__(self) -> None:
        self.is_confirmed = False
        self.failure: PubSubError | None = None
        self.line = WaitLine()
        self.subscriptions: list[Subscription] = []

    def answer(self) -> bool | None:
        """Return True once it is confirmed, None before.

        Raises:
            PubSubError: it was refused, or its manager was closed.
        """
        if self.failure is not None:
            raise type(self.failure)(self.failure.message)  # each subscriber gets its own
        return self.is_confirmed or None

    def end(self, failure: PubSubError, *, error: PubSubError | None = None) -> None:
        """Nothing more will come; `failure` is for those who wait for an answer, `error` for readers of messages."""
        self.failure = failure
        self.line.wake_all()
        for subscription in self.subscriptions:
            subscription._end(error)


class PubSubManager:
    """Publishes to topics of a broker, and subscribes to them. Use it in `async with`.

    When the stream ends, the manager closes, and so do its subscriptions.

    Args:
        stream: a bidirectional stream to a broker; nobody else may read from it or write to it.
        max_queue_size: messages that a subscription keeps for the program, unless `subscribe` says otherwise.
        max_message_size: most bytes of one message, both ways; None stands for the configuration's.

    Raises:
        ValueError: a limit is not positive.
    """

    def __init__(self, *, stream: WebTransportStream, max_queue_size: int, max_message_size: int | None = None) -> None:
        if max_queue_size < 1:
            raise ValueError(f"max_queue_size must be at least 1, not {max_queue_size}")
        if max_message_size is not None and max_message_size < 1:
            raise ValueError(f"max_message_size must be at least 1 byte, not {max_message_size}")
        config = stream.session.connection.config
        self._stream = stream
        self._max_queue_size = max_queue_size
        self._max_message_size = max_message_size or config.max_message_size
        self._close_timeout = config.close_timeout
        self._stats = PubSubStats()
        self._topics: dict[bytes, _Topic] = {}
        self._afterword = Afterword(stream)  # SUB and UNSUB: in order, whoever is cancelled meanwhile
        self._reader: asyncio.Task[None] | None = None
        self._is_closed = False
        self._refused = 0

    def __repr__(self) -> str:
        return f"<PubSubManager {self._stream!r} {len(self._topics)} topics>"

    @property
    def stats(self) -> PubSubStats:
        """Return the statistics, which go on counting."""
        return self._stats

    async def __aenter__(self) -> Self:
        """Begin to receive.

        Raises:
            PubSubError: this manager was closed.
        """
        if self._is_closed:
            raise PubSubError("PubSubManager is closed")
        if self._reader is None:
            self._reader = asyncio.get_running_loop().create_task(self._read())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()

    async def publish(self, *, topic: str, data: Data) -> None:
        """Publish a message; it is on its way when this returns. Brokers do not confirm it.

        Args:
            topic: its name, without spaces and control characters, at most 1024 bytes of UTF-8.
            data: bytes-like or ``str``, which is sent as UTF-8.

        Raises:
            PubSubError: larger than `max_message_size`, the stream is over, or this manager is not in `async with`.
            TimeoutError: for `write_timeout` seconds nothing went out.
            TypeError: topic or data has another type.
            ValueError: the topic is not a valid name.
        """
        name = checked_topic(topic)
        payload = ensure_bytes(data=data)
        self._check_usable()
        if len(payload) > self._max_message_size:
            raise PubSubError(
                f"message of {len(payload)} bytes is larger than max_message_size ({self._max_message_size})"
            )
        try:
            await write_message(self._stream, encode_message(PUB, name, payload))
        except StreamError as error:
            raise stream_over(error) from error
        self._stats.messages_published += 1

    async def subscribe(self, *, topic: str, timeout: float = 10.0, max_queue_size: int | None = None) -> Subscription:
        """Subscribe to a topic. A second subscription to the same topic gets every message, too.

        Cancelled or timed out, it leaves no subscription behind, here or at the broker.

        Args:
            topic: its name, without spaces and control characters, at most 1024 bytes of UTF-8.
            timeout: seconds to wait for the broker's answer.
            max_queue_size: messages to keep for the program; None stands for the manager's.

        Raises:
            PubSubError: the stream is over, or this manager is not in `async with`.
            SubscriptionFailedError: the broker refused, or did not answer in time.
            TypeError: topic has another type.
            ValueError: the topic is not a valid name, or another argument is not positive.
        """
        name = checked_topic(topic)
        if not timeout > 0:
            raise ValueError(f"timeout must be more than 0 seconds, not {timeout}")
        size = self._max_queue_size if max_queue_size is None else max_queue_size
        subscription = Subscription(topic=topic, manager=self, max_queue_size=size)
        self._check_usable()
        state = self._topics.get(name)
        if state is None:
            state = self._topics[name] = _Topic()
            self._afterword.send(encode_line(SUB, name))
        state.subscriptions.append(subscription)
        is_answered: bool | None = None
        try:
            is_answered = state.answer() or await state.line.until(state.answer, seconds=timeout)
        finally:
            if not is_answered:
                self._stats.subscription_errors += 1
                self._leave(subscription)
        if not is_answered:
            raise SubscriptionFailedError(f"subscription to topic '{topic}' timed out after {timeout} s")
        return subscription

    async def unsubscribe(self, *, topic: str) -> None:
        """End every subscription to a topic; none is no error.

        Raises:
            NotSubscribedError: the stream is over.
        """
        name = checked_topic(topic)
        state = self._topics.get(name)
        if state is None:
            return
        if not self._stream.can_write:
            raise NotSubscribedError("Pub/Sub stream is closed")
        self._drop(name, state)
        state.end(SubscriptionFailedError(f"topic '{topic}' was unsubscribed"))

    async def close(self) -> None:
        """Close the stream and end all subscriptions; what waits can still be read. Closing twice is no error."""
        if self._is_closed:
            return
        self._is_closed = True
        topics, self._topics = self._topics, {}
        for state in topics.values():
            state.end(PubSubError("PubSubManager is closed"))
        self._stats.topics_subscribed = 0
        own = [] if self._reader is None else [self._reader]
        ending = cancel([*own, *self._afterword.tasks])
        await self._stream.close()
        await wait_for_end(ending, seconds=self._close_timeout)

    def _leave(self, subscription: Subscription) -> None:
        """End one subscription; with the last one of its topic, the broker's."""
        subscription._end()
        name = subscription.topic.encode("utf-8")
        state = self._topics.get(name)
        if state is None or subscription not in state.subscriptions:
            return
        state.subscriptions.remove(subscription)
        if not state.subscriptions:
            self._drop(name, state)

    def _drop(self, name: bytes, state: _Topic) -> None:
        """Forget a topic, and have the broker forget it, unless it refused."""
        del self._topics[name]
        self._count_topics()
        if state.failure is None:
            self._afterword.send(encode_line(UNSUB, name))

    def _count_topics(self) -> None:
        self._stats.topics_subscribed = sum(state.is_confirmed for state in self._topics.values())

    # Reading.

    async def _read(self) -> None:
        """Take what the broker sends up to the end of the stream, then close."""
        try:
            while True:
                await self._take(await read_command(self._stream))
        except asyncio.IncompleteReadError:
            pass  # the end of the stream
        except WebTransportError as error:
            _logger.info("%r failed: %s", self, error)
            await self._stream.close(error_code=ErrorCodes.APPLICATION_ERROR)
        await self.close()

    async def _take(self, command: Command) -> None:
        if command.name == MSG:
            payload = await read_payload(self._stream, command.rest, limit=self._max_message_size)
            state = self._topics.get(command.topic)
            if state is not None:
                self._stats.messages_received += 1
                is_filling = [subscription._offer(payload) for subscription in state.subscriptions]
                if any(is_filling):
                    await asyncio.sleep(0)  # what has arrived is read without a pause; its readers need one
        elif command.name == SUB_OK:
            state = self._topics.get(command.topic)
            if state is not None:
                state.is_confirmed = True
                self._count_topics()
                state.line.wake_all()
        elif command.name == SUB_FAIL:
            state = self._topics.pop(command.topic, None)
            if state is not None:
                self._count_topics()
                failure = SubscriptionFailedError(command.rest.decode("utf-8", "replace") or "refused")
                state.end(failure, error=failure)
        else:
            self._refused += 1
            if is_worth_a_line(self._refused):
                _logger.warning("%r: unknown command, the %d. so far: %r", self, self._refused, command.name[:32])

    def _check_usable(self) -> None:
        if self._reader is None:
            raise PubSubError("PubSubManager is not active: use it in `async with`")
        if self._is_closed:
            raise PubSubError("PubSubManager is closed")
        if not self._stream.can_write:
            raise stream_over()
