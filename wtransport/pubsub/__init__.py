"""Publish and subscribe over a stream: the client's side, and a broker for servers."""

from __future__ import annotations

from .broker import BrokerStats, PubSubBroker, SlowSubscriberPolicy
from .exceptions import NotSubscribedError, PubSubError, SubscriptionFailedError
from .manager import PubSubManager, PubSubStats
from .subscription import Subscription

__all__ = [
    "BrokerStats",
    "NotSubscribedError",
    "PubSubBroker",
    "PubSubError",
    "PubSubManager",
    "PubSubStats",
    "SlowSubscriberPolicy",
    "Subscription",
    "SubscriptionFailedError",
]
