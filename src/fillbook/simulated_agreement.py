"""Judge a day of comparing by its events and by what was so at the broker.

Nothing of the code that compares is used here: what it promises is counted again, from the ledger.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

from attrs import define, field, frozen

from fillbook.brokers.live import Capabilities
from fillbook.core.book import Book
from fillbook.core.exact import EXACT, plain
from fillbook.core.order_events import OrderSubmitted
from fillbook.core.orders import Order
from fillbook.core.reconciled_events import BookReconciled, PositionAdopted, PositionGap
from fillbook.core.robot_events import HaltDeclared, HaltLifted
from fillbook.core.values import Side
from fillbook.log.port import Record
from fillbook.reconcile.policies import Action, Policies, Size
from fillbook.simulated_day import order_difference

__all__ = ["Answer", "Life", "broken_promises"]

_ZERO = Decimal(0)


@frozen(kw_only=True)
class Answer:
    """One answer about positions that a run took.

    Attributes:
        came_ns: When it came; ns since 1970, UTC.
        so: What was held when it was asked for, by instrument.
        told: What it said.
    """

    came_ns: int
    so: dict[str, Decimal]
    told: dict[str, Decimal]


@define(eq=False)
class Life:
    """A day that is over.

    Attributes:
        records: Its ledger.
        book: The fold of it.
        truth: What is so at the broker at the end.
        answers: What runs were told of positions, in the order it came.
        finished: The event of every run that came to an end, dry ones apart.
        forgotten: Runs that did not, though nobody killed the robot.
        capabilities: What the broker can tell.
        amendments: Fills that were taken back or corrected, by instrument.
        short_count: Filled in: restoring orders that were not filled, or not whole.
        mistaken: Filled in: the seqs of adoptions of what the broker said and what was not so.
    """

    records: Sequence[Record]
    book: Book
    truth: dict[str, list[dict[str, Any]]]
    answers: Sequence[Answer]
    finished: Sequence[BookReconciled]
    forgotten: int
    policies: Policies
    capabilities: Capabilities
    amendments: Counter[str]
    short_count: int = 0
    mistaken: set[int] = field(factory=set)

    def runs(self) -> list[tuple[int, BookReconciled]]:
        """Every run on record, with its seq."""
        return [
            (record.seq, record.event)
            for record in self.records
            if isinstance(record.event, BookReconciled)
        ]

    def adoptions(self) -> list[tuple[int, PositionAdopted]]:
        """Every adoption on record, with its seq."""
        return [
            (record.seq, record.event)
            for record in self.records
            if isinstance(record.event, PositionAdopted)
        ]


def broken_promises(life: Life) -> list[str]:
    """Return what the day did not keep to, in words; empty where it kept to everything."""
    return [
        *_runs_are_what_they_say(life),
        *_adoptions_have_their_run(life),
        *_adoptions_have_two_readings(life),
        *_nothing_goes_to_and_fro(life),
        *_restoring_is_once_and_bounded(life),
        *_policies_are_kept(life),
        *_halts_are_said_once(life),
        *_nothing_differs_in_silence(life),
        *_own_orders_are_as_they_are(life),
    ]


# ---- runs


def _runs_are_what_they_say(life: Life) -> Iterator[str]:
    """Every run is one event, and its counts are those of its gaps."""
    if life.forgotten:
        yield f"{life.forgotten} runs were begun and never came to an end"
    on_record = Counter(run.started for _, run in life.runs())
    if on_record != Counter(run.started for run in life.finished):
        yield f"{len(life.finished)} runs came to an end, {len(life.runs())} are on record"
    for seq, run in life.runs():
        counted = [gap for gap in run.gaps if gap.action != "WAIT"]
        sizes, actions = Counter(g.size for g in counted), Counter(g.action for g in counted)
        said = (run.rounding, run.minor, run.critical, run.unsettled)
        if said != (*(sizes[size] for size in Size), len(run.gaps) - len(counted)):
            yield f"seq {seq}: sizes {said} are not those of its gaps"
        did = (run.alerted, run.adopted, run.restored, run.halted)
        if did != tuple(actions[action] for action in Action):
            yield f"seq {seq}: what was done {did} is not that of its gaps"
        yield from (f"seq {seq}: {each}" for gap in run.gaps for each in _wrong_gap(gap))
        if run.outcome != _outcome_of(run):
            yield f"seq {seq}: {run.outcome} with {len(run.gaps)} gaps"


def _wrong_gap(gap: PositionGap) -> Iterator[str]:
    reported = gap.reported_qty
    if gap.gap_qty != EXACT.subtract(reported or _ZERO, gap.held_qty) or not gap.gap_qty:
        yield f"{gap.instrument_id}: {gap.held_qty} to {reported} is no gap of {gap.gap_qty}"
    if reported is None and gap.action in ("ADOPT", "RESTORE"):
        yield f"{gap.instrument_id}: {gap.action} of what the answer does not name"


def _outcome_of(run: BookReconciled) -> str:
    actions = {gap.action for gap in run.gaps}
    if run.reads == 0 or (run.outcome == "UNANSWERED" and not run.gaps):
        return "UNANSWERED"
    if not actions:
        return "AGREED"
    if "WAIT" in actions or run.outcome == "UNSETTLED":
        return "UNSETTLED"
    return "ADOPTED" if actions <= {"ADOPT", "RESTORE"} else "DIFFERS"


# ---- adoptions


def _adoptions_have_their_run(life: Life) -> Iterator[str]:
    """What a run adopts is in its gaps, in the same append, and nothing else moves the book."""
    run: BookReconciled | None = None
    due: dict[str, PositionGap] = {}
    for record in life.records:
        event = record.event
        if isinstance(event, BookReconciled):
            run = event
            due = {g.instrument_id: g for g in run.gaps if g.action in ("ADOPT", "RESTORE")}
        elif isinstance(event, PositionAdopted):
            gap = due.pop(event.instrument_id, None)
            if run is None or gap is None or gap.gap_qty != event.adjusted_qty:
                yield f"seq {record.seq}: adopted without a run that says so"
            elif event.ts_event != run.ts_event:
                yield f"seq {record.seq}: adopted at another time than its run"
            elif (gap.action == "RESTORE") is not (event.restore_client_order_id is not None):
                yield f"seq {record.seq}: {gap.action} with {event.restore_client_order_id}"
        elif due and not isinstance(event, OrderSubmitted):
            yield f"seq {record.seq}: {', '.join(due)} were to be adopted"
            due = {}
    ids = Counter(event.adjustment_id for _, event in life.adoptions())
    yield from (f"adjustment {name} is there {n} times" for name, n in ids.items() if n > 1)


def _adoptions_have_two_readings(life: Life) -> Iterator[str]:
    """The last two answers before it say what was adopted; neither left it out."""
    for seq, adopted in life.adoptions():
        name = adopted.instrument_id
        before = [each for each in life.answers if each.came_ns <= (adopted.ts_event or 0)][-2:]
        if [each.told.get(name) for each in before] != [adopted.reported_qty] * 2:
            told = ", ".join(str(each.told.get(name)) for each in before)
            yield f"seq {seq}: {name} adopted as {adopted.reported_qty}, told was {told}"
        elif before[-1].so.get(name, _ZERO) != adopted.reported_qty:
            life.mistaken.add(seq)


def _nothing_goes_to_and_fro(life: Life) -> Iterator[str]:
    """No second adoption before a run that found the first to agree; not more than there is cause.

    There is cause where something happened that the broker does not tell when it is asked, and
    where an answer was not so; what can be explained is never adopted.
    """
    unconfirmed: set[str] = set()
    for record in life.records:
        event = record.event
        if isinstance(event, BookReconciled) and event.outcome != "UNANSWERED":
            unconfirmed &= {gap.instrument_id for gap in event.gaps}
        elif isinstance(event, PositionAdopted):
            if event.instrument_id in unconfirmed:
                yield f"seq {record.seq}: {event.instrument_id} adopted again before it agreed"
            unconfirmed.add(event.instrument_id)
    mistaken, right = Counter[str](), Counter[str]()
    for seq, event in life.adoptions():
        (mistaken if seq in life.mistaken else right)[event.instrument_id] += 1
    untold, untrue = _untold(life), _untrue(life)
    for name in mistaken | right:
        if mistaken[name] > untrue[name]:
            yield f"{name}: {mistaken[name]} wrong adoptions for {untrue[name]} wrong answers"
        if right[name] > untold[name] + mistaken[name]:  # what was set wrong has to be set right
            yield f"{name}: {right[name]} adoptions for {untold[name] + mistaken[name]} causes"


def _untold(life: Life) -> Counter[str]:
    """Count, by instrument, what happened and the broker does not tell when it is asked.

    A fill that is taken back may come again.
    """
    can, causes = life.capabilities, Counter[str]()
    if not can.has_fills_since:
        for row in life.truth["orders"]:
            causes[row["instrument_id"]] += not row["client_order_id"]
        for row in life.truth["fills"]:  # without its fee, where that comes out of what is held
            causes[row["instrument_id"]] += row["commission_currency"] == "ETH"
        causes += life.amendments
        causes += life.amendments
    for row in life.truth["activities"]:
        if row.get("instrument_id") and not can.has_activities:
            causes[row["instrument_id"]] += 1
    return causes


def _untrue(life: Life) -> Counter[str]:
    """Count, by instrument, how often the answers began to say what was not so."""
    counts: Counter[str] = Counter()
    for one, other in pairwise((None, *life.answers)):
        assert other is not None
        for name in other.so | other.told:
            is_wrong = other.told.get(name) != other.so.get(name)
            was_wrong = one is not None and one.told.get(name) != one.so.get(name)
            counts[name] += is_wrong and not was_wrong
    return counts


# ---- restoring


def _restoring_is_once_and_bounded(life: Life) -> Iterator[str]:
    """One order for one difference, against it, no larger than it or its bound."""
    submitted = Counter(
        record.client_order_id
        for record in life.records
        if isinstance(record.event, OrderSubmitted)
    )
    at_broker = Counter(row["client_order_id"] for row in life.truth["orders"])
    for seq, adopted in life.adoptions():
        name = adopted.restore_client_order_id
        if name is None:
            continue
        order = life.book.find_order(name, None)
        if order is None or submitted[name] != 1 or at_broker[name] > 1:
            yield f"seq {seq}: {submitted[name]} restoring orders, {at_broker[name]} at the broker"
            continue
        qty = order.standing.order_qty or _ZERO
        instrument = life.book.instruments.get(adopted.instrument_id)
        limits = life.policies.limits(adopted.instrument_id, instrument, None)
        step = None if instrument is None else instrument.lot_size or instrument.qty_step
        size = adopted.adjusted_qty.copy_abs()
        left = EXACT.subtract(size, qty)
        if qty > life.policies.most_restore(adopted.instrument_id, limits):
            yield f"seq {seq}: {plain(qty)} traded back is over the bound"
        if not 0 <= left < (step or Decimal("1e-18")) or not qty:
            yield f"seq {seq}: {plain(qty)} traded back of {plain(size)}"
        if (order.side is Side.BUY) is not (adopted.adjusted_qty < 0):
            yield f"seq {seq}: {order.side} restores {plain(adopted.adjusted_qty)}"
        life.short_count += order.standing.cum_qty != qty


# ---- policies and halts


def _policies_are_kept(life: Life) -> Iterator[str]:
    """What was done is what the policy says, or less: recorded, or halted."""
    for seq, run in life.runs():
        for gap in run.gaps:
            wanted = life.policies.action(gap.instrument_id, Size(gap.size))
            allowed = {
                Action.ALERT: {"ALERT"},
                Action.HALT: {"HALT"},
                Action.ADOPT: {"ADOPT", "ALERT", "HALT"},
                Action.RESTORE: {"RESTORE", "ADOPT", "ALERT", "HALT"},
            }[wanted]
            if gap.action not in allowed | {"WAIT"}:
                yield f"seq {seq}: {gap.instrument_id} {gap.action} where it is {wanted}"


def _halts_are_said_once(life: Life) -> Iterator[str]:
    """A halt comes of a gap of the run before it, and is not declared where one holds."""
    halted: set[str | None] = set()
    gaps: set[str] = set()
    for record in life.records:
        event = record.event
        if isinstance(event, BookReconciled):
            gaps = {gap.instrument_id for gap in event.gaps if gap.action == "HALT"}
        elif isinstance(event, HaltLifted):
            halted.discard(event.instrument_id)
        elif isinstance(event, HaltDeclared):
            if event.cause == "RECONCILIATION":
                if event.instrument_id in halted or None in halted:
                    yield f"seq {record.seq}: {event.instrument_id} halted again"
                if not gaps or (event.instrument_id or min(gaps)) not in gaps:
                    yield f"seq {record.seq}: {event.instrument_id} halted for nothing"
                if (event.instrument_id is None) is not life.policies.halt_all:
                    yield f"seq {record.seq}: {event.instrument_id} halted, halt_all is not that"
            halted.add(event.instrument_id)


# ---- the end


def _nothing_differs_in_silence(life: Life) -> Iterator[str]:
    """At the end each position is the same on both sides, or halted, or on record as different."""
    held = {view.instrument_id: view.position_qty for view in life.book.position_views()}
    so = {row["instrument_id"]: Decimal(row["position_qty"]) for row in life.truth["positions"]}
    runs = life.runs()
    if not runs or runs[-1][1].outcome in ("UNANSWERED", "UNSETTLED"):
        yield f"the last run ended {runs[-1][1].outcome if runs else 'never'}"
        return
    last = {gap.instrument_id: gap for gap in runs[-1][1].gaps}
    for name in sorted(held | so):
        ours, theirs = held.get(name, _ZERO), so.get(name, _ZERO)
        gap = last.get(name)
        if ours == theirs:
            if gap is not None and gap.action not in ("ADOPT", "RESTORE"):
                yield f"{name}: {plain(ours)} on both sides, and {gap.action} on record"
            continue
        in_words = f"{name}: {plain(ours)} held, {plain(theirs)} at the broker"
        if gap is None:
            yield f"{in_words}, and nothing on record"
        elif (gap.held_qty, gap.reported_qty) != (ours, theirs):
            yield f"{in_words}, and {gap.held_qty} to {gap.reported_qty} on record"
        elif gap.action == "HALT" and life.book.control.halt_of(name) is None:
            yield f"{in_words}, to be halted, and not"
        elif gap.action not in ("HALT", "ALERT"):
            yield f"{in_words}, and {gap.action} on record"
        elif gap.action == "ALERT" and not _may_stand(life, gap):
            yield f"{in_words}, and only recorded ({gap.text})"


def _may_stand(life: Life, gap: PositionGap) -> bool:
    """Tell whether an `ALERT` is what the policy wants, or there is a halt."""
    wanted = life.policies.action(gap.instrument_id, Size(gap.size))
    return wanted is Action.ALERT or life.book.control.halt_of(gap.instrument_id) is not None


def _own_orders_are_as_they_are(life: Life) -> Iterator[str]:
    """What the robot sent is at the end in the book as at the broker.

    Where nobody tells of fills, one that is taken back after its order was over is never heard of;
    the position is all that shows it.
    """
    for row, order in _own_orders(life):
        problem = order_difference(order, row)
        is_over = order is not None and order.standing.is_over()
        if problem is not None and (life.capabilities.has_fills_since or not is_over):
            yield f"{row['client_order_id']}: {problem}"


def _own_orders(life: Life) -> Iterator[tuple[dict[str, Any], Order | None]]:
    for row in life.truth["orders"]:
        if row["client_order_id"]:
            yield row, life.book.find_order(row["client_order_id"], row["venue_order_id"])
