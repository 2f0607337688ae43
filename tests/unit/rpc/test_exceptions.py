"""RPC errors: codes, error objects, and what catches them."""

from __future__ import annotations

import builtins

import pytest

from wtransport.exceptions import WebTransportError
from wtransport.rpc import InvalidParamsError, MethodNotFoundError, RpcError, RpcErrorCode, RpcTimeoutError


@pytest.mark.parametrize(
    ("kind", "code"),
    [(RpcError, -32603), (RpcTimeoutError, -32603), (InvalidParamsError, -32602), (MethodNotFoundError, -32601)],
)
def test_codes_and_error_objects(kind: type[RpcError], code: int) -> None:
    error = kind("what happened", session_id="s")
    assert error.to_dict() == {"code": code, "message": "what happened"}
    assert (error.error_code, error.session_id, error.message) == (code, "s", "what happened")
    assert isinstance(error, RpcError)
    assert isinstance(error, WebTransportError)


def test_a_code_of_the_programs_own() -> None:
    error = RpcError("no", error_code=5, details={"a": 1})
    assert error.to_dict() == {"code": 5, "message": "no"}
    assert error.details == {"a": 1}
    assert type(RpcError("", error_code=RpcErrorCode.PARSE_ERROR).to_dict()["code"]) is int


def test_a_time_out_is_the_built_in_one() -> None:
    with pytest.raises(builtins.TimeoutError):
        raise RpcTimeoutError("late")
