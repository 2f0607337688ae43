"""Parts of aioquic that are called dozens of times for each connection, replaced by quicker ones that do the same.

To import this module puts them in place, for every user of aioquic in the process. What is replaced are functions and
classes of its modules, none of them private; tests compare each with the original.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from aioquic import tls
from aioquic._buffer import Buffer
from aioquic.quic import connection, crypto, packet_builder
from aioquic.quic.packet import (
    PARAMS,
    QuicPreferredAddress,
    QuicTransportParameters,
    QuicVersionInformation,
    pretty_protocol_version,
    pull_quic_preferred_address,
    pull_quic_version_information,
    push_quic_preferred_address,
    push_quic_version_information,
)

from . import key_schedule, tls_context
from .authorities import CryptoModule
from .backend import IS_COMPILED
from .initial_keys import InitialCryptoPair

if TYPE_CHECKING or not IS_COMPILED:
    from . import tls_blocks as blocks
else:
    from ._compiled import tls_blocks as blocks
if IS_COMPILED:
    from ._compiled.packet_builder import make_builder  # type: ignore[import-not-found]

__all__ = ["PullBlock", "PushBlock"]

MAX_STRUCTURED_PARAMETER = 1024
"""Bytes of the largest transport parameter that has parts: the versions that somebody supports."""


class PushBlock(blocks.PushBlock):
    """Writes what is written meanwhile with its length ahead."""

    __slots__ = ()


class PullBlock(blocks.PullBlock):
    """Reads a length, and sees to it that so much is read meanwhile."""

    __slots__ = ()


def push_quic_transport_parameters(buf: Buffer, params: QuicTransportParameters) -> None:
    """Write transport parameters; aioquic does it with a buffer of 64 KiB for each of them."""
    buf.push_bytes(blocks.join_parameters(PARAMS, vars(params), _encoded))


def _encoded(kind: type, value: Any) -> bytes:
    """Return the value of a parameter that has parts, or none."""
    inner = Buffer(capacity=MAX_STRUCTURED_PARAMETER)
    if kind is QuicPreferredAddress:
        push_quic_preferred_address(inner, value)
    elif kind is QuicVersionInformation:
        push_quic_version_information(inner, value)
    return inner.data


def pull_quic_transport_parameters(buf: Buffer) -> QuicTransportParameters:
    """Read transport parameters, to the end of the buffer.

    Raises:
        ValueError: one is cut, or has a value of another length than its kind.
    """
    parameters = QuicTransportParameters()
    blocks.read_parameters(buf.data_slice(buf.tell(), buf.capacity), PARAMS, vars(parameters), _decoded)
    buf.seek(buf.capacity)
    return parameters


def _decoded(kind: type, data: bytes) -> tuple[Any, int]:
    """Return the value of a parameter that has parts, or none, and how many bytes it has."""
    if kind is bool:
        return True, 0
    inner = Buffer(data=data)
    if kind is QuicPreferredAddress:
        return pull_quic_preferred_address(inner), inner.tell()
    return pull_quic_version_information(inner, len(data)), inner.tell()


def _install() -> None:
    replacements: dict[str, object] = {
        "encode_public_key": tls_context.encode_public_key,
        "KeySchedule": key_schedule.KeySchedule,
        "KeyScheduleProxy": key_schedule.KeyScheduleProxy,
        "hkdf_expand_label": key_schedule.hkdf_expand_label,
        "hkdf_extract": key_schedule.hkdf_extract,
        "pull_block": PullBlock,
        "pull_list": blocks.pull_list,
        "pull_opaque": blocks.pull_opaque,
        "push_block": PushBlock,
        "push_extension": blocks.PushExtension,
        "push_list": blocks.push_list,
        "push_message": blocks.PushMessage,
        "push_opaque": blocks.push_opaque,
    }
    for name, replacement in replacements.items():
        setattr(tls, name, replacement)
    for name in ("hkdf_expand_label", "hkdf_extract"):
        setattr(crypto, name, replacements[name])
    vars(tls)["crypto"] = CryptoModule()
    vars(tls)["ipaddress"] = tls_context.AddressModule()
    vars(tls)["signature_algorithm_params"] = cache(tls.signature_algorithm_params)  # they have no state
    vars(connection)["push_quic_transport_parameters"] = push_quic_transport_parameters
    vars(connection)["pull_quic_transport_parameters"] = pull_quic_transport_parameters
    vars(connection)["pretty_protocol_version"] = lru_cache(maxsize=16)(pretty_protocol_version)
    # These two go together, also where the package is there twice: the compiled builder takes compiled keys only.
    vars(connection)["CryptoPair"] = InitialCryptoPair
    vars(connection)["QuicPacketBuilder"] = make_builder if IS_COMPILED else packet_builder.QuicPacketBuilder
    # Members are looked up in dictionaries hundreds of times for a connection; the hash of an enumeration is in Python.
    type.__setattr__(tls.Epoch, "__hash__", object.__hash__)
    ended = list(connection.END_STATES)
    type.__setattr__(connection.QuicConnectionState, "__hash__", object.__hash__)
    connection.END_STATES = frozenset(ended)  # made with the other hash
    # A pure function that makes the same 33 sets for every connection.
    connection.EPOCHS = cache(connection.EPOCHS)


_install()
