"""Match orders by price, then by time: one instrument's book on the paper exchange.

Prices are whole ticks and quantities whole steps, so nothing here can be rounded.  A book knows no
order type, status, fee or clock: it holds what rests, and says what an incoming order takes.
"""

from collections import deque
from collections.abc import Iterator

from attrs import define, frozen

__all__ = ["Book", "Match", "Resting"]


@define(eq=False)
class Resting:
    """A limit order that waits in the book, or what is left of it.

    Attributes:
        px: Ticks.
        leaves: Steps, > 0 while it rests.
        account_id: Whose; None is the crowd, everybody we know nothing of.
        number: The exchange's own number of the order; None for the crowd.
    """

    is_buy: bool
    px: int
    leaves: int
    account_id: str | None = None
    number: int | None = None


@frozen
class Match:
    """What an incoming order took of one resting order, at that order's price."""

    resting: Resting
    px: int
    qty: int


class Book:
    """Both sides of one instrument.

    Attributes:
        last_px: Ticks of the last match, of anybody; what stop prices are compared with.
    """

    def __init__(self, last_px: int) -> None:
        self.last_px = last_px
        self._bids: dict[int, deque[Resting]] = {}
        self._asks: dict[int, deque[Resting]] = {}

    def best(self, *, is_buy: bool) -> int | None:
        """Return the highest bid or the lowest ask in ticks, None where that side is empty."""
        if is_buy:
            return max(self._bids, default=None)
        return min(self._asks, default=None)

    def rest(self, order: Resting) -> None:
        """Put *order* behind all that rest at its price."""
        assert order.leaves > 0, f"{order} has nothing left to rest"
        self._side(order.is_buy).setdefault(order.px, deque()).append(order)

    def remove(self, order: Resting) -> None:
        """Take *order*, which rests here, out of the book."""
        levels = self._side(order.is_buy)
        queue = levels[order.px]
        queue.remove(order)
        if not queue:
            del levels[order.px]

    def take(
        self, *, is_buy: bool, qty: int, limit_px: int | None, account_id: str | None
    ) -> tuple[list[Match], list[Resting]]:
        """Match an incoming order of *qty* steps, best price first, at one price first come first.

        An account does not trade with itself: its resting orders in the way leave the book.

        Args:
            limit_px: Worst price in ticks; None takes any.

        Returns:
            The matches in order, and the resting orders that left unmatched.
        """
        levels = self._side(not is_buy)
        matches: list[Match] = []
        prevented: list[Resting] = []
        while qty:
            px = self.best(is_buy=not is_buy)
            if px is None or not _reaches(is_buy, limit_px, px):
                break
            queue = levels[px]
            resting = queue[0]
            if account_id is not None and resting.account_id == account_id:
                prevented.append(queue.popleft())
            else:
                size = min(qty, resting.leaves)
                qty -= size
                resting.leaves -= size
                self.last_px = px
                matches.append(Match(resting, px, size))
                if not resting.leaves:
                    queue.popleft()
            if not queue:
                del levels[px]
        return matches, prevented

    def takeable(self, *, is_buy: bool, limit_px: int | None, account_id: str | None) -> int:
        """Return how many steps `take` could match at most."""
        return sum(
            order.leaves
            for order in self.resting(is_buy=not is_buy)
            if _reaches(is_buy, limit_px, order.px)
            and (account_id is None or order.account_id != account_id)
        )

    def resting(self, *, is_buy: bool) -> Iterator[Resting]:
        """Yield one side in the order in which it would be matched."""
        levels = self._side(is_buy)
        for px in sorted(levels, reverse=is_buy):
            yield from levels[px]

    def has_crowd(self, *, is_buy: bool, px: int) -> bool:
        """Tell whether anybody of the crowd rests at *px*."""
        return any(order.account_id is None for order in self._side(is_buy).get(px, ()))

    def withdraw_crowd(self, *, is_buy: bool, lowest: int, highest: int) -> None:
        """Take the crowd's orders on one side out, except those from *lowest* to *highest*."""
        levels = self._side(is_buy)
        for px in [px for px in levels if not lowest <= px <= highest]:
            queue = deque(order for order in levels[px] if order.account_id is not None)
            if queue:
                levels[px] = queue
            else:
                del levels[px]

    def _side(self, is_buy: bool) -> dict[int, deque[Resting]]:
        return self._bids if is_buy else self._asks


def _reaches(is_buy: bool, limit_px: int | None, px: int) -> bool:
    if limit_px is None:
        return True
    return px <= limit_px if is_buy else px >= limit_px
