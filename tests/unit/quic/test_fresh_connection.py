"""A connection that is made quickly is the one that aioquic would have made."""

from collections import deque
from types import MethodType

import pytest
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection, QuicConnectionAdapter

from wtransport._quic import fresh_connection
from wtransport._quic.aioquic_port import Connection
from wtransport._quic.limits import TransportLimits
from wtransport._quic.recovering_connection import Recovery
from wtransport._quic.reset_tokens import ResetTokens

ORIGINAL, RETRY = b"original", b"retried!"
TOKENS = ResetTokens(private_key=b"key", port=443)
OPTIONS = {
    "client": {},
    "server": {"original_destination_connection_id": ORIGINAL, "reset_tokens": TOKENS},
    "server after a Retry": {
        "original_destination_connection_id": ORIGINAL,
        "retry_source_connection_id": RETRY,
        "reset_tokens": TOKENS,
    },
}


def make(options, **settings):
    is_client = not options
    private = {} if is_client else {"certificate": object, "private_key": object}
    configuration = QuicConfiguration(is_client=is_client, **private, **settings)
    return Connection(configuration=configuration, limits=TransportLimits(1 << 16, 1 << 19, 8, 9), **options)


@pytest.fixture
def make_both(monkeypatch):
    """Make two connections of the same random numbers: one quickly, the other by aioquic."""

    def make_both(options, **settings):
        made = []
        for is_known in (True, False):
            numbers = iter(range(1, 99))
            monkeypatch.setattr("os.urandom", lambda size, numbers=numbers: bytes((next(numbers),)) * size)
            monkeypatch.setattr(fresh_connection, "_IS_KNOWN", is_known)
            made.append(make(options, **settings))
        return made

    return make_both


def comparable(value):
    if isinstance(value, MethodType):
        return value.__func__
    if isinstance(value, QuicConnectionAdapter):
        return type(value), value.logger, value.extra
    if isinstance(value, Recovery):
        return type(value), value.congestion_window, value.get_probe_timeout(), value.peer_completed_address_validation
    if isinstance(value, deque):
        return list(value)
    if isinstance(value, bool | int | float | str | bytes | list | dict | set | tuple | None):
        return value
    return (type(value), vars(value)) if hasattr(value, "__dict__") and value.__eq__ is object.__eq__ else type(value)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("settings", [{}, {"connection_id_length": 12, "initial_rtt": 0.3, "max_datagram_size": 1300}])
def test_every_attribute_is_what_aioquic_makes_it(make_both, options, settings):
    quick, slow = make_both(options, **settings)
    assert quick._is_fresh
    assert not slow._is_fresh
    plain = QuicConnection(configuration=QuicConfiguration())
    names = (vars(slow).keys() | vars(plain).keys() | vars(quick).keys()) - fresh_connection._LEFT_OUT
    for name in names - {"_is_fresh", "_configuration", "_loss", "_QuicConnection__frame_handlers"}:
        ours, theirs = comparable(getattr(quick, name)), comparable(getattr(slow, name))
        assert ours == theirs or (isinstance(ours, tuple) and ours[0] == theirs[0]), name
    assert comparable(quick._loss) == comparable(slow._loss)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_its_transport_parameters_are_those_that_aioquic_writes(make_both, options):
    from wtransport._quic.transport_parameters import split_parameters

    quick, slow = make_both(options, idle_timeout=12.5, max_datagram_frame_size=999)
    for connection in (quick, slow):
        connection._version = 1
    ours, theirs = (split_parameters(connection._serialize_transport_parameters()) for connection in (quick, slow))
    assert ours == theirs
    assert len(ours) > 10


def test_every_frame_has_the_handler_that_aioquic_gives_it():
    made = make({})
    plain = QuicConnection(configuration=QuicConfiguration())
    handlers = plain._QuicConnection__frame_handlers
    for frame, (handler, epochs) in handlers.items():
        bound, ours = made._QuicConnection__frame_handlers[frame]
        assert (bound.__self__, bound.__name__, ours) == (made, handler.__name__, epochs)
    with pytest.raises(KeyError):
        made._QuicConnection__frame_handlers[0x7F]


def test_nothing_is_shared_that_can_change():
    one, other = make({}), make({})
    for name in vars(one).keys() & vars(other).keys():
        value = getattr(one, name)
        if isinstance(value, list | dict | set | deque):
            assert value is not getattr(other, name), name
    for name in fresh_connection._OWN:
        if isinstance(getattr(one, name), list | dict | set | deque):
            assert getattr(one, name) is not getattr(other, name), name


@pytest.mark.parametrize(
    ("is_client", "options"),
    [
        (True, {"original_destination_connection_id": ORIGINAL}),
        (True, {"retry_source_connection_id": RETRY}),
        (False, {}),
        (False, {"original_destination_connection_id": ORIGINAL}),
    ],
)
def test_what_aioquic_refuses_is_refused(is_client, options):
    with pytest.raises(ValueError, match=r"client|required"):
        Connection(configuration=QuicConfiguration(is_client=is_client), limits=TransportLimits(1, 1, 1, 1), **options)


@pytest.mark.parametrize(
    "change",
    [
        lambda ours, theirs: ours.update(_new=None),
        lambda ours, theirs: [each.update(_new=[]) for each in (ours, theirs)],
        lambda ours, theirs: [each.pop("_streams") for each in (ours, theirs)],
        lambda ours, theirs: ours.update(_spin_bit=True),
    ],
    ids=["one role's", "changeable", "gone", "differs"],
)
def test_an_aioquic_that_is_not_known_makes_its_connections_itself(change):
    client, server = fresh_connection._made_by_aioquic()
    assert fresh_connection._shared_attributes(client, server) is not None
    change(vars(client), vars(server))
    assert fresh_connection._shared_attributes(client, server) is None
