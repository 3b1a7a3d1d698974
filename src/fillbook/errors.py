"""Every error this package raises on purpose, on one page.

Three kinds of trouble get three answers.  Our own mistake is an `AssertionError` or a `TypeError`.
The world not being ready is one of the errors below; each says what is left behind.  A venue that
contradicts itself or us is no error at all but an event: it happened, so it is recorded.
"""

from attrs import define

__all__ = [
    "AppendRefused",
    "BadInput",
    "BadRequest",
    "BadValue",
    "FillbookError",
    "ForkedHandle",
    "HeadBehindCheckpoint",
    "IdempotencyConflict",
    "LedgerDamaged",
    "LedgerInUse",
    "LedgerNotFound",
    "LedgerNotWritable",
    "LedgerTooNew",
    "LogError",
    "NotALedger",
    "NotOverYet",
    "OfflineRefused",
    "OperatorRefused",
    "RequestRefused",
    "RobotClosed",
    "StorageFailed",
    "TradingHalted",
    "UnknownEventVersion",
    "VersionConflict",
]


class FillbookError(Exception):
    """The root of this tree.  The command prints it as one sentence and exits with 2."""


@define
class BadValue(FillbookError):
    """A value from outside that cannot be believed: its key and what is wrong; nothing was kept."""

    key: str
    problem: str

    def __str__(self) -> str:
        return f"{self.key}: {self.problem}" if self.key else self.problem


@define
class BadInput(FillbookError):
    """A file or an option that cannot be used; nothing was read from it, nothing written."""

    problem: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}" if self.remedy else self.problem


class LogError(FillbookError):
    """The ledger could not do what was asked."""


@define
class LedgerNotFound(LogError):
    """There is no file at this path.  Nothing was made."""

    path: str

    def __str__(self) -> str:
        return (
            f"{self.path}: no such ledger; check the path (a robot makes a new one, and so does "
            "`fillbook import`)"
        )


@define
class NotALedger(LogError):
    """The file is something else.  It was not touched."""

    path: str
    found: str

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.found}, not a fillbook ledger; it was not touched: "
            "name another path"
        )


@define
class LedgerTooNew(LogError):
    """The file's format is newer than this program.  It was not touched."""

    path: str
    format_version: int
    known_version: int

    def __str__(self) -> str:
        return (
            f"{self.path}: the ledger has format {self.format_version}, this fillbook reads up to "
            f"{self.known_version}; it was not touched: upgrade fillbook"
        )


@define
class LedgerInUse(LogError):
    """Another process writes this ledger.  Nothing was written by us; readers still work."""

    path: str
    holder: str

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.holder} is writing this ledger; nothing was written: "
            "stop it first, or only read (orders, positions, state, export, tail, verify)"
        )


@define
class LedgerNotWritable(LogError):
    """The file, its folder or its file system cannot be written safely.  Nothing was written."""

    path: str
    problem: str
    remedy: str = "make it writable or name another path"

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}; nothing was written: {self.remedy}"


@define
class LedgerDamaged(LogError):
    """The file contradicts itself.  It was not changed."""

    path: str
    problem: str
    advice: str = "run `fillbook verify`, and go on from a backup"

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.problem}; nothing was changed: keep this file as it is, "
            f"{self.advice}"
        )


@define
class HeadBehindCheckpoint(LogError):
    """The file ends before a head that was written down outside it.  Nothing was written."""

    path: str
    head_seq: int
    checkpoint_seq: int

    def __str__(self) -> str:
        return (
            f"{self.path}: the ledger ends at seq {self.head_seq}, its checkpoint file knows seq "
            f"{self.checkpoint_seq}: a tail is missing; nothing was written: restore a backup that "
            "reaches the checkpoint, or accept the loss (`fillbook accept-tail-loss`)"
        )


@define
class ForkedHandle(LogError):
    """This process was forked from the one that opened the ledger.  Nothing was written."""

    path: str

    def __str__(self) -> str:
        return (
            f"{self.path}: opened before a fork; nothing was written: open it anew in this process"
        )


@define
class StorageFailed(LogError):
    """The disk refused (full, read-only, I/O error); the handle takes no more.

    A commit that raised is in doubt: it may be in the file.  Reopening finds out.

    Attributes:
        state: What is left behind.
        advice: The next step.
    """

    path: str
    problem: str
    state: str = "what was acknowledged is in the ledger, the last append is in doubt"
    advice: str = "make room or mend the disk, then open the ledger again"

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}; {self.state}: {self.advice}"


@define
class AppendRefused(LogError):
    """The file's own rules refused a row.  Nothing was written."""

    problem: str

    def __str__(self) -> str:
        return f"the ledger refused the append: {self.problem}; nothing was written"


@define
class VersionConflict(LogError):
    """Another writer appended to the stream first.  Nothing was written."""

    stream: int
    expected_version: int
    actual_version: int

    def __str__(self) -> str:
        return (
            f"stream {self.stream} is at version {self.actual_version}, expected "
            f"{self.expected_version}; nothing was written: read the stream again and decide again"
        )


@define
class IdempotencyConflict(LogError):
    """The key was used before for other content.  Nothing was written."""

    key: str
    first_seq: int

    def __str__(self) -> str:
        return (
            f"idempotency key {self.key!r} was used at seq {self.first_seq} with other content; "
            "nothing was written: use a new key, or send what was sent first"
        )


@define
class UnknownEventVersion(LogError):
    """An event of a type or version unknown to this program; it can be listed, not folded."""

    seq: int
    type: str
    version: int

    def __str__(self) -> str:
        return (
            f"seq {self.seq}: event {self.type} version {self.version} is unknown to this "
            "fillbook: it can be listed and verified, not folded; upgrade fillbook"
        )


class RequestRefused(FillbookError):
    """The robot's request was refused here; nothing was sent, nothing recorded."""


@define
class TradingHalted(RequestRefused):
    """A halt forbids the request.  Nothing was sent.

    Attributes:
        level: `HALTED`, or `REDUCE_ONLY` where only what takes a position down is sent.
        where: The instrument, or `everything`.
        by, since, reason: Who halted, when (UTC, as text), and why.
    """

    level: str
    where: str
    by: str
    since: str
    reason: str

    def __str__(self) -> str:
        kind = "halted" if self.level == "HALTED" else "halted but for orders that reduce"
        return (
            f"{self.where} is {kind} by {self.by} since {self.since}: {self.reason}; nothing was "
            "sent: an operator lifts it with `fillbook resume`"
        )


@define
class OperatorRefused(FillbookError):
    """What an operator asked for cannot be done as things stand.  Nothing was changed."""

    problem: str
    remedy: str = ""

    def __str__(self) -> str:
        said = f"{self.problem}; nothing was changed"
        return f"{said}: {self.remedy}" if self.remedy else said


@define
class NotOverYet(FillbookError):
    """Somebody was asked for something and is not seen to have ended it.  It may still happen."""

    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.problem}: {self.remedy}"


@define
class OfflineRefused(RequestRefused):
    """The broker cannot be reached, or is still being asked what happened.  Nothing was sent."""

    problem: str

    def __str__(self) -> str:
        return (
            f"{self.problem}; nothing was sent: try again when the robot is online, or let orders "
            "wait (offline='QUEUE')"
        )


@define
class BadRequest(RequestRefused):
    """The request cannot be meant so.  Nothing was sent."""

    problem: str

    def __str__(self) -> str:
        return f"{self.problem}; nothing was sent"


@define
class RobotClosed(RequestRefused):
    """The robot is stopping or has stopped.  Nothing was sent."""

    def __str__(self) -> str:
        return "the robot has stopped; nothing was sent: open it again"
