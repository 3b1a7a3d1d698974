"""Tell systemd that the service is ready, alive or stopping, where it asks to be told."""

import os
import socket

__all__ = ["notify"]


def notify(state: str) -> bool:
    """Send *state* (`READY=1`, `WATCHDOG=1`, `STOPPING=1`); False where nobody asked.

    Source: sd_notify(3): a datagram to the socket named in NOTIFY_SOCKET, `@` for an abstract one.
    A socket that cannot be reached is passed over: the service goes on without.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.settimeout(1)
            channel.sendto(state.encode(), address)
    except OSError:
        return False
    return True
