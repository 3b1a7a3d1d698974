"""What systemd is told, where it asks to be told."""

import os
import socket
import sys
from pathlib import Path

import pytest

from fillbook.feedback.systemd import notify

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")


@pytest.mark.parametrize("kind", ["path", pytest.param("abstract", marks=linux_only)])
def test_a_state_goes_to_the_socket_that_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
):
    name = str(tmp_path / "n") if kind == "path" else f"@fillbook-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(name.replace("@", "\0", 1) if kind == "abstract" else name)
        heard.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", name)

        assert notify("READY=1")
        assert heard.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "nowhere", "/nowhere/at/all"])
def test_where_nobody_asks_or_listens_the_robot_goes_on(
    monkeypatch: pytest.MonkeyPatch, address: str
):
    monkeypatch.setenv("NOTIFY_SOCKET", address)

    assert not notify("READY=1")
