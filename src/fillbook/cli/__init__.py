"""The command `fillbook`.  Each verb lives in a module of its own, loaded when it is used."""

import gc
import os
import sys
from importlib import import_module
from io import BufferedWriter, FileIO, TextIOWrapper

import click

from fillbook import __version__
from fillbook.errors import FillbookError

__all__ = ["main"]

_GROUPS = {
    "Begin": {
        "demo": ("demoing", "Trade a seeded day on the paper exchange, show the book."),
        "init": ("initing", "Write a commented configuration to begin with."),
        "paper": ("papering", "Serve the paper broker to robots on this machine."),
        "doctor": ("doctoring", "Check this machine and one ledger's surroundings."),
    },
    "What the book says": {
        "orders": ("listing", "List the orders of a ledger."),
        "positions": ("listing", "List the positions, averages and profit of a ledger."),
        "state": ("stating", "Show orders and positions as of a moment in the past."),
        "tail": ("tailing", "Show the last events, and the next ones as they come."),
    },
    "In, out and whole": {
        "import": ("importing", "Read a file of messages into a ledger."),
        "export": ("exporting", "Write a ledger out: events with hashes, or CSV."),
        "backup": ("backing", "Copy a ledger, live or not, and verify the copy."),
        "verify": ("verifying", "Check that a ledger is whole and true to itself."),
    },
    "Operate a robot": {
        "status": ("watching", "Show how the robot stands: orders, line, halts."),
        "watch": ("watching", "Show it live, in a terminal or line by line."),
        "reconcile": ("reconciling", "Compare the book with the broker, or a statement."),
        "halt": ("commanding", "Let no new order out; also where the robot hangs."),
        "resume": ("commanding", "Lift a halt."),
        "cancel-all": ("commanding", "Cancel every open order."),
        "resolve": ("commanding", "Say what became of an order that nobody can tell of."),
        "adjust": ("commanding", "Set a position right by hand, without a trade."),
        "accept-tail-loss": ("commanding", "Go on with a ledger whose end is missing."),
    },
}
_VERBS = {name: verb for group in _GROUPS.values() for name, verb in group.items()}


_OBJECTS_BEFORE_GARBAGE = 50_000
"""Made since the last look for garbage.  Loading a verb makes about so many and drops none."""


class _ReaderGoneError(Exception):
    """Whoever read our output has had enough."""


class _InterruptedError(Exception):
    """Ctrl-C while a verb was at work."""


class _Verbs(click.Group):
    """Loads a verb's module only when that verb is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _VERBS:
            return None
        module = import_module(f"fillbook.cli.{_VERBS[name][0]}")
        command = getattr(module, f"{name.replace('-', '_')}_command")
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as exc:  # click itself would make exit status 1 of it
            raise _ReaderGoneError from exc
        except KeyboardInterrupt as exc:  # of which click would tell nothing but an empty line
            raise _InterruptedError from exc

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, _VERBS))
        for title, group in _GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), text) for name, (_, text) in group.items()])


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog="Try `fillbook demo`, or `fillbook COMMAND --help`.",
)
@click.version_option(__version__, message="fillbook %(version)s")
def fillbook() -> None:
    """The ledger that a trading robot can trust.

    A robot's orders and all that its broker said go in; orders, positions and
    profit come out, and every number can be explained.  One file, no server.

    Which ledger: --ledger FILE, else the one that --config FILE names, else
    that of the fillbook.toml in this folder.

    Exit status: 0 done; 1 finished, but something was set aside, is disputed
    or does not verify; 2 could not start or could not finish.
    """


def main() -> None:
    """Run the command; the process ends with its exit status and never with a traceback."""
    gc.set_threshold(_OBJECTS_BEFORE_GARBAGE)
    _ready_streams()
    try:
        status = fillbook(standalone_mode=False, prog_name="fillbook")
        sys.stdout.flush()
    except click.exceptions.Abort:
        _say("interrupted")
        status = 130
    except click.UsageError as exc:
        command = "fillbook" if exc.ctx is None else exc.ctx.command_path
        _say(f"{' '.join(exc.format_message().split()).rstrip('.')}; see `{command} --help`")
        status = exc.exit_code
    except click.ClickException as exc:
        _say(exc.format_message())
        status = exc.exit_code
    except click.exceptions.Exit as exc:
        status = exc.exit_code
    except (KeyboardInterrupt, _InterruptedError):
        _say("interrupted; what was committed is in the ledger")
        status = 130
    except (BrokenPipeError, _ReaderGoneError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except FillbookError as exc:
        _say(str(exc))
        status = 2
    except MemoryError:
        _say("out of memory; what was committed is in the ledger")
        status = 2
    except OSError as exc:
        where = f"{exc.filename}: " if exc.filename else ""
        _say(f"{where}{exc.strerror or exc}")
        status = 2
    gc.freeze()  # the interpreter would look through everything once more before it ends
    sys.exit(status if isinstance(status, int) else 0)


def _ready_streams() -> None:
    """See to it that what is said can be said, whatever the caller left us with.

    A stream that was closed becomes the null device, else the next file that is opened would get
    its number; a letter that the terminal's encoding lacks is written as an escape.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        if number:  # what is not there cannot be read; what nobody reads can be written
            name = ("stdout", "stderr")[number - 1]
            null = TextIOWrapper(BufferedWriter(FileIO(number, "w", closefd=False)))
            setattr(sys, name, null)
    os.close(number)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _say(sentence: str) -> None:
    from fillbook.cli.common import note

    try:
        note(sentence)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
