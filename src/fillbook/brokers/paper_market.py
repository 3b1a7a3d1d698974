"""Say what the paper exchange lists, and how everybody else trades there.

Amounts are exact: a price is a whole number of ticks, a quantity a whole number of steps, and a fee
is rounded once, half even, to the places of its currency.  The fair prices of a seed walk the same
way whatever a robot does.
"""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from random import Random

from attrs import frozen

from fillbook.brokers.paper_book import Book, Match, Resting
from fillbook.brokers.paper_wire import MICROSECOND
from fillbook.core.exact import EXACT, divided, unscaled
from fillbook.core.reports import InstrumentReport
from fillbook.core.values import Contract

__all__ = ["LISTINGS", "Crowd", "Listing"]


@frozen(kw_only=True)
class Listing:
    """One instrument as the paper exchange lists it.

    Attributes:
        start_px: Where the price path begins.
        swing: Ticks that the fair price moves in one step of the crowd, at most.
        depth: Price levels that the crowd quotes on each side.
        level_steps: Quantity steps that the crowd quotes on one level, at most.
        max_order_qty: Larger orders are refused.
        maker_rate, taker_rate: Fee per unit of what changed hands; negative is a rebate.
        fee_currency, fee_places: What fees are charged in, and its decimal places.
        renumbers: An accepted replacement gets a new `venue_order_id`.
        shorts: Selling what one does not hold is marked `SELL_SHORT`.
    """

    instrument_id: str
    contract: Contract = Contract.LINEAR
    multiplier: Decimal = Decimal(1)
    base_currency: str | None = None
    quote_currency: str
    settlement_currency: str
    qty_step: Decimal
    px_step: Decimal
    lot_size: Decimal | None = None
    start_px: Decimal
    swing: int
    depth: int
    level_steps: int
    max_order_qty: Decimal
    maker_rate: Decimal
    taker_rate: Decimal
    fee_currency: str
    fee_places: int
    renumbers: bool = False
    shorts: bool = False

    def described(self, ts_ns: int) -> InstrumentReport:
        """Return what the exchange says this instrument is."""
        return InstrumentReport(
            instrument_id=self.instrument_id,
            contract=self.contract,
            multiplier=self.multiplier,
            base_currency=self.base_currency,
            quote_currency=self.quote_currency,
            settlement_currency=self.settlement_currency,
            qty_step=self.qty_step,
            px_step=self.px_step,
            lot_size=self.lot_size,
            ts_event=ts_ns,
            ts_received=ts_ns,
        )

    @property
    def has_base_fee(self) -> bool:
        """True where a fee is taken out of what is held."""
        return self.contract is Contract.SPOT and self.fee_currency == self.base_currency

    def qty(self, steps: int) -> Decimal:
        """Return *steps* in base units."""
        return _times(steps, self.qty_step)

    def px(self, ticks: int) -> Decimal:
        """Return *ticks* as a price."""
        return _times(ticks, self.px_step)

    def steps(self, qty: Decimal) -> int | None:
        """Return *qty* in whole steps, None where it has none."""
        return _whole(qty, self.qty_step)

    def ticks(self, px: Decimal) -> int | None:
        """Return *px* in whole ticks, None where it lies between them."""
        return _whole(px, self.px_step)

    def avg_px(self, fills: Iterable[tuple[int, int]]) -> Decimal | None:
        """Return the quantity-weighted price of *fills*, each (steps, ticks); None without any.

        Half even at 28 digits.  The plain mean, inverse or not.

        Source: AvgPx (tag 6), FIX 4.4 volume 4.
        """
        total = weighted = 0
        for steps, ticks in fills:
            total += steps
            weighted += steps * ticks
        if not total:
            return None
        numerator, denominator = self.px_step.as_integer_ratio()
        return unscaled(*divided(weighted * numerator, total * denominator))

    def fee(self, steps: int, ticks: int, *, is_maker: bool) -> Decimal:
        """Return what a fill costs in `fee_currency`; negative is a rebate."""
        rate = Fraction(self.maker_rate if is_maker else self.taker_rate)
        if self.has_base_fee:
            return self._rounded(rate * steps * Fraction(self.qty_step))
        return self._rounded(rate * self._value(steps, ticks))

    def funding(self, held_steps: int | Fraction, ticks: int, rate: Decimal) -> Decimal:
        """Return what the holder of a signed position receives: a long one pays a rate > 0."""
        return self._rounded(-Fraction(rate) * self._value(held_steps, ticks))

    def cash_flow(self, steps: int, ticks: int) -> Fraction:
        """Return what a fill of signed *steps* brings in, in `settlement_currency`, fee apart.

        A purchase costs its whole value, of a future too: what it brings is told when it is sold.
        An inverse contract pays the other way round, as its value falls while its price rises.
        """
        value = self._value(steps, ticks)
        return value if self.contract is Contract.INVERSE else -value

    def _value(self, steps: int | Fraction, ticks: int) -> Fraction:
        """Return what *steps* are worth: in the quote currency, or in the base where INVERSE."""
        size = steps * Fraction(self.qty_step) * Fraction(self.multiplier)
        px = ticks * Fraction(self.px_step)
        return size / px if self.contract is Contract.INVERSE else size * px

    def _rounded(self, amount: Fraction) -> Decimal:
        return unscaled(round(amount * 10**self.fee_places), self.fee_places)


@lru_cache(maxsize=1 << 14)
def _times(count: int, step: Decimal) -> Decimal:
    exponent = step.as_tuple().exponent
    assert isinstance(exponent, int)
    places = max(-exponent, 0)
    return unscaled(count * int(step.scaleb(places, EXACT)), places)


@lru_cache(maxsize=1 << 14)
def _whole(value: Decimal, step: Decimal) -> int | None:
    count, rest = EXACT.divmod(value, step)
    return None if rest else int(count)


LISTINGS = (
    Listing(
        instrument_id="SBER",
        quote_currency="RUB",
        settlement_currency="RUB",
        qty_step=Decimal(10),
        px_step=Decimal("0.01"),
        lot_size=Decimal(10),
        start_px=Decimal("275.5"),
        swing=3,
        depth=5,
        level_steps=60,
        max_order_qty=Decimal(20_000),
        maker_rate=Decimal("-0.00005"),
        taker_rate=Decimal("0.0003"),
        fee_currency="RUB",
        fee_places=2,
        shorts=True,
    ),
    Listing(
        instrument_id="GAZP",
        quote_currency="RUB",
        settlement_currency="RUB",
        qty_step=Decimal(10),
        px_step=Decimal("0.01"),
        lot_size=Decimal(10),
        start_px=Decimal("131.24"),
        swing=2,
        depth=5,
        level_steps=80,
        max_order_qty=Decimal(40_000),
        maker_rate=Decimal("-0.00005"),
        taker_rate=Decimal("0.0003"),
        fee_currency="RUB",
        fee_places=2,
        shorts=True,
    ),
    Listing(
        instrument_id="CRM6",  # the yuan against the ruble, June: a tick is one ruble
        multiplier=Decimal(1000),
        base_currency="CNY",
        quote_currency="RUB",
        settlement_currency="RUB",
        qty_step=Decimal(1),
        px_step=Decimal("0.001"),
        lot_size=Decimal(1),
        start_px=Decimal("11.482"),
        swing=2,
        depth=5,
        level_steps=25,
        max_order_qty=Decimal(1_000),
        maker_rate=Decimal(0),
        taker_rate=Decimal("0.00007"),
        fee_currency="RUB",
        fee_places=2,
    ),
    Listing(
        instrument_id="BTCUSD",
        contract=Contract.INVERSE,
        multiplier=Decimal(100),
        base_currency="BTC",
        quote_currency="USD",
        settlement_currency="BTC",
        qty_step=Decimal(1),
        px_step=Decimal("0.5"),
        lot_size=Decimal(1),
        start_px=Decimal(71_500),
        swing=6,
        depth=5,
        level_steps=40,
        max_order_qty=Decimal(2_000),
        maker_rate=Decimal("-0.0001"),
        taker_rate=Decimal("0.0005"),
        fee_currency="BTC",
        fee_places=8,
    ),
    Listing(
        instrument_id="ETH/USDT",
        contract=Contract.SPOT,
        base_currency="ETH",
        quote_currency="USDT",
        settlement_currency="USDT",
        qty_step=Decimal("0.001"),
        px_step=Decimal("0.01"),
        start_px=Decimal("2104.35"),
        swing=6,
        depth=5,
        level_steps=900,
        max_order_qty=Decimal(50),
        maker_rate=Decimal("0.0008"),
        taker_rate=Decimal("0.001"),
        fee_currency="ETH",
        fee_places=8,
        renumbers=True,
    ),
)
"""A share, another, a future, an inverse perpetual, a spot pair whose fees are in the base."""


class Crowd:
    """Everybody else in one instrument: quotes around a fair price that walks at random.

    Attributes:
        fair_px: Ticks.
    """

    def __init__(self, seed: int, listing: Listing, *, pace_ns: int) -> None:
        self._walk = Random(f"{seed}/walk/{listing.instrument_id}")
        self._random = Random(f"{seed}/crowd/{listing.instrument_id}")
        self._listing = listing
        self._pace_ns = pace_ns
        ticks = listing.ticks(listing.start_px)
        assert ticks is not None, f"{listing.start_px} is no price of {listing.instrument_id}"
        self.fair_px = ticks

    def wait_ns(self) -> int:
        """Return how long the crowd sits still before its next step."""
        shortest = self._pace_ns // 10
        spread = 2 * (self._pace_ns - shortest)
        return shortest + self._walk.randrange(spread // MICROSECOND) * MICROSECOND

    def step(self, book: Book) -> list[Match]:
        """Move the fair price, quote anew around it and sometimes trade; return all matches."""
        listing = self._listing
        self.fair_px += self._walk.randrange(-listing.swing, listing.swing + 1)
        self.fair_px = max(self.fair_px, 2 * listing.depth)
        return self.quote(book) + self._trade(book)

    def split(self, book: Book, ratio: Fraction) -> None:
        """Go on at what a unit costs once each has become *ratio* units; none but the crowd's
        orders are in the *book*.
        """
        self.fair_px = max(round(self.fair_px / ratio), 2 * self._listing.depth)
        book.last_px = max(round(book.last_px / ratio), 1)
        self.quote(book)

    def quote(self, book: Book) -> list[Match]:
        """Withdraw what is out of line and quote every level where nobody of the crowd is left.

        A new quote may meet orders that rest there.
        """
        fair, depth = self.fair_px, self._listing.depth
        matches = []
        for is_buy, ahead in ((True, -1), (False, 1)):
            near, far = fair + ahead, fair + ahead * depth
            book.withdraw_crowd(is_buy=is_buy, lowest=min(near, far), highest=max(near, far))
            for px in range(near, far + ahead, ahead):
                if not book.has_crowd(is_buy=is_buy, px=px):
                    qty = 1 + self._random.randrange(self._listing.level_steps)
                    matches += self._send(book, is_buy=is_buy, px=px, qty=qty)
        return matches

    def _send(self, book: Book, *, is_buy: bool, px: int, qty: int) -> list[Match]:
        matches, _ = book.take(is_buy=is_buy, qty=qty, limit_px=px, account_id=None)
        left = qty - sum(match.qty for match in matches)
        if left:
            book.rest(Resting(is_buy, px, left))
        return matches

    def _trade(self, book: Book) -> list[Match]:
        if self._random.randrange(2):
            return []
        is_buy = bool(self._random.randrange(2))
        reach = self._listing.depth // 2
        qty = 1 + self._random.randrange(2 * self._listing.level_steps)
        limit_px = self.fair_px + reach if is_buy else self.fair_px - reach
        return book.take(is_buy=is_buy, qty=qty, limit_px=limit_px, account_id=None)[0]
