"""Say what an order's partial-fill policy asks for now; what was done once is never done again.

What was done is read off the order itself: the cancel or replacement is an intent in the log, so a
restart in between changes nothing.
"""

from typing import Literal

from attrs import frozen

from fillbook.core.orders import Order
from fillbook.core.policies import PartialFills

__all__ = ["Act", "act_on_rest"]

_SECOND = 1_000_000_000


@frozen
class Act:
    """What is to be done about the rest of an order: `at_ns` is when, perhaps past."""

    kind: Literal["CANCEL", "REPRICE"]
    policy: PartialFills
    at_ns: int


def act_on_rest(order: Order) -> Act | None:
    """Return what the policy of *order* asks for; None where nothing is left to do."""
    policy = PartialFills.parse(order.partial_fills)
    now = order.standing
    if policy.act == "KEEP" or order.is_closed or not now.cum_qty or now.is_over():
        return None
    wanted = "REPLACE" if policy.act == "REPRICE" else "CANCEL"
    if any(request.kind == wanted for request in order.requests.values()):
        return None
    if policy.act == "REPRICE":
        return None if order.limit_px == policy.amount else Act("REPRICE", policy, 0)
    if policy.act == "MINIMUM":
        assert policy.amount is not None
        return None if now.cum_qty >= policy.amount else Act("CANCEL", policy, 0)
    if policy.act == "CANCEL_AFTER":
        assert policy.amount is not None
        first = min((fill.ts for fill in order.fills.values() if fill.ts is not None), default=0)
        return Act("CANCEL", policy, first + int(policy.amount * _SECOND))
    return Act("CANCEL", policy, 0)
