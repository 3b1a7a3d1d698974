"""`fillbook init`: a configuration to begin with."""

import os

import click

from fillbook.cli.common import CONFIGURATION, json_option, print_json
from fillbook.configuration import template
from fillbook.errors import BadInput

__all__ = ["init_command"]


@click.command("init", epilog="Example: fillbook init sber.toml")
@click.argument("file", required=False)
@click.option("--config", metavar="FILE", help="The same FILE, by the name other verbs give it.")
@json_option
def init_command(file: str | None, config: str | None, as_json_: bool) -> int:
    """Write a commented configuration to FILE (default: fillbook.toml).

    It says every key with its default, and trades on paper.  A file that is
    there already is never touched.
    """
    if file is not None and config is not None:
        raise click.UsageError("FILE and --config both name the file to write: give one of them")
    file = file or config or CONFIGURATION
    data = template().encode()
    try:
        with open(file, "xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    except FileExistsError as exc:
        raise BadInput(
            f"{file}: this file is there already; it was not touched",
            "name another one, or take it away first",
        ) from exc
    except OSError as exc:
        raise BadInput(f"{file}: {exc.strerror or exc}", "name a file that can be written") from exc
    if as_json_:
        print_json({"configuration": file, "bytes": len(data)})
    else:
        print(f"{file}: {len(data)} bytes; every key is in it, with its default")
    return 0
