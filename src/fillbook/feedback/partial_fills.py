"""Say what an order's partial-fill policy asks for now; what was done once is never done again.

What was done is read off the order itself: the cancel or replacement is an intent in the log, so a
restart in between changes nothing.
"""

from decimal import Decimal
from typing import Literal

from attrs import frozen

from fillbook.core.exact import EXACT
from fillbook.core.orders import Order
from fillbook.core.policies import PartialFills

__all__ = ["Act", "act_on_rest"]

_SECOND = 1_000_000_000
_ZERO = Decimal(0)


@frozen
class Act:
    """What is to be done about the rest of an order.

    Attributes:
        at_ns: When, perhaps past; ns since 1970, UTC.
        limit_px: Of a `REPRICE`, the new price.
    """

    kind: Literal["CANCEL", "REPRICE"]
    at_ns: int = 0
    limit_px: Decimal | None = None


def act_on_rest(order: Order, seen_ns: int) -> Act | None:
    """Return what the policy of *order* asks for; None where nothing is left to do.

    *seen_ns* is when a fill was first known here, for a venue that tells no times.
    """
    policy = PartialFills.parse(order.partial_fills)
    now = order.standing
    if policy.act == "KEEP" or order.is_closed or not now.cum_qty or now.is_over():
        return None
    amount = policy.amount or _ZERO
    wanted = "REPLACE" if policy.act in ("REPRICE", "REPRICE_BY") else "CANCEL"
    if any(request.kind == wanted for request in order.requests.values()):
        return None
    if wanted == "REPLACE":
        return _reprice(order, amount, is_difference=policy.act == "REPRICE_BY")
    if policy.act == "MINIMUM":
        return None if now.cum_qty >= amount else Act("CANCEL")
    if policy.act == "CANCEL_AFTER":
        first = min(
            (fill.ts for fill in order.fills.values() if fill.ts is not None), default=seen_ns
        )
        return Act("CANCEL", at_ns=first + int(amount * _SECOND))
    return Act("CANCEL")


def _reprice(order: Order, amount: Decimal, *, is_difference: bool) -> Act | None:
    if order.limit_px is None:  # nothing to move
        return None
    limit_px = amount
    if is_difference:
        towards = EXACT.add if order.sign > 0 else EXACT.subtract
        limit_px = towards(order.limit_px, amount)
    return None if limit_px == order.limit_px else Act("REPRICE", limit_px=limit_px)
