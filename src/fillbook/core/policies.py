"""Hold the choices a robot's owner makes about feedback."""

from attrs import field, frozen

__all__ = ["AT_ONCE", "FillPolicy"]


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
