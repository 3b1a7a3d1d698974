"""Close a comparison: settle what counts, count it all, and put it on record, all or nothing."""

from collections.abc import Mapping, Sequence

from attrs import evolve, frozen

from fillbook.core.agreement import Key
from fillbook.core.commands import SubmitOrder
from fillbook.core.events import OrderEvent
from fillbook.core.reconciled_events import BookReconciled, CashCount, PositionAdopted
from fillbook.core.robot_events import HaltDeclared
from fillbook.core.values import Origin
from fillbook.errors import StorageFailed
from fillbook.log.port import Record
from fillbook.reconcile.compare import Difference
from fillbook.reconcile.desk import Desk, Resolution
from fillbook.reconcile.explain import explained_by, held_before, move_of, moves
from fillbook.reconcile.findings import Finding, key_of
from fillbook.reconcile.lately import last_moves
from fillbook.reconcile.orders import OpenOrders, name_of
from fillbook.reconcile.policies import Action, Policies, Size
from fillbook.reconcile.reading import Reading
from fillbook.reconcile.settle import Case, Settlement, digest_of, overdue, settle
from fillbook.reconcile.wishes import Wish

__all__ = ["Closing", "Counts", "outcome_of"]

_MOST_MOVES = 10


@frozen(kw_only=True)
class Counts:
    """What a run counted on its way.

    Attributes:
        started_ns: When it began, or, of a statement, when that was true.
        reads: How often the positions were read.
        compared: How many positions there are on either side.
        cash: Where the broker tells its cash.
        problem: What kept it from being told, where something did.
        orders: The open orders of both sides.
    """

    started_ns: int
    reads: int
    compared: int
    cash: tuple[CashCount, ...]
    problem: str | None
    orders: OpenOrders


@frozen(kw_only=True)
class Closing:
    """The end of one run.

    Attributes:
        reading: The last one; None where the broker told nothing.
        start_seq: Where the book was when the run began.
    """

    desk: Desk
    policies: Policies
    wish: Wish
    reading: Reading | None
    start_seq: int

    # ---- what is found

    def findings(
        self,
        first: Mapping[Key, Difference],
        left: Sequence[Difference],
        waiting: Mapping[Key, str | None],
        now: int,
    ) -> list[Finding]:
        """Return what became of all that differed, with what is to be done about what is left.

        Args:
            first: Each difference as it was first seen.
            left: Those that nothing explains.
            waiting: Why one of them does not count yet; None where it does.
        """
        now_left = {key_of(each): each for each in left}
        found = []
        for key in sorted({*first, *now_left}):
            finding = Finding(first=first.get(key) or now_left[key], left=now_left.get(key))
            finding.explained = self._explained(key)
            if finding.left is not None:
                self._settle_or_wait(finding, finding.left, waiting.get(key), now)
            found.append(finding)
        return found

    def _settle_or_wait(
        self, finding: Finding, difference: Difference, why_waiting: str | None, now: int
    ) -> None:
        key, point_seq = key_of(difference), self.desk.agreement.point_seq
        assert self.reading is not None
        since_ns = self.reading.started_ns - self.desk.capabilities.positions_lag_ns
        recent = last_moves(self.desk, key, _MOST_MOVES, since_ns)
        moved = [record for record in recent if record.seq > point_seq]
        basis_seq = moved[-1].seq if moved else point_seq
        # What moved it before both agreed is shown where nothing did since: somewhere it is wrong.
        finding.moved_since = bool(moved)
        shown = moved or recent
        finding.moves = [move_of(record) for record in shown[-_MOST_MOVES:]]
        if why_waiting is None:
            finding.settlement = self._settle(difference, basis_seq, now)
            return
        finding.why_waiting = why_waiting
        lately = [each for each in recent if each.ts_recorded >= since_ns]
        self._look_for_lag(finding, difference, lately)
        if key in self.wish.overdue and not finding.is_late:
            case = self._case(difference, basis_seq)
            finding.settlement = overdue(difference, case, self.policies, finding.why_waiting, now)

    def _look_for_lag(
        self, finding: Finding, difference: Difference, lately: Sequence[Record]
    ) -> None:
        """Note where the answer is what the book held within the broker's lag, before *lately*.

        A robot that trades all the time is never at rest, and nothing is wrong with that.
        """
        for seq, qty in held_before(lately, difference.held_qty):
            if qty == (difference.reported_qty or 0):
                finding.is_late = True
                finding.why_waiting = f"the broker says what the book held before seq {seq}"
                return

    def _case(self, difference: Difference, basis_seq: int) -> Case:
        book, name = self.desk.book, difference.instrument_id
        assert self.reading is not None
        return Case(
            instrument=book.instruments.get(name),
            mark=book.marks.get(name),
            is_halted=self._is_halted(name),
            unconfirmed_seq=self._unconfirmed_seq(key_of(difference)),
            basis_seq=basis_seq,
            is_wanted=name in self.wish.adopt,
            ledger_id=self.desk.ledger_id,
            statement_sha256=self.reading.sha256,
        )

    def _unconfirmed_seq(self, key: Key) -> int:
        """Return the seq of an adoption that no run found to agree since; 0 without any.

        One that was traded back must be found to agree with those fills: an answer that is frozen
        agreed before them, and would be traded against again and again.
        """
        book = self.desk.book
        agreement = self.desk.agreement
        seq = agreement.unconfirmed.get(key, 0)
        adopted_seq, client_order_id = agreement.restored.get(key, (0, ""))
        order = book.find_order(client_order_id, None) if adopted_seq else None
        if seq or order is None:
            return seq
        traded = [
            each for each in self._moves(key, agreement.point_seq) if each.stream == order.stream
        ]
        is_open = bool(traded) and not agreement.confirms(key, traded[-1].seq)
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

    def _explained(self, key: Key) -> str | None:
        records = self._moves(key, self.start_seq)
        book = self.desk.book
        foreign = {
            record.stream
            for record in records
            if isinstance(record.event, OrderEvent)
            and book.order(record.stream).origin is Origin.EXTERNAL
        }
        return explained_by(records, foreign)

    def _moves(self, key: Key, after: int) -> list[Record]:
        return moves(self.desk.position_records(*key, after))

    # ---- what is put on record

    def put_on_record(
        self, outcome: str, findings: Sequence[Finding], counts: Counts, now: int
    ) -> BookReconciled:
        """Write the run and all that it decided, and have its orders sent; return its event.

        Where the disk takes no new intent, what would be traded back is only alerted for.
        """
        try:
            return self._commit(outcome, findings, counts, now)
        except StorageFailed as exc:
            traded = [finding for finding in findings if finding.order is not None]
            if not traded:
                raise
            for finding in traded:
                finding.settlement = Settlement(
                    action=Action.ALERT, text=f"nothing is traded back: {exc}"
                )
            return self._commit(outcome_of(findings), findings, counts, now)

    def _commit(
        self, outcome: str, findings: Sequence[Finding], counts: Counts, now: int
    ) -> BookReconciled:
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
        event = self._event(outcome, findings, counts, now)
        raw = b"" if self.reading is None else self.reading.raw
        self.desk.commit(
            Resolution(run=event, raw=raw, adoptions=adoptions, halts=list(halts.values()))
        )
        return event

    def _event(
        self, outcome: str, findings: Sequence[Finding], counts: Counts, now: int
    ) -> BookReconciled:
        gaps = [finding.gap() for finding in findings if finding.left is not None]
        counted = [gap for gap in gaps if gap.action != "WAIT"]
        sizes = [gap.size for gap in counted]
        actions = [gap.action for gap in counted]
        reading = self.reading
        return BookReconciled(
            ts_event=now,
            cause=self.wish.cause,
            by=self.wish.by,
            broker=self.desk.capabilities.name,
            outcome=outcome,
            account_ids=tuple(sorted(self.desk.account_ids)),
            started=counts.started_ns,
            reads=counts.reads,
            compared=counts.compared,
            explained=sum(finding.left is None for finding in findings),
            rounding=sizes.count(Size.ROUNDING),
            minor=sizes.count(Size.MINOR),
            critical=sizes.count(Size.CRITICAL),
            unsettled=len(gaps) - len(counted),
            alerted=actions.count(Action.ALERT),
            adopted=actions.count(Action.ADOPT),
            restored=actions.count(Action.RESTORE),
            halted=actions.count(Action.HALT),
            statement_count=0 if reading is None else len(reading.reported),
            statement_sha256="" if reading is None else reading.sha256,
            gaps=tuple(gaps),
            cash=counts.cash,
            text=counts.problem,
            open_orders=None if counts.orders.listed is None else len(counts.orders.listed),
            orders_found=tuple(counts.orders.found()),
            orders_left=tuple(name_of(order) for order in counts.orders.missing()),
        )


def outcome_of(findings: Sequence[Finding]) -> str:
    """Return what *findings* come to, as `BookReconciled` says it."""
    left = [finding for finding in findings if finding.left is not None]
    if not left:
        return "AGREED"
    if any(finding.why_waiting is not None for finding in left):
        return "UNSETTLED"
    settlements = [finding.settlement for finding in left]
    is_adopted = all(each is not None and each.adoption is not None for each in settlements)
    return "ADOPTED" if is_adopted else "DIFFERS"
