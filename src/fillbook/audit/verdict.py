"""Hold what a verification found: where the ledger ends, what is in it, what is wrong."""

from collections import Counter

from attrs import define, field

from fillbook.log.port import Head

__all__ = ["MOST_PROBLEMS", "Problem", "Verdict"]

MOST_PROBLEMS = 1000
"""How many problems are listed; the rest is only counted."""


@define
class Problem:
    """One thing that is not as it must be; `seq` 0 is the file as a whole."""

    seq: int
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        where = f"seq {self.seq}" if self.seq else "the file"
        return f"{where}: {self.what}: expected {self.expected}, found {self.found}"


@define
class Verdict:
    """What a ledger was found to be.

    Attributes:
        head: Where it ends.
        counts: Events by type.
        problems: What is wrong, in the order found; at most `MOST_PROBLEMS`.
        problem_count: All of them.
        unfolded: Orders that could not be folded because an event is of a newer version.
    """

    ledger_id: str
    robot: str
    head: Head
    counts: Counter[str] = field(factory=Counter)
    problems: list[Problem] = field(factory=list)
    problem_count: int = 0
    unfolded: int = 0

    @property
    def is_whole(self) -> bool:
        """True where nothing is wrong."""
        return not self.problem_count

    def note(self, seq: int, what: str, expected: object, found: object) -> None:
        """Add a problem; *what* is the witness's word for it, where the witness looks at it too."""
        self.problem_count += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(Problem(seq, what, _short(expected), _short(found)))


def _short(value: object) -> str:
    """Return *value* on one line, short, and harmless to a terminal."""
    if value is None:
        return "nothing"
    text = value.hex() if isinstance(value, bytes) else str(value)
    if not text.isprintable():
        text = ascii(text)[1:-1]
    return text if len(text) <= 200 else f"{text[:199]}…"
