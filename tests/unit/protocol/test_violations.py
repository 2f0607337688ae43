from __future__ import annotations

import pytest

from wtransport._protocol.violations import ConnectionViolation, ProtocolViolation, SessionViolation, StreamViolation
from wtransport.constants import ErrorCodes


@pytest.mark.parametrize("kind", [ConnectionViolation, StreamViolation, SessionViolation])
def test_a_violation_carries_its_wire_code_and_reason(kind: type[ProtocolViolation]) -> None:
    violation = kind(ErrorCodes.H3_ID_ERROR, "no such stream")
    assert isinstance(violation, ProtocolViolation)
    assert violation.error_code == 0x108
    assert violation.reason == "no such stream"
    assert str(violation) == "no such stream (error code 0x108)"


def test_the_kinds_are_not_mistaken_for_each_other() -> None:
    assert not issubclass(StreamViolation, ConnectionViolation)
    assert not issubclass(SessionViolation, StreamViolation)
