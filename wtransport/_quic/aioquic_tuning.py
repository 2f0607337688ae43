"""Parts of aioquic that are called dozens of times for each connection, replaced by quicker ones that do the same.

To import this module puts them in place, for every user of aioquic in the process. What is replaced are functions and
classes of its modules, none of them private; tests compare each with the original.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from aioquic import tls
from aioquic._buffer import Buffer
from aioquic.quic import connection, crypto, packet_builder
from aioquic.quic.packet import (
    PARAMS,
    QuicPreferredAddress,
    QuicTransportParameters,
    QuicVersionInformation,
    push_quic_preferred_address,
    push_quic_version_information,
)

from .._speedups import encode_varint
from . import key_schedule
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
    values = vars(params)
    for parameter, (name, kind) in PARAMS.items():
        value = values[name]
        if value is None or value is False:
            continue
        if kind is int:
            data = encode_varint(value)
        elif kind is bytes:
            data = value
        else:
            inner = Buffer(capacity=MAX_STRUCTURED_PARAMETER)
            if kind is QuicPreferredAddress:
                push_quic_preferred_address(inner, value)
            elif kind is QuicVersionInformation:
                push_quic_version_information(inner, value)
            data = inner.data
        buf.push_uint_var(parameter)
        buf.push_uint_var(len(data))
        buf.push_bytes(data)


def _install() -> None:
    replacements: dict[str, object] = {
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
    vars(connection)["push_quic_transport_parameters"] = push_quic_transport_parameters
    # These two go together, also where the package is there twice: the compiled builder takes compiled keys only.
    vars(connection)["CryptoPair"] = InitialCryptoPair
    vars(connection)["QuicPacketBuilder"] = make_builder if IS_COMPILED else packet_builder.QuicPacketBuilder
    # Members are looked up in dictionaries hundreds of times for a connection; the hash of an enumeration is in Python.
    type.__setattr__(tls.Epoch, "__hash__", object.__hash__)
    # A pure function that makes the same 33 sets for every connection.
    connection.EPOCHS = cache(connection.EPOCHS)


_install()
