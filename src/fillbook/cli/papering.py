"""`fillbook paper`: the paper broker as a server of its own."""

import os
import sys
from typing import Any
from urllib.parse import urlsplit

import click

from fillbook.cli.common import json_option, log_option, note, print_json
from fillbook.errors import BadInput
from fillbook.wiring import serve_paper

__all__ = ["paper_command"]

_OPTION_OF = {"seed": "seed", "faults": "plan", "path": "account"}


def _described(path: str) -> dict[str, Any]:
    """Return the options that serve the paper exchange of the configuration at *path*.

    Raises `BadInput` where its broker is none, or is a server on another machine.
    """
    from fillbook.configuration import read_configuration

    broker = read_configuration(path).broker
    if broker.kind != "paper":
        raise BadInput(
            f"{path}: its broker is {broker.kind}, which is no paper exchange",
            'name a configuration with kind = "paper"',
        )
    said = broker.options
    options = {_OPTION_OF[key]: value for key, value in said.items() if key in _OPTION_OF}
    if "url" in said:
        options["port"] = _port_of(said["url"], path)
    return options


def _port_of(url: str, path: str) -> int:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host not in ("127.0.0.1", "localhost") or port is None:
        raise BadInput(
            f"{path}: url {url} is no port of 127.0.0.1, where the paper broker is served",
            "serve it there, or name another configuration",
        )
    return port


def _take_defaults(context: click.Context, _: click.Parameter, path: str | None) -> None:
    if path is not None and not context.resilient_parsing:
        context.default_map = _described(path)


@click.command(
    "paper",
    epilog="Example: fillbook paper --port 8099 --seed 7 --faults all",
    short_help="Serve the paper broker to robots on this machine.",
)
@click.option(
    "--config", metavar="FILE", is_eager=True, expose_value=False, callback=_take_defaults,
    help="Serve what this configuration says of [broker]: the port of its url, or its seed, faults "
    "and path.  Other options go before it.",
)  # fmt: skip
@click.option("--port", default=0, show_default=True, type=click.IntRange(0, 65535),
              help="The port; 0 takes any that is free.")  # fmt: skip
@click.option("--seed", default=7, show_default=True, help="Another seed is another market.")
@click.option(
    "--faults", "plan", default="none", show_default=True, metavar="PLAN",
    help="What goes wrong: none, all (on the way), account (behind the robot's back), or words "
    "with or without a chance, as in drop=0.05,hang=0.01.",
)  # fmt: skip
@click.option("--account", metavar="FILE", help="Keep the account in FILE; else it is in memory.")
@json_option
@log_option
def paper_command(port: int, seed: int, plan: str, account: str | None, as_json_: bool) -> int:
    """Serve the paper broker on 127.0.0.1 until it is stopped.

    A robot uses it with PaperBroker(url="http://127.0.0.1:PORT").  GET /truth
    says what is true there: orders, fills, positions and what else moved them.
    """

    def ready(actual: int, faults: str) -> None:
        url = f"http://127.0.0.1:{actual}"
        if as_json_:
            print_json({"url": url, "pid": os.getpid(), "seed": seed, "faults": faults})
        else:
            print(f"The paper broker answers at {url}  (seed {seed}, faults {faults})")
            note("Ctrl-C stops it")
        sys.stdout.flush()

    try:
        serve_paper(port, seed, plan, account, ready)
    except OSError as exc:
        raise BadInput(
            f"port {port}: {exc.strerror or exc}", "name another one with --port, or 0 for any"
        ) from exc
    return 0
