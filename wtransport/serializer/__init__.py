"""Serializers: objects to bytes and back, for structured streams, structured datagrams and programs."""

from __future__ import annotations

from .json import JSONSerializer
from .msgpack import MsgPackSerializer
from .protobuf import ProtobufSerializer

__all__ = ["JSONSerializer", "MsgPackSerializer", "ProtobufSerializer"]
