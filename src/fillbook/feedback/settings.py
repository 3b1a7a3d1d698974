"""Hold how a robot keeps its feedback: intervals, patience, limits.  Times in nanoseconds."""

from attrs import field, frozen
from attrs.validators import in_

from fillbook.core.policies import AT_ONCE, KEEP, FillPolicy, PartialFills

__all__ = ["SECOND", "Settings"]

SECOND = 1_000_000_000
_LEVELS = ("HALTED", "REDUCE_ONLY")


def _positive(_: object, attribute: object, value: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        name = getattr(attribute, "name", "a setting")
        raise ValueError(f"{name} is {value!r}: it takes a whole number above 0")


@frozen(kw_only=True)
class Settings:
    """The choices, with what they default to.

    Attributes:
        poll_ns: Every open order is asked about this often; a third of it while a stream that
            should be there is silent, twice as long while it tells.
        call_timeout_ns: What has no answer by then counts as unanswered.
        ask_again_ns: The wait before an unanswered order is asked about again; doubles each time.
        most_wait_ns: No wait grows beyond this.
        misses: How often "not found" must be heard, after the broker's settling time and over
            everything it can be asked, until it is believed.
        failures_to_lose_line: Calls in a row that failed.
        offline: What becomes of a new order while the line is down: `REFUSE` or `QUEUE`.
        queue_ns: How long a queued order may wait.
        fill_policy: When a quantity that only the venue counts becomes an inferred fill.
        most_unknown_ns: An order unknown for longer halts its instrument; None never does.
        most_rejects: Rejections in a row of one instrument's orders that halt it; None never does.
        most_silence_ns: With orders open and nothing heard for longer, all is halted; None never.
        unknown_level, rejects_level, silence_level: What each of these halts to: `HALTED` or
            `REDUCE_ONLY`.
        count_every_ns: How often what added nothing is put on record.
        partial_fills: What becomes of the rest of an order that does not say; see `PartialFills`.
        account_id: Whose orders they are, of an order that does not say.
    """

    poll_ns: int = field(default=30 * SECOND, validator=_positive)
    call_timeout_ns: int = field(default=10 * SECOND, validator=_positive)
    ask_again_ns: int = field(default=SECOND // 2, validator=_positive)
    most_wait_ns: int = field(default=30 * SECOND, validator=_positive)
    misses: int = field(default=3, validator=_positive)
    failures_to_lose_line: int = field(default=3, validator=_positive)
    offline: str = field(default="REFUSE", validator=in_(("REFUSE", "QUEUE")))
    queue_ns: int = field(default=60 * SECOND, validator=_positive)
    fill_policy: FillPolicy = AT_ONCE
    most_unknown_ns: int | None = 60 * SECOND
    most_rejects: int | None = 5
    most_silence_ns: int | None = 120 * SECOND
    unknown_level: str = field(default="HALTED", validator=in_(_LEVELS))
    rejects_level: str = field(default="HALTED", validator=in_(_LEVELS))
    silence_level: str = field(default="HALTED", validator=in_(_LEVELS))
    partial_fills: PartialFills = KEEP
    account_id: str = "default"
    count_every_ns: int = field(default=3600 * SECOND, validator=_positive)
