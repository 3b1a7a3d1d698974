"""Compare the book with the broker once: read, ask what is missing, read again, settle the rest.

A `Run` is a state machine without threads and without a clock.  It goes

    READING → ASKING → (agree) → OVER
    READING → ASKING → WAITING → READING → … → OVER

A difference counts only when two readings say the same, when nothing moved or was under way between
them, and when the broker was asked, after the first, for the fills, orders and other movements that
would explain it.  Those are asked for once where the positions agree, too: what is missing may
cancel out in them.  What does not come to rest within the run's patience is `UNSETTLED`: looked at
again soon, and nothing is done about it.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal

from attrs import define, field

from fillbook.brokers.port import Message
from fillbook.core.agreement import Key
from fillbook.core.events import InstrumentDefined
from fillbook.core.reconciled_events import BookReconciled, CashCount
from fillbook.core.reports import BalanceReport
from fillbook.reconcile.closing import Closing, Counts, outcome_of
from fillbook.reconcile.compare import Difference, Held, compare
from fillbook.reconcile.desk import Desk, Question
from fillbook.reconcile.findings import Finding, key_of
from fillbook.reconcile.lately import last_moves
from fillbook.reconcile.orders import OpenOrders
from fillbook.reconcile.policies import Limits, Policies
from fillbook.reconcile.reading import Reading, Unreadable, read
from fillbook.reconcile.wishes import SECOND, Patience, Wish

__all__ = ["Run"]

_OVERLAP_NS = 300 * SECOND
"""Explanations are asked for from so long before the agreed point: clocks differ, fills lag."""


@define(eq=False)
class Run:
    """One comparison of the book with the broker.

    Attributes:
        stage: `READING`, `ASKING`, `WAITING` or `OVER`.
        outcome: Of a run that is over; see `BookReconciled`.
        findings: Of a run that is over, by account and instrument.
        cash: Where the broker tells its cash.
        event: What a run that is over put on record.
        told_until_ns: The time up to which the broker tells, where that is not when it was asked:
            what happened later is not in a statement of an earlier day.
        earlier: The run before this one, as the book had it.
        orders: The open orders of both sides.
        seq: Of `event`, in the log that the desk writes to; 0 while there is none.
        agreed_since_ns: Since when book and broker agree, as of the end; None where they do not.
    """

    desk: Desk
    policies: Policies
    patience: Patience
    wish: Wish
    started_ns: int
    stage: Literal["READING", "ASKING", "WAITING", "OVER"] = "READING"
    outcome: str | None = None
    findings: list[Finding] = field(factory=list)
    cash: tuple[CashCount, ...] = ()
    event: BookReconciled | None = None
    told_until_ns: int | None = None
    earlier: BookReconciled | None = None
    seq: int = 0
    agreed_since_ns: int | None = None
    orders: OpenOrders = field(init=False)
    _start_seq: int = 0
    _has_asked: bool = False
    _last: Reading | None = None
    _held_at_last: dict[Key, Decimal] = field(factory=dict)
    _first: dict[Key, Difference] = field(factory=dict)
    _seen: dict[Key, tuple[Difference, str | None]] = field(factory=dict)
    _asked: set[str] = field(factory=set)
    _is_explained: bool = False
    _unexplained_because: str | None = None
    _compared: int = 0
    _reads: int = 0
    _read_ns: int = 0
    _is_read: bool = False
    _problem: str | None = None
    _balances: dict[str, Decimal] | None = None

    # ---- what goes in

    def begin(self) -> None:
        """Ask for the cash where the broker tells it, then for the positions.

        One after the other: a run that agrees is over with its first reading.
        """
        self._start_seq = self.desk.book.seq
        self.orders = OpenOrders(self.desk, self._start_seq)
        self.earlier = self.desk.agreement.last
        if not self.desk.capabilities.has_cash or not self.desk.ask("cash"):
            self._read()

    def answered(self, kind: str, messages: Sequence[Message], started_ns: int, now: int) -> None:
        """Take an answer; what explains is in the book already."""
        if self.stage == "OVER":
            return
        if kind == "cash":
            self._count_cash(messages)
            self._read()
        elif kind == "positions":
            try:
                reading = read(messages, self.desk.account_ids, started_ns, now)
            except Unreadable as exc:
                self._put_off(f"the positions cannot be read: {exc}", now)
            else:
                self._compare(reading, now)
        elif kind in self._asked:
            self._asked.discard(kind)
            if kind == "open_orders":
                self.orders.told(messages, started_ns)
                keys = self.orders.missing_keys()
                if keys and self.desk.ask("orders", 0, keys):  # what became of those?
                    self._asked.add("orders")
            if not self._asked:
                self._wait(now)

    def failed(self, kind: str, problem: str, now: int) -> None:
        """Take note that a question has no answer: that says nothing about what is held."""
        if self.stage == "OVER":
            return
        if kind == "cash":
            self._read()
        elif kind == "positions":
            self._put_off(f"the positions were not told: {problem}", now)
        elif kind in self._asked:
            self._asked.discard(kind)
            self._is_explained = False
            self._unexplained_because = f"{kind} was not answered: {problem}"
            if not self._asked:
                self._wait(now)

    def tick(self, now: int) -> None:
        """Do what time asks for: the next reading, or the end of patience."""
        if self.stage == "OVER":
            return
        if now >= self._deadline_ns():
            self._give_up(now)
        elif self.stage == "WAITING" and now >= self._read_ns:
            self._read()

    def due_ns(self) -> int | None:
        """Return when `tick` has something to do; None where the run is over."""
        if self.stage == "OVER":
            return None
        deadline_ns = self._deadline_ns()
        return min(self._read_ns, deadline_ns) if self.stage == "WAITING" else deadline_ns

    def abort(self, problem: str, now: int) -> None:
        """End the run: nobody will answer."""
        if self.stage != "OVER":
            self._problem = problem
            self._give_up(now)

    # ---- from one stage to the next

    def _read(self) -> None:
        self.stage = "READING"
        self.desk.ask("positions")

    def _put_off(self, problem: str, now: int) -> None:
        """Read again later: this time there was nothing to be read."""
        self._problem = problem
        self._last = None  # the next one is a first reading again
        self.stage = "WAITING"
        self._read_ns = now + self.patience.between_ns

    def _compare(self, reading: Reading, now: int) -> None:
        differences = self._differences(reading)
        self._reads += 1
        self._is_read, self._problem = True, None
        for each in differences:
            self._first.setdefault(key_of(each), each)
        waiting = {key_of(each): self._why_waiting(each, reading) for each in differences}
        self._seen = {key_of(each): (each, waiting[key_of(each)]) for each in differences}
        self._last = reading
        is_over = not any(waiting.values()) and self._has_asked
        if is_over or now >= self._deadline_ns():
            self._finish(differences, waiting, now)
        else:
            self._ask(differences, now)

    def _differences(self, reading: Reading) -> tuple[Difference, ...]:
        book, accounts = self.desk.book, self.desk.account_ids
        held = [
            Held(
                account_id=view.account_id,
                instrument_id=view.instrument_id,
                position_qty=view.position_qty,
                avg_px=view.avg_px,
            )
            for view in book.position_views()
            if view.account_id in accounts
        ]
        self._compared = len(
            {(each.account_id, each.instrument_id) for each in (*held, *reading.reported)}
        )
        broker_px = {each.instrument_id: each.avg_px for each in reading.reported}

        def limits_of(instrument_id: str) -> Limits:
            px = book.marks.get(instrument_id)
            return self.policies.limits(
                instrument_id,
                self._instrument(instrument_id),
                broker_px.get(instrument_id) if px is None else px,
            )

        return compare(held, reading.reported, limits_of)

    def _why_waiting(self, difference: Difference, reading: Reading) -> str | None:
        """Return why *difference* does not count yet; None where it does."""
        key, last = key_of(difference), self._last
        if last is None:
            return "it was read once"
        under_way = self.desk.under_way(*key)
        if under_way is not None:
            return under_way
        if last.quantities.get(key) != difference.reported_qty:
            return "the broker's answer changed"
        if self._held_at_last.get(key, Decimal(0)) != difference.held_qty:
            return "the book moved between the readings"
        moved = last_moves(self.desk, key)  # before both agreed too: that answer may have lagged
        lag_ns = self.desk.capabilities.positions_lag_ns
        if moved and last.started_ns < moved[-1].ts_recorded + lag_ns:
            return f"it moved less than {lag_ns / SECOND:g} s before it was read"
        if not self._is_explained:
            return self._unexplained_because or "what would explain it was not asked for"
        return None

    def _ask(self, differences: Sequence[Difference], now: int) -> None:
        """Ask for whatever may explain what differs, as far as the broker tells it."""
        self.stage, self._has_asked = "ASKING", True
        self._is_explained, self._unexplained_because = True, None
        agreement = self.desk.agreement
        # On schedule only what is new: a difference may stand for days, and all before the last
        # run was asked for.  A start and an operator ask for everything since both agreed.
        is_routine = self.wish.cause == "SCHEDULE"
        known_ns = (agreement.asked_ns if is_routine else agreement.point_ns) or self.desk.begun_ns
        since_ns = max(known_ns - _OVERLAP_NS, 0)
        can = self.desk.capabilities
        questions: list[Question] = ["open_orders" if can.has_open_orders else "orders"]
        questions += ["fills_since"] if can.has_fills_since else []
        questions += ["activities_since"] if can.has_activities else []
        keys = [key_of(each) for each in differences]
        self._asked = {kind for kind in questions if self.desk.ask(kind, since_ns, keys)}
        if not self._asked:
            self._wait(now)

    def _wait(self, now: int) -> None:
        """Let time pass before the next reading; what agrees by now does so without one."""
        assert self._last is not None
        differences = self._differences(self._last)
        if not differences:
            self._finish((), {}, now)
            return
        self._held_at_last = {key_of(each): each.held_qty for each in differences}
        self._read_ns = now + self.patience.between_ns
        lag_ns = self.desk.capabilities.positions_lag_ns
        for each in differences:
            moved = last_moves(self.desk, key_of(each))
            if moved:
                # This reading may lag behind that move; the next two shall not.
                self._read_ns = max(self._read_ns, moved[-1].ts_recorded + lag_ns)
        self.stage = "WAITING"

    def _give_up(self, now: int) -> None:
        """Close the run with what is known; where nothing was read, that nothing is."""
        if not self._is_read or self._last is None:
            self._problem = self._problem or "the positions were not told in time"
            self._close(self._closing(), "UNANSWERED", now)
            return
        differences = self._differences(self._last)
        self._finish(differences, {key_of(each): self._why_left(each) for each in differences}, now)

    def _why_left(self, difference: Difference) -> str | None:
        """Return why *difference* does not count at the end of patience; None where it does.

        What counted at the last reading still does: only others did not come to rest.
        """
        if self._problem is not None:
            return self._problem
        seen, why = self._seen.get(key_of(difference), (None, None))
        if seen != difference:
            return why or "it did not come to rest"
        return why or self.desk.under_way(*key_of(difference))

    def _finish(
        self, differences: Sequence[Difference], waiting: Mapping[Key, str | None], now: int
    ) -> None:
        """Settle what counts, and put it all on record."""
        closing = self._closing()
        self.findings = closing.findings(self._first, differences, waiting, now)
        self._close(closing, outcome_of(self.findings), now)

    def _closing(self) -> Closing:
        return Closing(
            desk=self.desk,
            policies=self.policies,
            wish=self.wish,
            reading=self._last,
            start_seq=self._start_seq,
        )

    def _close(self, closing: Closing, outcome: str, now: int) -> None:
        self.cash = self._cash()
        counts = Counts(
            started_ns=min(self.started_ns, self.told_until_ns or self.started_ns),
            reads=self._reads,
            compared=self._compared,
            cash=self.cash,
            problem=self._problem or self._strangers(),
            orders=self.orders,
        )
        self.event = closing.put_on_record(outcome, self.findings, counts, now)
        self.stage, self.outcome = "OVER", self.event.outcome
        agreement = self.desk.agreement
        self.seq, self.agreed_since_ns = agreement.last_seq, agreement.since_ns

    def _strangers(self) -> str | None:
        """Say of an answer that names other accounts and none of ours: perhaps ours is misnamed."""
        last = self._last
        if last is None or last.reported or not last.strangers:
            return None
        ours = ", ".join(sorted(self.desk.account_ids))
        return f"the answer names {', '.join(sorted(last.strangers))} and not {ours}"

    # ---- cash

    def _count_cash(self, messages: Sequence[Message]) -> None:
        """Take what the broker counts, unless some of it cannot be read."""
        balances: dict[str, Decimal] = {}
        for message in messages:
            report = message.content
            if message.problem is not None or not isinstance(report, BalanceReport):
                return
            if report.account_id in self.desk.account_ids:
                balances[report.currency] = report.amount
        self._balances = balances

    def _cash(self) -> tuple[CashCount, ...]:
        if self._balances is None:
            return ()
        held = self.desk.cash_flows()
        return tuple(
            CashCount(currency=name, held=held.get(name, Decimal(0)), reported=amount)
            for name, amount in sorted(self._balances.items())
        )

    # ---- little things

    def _deadline_ns(self) -> int:
        return self.started_ns + self.patience.most_ns

    def _instrument(self, instrument_id: str) -> InstrumentDefined | None:
        return self.desk.book.instruments.get(instrument_id)
