"""The size of the kernel's buffers, and the warning when it allows too little."""

import logging
import socket
import sys

import pytest

from wtransport._adapter.socket_buffers import SMALLEST_REQUEST, SOCKET_BUFFER_SIZE, BufferWarning, enlarge_buffers


class Limited:
    """A socket of a kernel that clamps (Linux) or refuses (others) what is beyond its limit."""

    def __init__(self, limit, *, clamps):
        self.limit = limit
        self.clamps = clamps
        self.sizes = {socket.SO_RCVBUF: 9216, socket.SO_SNDBUF: 9216}

    def setsockopt(self, level, option, size):
        assert level == socket.SOL_SOCKET
        if size > self.limit and not self.clamps:
            raise OSError("too much")
        self.sizes[option] = min(size, self.limit)

    def getsockopt(self, level, option):
        return self.sizes[option] * (2 if self.clamps else 1)


@pytest.mark.parametrize(
    ("platform", "limit_names"),
    [("linux", ("net.core.rmem_max", "net.core.wmem_max")), ("darwin", ("kern.ipc.maxsockbuf",))],
)
def test_one_warning_names_the_limit_the_wanted_and_the_granted(monkeypatch, caplog, platform, limit_names):
    monkeypatch.setattr(sys, "platform", platform)
    warning = BufferWarning()
    for _ in range(3):
        sock = Limited(SOCKET_BUFFER_SIZE // 4, clamps=platform == "linux")
        enlarge_buffers(sock, warning)
        assert set(sock.sizes.values()) == {SOCKET_BUFFER_SIZE // 4}
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    for part in (*limit_names, str(SOCKET_BUFFER_SIZE), str(SOCKET_BUFFER_SIZE // 4)):
        assert part in record.message


def test_enough_is_no_reason_to_warn(monkeypatch, caplog):
    monkeypatch.setattr(sys, "platform", "linux")
    enlarge_buffers(sock := Limited(2 * SOCKET_BUFFER_SIZE, clamps=True), BufferWarning())
    assert set(sock.sizes.values()) == {SOCKET_BUFFER_SIZE}
    assert caplog.records == []


def test_a_kernel_that_grants_nothing_keeps_its_default(monkeypatch, caplog):
    monkeypatch.setattr(sys, "platform", "darwin")
    sock = Limited(SMALLEST_REQUEST - 1, clamps=False)
    enlarge_buffers(sock, BufferWarning())
    assert set(sock.sizes.values()) == {9216}
    assert "9216" in caplog.text


def test_a_system_that_does_not_say_is_believed(caplog):
    class Silent(Limited):
        def getsockopt(self, level, option):
            raise OSError("no such option")

    enlarge_buffers(Silent(1, clamps=True), BufferWarning())
    assert caplog.records == []


@pytest.mark.parametrize("clamps", [True, False])
@pytest.mark.parametrize("limit", [SOCKET_BUFFER_SIZE, SOCKET_BUFFER_SIZE // 4])
def test_only_the_first_socket_is_asked_what_it_got(monkeypatch, caplog, limit, clamps):
    monkeypatch.setattr(sys, "platform", "linux" if clamps else "darwin")
    asked = []

    class Asked(Limited):
        def getsockopt(self, level, option):
            asked.append(option)
            return super().getsockopt(level, option)

    warning = BufferWarning()
    first, *others = [Asked(limit, clamps=clamps) for _ in range(3)]
    enlarge_buffers(first, warning)
    assert asked == list(first.sizes)
    asked.clear()
    for sock in others:
        enlarge_buffers(sock, warning)
        assert set(sock.sizes.values()) == {limit}
    assert not asked or not (clamps or limit == SOCKET_BUFFER_SIZE)  # refused, less is asked for as at first
    assert len(caplog.records) == (limit < SOCKET_BUFFER_SIZE)
