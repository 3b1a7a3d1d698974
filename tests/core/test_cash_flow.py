"""The cash flow identity holds for every position after every event of any history.

    realized gross = (cash flow + open basis + what commissions took in kind) × multiplier

A position works its cash flow out fill by fill and starts anew when the past changes; here it is
the plain sum over the fills as they stand, which knows nothing of order, averages or staleness.
What was realized is worked out a second time too, in fractions, where no fill took another's place.
"""

from decimal import Decimal
from fractions import Fraction
from typing import Any

from attrs import Factory, define
from hypothesis import event, given
from hypothesis import strategies as st

from builders import Desk
from core.claims import claims, deals, definitions, splits
from core.venue_histories import arrivals
from fillbook.core.book import Book
from fillbook.core.events import (
    CommissionChanged,
    Event,
    FillBusted,
    FillCorrected,
    FillInferred,
    InferredFillReleased,
    InstrumentSplit,
    OrderEvent,
    OrderFilled,
)
from fillbook.core.exact import EXACT, ROUNDED
from fillbook.core.holdings import value_at
from fillbook.core.policies import FillPolicy
from fillbook.core.positions import Position
from fillbook.core.values import Contract, Side

nonsense = st.lists(claims | claims | definitions | splits, max_size=6)
dealing = st.lists(deals | deals | deals | definitions | splits, min_size=4, max_size=15)
histories = st.tuples(dealing, arrivals | nonsense).map(lambda parts: parts[0] + parts[1])


@define
class StandingFills:
    """Every fill as it stands now: (signed quantity, price), by stream and number."""

    fills: dict[tuple[int, int], tuple[Decimal, Decimal | None]] = Factory(dict)
    whose: dict[int, tuple[str, str]] = Factory(dict)
    fees: dict[tuple[int, int], dict[str, Decimal]] = Factory(dict)
    steps: list[tuple[int, int] | InstrumentSplit] = Factory(list)
    times: list[int | None] = Factory(list)
    moved: set[tuple[str, str]] = Factory(set)

    def take(self, stream: int, event: Event) -> None:
        if isinstance(event, InstrumentSplit):
            self.steps.append(event)
            self.times.append(event.ts_event)
        if not isinstance(event, OrderEvent):
            return
        self.whose[stream] = (event.account_id, event.instrument_id)

        def put(fill_no: int, qty: Decimal, px: Decimal | None) -> None:
            signed = qty if event.side is Side.BUY else qty.copy_negate()
            self.fills[stream, fill_no] = (signed, px)

        if isinstance(event, OrderFilled | FillInferred | FillCorrected):
            put(event.fill_no, event.last_qty, event.last_px)
        if isinstance(event, OrderFilled | FillInferred):
            self.steps.append((stream, event.fill_no))
            self.times.append(event.ts_event)
            self.fees[stream, event.fill_no] = {}
        if isinstance(event, OrderFilled) and event.commission is not None:
            currency = event.commission_currency or "UNKNOWN"
            self.fees[stream, event.fill_no] = {currency: event.commission}
        if isinstance(event, CommissionChanged):
            paid = self.fees[stream, event.fill_no]
            paid[event.commission_currency] = event.commission
        if isinstance(event, FillBusted):
            put(event.fill_no, Decimal(0), None)
        parts = event.replaces if isinstance(event, OrderFilled) else ()
        if isinstance(event, InferredFillReleased):
            parts = event.releases
        if parts:
            self.moved.add((event.account_id, event.instrument_id))
        for part in parts:
            put(part.fill_no, part.left_qty, part.left_px)

    def cash_flow(self, position: Position) -> Decimal | None:
        """Return what these fills brought in, per unit of multiplier; None: a price is unknown."""
        total = Decimal(0)
        for (stream, _), (qty, px) in self.fills.items():
            if not qty or self.whose[stream] != (position.account_id, position.instrument_id):
                continue
            value = None if px is None else value_at(position.contract, px)
            if value is None:
                return None
            total = EXACT.subtract(total, EXACT.multiply(qty, value))
        return total

    def realized(self, position: Position) -> tuple[Fraction, Fraction]:
        """Return what average cost makes of these fills in their order, and what they turned over.

        A fee in the base currency of a SPOT moves the quantity at cost.  A split comes after what
        happened before it and before all else, as far as times tell.
        """
        splits = {
            place: step
            for place, step in enumerate(self.steps)
            if isinstance(step, InstrumentSplit) and step.instrument_id == position.instrument_id
        }
        timed = sorted(
            (place for place in splits if self.times[place] is not None),
            key=lambda place: (self.times[place], place),
        )

        def before(place: int) -> int:
            """Count the timed splits that come before what stands at *place*."""
            ts = self.times[place]
            if ts is None:
                return sum(each < place for each in timed)
            return sum(self.times[each] <= ts for each in timed)

        ordered: list[tuple[tuple[int, int, int], int]] = []
        for place, step in enumerate(self.steps):
            if place in timed:
                ordered.append(((timed.index(place), 1, 0), place))
            elif place in splits or not isinstance(step, InstrumentSplit):
                ordered.append(((before(place), 0, place), place))
        qty = basis = gross = turnover = Fraction(0)
        for _, place in sorted(ordered):
            step = self.steps[place]
            if isinstance(step, InstrumentSplit):
                qty *= Fraction(step.numerator) / Fraction(step.denominator)
                continue
            if self.whose[step[0]] != (position.account_id, position.instrument_id):
                continue
            signed, px = self.fills[step]
            if not signed:
                continue
            assert px is not None
            value = value_at(position.contract, px)
            assert value is not None
            price, traded = Fraction(value), Fraction(signed)
            turnover += abs(traded * price)
            closed = max(-abs(qty), -abs(traded)) if qty * traded < 0 else Fraction(0)
            closed = closed if qty > 0 else -closed  # signed as the trade is
            if closed:
                released = basis * -closed / qty
                gross += -closed * price - released
                basis -= released
                qty += closed
            qty += traded - closed
            basis += (traded - closed) * price
            fee = self.fees[step].get(position.base_currency or "")
            if fee is not None and position.contract is Contract.SPOT:
                left = qty - Fraction(fee)
                basis = basis * left / qty if qty * left > 0 or not left else left * price
                qty = left
        return gross, turnover


def check(book: Book, position: Position, standing: StandingFills) -> bool:
    """Assert the identity; return whether the profit could be worked out a second time."""
    cash_flow = standing.cash_flow(position)
    assert position.cash_flow == cash_flow
    instrument = book.instruments.get(position.instrument_id)
    view = position.view(instrument, None)
    if cash_flow is None:
        assert view.realized_pnl_gross is None
        return False
    assert position.basis is not None
    assert position.base_fee_term is not None
    assert position.qty or not position.basis
    gross = EXACT.add(EXACT.add(cash_flow, position.basis), position.base_fee_term)
    gross = EXACT.multiply(gross, instrument.multiplier if instrument else Decimal(1))
    assert view.realized_pnl_gross in (gross, ROUNDED.plus(gross))
    if (position.account_id, position.instrument_id) in standing.moved:
        return False
    assert position.gross is not None
    realized, turnover = standing.realized(position)
    assert abs(Fraction(position.gross) - realized) <= turnover / 10**24
    return bool(realized)


@given(histories, st.sampled_from([0, 2]))
def test_realized_is_cash_flow_and_basis_after_each_event(history: list[Any], wait_ns: int):
    desk = Desk(policy=FillPolicy(wait_ns=wait_ns))
    for message in history:
        desk.say(message)
        desk.wait_until(3)

    book, standing, seen = Book(desk.log), StandingFills(), {True: 0, False: 0}
    for record in desk.log.records:
        book.apply(record)
        standing.take(record.stream, record.event)
        book.refresh_positions()
        for position in book.positions.all():
            seen[check(book, position, standing)] += 1
    event(f"realized worked out: {seen[True] > 0}")
