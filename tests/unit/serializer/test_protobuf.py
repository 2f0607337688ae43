"""Protocol Buffers: messages there and back, and what happens without the library."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import UninterpretedOption
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from wtransport.exceptions import ConfigurationError, SerializationError
from wtransport.serializer import ProtobufSerializer
from wtransport.types import Serializer


def test_messages_come_back() -> None:
    serializer = ProtobufSerializer(message_class=Timestamp)
    assert isinstance(serializer, Serializer)
    message = Timestamp(seconds=5, nanos=7)
    data = serializer.serialize(obj=message)
    assert data == message.SerializeToString()
    for obj_type in (None, Timestamp):
        assert serializer.deserialize(data=data, obj_type=obj_type) == message


@pytest.mark.parametrize("obj", [Struct(), {"seconds": 1}, None])
def test_other_objects_are_refused(obj: Any) -> None:
    with pytest.raises(SerializationError, match="Timestamp"):
        ProtobufSerializer(message_class=Timestamp).serialize(obj=obj)


def test_a_message_without_what_it_requires_is_refused() -> None:
    message = UninterpretedOption(name=[UninterpretedOption.NamePart()])
    with pytest.raises(SerializationError, match="cannot be serialized"):
        ProtobufSerializer(message_class=UninterpretedOption).serialize(obj=message)


def test_other_types_and_bad_data_are_refused() -> None:
    serializer = ProtobufSerializer(message_class=Timestamp)
    with pytest.raises(SerializationError, match="not for Struct"):
        serializer.deserialize(data=b"", obj_type=Struct)
    for data in (b"\xff\xff", "text"):
        with pytest.raises(SerializationError, match="not a Timestamp"):
            serializer.deserialize(data=data)


def test_only_classes_of_messages_are_taken() -> None:
    for kind in (int, Timestamp(), None):
        with pytest.raises(TypeError, match="message_class"):
            ProtobufSerializer(message_class=kind)


def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.protobuf.message", None)
    with pytest.raises(ConfigurationError, match=r"wtransport\[protobuf\]") as raised:
        ProtobufSerializer(message_class=Timestamp)
    assert raised.value.config_key == "dependency.protobuf"
