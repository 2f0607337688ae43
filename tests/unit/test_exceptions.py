"""The exception tree: codes, texts, attributes, and how a caller catches and classifies them."""

from __future__ import annotations

import builtins
import copy
import pickle
from typing import Any

import pytest

from wtransport import exceptions as e
from wtransport.constants import ErrorCodes
from wtransport.types import SessionState, StreamState

# class, default code, category, own attributes with a value each
CLASSES: list[tuple[type[e.WebTransportError], int, str, dict[str, Any]]] = [
    (e.WebTransportError, 0x1, "unknown", {}),
    (e.AuthenticationError, 0x1001, "authentication", {"auth_method": "token"}),
    (e.CertificateError, 0x1001, "certificate", {"certificate_path": "/c", "certificate_error": "expired"}),
    (e.ClientError, 0x1004, "client", {"target_url": "https://h/"}),
    (e.ConfigurationError, 0x1004, "configuration", {"config_key": "k", "config_value": 5}),
    (e.ConnectionError, 0x2, "connection", {"remote_address": ("::1", 4433)}),
    (e.DatagramError, 0x1, "datagram", {"datagram_size": 2000, "max_size": 1200}),
    (e.FlowControlError, 0x3, "flow_control", {"stream_id": 4, "limit_exceeded": 10, "current_value": 11}),
    (e.HandshakeError, 0x1, "handshake", {"handshake_stage": "tls"}),
    (e.ProtocolError, 0xA, "protocol", {"frame_type": 0x41}),
    (e.SerializationError, 0x1, "serialization", {"original_exception": ValueError("bad")}),
    (e.ServerError, 0x1005, "server", {"bind_address": ("::", 443)}),
    (e.SessionError, 0x1, "session", {"session_id": "s", "session_state": SessionState.CLOSED}),
    (e.StreamError, 0x5, "stream", {"stream_id": 8, "stream_state": StreamState.CLOSED}),
    (e.TimeoutError, 0x1000, "timeout", {"timeout_duration": 1.5, "operation": "connect"}),
]
each_class = pytest.mark.parametrize(
    ("cls", "code", "category", "own"), CLASSES, ids=lambda v: getattr(v, "__name__", "")
)


@each_class
def test_defaults_and_attributes(cls: type[e.WebTransportError], code: int, category: str, own: dict[str, Any]) -> None:
    error = cls("what happened", **own)
    assert error.message == "what happened"
    assert error.error_code == code
    assert error.details == {}
    assert str(error) == f"[{code:#x}] what happened"
    assert repr(error) == f"{cls.__name__}(message='what happened', error_code={code:#x})"
    assert e.get_error_category(exception=error) == category
    for name, value in own.items():
        assert getattr(error, name) == value
        assert getattr(cls("x"), name) is None


@each_class
def test_to_dict_has_the_common_and_the_own_fields(
    cls: type[e.WebTransportError], code: int, category: str, own: dict[str, Any]
) -> None:
    result = cls("m", details={"a": 1}, **own).to_dict()
    shown = {name: str(value) if isinstance(value, Exception) else value for name, value in own.items()}
    expected = {"type": cls.__name__, "message": "m", "error_code": code, "details": {"a": 1}, **shown}
    assert result.items() >= expected.items()


@each_class
def test_code_0_stays_0(cls: type[e.WebTransportError], code: int, category: str, own: dict[str, Any]) -> None:
    assert cls("m", error_code=0).error_code == 0


@each_class
def test_it_survives_pickling_and_copying(
    cls: type[e.WebTransportError], code: int, category: str, own: dict[str, Any]
) -> None:
    error = cls("m", error_code=77, details={"a": 1}, **own)
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is cls
        assert twin.to_dict() == error.to_dict()


def test_every_public_class_is_in_the_list_above() -> None:
    classes = {v for v in vars(e).values() if isinstance(v, type) and issubclass(v, e.WebTransportError)}
    assert classes == {row[0] for row in CLASSES} | {e.DatagramTooLargeError}


def test_details_are_a_copy() -> None:
    details = {"status": 404}
    error = e.ClientError("m", details=details)
    details.clear()
    assert error.details == {"status": 404}


def test_names_of_builtins_are_caught_as_the_builtins_too() -> None:
    with pytest.raises(builtins.ConnectionError):
        raise e.ConnectionError("refused")
    with pytest.raises(builtins.TimeoutError):
        raise e.TimeoutError("too slow")


def test_a_datagram_that_is_too_large_is_both_errors() -> None:
    error = e.datagram_too_large(size=1500, max_size=1200)
    assert isinstance(error, e.DatagramError)
    assert isinstance(error, ValueError)
    assert error.message == "Datagram size 1500 exceeds maximum 1200"
    assert (error.datagram_size, error.max_size) == (1500, 1200)
    assert e.get_error_category(exception=error) == "datagram"


def test_an_application_code_is_the_error_code_as_well() -> None:
    error = e.StreamError("reset", stream_id=4, application_code=70001)
    assert (error.error_code, error.application_code) == (70001, 70001)
    assert e.StreamError("reset", application_code=0).error_code == 0
    assert e.StreamError("closed here").application_code is None


def test_factories_fill_in_the_fields() -> None:
    missing = e.certificate_not_found(path="/no/such")
    assert isinstance(missing, e.CertificateError)
    assert missing.certificate_path == "/no/such"
    assert "/no/such" in missing.message
    wrong = e.invalid_config(key="max_sessions", value=-1, reason="must be at least 1")
    assert (wrong.config_key, wrong.config_value) == ("max_sessions", -1)
    assert "max_sessions" in wrong.message
    assert "must be at least 1" in wrong.message
    early = e.session_not_ready(session_id="abc", current_state=SessionState.CONNECTING)
    assert (early.session_id, early.session_state) == ("abc", SessionState.CONNECTING)
    closed = e.stream_closed(stream_id=12)
    assert (closed.stream_id, closed.stream_state) == (12, StreamState.CLOSED)
    assert "Stream was closed" in closed.message


@pytest.mark.parametrize("code", list(ErrorCodes))
def test_which_codes_are_fatal_and_which_retriable(code: ErrorCodes) -> None:
    error = e.WebTransportError("m", error_code=code)
    fatal = {"PROTOCOL_VIOLATION", "FRAME_ENCODING_ERROR", "CRYPTO_BUFFER_EXCEEDED"}
    fatal |= {"APP_AUTHENTICATION_FAILED", "APP_PERMISSION_DENIED"}
    retriable = {"APP_CONNECTION_TIMEOUT", "APP_SERVICE_UNAVAILABLE", "FLOW_CONTROL_ERROR"}
    assert e.is_fatal_error(exception=error) is (code.name in fatal)
    assert e.is_retriable_error(exception=error) is (code.name in retriable)


def test_a_foreign_exception_is_fatal_and_of_unknown_category() -> None:
    assert e.is_fatal_error(exception=ValueError())
    assert not e.is_retriable_error(exception=builtins.ConnectionError())
    assert e.get_error_category(exception=ValueError()) == "unknown"


def test_a_code_that_the_peers_program_chose_classifies_nothing() -> None:
    assert not e.is_fatal_error(exception=e.StreamError("reset", application_code=ErrorCodes.PROTOCOL_VIOLATION))
    assert not e.is_retriable_error(exception=e.StreamError("reset", application_code=ErrorCodes.FLOW_CONTROL_ERROR))
