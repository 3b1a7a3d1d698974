"""Decide what is done about a difference that nothing explains, as its owner's policy says.

Pure.  What a policy asks for is done only where it is safe: what the broker's answer leaves out is
not adopted, what was adopted without ever being found to agree is not adopted again, and an order
that trades the account back is bounded, allowed, and there once.  Where it is not, it is halted or
recorded, never passed over.
"""

import hashlib
from decimal import ROUND_DOWN, Context, Decimal

from attrs import frozen

from fillbook.core.commands import SubmitOrder
from fillbook.core.events import InstrumentDefined
from fillbook.core.exact import EXACT, plain
from fillbook.core.reconciled_events import PositionAdopted
from fillbook.core.robot_events import HaltDeclared
from fillbook.core.values import Side
from fillbook.reconcile.compare import Difference
from fillbook.reconcile.policies import Action, Policies, Size

__all__ = ["Case", "Settlement", "adjustment_id", "digest_of", "overdue", "settle"]

_WHOLE = Context(prec=400, rounding=ROUND_DOWN, Emin=-9999, Emax=9999)
_DOMAIN = b"fillbook adjustment 1"


@frozen(kw_only=True)
class Case:
    """What is known around one difference.

    Attributes:
        instrument: What it is a quantity of; None where that was never said.
        mark: The last price it was valued at; None without any.
        is_halted: What the policy would halt is halted already, and nothing of it is traded.
        unconfirmed_seq: Seq of an earlier adoption that no run has found to agree; 0 without any.
        basis_seq: Seq of the last event that moved the position, as far as it was looked.
        is_wanted: An operator wants it adopted, whatever the policy says.
        ledger_id: Whose book it is.
        statement_sha256: What the broker said.
    """

    instrument: InstrumentDefined | None
    mark: Decimal | None
    is_halted: bool
    unconfirmed_seq: int
    basis_seq: int
    is_wanted: bool
    ledger_id: bytes
    statement_sha256: str


@frozen(kw_only=True)
class Settlement:
    """What is done about one difference.

    Attributes:
        action: What it comes to.
        text: Why it is not what the policy says, or what it is done with; None needs no words.
        adoption: Moves the book.
        order: Trades the account back; its id is not its final one, see `adjustment_id`.
        halt: Stops trading.
    """

    action: Action
    text: str | None = None
    adoption: PositionAdopted | None = None
    order: SubmitOrder | None = None
    halt: HaltDeclared | None = None


def settle(difference: Difference, case: Case, policies: Policies, by: str, now: int) -> Settlement:
    """Return what is done about *difference*, which was found to be one and is not explained."""
    action = policies.action(difference.instrument_id, difference.size)
    if case.is_wanted:
        return Settlement(
            action=Action.ADOPT,
            text="wanted by the operator",
            adoption=_adoption(difference, case, policies, by, now),
        )
    if action in (Action.ADOPT, Action.RESTORE):
        if difference.reported_qty is None:
            # Taken for flat, a list that came back empty by mistake would wipe out the book.
            return Settlement(
                action=Action.ALERT,
                text="the broker's answer does not name it, which is no proof that nothing is held",
            )
        if case.unconfirmed_seq:
            reason = (
                f"it was set to what the broker said (seq {case.unconfirmed_seq}), and the broker "
                "says otherwise again"
            )
            return _halted(difference, case, policies, reason, now)
    if action is Action.ALERT:
        return Settlement(action=action)
    if action is Action.HALT:
        return _halted(difference, case, policies, _in_words(difference), now)
    adoption = _adoption(difference, case, policies, by, now)
    if action is Action.ADOPT:
        return Settlement(action=action, adoption=adoption)
    return _restored(difference, case, policies, adoption, now)


def overdue(
    difference: Difference, case: Case, policies: Policies, why: str, now: int
) -> Settlement | None:
    """Return what is done about a large difference that has not come to rest for too long.

    It is halted for, unless its owner wants to be told and no more; None where it is not large.
    """
    if difference.size is not Size.CRITICAL:
        return None
    if policies.action(difference.instrument_id, Size.CRITICAL) is Action.ALERT:
        return Settlement(action=Action.ALERT, text=f"it does not come to rest: {why}")
    return _halted(difference, case, policies, f"{_in_words(difference)} ({why})", now)


def adjustment_id(difference: Difference, case: Case) -> str:
    """Return the identity of an adjustment: the same for the same difference at the same place.

    It is made of the ledger, the position, both quantities and the last event that had moved it.
    """
    return digest_of(difference, case).hex()[:32]


def digest_of(difference: Difference, case: Case) -> bytes:
    """Return what the ids of an adjustment, and of the order that goes with it, derive from."""
    reported_qty = difference.reported_qty
    parts = (
        _DOMAIN, case.ledger_id, difference.account_id.encode(),
        difference.instrument_id.encode(), plain(difference.held_qty).encode(),
        b"-" if reported_qty is None else plain(reported_qty).encode(),
        str(case.basis_seq).encode(),
    )  # fmt: skip
    framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hashlib.sha256(framed).digest()


def _in_words(difference: Difference) -> str:
    held, reported = plain(difference.held_qty), difference.reported_qty
    theirs = "does not name it" if reported is None else f"says {plain(reported)}"
    return f"the book holds {held} and the broker {theirs}; nothing explains it"


def _halted(
    difference: Difference, case: Case, policies: Policies, reason: str, now: int
) -> Settlement:
    if case.is_halted:
        return Settlement(action=Action.HALT, text=f"{reason}; it is halted already")
    instrument_id = None if policies.halt_all else difference.instrument_id
    where = f"{difference.instrument_id}: " if policies.halt_all else ""
    halt = HaltDeclared(
        ts_event=now,
        level="HALTED",
        cause="RECONCILIATION",
        by="the robot",
        reason=f"{where}{reason}",
        instrument_id=instrument_id,
    )
    return Settlement(action=Action.HALT, text=reason, halt=halt)


def _adoption(
    difference: Difference, case: Case, policies: Policies, by: str, now: int
) -> PositionAdopted:
    px, price_rule = _px(difference, case, policies)
    reported = difference.reported_qty
    theirs = "names none" if reported is None else f"says {plain(reported)}"
    return PositionAdopted(
        ts_event=now,
        account_id=difference.account_id,
        instrument_id=difference.instrument_id,
        adjusted_qty=difference.gap_qty,
        px=px,
        by=by,
        reason=f"the broker {theirs}, the book held {plain(difference.held_qty)}",
        adjustment_id=adjustment_id(difference, case),
        size=str(difference.size),
        held_qty=difference.held_qty,
        reported_qty=reported,
        price_rule=price_rule,
        statement_sha256=case.statement_sha256,
    )


def _px(difference: Difference, case: Case, policies: Policies) -> tuple[Decimal | None, str]:
    """Return at what price the adoption opens what it opens, and where that is from."""
    held = difference.held_qty
    after = difference.reported_qty or Decimal(0)
    if not after or (held and (held > 0) is (after > 0)):
        return None, "BOOK"  # nothing opens: it moves at the average it has
    rule = policies.price_rule_of(difference.instrument_id)
    if rule == "BROKER" and difference.reported_avg_px is not None:
        return difference.reported_avg_px, rule
    if rule in ("BROKER", "MARK") and case.mark is not None:
        return case.mark, "MARK"
    return None, "UNKNOWN"


def _restored(
    difference: Difference,
    case: Case,
    policies: Policies,
    adoption: PositionAdopted,
    now: int,
) -> Settlement:
    """Adopt, and trade the account back to what the book held, once."""
    instrument_id = difference.instrument_id
    qty = _tradable(difference.gap_qty.copy_abs(), case.instrument)
    limits = policies.limits(instrument_id, case.instrument, case.mark)
    most = policies.most_restore(instrument_id, limits)
    if qty > most:
        reason = f"{_in_words(difference)}, and {plain(qty)} to trade back is over {plain(most)}"
        return _halted(difference, case, policies, reason, now)
    if case.is_halted:  # the order would not go out, and what it is for would be forgotten
        return Settlement(action=Action.ALERT, text="it is halted, so nothing is traded back")
    if not qty:
        return Settlement(
            action=Action.ADOPT, text="less than can be traded back", adoption=adoption
        )
    order = SubmitOrder(
        client_order_id=adoption.adjustment_id,
        instrument_id=instrument_id,
        account_id=difference.account_id,
        side=_side(difference),
        order_type="MARKET",
        order_qty=qty,
        ts_event=now,
    )
    return Settlement(action=Action.RESTORE, adoption=adoption, order=order)


def _side(difference: Difference) -> Side:
    """Return which way the order trades: against the gap."""
    if difference.gap_qty < 0:
        return Side.BUY
    return Side.SELL_SHORT if difference.held_qty < 0 else Side.SELL


def _tradable(qty: Decimal, instrument: InstrumentDefined | None) -> Decimal:
    """Return the part of *qty* that an order can be made of: whole lots, else whole steps."""
    step = None if instrument is None else (instrument.lot_size or instrument.qty_step)
    if not step:
        return qty
    return EXACT.multiply(_WHOLE.divide_int(qty, step), step)
