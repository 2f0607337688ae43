"""The exceptions of publish and subscribe.

WebTransportError
└── PubSubError                 the manager or broker is not active, or its stream is over
    ├── NotSubscribedError          unsubscribing is not possible any more
    └── SubscriptionFailedError     the broker refused, ended the subscription, or did not answer
"""

from __future__ import annotations

from ..exceptions import WebTransportError

__all__ = ["NotSubscribedError", "PubSubError", "SubscriptionFailedError"]


class PubSubError(WebTransportError):
    """Publishing or subscribing is not possible."""


class NotSubscribedError(PubSubError):
    """There is no subscription that could be ended, as the stream is over."""


class SubscriptionFailedError(PubSubError):
    """The broker refused a subscription, ended it, or did not answer in time."""
