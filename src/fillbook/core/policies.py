"""Hold the choices a robot's owner makes about feedback."""

from decimal import Decimal

from attrs import field, frozen

from fillbook.core.exact import decimal_of, plain
from fillbook.errors import BadValue

__all__ = ["AT_ONCE", "KEEP", "FillPolicy", "PartialFills"]


def _not_negative(_: object, __: object, value: int) -> None:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"wait_ns is {value!r}: it takes whole nanoseconds, 0 or more")


@frozen(kw_only=True)
class FillPolicy:
    """When a quantity that the venue counts and we do not becomes an inferred fill.

    Attributes:
        wait_ns: 0 infers at once.  Otherwise the order is flagged `GAP` and the true fills have
            this long to come; `decide_overdue` infers what is then still missing.
    """

    wait_ns: int = field(default=0, validator=_not_negative)


AT_ONCE = FillPolicy()
"""The default, and the policy of every import."""


@frozen
class PartialFills:
    """What the robot does once about an order of which a part was filled.

    As text, which is how an order carries it: `KEEP` goes on working the rest; `CANCEL_REST`
    cancels it at once, `CANCEL_AFTER:30` thirty seconds after the first fill; `MINIMUM:5` cancels
    the rest where less than 5 base units were filled, and keeps it otherwise; `REPRICE:275.6`
    moves the rest to that limit price, `REPRICE_BY:0.05` by so much towards the market.

    Attributes:
        act: `KEEP`, `CANCEL_REST`, `CANCEL_AFTER`, `MINIMUM`, `REPRICE` or `REPRICE_BY`.
        amount: Seconds, base units, a price or a difference of prices, as the act has it; None
            where it has none.
    """

    act: str = "KEEP"
    amount: Decimal | None = None

    def __str__(self) -> str:
        return self.act if self.amount is None else f"{self.act}:{plain(self.amount)}"

    @classmethod
    def parse(cls, text: str | None) -> "PartialFills":
        """Return the policy that *text* says; None is `KEEP`.

        Raises `ValueError` naming what it takes.
        """
        if text is None:
            return KEEP
        act, colon, amount = text.partition(":")
        takes = _TAKES.get(act)
        if takes is None:
            raise ValueError(f"{text!r} is none of {', '.join(_TAKES)}")
        if bool(colon) != bool(takes):
            raise ValueError(f"{act} takes {takes or 'nothing after it'}")
        if not takes:
            return cls(act)
        try:
            value = decimal_of(amount)
        except BadValue as exc:
            raise ValueError(f"{act} takes {takes}, not {amount!r}: {exc}") from exc
        if value < 0 and act != "REPRICE":
            raise ValueError(f"{act} takes {takes}, 0 or more, not {amount}")
        return cls(act, value)


_TAKES = {
    "KEEP": "",
    "CANCEL_REST": "",
    "CANCEL_AFTER": "seconds",
    "MINIMUM": "a quantity in base units",
    "REPRICE": "a limit price",
    "REPRICE_BY": "a difference of prices",
}

KEEP = PartialFills()
"""The default: the rest goes on working."""
