"""Figure about reconciliation: comparing what the broker holds with the book, against reading it.

Reading the answer as JSON is the least that anybody must do with it, so that is the other side.
"""

import json
import time
from collections.abc import Sequence
from decimal import Decimal
from random import Random
from statistics import median
from typing import Any

from benchmarks.measure import Figure, Result, Settings, by_time, take_turns
from fillbook.core.events import InstrumentDefined
from fillbook.core.exact import average_of, decimal_of, plain
from fillbook.reconcile.compare import Difference, Held, compare
from fillbook.reconcile.policies import Limits, Policies

__all__ = ["FIGURES"]

LOT = 10
ONE_DIFFERS_IN = 100


class Day:
    """A book, and a broker's answer about it in which one position of a hundred is another one.

    Attributes:
        held: The book's side, made already.
        answer: The answer's text; amounts are decimal text, as everywhere with us.
    """

    def __init__(self, count: int) -> None:
        random = Random(1)
        self.held: list[Held] = []
        self.definitions: dict[str, InstrumentDefined] = {}
        rows = []
        for n in range(count):
            name, lots = f"SYM{n:05}", random.randrange(-5000, 5000) or 1
            qty, avg_px = Decimal(lots * LOT), Decimal(random.randrange(1, 10**8)) / 10_000
            self.held.append(
                Held(account_id="default", instrument_id=name, position_qty=qty, avg_px=avg_px)
            )
            self.definitions[name] = InstrumentDefined(
                instrument_id=name, qty_step=Decimal(LOT), lot_size=Decimal(LOT)
            )
            missed = random.choice((-50, 1, 7)) * LOT if n % ONE_DIFFERS_IN == 0 else 0
            rows.append(
                {
                    "instrument_id": name,
                    "position_qty": plain(qty + missed),
                    "avg_px": str(avg_px),
                    "account_id": "default",
                }
            )
        self.answer = json.dumps(rows)
        self._policies = Policies()

    def limits_of(self, instrument_id: str) -> Limits:
        """Return the default limits in steps and lots of the instrument."""
        return self._policies.limits(instrument_id, self.definitions[instrument_id], None)


def load_answer(answer: str) -> tuple[float, int]:
    """Parse the broker's answer, and do nothing with it."""
    start = time.perf_counter()
    rows = json.loads(answer)
    return time.perf_counter() - start, len(rows)


def find_differences(
    day: Day, rows: Sequence[dict[str, Any]]
) -> tuple[float, float, tuple[Difference, ...]]:
    """Return the seconds from *rows* to what differs, those of the comparison alone, and that.

    *rows* are parsed already, and have never been seen: no amount is remembered from before.
    """
    decimal_of.cache_clear()
    average_of.cache_clear()
    start = time.perf_counter()
    reported = [
        Held(
            account_id=row["account_id"],
            instrument_id=row["instrument_id"],
            position_qty=decimal_of(row["position_qty"]),
            avg_px=average_of(row["avg_px"]),
        )
        for row in rows
    ]
    made = time.perf_counter()
    differences = compare(day.held, reported, day.limits_of)
    end = time.perf_counter()
    return end - start, end - made, differences


def _compare(settings: Settings) -> Result:
    count = settings.size(10_000, 200)
    day = Day(count)
    alone: list[float] = []

    def ours() -> tuple[float, int]:
        rows = json.loads(day.answer)
        seconds, comparing, differences = find_differences(day, rows)
        assert len(differences) == count // ONE_DIFFERS_IN, len(differences)
        alone.append(comparing)
        return seconds, len(rows)

    taken = take_turns(ours, lambda: load_answer(day.answer), settings.size(31, 3))
    share = median(alone) / median(taken.baseline)
    note = (
        f"{count:,} positions, {count // ONE_DIFFERS_IN} differ; the comparison alone "
        f"{median(alone) * 1e3:.3g} ms ({share:.2g}x), the rest makes values of the parsed rows"
    )
    return by_time(taken, per=1e3, at_most=10, note=note)


FIGURES = (
    Figure(
        name="reconcile-compare",
        what="comparing 10,000 positions of book and broker against parsing the broker's answer",
        unit="ms",
        goal="<= 10",
        baselines=(load_answer, Day),
        measure=_compare,
    ),
)
