"""What is measured of kernels that work between others, and of those for the messages of a handshake."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from aioquic._buffer import Buffer
from aioquic.quic.packet import PARAMS, pull_quic_transport_parameters
from aioquic.tls import CipherSuite

from perf.kernels import stages
from perf.kernels.cases import SMALL, Case
from wtransport._quic import key_schedule, tls_blocks

__all__ = ["STAGE_CASES"]

PARAMETERS = bytes.fromhex(
    "0104800075300408ffffffffffffffff05048010000006048010000007048010000008024064090240640a01030b01190e0102"
)
"""Transport parameters as a client of ours sends them, but for connection ids."""

GIVEN = vars(pull_quic_transport_parameters(Buffer(data=PARAMETERS)))
"""The same by their names."""


def _twins(pure: ModuleType) -> tuple[ModuleType, ModuleType]:
    """Return a module below `_quic` and its twin."""
    room, _, name = pure.__name__.rpartition(".")
    return pure, import_module(f"{room}._compiled.{name}")


def _event_cases() -> list[Case]:
    emit = "caller, kind, _ = stages.make_caller(k, {}); emit = caller.emit; data = {{'data': b''}}"
    many = "caller, kind, (inbox, tap) = stages.make_caller(k, 1); arrive = inbox.arrive; each = caller.emit_each; "
    pump = "pump, queue = stages.make_pump(k); step = pump.step; put = queue.append; "
    values = {"stages": stages}
    return [
        Case("HandlerCaller", "an event, 1 handler", "events", "emit(kind, data, None)", emit.format(1), values=values),
        Case(
            "HandlerCaller", "an event, 4 handlers", "events", "emit(kind, data, None)", emit.format(4), values=values
        ),
        Case(
            "HandlerCaller",
            f"20 datagrams of {SMALL} B",
            "events",
            "arrive(batch[:]); each(kind, tap, 'data', {}, None)",
            many + f"batch = [bytes({SMALL})] * 20",
            operations=20,
            values=values,
        ),
        Case(
            "SpareTask",
            "a coroutine that does not wait",
            "events",
            "begin(handle())",
            "begin = stages.make_spare_task(k).begin; handle = stages.handle",
            values=values,
        ),
        Case(
            "PortEvents",
            "bytes of a stream",
            "events",
            "put(event); step()",
            pump + f"event = stages.StreamBytes(4, bytes({SMALL}), False)",
            values=values,
        ),
        Case(
            "PortEvents",
            f"a datagram of {SMALL} B",
            "events",
            "put(event); step()",
            pump + f"event = stages.Datagrams([k.encode_datagram(0, bytes({SMALL}))])",
            values=values,
        ),
    ]


def _driver_cases() -> list[Case]:
    packet = f"packet = [(bytes({SMALL}), stages.PEER)]"
    values = {"stages": stages}
    return [
        Case(
            "DriverLoop",
            "a packet, an event, an answer",
            "events",
            "put(None); take(packet, 0.0); flush()",
            "driver, flush, put = stages.make_driver(k); take = driver.take; " + packet,
            values=values,
        ),
        Case(
            "Doorway",
            "the same, from a server's socket",
            "events",
            "put(None); take(packet); flush()",
            "door, flush, put = stages.make_doorway(k); take = door.datagrams_received; " + packet,
            values=values,
        ),
    ]


def _tls_cases() -> list[Case]:
    def of_blocks(name: str, statement: str, setup: str) -> Case:
        values = {"Buffer": Buffer, "data": PARAMETERS, "table": PARAMS, "given": GIVEN}
        return Case("tls_blocks", name, "handshake", statement, setup, twins=_twins(tls_blocks), values=values)

    def of_schedule(name: str, statement: str) -> Case:
        setup = "make = getattr(k, 'PureKeySchedule', None) or k.KeySchedule; schedule = make(suite)"
        values = {"suite": CipherSuite.AES_128_GCM_SHA256}
        return Case("KeySchedule", name, "handshake", statement, setup, twins=_twins(key_schedule), values=values)

    return [
        of_blocks("split 10 transport parameters", "f(data)", "f = k.split_parameters"),
        of_blocks("read 10 transport parameters", "f(data, table, {}, None)", "f = k.read_parameters"),
        of_blocks("write 10 transport parameters", "f(table, given, None)", "f = k.join_parameters"),
        of_blocks(
            "write a block",
            "b.seek(0)\nwith block(b, 2): push(data)",
            "b = Buffer(256); block = k.PushBlock; push = b.push_bytes",
        ),
        of_blocks("write a vector", "b.seek(0); f(b, 2, data)", "b = Buffer(256); f = k.push_opaque"),
        of_blocks(
            "read a vector", "b.seek(0); f(b, 2)", "b = Buffer(data=b'\\x00\\x20' + bytes(32)); f = k.pull_opaque"
        ),
        of_schedule("derive a secret", "schedule.derive_secret(b'c hs traffic')"),
        of_schedule("the next secret", "schedule.extract(None)"),
        of_schedule("a Finished message", "schedule.finished_verify_data(bytes(32))"),
    ]


STAGE_CASES: list[Case] = [*_event_cases(), *_driver_cases(), *_tls_cases()]
