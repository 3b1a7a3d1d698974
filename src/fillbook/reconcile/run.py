"""Compare the book with the broker once: read, ask what is missing, read again, settle the rest.

A `Run` is a state machine without threads and without a clock.  It goes

    READING → (agree) → OVER
    READING → ASKING → WAITING → READING → … → OVER

A difference counts only when two readings say the same, when nothing moved or was under way between
them, and when the broker was asked, after the first, for the fills, orders and other movements that
would explain it.  What does not come to rest within the run's patience is `UNSETTLED`: looked at
again soon, and nothing is done about it.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import reduce
from typing import Literal

from attrs import define, evolve, field, frozen

from fillbook.brokers.port import Message
from fillbook.core.agreement import Key
from fillbook.core.commands import SubmitOrder
from fillbook.core.events import (
    CommissionChanged,
    FillBusted,
    FillCorrected,
    FillInferred,
    InferredFillReleased,
    InstrumentDefined,
    InstrumentSplit,
    OrderEvent,
    OrderFilled,
)
from fillbook.core.exact import EXACT
from fillbook.core.operator_events import PositionAdjusted
from fillbook.core.reconciled_events import BookReconciled, CashCount, PositionAdopted, PositionGap
from fillbook.core.reports import BalanceReport
from fillbook.core.robot_events import HaltDeclared
from fillbook.core.values import Origin
from fillbook.errors import StorageFailed
from fillbook.log.port import Record
from fillbook.reconcile.compare import Difference, Held, compare
from fillbook.reconcile.desk import Desk, Question, Resolution
from fillbook.reconcile.explain import Move, explained_by, held_before, move_of
from fillbook.reconcile.policies import Action, Limits, Policies, Size
from fillbook.reconcile.reading import Reading, Unreadable, read
from fillbook.reconcile.settle import Case, Settlement, digest_of, overdue, settle

__all__ = ["Finding", "Patience", "Run", "Wish"]

SECOND = 1_000_000_000
_OVERLAP_NS = 300 * SECOND
"""Explanations are asked for from so long before the agreed point: clocks differ, fills lag."""
_MOST_MOVES = 10

_MOVES = (
    OrderFilled, FillInferred, FillBusted, FillCorrected, InferredFillReleased, CommissionChanged,
    PositionAdjusted, InstrumentSplit,
)  # fmt: skip


@frozen(kw_only=True)
class Patience:
    """How long a run takes over it; nanoseconds.

    Attributes:
        between_ns: From an answer to the next reading.
        most_ns: After this what does not come to rest is `UNSETTLED`.
    """

    between_ns: int = 5 * SECOND
    most_ns: int = 60 * SECOND


@frozen(kw_only=True)
class Wish:
    """Why there is a run, and what an operator wants of it.

    Attributes:
        cause: `START`, `SCHEDULE` or `OPERATOR`.
        by: Who asked for it, in words.
        reason: Why an operator wants it; it is kept with what is adopted.
        adopt: Instruments that are adopted whatever the policy says.
        overdue: Positions that have not come to rest for too long already.
    """

    cause: Literal["START", "SCHEDULE", "OPERATOR"]
    by: str = "the robot"
    reason: str | None = None
    adopt: frozenset[str] = frozenset()
    overdue: frozenset[Key] = frozenset()


@define(eq=False)
class Finding:
    """What a run found about one position that was not the same on both sides.

    Attributes:
        first: The difference as it was first seen.
        left: The difference that nothing explains; None where it went away.
        explained: What it turned out to be, in words; None where nothing was found.
        why_waiting: Why it does not count yet; None where it does.
        is_late: It waits, and the broker says what the book held a moment ago: it only lags.
        settlement: What was done about it; None where nothing had to be, or could be.
        moves: For what is left: what moved the position since the agreed point, the last ones.
    """

    first: Difference
    left: Difference | None = None
    explained: str | None = None
    why_waiting: str | None = None
    is_late: bool = False
    settlement: Settlement | None = None
    moves: Sequence[Move] = ()


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
    _start_seq: int = 0
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
        self.earlier = self.desk.book.agreement.last
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
            self._first.setdefault(_key(each), each)
        waiting = {_key(each): self._why_waiting(each, reading) for each in differences}
        self._seen = {_key(each): (each, waiting[_key(each)]) for each in differences}
        self._last = reading
        if not any(waiting.values()) or now >= self._deadline_ns():
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
        key, last = _key(difference), self._last
        if last is None:
            return "it was read once"
        under_way = self.desk.under_way(*key)
        if under_way is not None:
            return under_way
        if _reported(last, key) != difference.reported_qty:
            return "the broker's answer changed"
        if self._held_at_last.get(key, Decimal(0)) != difference.held_qty:
            return "the book moved between the readings"
        moves = self._moves(*key, self._point_seq())
        lag_ns = self.desk.capabilities.positions_lag_ns
        if moves and last.started_ns < moves[-1].ts_recorded + lag_ns:
            return f"it moved less than {lag_ns / SECOND:g} s before it was read"
        if not self._is_explained:
            return self._unexplained_because or "what would explain it was not asked for"
        return None

    def _ask(self, differences: Sequence[Difference], now: int) -> None:
        """Ask for whatever may explain what differs, as far as the broker tells it."""
        self.stage = "ASKING"
        self._is_explained, self._unexplained_because = True, None
        since_ns = max((self._point_ns() or self.desk.begun_ns) - _OVERLAP_NS, 0)
        can = self.desk.capabilities
        questions: list[Question] = ["open_orders" if can.has_open_orders else "orders"]
        questions += ["fills_since"] if can.has_fills_since else []
        questions += ["activities_since"] if can.has_activities else []
        keys = [_key(each) for each in differences]
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
        self._held_at_last = {_key(each): each.held_qty for each in differences}
        self._read_ns = now + self.patience.between_ns
        lag_ns = self.desk.capabilities.positions_lag_ns
        for each in differences:
            moves = self._moves(*_key(each), self._point_seq())
            if moves:
                # This reading may lag behind that move; the next two shall not.
                self._read_ns = max(self._read_ns, moves[-1].ts_recorded + lag_ns)
        self.stage = "WAITING"

    def _give_up(self, now: int) -> None:
        """Close the run with what is known; where nothing was read, that nothing is."""
        if not self._is_read or self._last is None:
            self._problem = self._problem or "the positions were not told in time"
            self._close("UNANSWERED", (), now)
            return
        differences = self._differences(self._last)
        self._finish(differences, {_key(each): self._why_left(each) for each in differences}, now)

    def _why_left(self, difference: Difference) -> str | None:
        """Return why *difference* does not count at the end of patience; None where it does.

        What counted at the last reading still does: only others did not come to rest.
        """
        if self._problem is not None:
            return self._problem
        seen, why = self._seen.get(_key(difference), (None, None))
        if seen != difference:
            return why or "it did not come to rest"
        return why or self.desk.under_way(*_key(difference))

    # ---- the end

    def _finish(
        self, differences: Sequence[Difference], waiting: Mapping[Key, str | None], now: int
    ) -> None:
        """Settle what counts, and put it all on record."""
        left = {_key(each): each for each in differences}
        for key in sorted(self._first | left):
            finding = Finding(first=self._first.get(key) or left[key], left=left.get(key))
            finding.explained = self._explained(key)
            if finding.left is not None:
                finding.why_waiting = waiting.get(key)
                moves = self._moves(*key, self._point_seq())
                if finding.why_waiting is not None:
                    self._look_for_lag(finding, finding.left, moves)
                finding.moves = [move_of(record) for record in moves[-_MOST_MOVES:]]
                basis_seq = moves[-1].seq if moves else self._point_seq()
                if finding.why_waiting is None:
                    finding.settlement = self._settle(finding.left, basis_seq, now)
                elif key in self.wish.overdue and not finding.is_late:
                    case = self._case(finding.left, basis_seq)
                    finding.settlement = overdue(
                        finding.left, case, self.policies, finding.why_waiting, now
                    )
            self.findings.append(finding)
        self._close(self._outcome(), self.findings, now)

    def _look_for_lag(
        self, finding: Finding, difference: Difference, moves: Sequence[Record]
    ) -> None:
        """Note where the answer is what the book held within the broker's lag.

        A robot that trades all the time is never at rest, and nothing is wrong with that.
        """
        assert self._last is not None
        since_ns = self._last.started_ns - self.desk.capabilities.positions_lag_ns
        lately = [each for each in moves if each.ts_recorded >= since_ns]
        for seq, qty in held_before(lately, difference.held_qty):
            if qty == (difference.reported_qty or 0):
                finding.is_late = True
                finding.why_waiting = f"the broker says what the book held before seq {seq}"
                return

    def _case(self, difference: Difference, basis_seq: int) -> Case:
        book, name = self.desk.book, difference.instrument_id
        assert self._last is not None
        return Case(
            instrument=self._instrument(name),
            mark=book.marks.get(name),
            is_halted=self._is_halted(name),
            unconfirmed_seq=self._unconfirmed_seq(_key(difference)),
            basis_seq=basis_seq,
            is_wanted=name in self.wish.adopt,
            ledger_id=self.desk.ledger_id,
            statement_sha256=self._last.sha256,
        )

    def _unconfirmed_seq(self, key: Key) -> int:
        """Return the seq of an adoption that no run found to agree since; 0 without any.

        One that was traded back must be found to agree with those fills: an answer that is frozen
        agreed before them, and would be traded against again and again.
        """
        book = self.desk.book
        seq = book.agreement.unconfirmed.get(key, 0)
        adopted_seq, client_order_id = book.agreement.restored.get(key, (0, ""))
        order = book.find_order(client_order_id, None) if adopted_seq else None
        if seq or order is None:
            return seq
        traded = [
            each for each in self._moves(*key, self._point_seq()) if each.stream == order.stream
        ]
        is_open = bool(traded) and not book.agreement.confirms(key, traded[-1].seq)
        return adopted_seq if is_open else 0

    def _is_halted(self, instrument_id: str) -> bool:
        """Tell whether a halt as wide and as strict as the policy's holds already."""
        control = self.desk.book.control
        halt = control.halts.get("") if self.policies.halt_all else control.halt_of(instrument_id)
        return halt is not None and halt.level == "HALTED"

    def _settle(self, difference: Difference, basis_seq: int, now: int) -> Settlement:
        case = self._case(difference, basis_seq)
        settlement = settle(difference, case, self.policies, self.wish.by, now)
        adoption, reason = settlement.adoption, self.wish.reason
        if adoption is not None and reason is not None:
            adoption = evolve(adoption, reason=f"{adoption.reason}: {reason}")
            settlement = evolve(settlement, adoption=adoption)
        if settlement.order is None:
            return settlement
        order = evolve(
            settlement.order,
            client_order_id=self.desk.order_id(digest_of(difference, case), basis_seq + 1),
        )
        why_not = self.desk.why_no_order(order)
        if why_not is not None:  # adopted without its order, what it was for would be forgotten
            return Settlement(action=Action.ALERT, text=f"nothing is traded back: {why_not}")
        assert adoption is not None
        adoption = evolve(adoption, restore_client_order_id=order.client_order_id)
        return evolve(settlement, adoption=adoption, order=order)

    def _outcome(self) -> str:
        left = [finding for finding in self.findings if finding.left is not None]
        if not left:
            return "AGREED"
        if any(finding.why_waiting is not None for finding in left):
            return "UNSETTLED"
        settlements = [finding.settlement for finding in left]
        is_adopted = all(each is not None and each.adoption is not None for each in settlements)
        return "ADOPTED" if is_adopted else "DIFFERS"

    def _close(self, outcome: str, findings: Sequence[Finding], now: int) -> None:
        self.cash = self._cash()
        try:
            self._commit(outcome, findings, now)
        except StorageFailed as exc:
            traded = [each for each in findings if _order_of(each) is not None]
            if not traded:
                raise
            # The disk takes no new intent.  What only says how it stands may still find room.
            for finding in traded:
                finding.settlement = Settlement(
                    action=Action.ALERT, text=f"nothing is traded back: {exc}"
                )
            outcome = self._outcome()
            self._commit(outcome, findings, now)
        self.stage, self.outcome = "OVER", outcome
        agreement = self.desk.book.agreement
        self.seq, self.agreed_since_ns = agreement.last_seq, agreement.since_ns

    def _commit(self, outcome: str, findings: Sequence[Finding], now: int) -> None:
        adoptions: list[tuple[PositionAdopted, SubmitOrder | None]] = []
        halts: dict[str | None, HaltDeclared] = {}
        for finding in findings:
            settlement = finding.settlement
            if settlement is None:
                continue
            if settlement.adoption is not None:
                adoptions.append((settlement.adoption, settlement.order))
            if settlement.halt is not None:
                halts.setdefault(settlement.halt.instrument_id, settlement.halt)
        self.event = self._event(outcome, findings, now)
        raw = b"" if self._last is None else self._last.raw
        self.desk.commit(
            Resolution(run=self.event, raw=raw, adoptions=adoptions, halts=list(halts.values()))
        )

    def _event(self, outcome: str, findings: Sequence[Finding], now: int) -> BookReconciled:
        gaps = [_gap_of(finding) for finding in findings if finding.left is not None]
        counted = [gap for gap in gaps if gap.action != "WAIT"]
        sizes = [gap.size for gap in counted]
        actions = [gap.action for gap in counted]
        last = self._last
        return BookReconciled(
            ts_event=now,
            cause=self.wish.cause,
            by=self.wish.by,
            broker=self.desk.capabilities.name,
            outcome=outcome,
            started=min(self.started_ns, self.told_until_ns or self.started_ns),
            reads=self._reads,
            compared=self._compared,
            explained=sum(finding.left is None for finding in findings),
            rounding=sizes.count(Size.ROUNDING),
            minor=sizes.count(Size.MINOR),
            critical=sizes.count(Size.CRITICAL),
            unsettled=len(gaps) - len(counted),
            alerted=actions.count(Action.ALERT),
            adopted=actions.count(Action.ADOPT),
            restored=actions.count(Action.RESTORE),
            halted=actions.count(Action.HALT),
            statement_count=0 if last is None else len(last.reported),
            statement_sha256="" if last is None else last.sha256,
            gaps=tuple(gaps),
            cash=self.cash,
            text=self._problem,
        )

    def _explained(self, key: Key) -> str | None:
        records = self._moves(*key, self._start_seq)
        book = self.desk.book
        foreign = {
            record.stream
            for record in records
            if isinstance(record.event, OrderEvent)
            and book.order(record.stream).origin is Origin.EXTERNAL
        }
        return explained_by(records, foreign)

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

    def _moves(self, account_id: str, instrument_id: str, after: int) -> list[Record]:
        """Return what changed the position's quantity after seq *after*, oldest first."""
        records = self.desk.position_records(account_id, instrument_id, after)
        return [record for record in records if isinstance(record.event, _MOVES)]

    def _point_seq(self) -> int:
        return self.desk.book.agreement.point_seq

    def _point_ns(self) -> int:
        return self.desk.book.agreement.point_ns

    def _deadline_ns(self) -> int:
        return self.started_ns + self.patience.most_ns

    def _instrument(self, instrument_id: str) -> InstrumentDefined | None:
        return self.desk.book.instruments.get(instrument_id)


def _key(difference: Difference) -> Key:
    return difference.account_id, difference.instrument_id


def _order_of(finding: Finding) -> SubmitOrder | None:
    return None if finding.settlement is None else finding.settlement.order


def _reported(reading: Reading, key: Key) -> Decimal | None:
    """Return what *reading* says of one position; None where it does not name it."""
    found = [
        each.position_qty
        for each in reading.reported
        if (each.account_id, each.instrument_id) == key
    ]
    return reduce(EXACT.add, found) if found else None


def _gap_of(finding: Finding) -> PositionGap:
    left, settlement = finding.left, finding.settlement
    assert left is not None
    return PositionGap(
        account_id=left.account_id,
        instrument_id=left.instrument_id,
        held_qty=left.held_qty,
        reported_qty=left.reported_qty,
        gap_qty=left.gap_qty,
        size=str(left.size),
        action="WAIT" if settlement is None else str(settlement.action),
        text=finding.why_waiting if settlement is None else settlement.text,
    )
