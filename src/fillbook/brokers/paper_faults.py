"""Say what goes wrong between a client and the paper exchange, drawn from a seed.

What becomes of a call or a message depends on the seed and on what it is about, not on what else
happens: two threads that race meet the same faults, and a day that failed fails again.  No fault
hides a fact for good: what the stream does not tell is in the answers to look-ups and to the
questions for fills (busts and corrections included) and for activities.

There are two groups of words.  `all` is what goes wrong on the way: a robot that asks about its
orders gets over it.  `account` is what happens to the account behind the robot's back, and what
`positions` gets wrong: only who compares positions gets over that.
"""

from difflib import get_close_matches
from random import Random
from typing import Any

from attrs import asdict, field, fields, frozen

from fillbook.brokers.paper_wire import MICROSECOND, SECOND
from fillbook.errors import BadInput

__all__ = [
    "DEEDS",
    "CallFate",
    "Deed",
    "Dice",
    "FaultPlan",
    "MessageFate",
    "PositionsFate",
    "TradeFate",
]

OLDEST_NS = 60 * SECOND
"""How old an old answer to `positions` is at most."""

_MOST_LAG_S = 3600
_MOST_DRAWN_LAG_S = 14
"""A drawn lag keeps to what a broker declares by default (`Capabilities.positions_lag_ns`)."""


def _chance(usual: str, group: str = "all") -> Any:
    """Return an attribute: a chance from 0 to 1, with what it is where a plan only names it."""
    return field(default=0.0, metadata={"usual": float(usual), "group": group, "most": 1})


def _seconds(usual: str, group: str) -> Any:
    """Return an attribute: a length of time in seconds; 0 is none."""
    return field(default=0.0, metadata={"usual": float(usual), "group": group, "most": _MOST_LAG_S})


@frozen(kw_only=True)
class FaultPlan:
    """How often each thing goes wrong: a chance from 0 to 1, of a lag how long it is.

    Attributes:
        drop: Per stream message: lost on this connection; it comes when the stream is next
            connected anew.
        duplicate: Per stream message: it comes again later.
        delay: Per stream message: it comes 1 to 30 s late.
        reorder: Per stream message: it comes after the one that follows it.
        forget: Per stream message: it is never sent; only the polls show what it told.  A fill
            that the stream misses is this.
        error_before: Per call: a 5xx, and nothing was done.
        error_after: Per call: a 5xx, and it was done.
        hang: Per call: no answer at all; it was done, or not, or will be within the settling time.
        disconnect: Per minute: the stream is down for up to 20 s.
        offline: Per minute: nothing goes through, calls included, for up to 20 s.
        unseen: Per order: look-ups do not find it at first, within the settling time.
        bust: Per match of ours: it is taken back within 30 s.
        correct: Per match of ours: it gets another price or quantity within 30 s.
        reuse_trade_id: Per fill on the stream: it is told under the id of an earlier fill of its
            order, which the stream has delivered before.
        wrong_cum_qty: Per report: it counts less than was filled.
        external: Per minute: somebody trades on the account by hand; the stream does not tell.
        liquidation: Per minute: the broker closes a position with an order of its own.
        split: Per minute: an instrument that is held is split; what is open in it is canceled.
        transfer: Per minute: a position comes in or goes out without a trade.
        stale_positions: Per answer to `positions`: it is one of up to 60 s ago, and has its time.
        lag_positions: Seconds by which every answer to `positions` is behind what was filled.
        empty_positions: Per answer to `positions`: it is an empty list.
        partial_positions: Per answer to `positions`: one instrument is missing from it.
    """

    drop: float = _chance("0.03")
    duplicate: float = _chance("0.05")
    delay: float = _chance("0.04")
    reorder: float = _chance("0.05")
    forget: float = _chance("0.03")
    error_before: float = _chance("0.03")
    error_after: float = _chance("0.03")
    hang: float = _chance("0.02")
    disconnect: float = _chance("0.1")
    offline: float = _chance("0.03")
    unseen: float = _chance("0.1")
    bust: float = _chance("0.02")
    correct: float = _chance("0.02")
    reuse_trade_id: float = _chance("0.02")
    wrong_cum_qty: float = _chance("0.02")
    external: float = _chance("0.1", "account")
    liquidation: float = _chance("0.02", "account")
    split: float = _chance("0.02", "account")
    transfer: float = _chance("0.04", "account")
    stale_positions: float = _chance("0.05", "account")
    lag_positions: float = _seconds("10", "account")
    empty_positions: float = _chance("0.03", "account")
    partial_positions: float = _chance("0.05", "account")

    @classmethod
    def parse(cls, text: str) -> "FaultPlan":
        """Return the plan that *text* names: `none`, `all`, `account`, or words with a chance.

        What stands later counts, so `all,hang=0` is everything but that.  A word alone is as
        likely as in its group.  Raises `BadInput` with the nearest right word.
        """
        chances: dict[str, float] = {}
        for item in filter(None, (each.strip() for each in text.split(","))):
            word, is_set, told = (each.strip() for each in item.partition("="))
            key = word.replace("-", "_")
            if key == "none" and not is_set:
                chances = {}
            elif key in _GROUPS and not is_set:
                chances |= _GROUPS[key]
            elif key not in _WORDS:
                raise BadInput(f"there is no fault {word!r}", _remedy(key))
            else:
                chances[key] = _number_of(key, told) if is_set else _WORDS[key]
        return cls(**chances)

    @classmethod
    def drawn(cls, seed: int, *, account: bool = False) -> "FaultPlan":
        """Return the plan of *seed*: each fault at up to twice its usual chance, or not at all.

        With *account* there are the faults of that group too; the others are the same without.
        """
        chances = _drawn(Random(f"{seed}/plan"), USUAL)
        if account:
            chances |= _drawn(Random(f"{seed}/plan/account"), ACCOUNT)
            if "lag_positions" in chances:
                chances["lag_positions"] = min(chances["lag_positions"], _MOST_DRAWN_LAG_S)
        return cls(**chances)

    @property
    def text(self) -> str:
        """The plan as `parse` reads it."""
        chances = [f"{word}={chance:g}" for word, chance in asdict(self).items() if chance]
        return ",".join(chances) or "none"


def _usual(group: str) -> dict[str, float]:
    return {
        each.name: each.metadata["usual"]
        for each in fields(FaultPlan)
        if each.metadata["group"] == group
    }


USUAL = _usual("all")
"""What `all` means, word by word."""

ACCOUNT = _usual("account")
"""What `account` means, word by word."""

_GROUPS = {"all": USUAL, "account": ACCOUNT}
_WORDS = USUAL | ACCOUNT
_MOST: dict[str, int] = {each.name: each.metadata["most"] for each in fields(FaultPlan)}


def _remedy(key: str) -> str:
    nearest = get_close_matches(key, [*_WORDS, *_GROUPS, "none"], n=1, cutoff=0.5)
    known = f"there are all, none, {', '.join(USUAL)}, and account, {', '.join(ACCOUNT)}"
    return f"did you mean {nearest[0]!r}? {known}" if nearest else known


def _number_of(word: str, told: str) -> float:
    most = _MOST[word]
    try:
        number = float(told)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        if most == 1:
            problem, form = "not a chance", "a number from 0 to 1, as in hang=0.01"
        else:
            problem, form = "not a time", f"seconds from 0 to {most:g}, as in {word}=10"
        raise BadInput(f"{word}={told}: {problem}", f"give {form}")
    return number


def _drawn(random: Random, usual: dict[str, float]) -> dict[str, float]:
    chances = {word: round(2 * each * random.random(), 4) for word, each in usual.items()}
    return {word: each for word, each in chances.items() if random.random() < 0.7}


# ---- what is drawn


@frozen(kw_only=True)
class CallFate:
    """What becomes of one call.

    Attributes:
        fails: `""`, `before` (a 5xx, nothing was done), `after` (a 5xx, it was done) or `hang`.
        arrives_ns: Of one that hangs: how long until it is done; None is never.
    """

    fails: str = ""
    arrives_ns: int | None = 0


@frozen(kw_only=True)
class MessageFate:
    """What becomes of one stream message; several at once where they can be.

    Attributes:
        again_ns: How much later it comes a second time; 0 is never.
        is_marked: The second one says that it is one.
        late_ns: How much later it comes.
    """

    is_forgotten: bool = False
    is_dropped: bool = False
    again_ns: int = 0
    is_marked: bool = False
    late_ns: int = 0
    is_kept_back: bool = False
    is_understated: bool = False
    reuses_trade_id: bool = False


@frozen(kw_only=True)
class TradeFate:
    """What becomes of one match: `""`, `bust` or `correct`, and after how long."""

    amendment: str = ""
    after_ns: int = 0
    is_price: bool = False


DEEDS = ("external", "liquidation", "split", "transfer")
"""What others do to the account, by the words of a plan."""


@frozen(kw_only=True)
class Deed:
    """One thing that is done to the account; what the numbers mean depends on the deed.

    Attributes:
        after_ns: When in its minute.
        place: Which instrument, of those that come into question: from 0 to 1.
        size: How much: from 0 to 1.
        is_up: A purchase, or what comes in.
    """

    after_ns: int
    place: float
    size: float
    is_up: bool


@frozen(kw_only=True)
class PositionsFate:
    """What an answer to `positions` gets wrong.

    Attributes:
        age_ns: How old it is, beyond what every answer lags.
        missing: Which of its rows is missing, from 0 to 1; None where none is.
    """

    age_ns: int = 0
    is_empty: bool = False
    missing: float | None = None


class Dice:
    """Draws by a plan; the same question always has the same answer."""

    def __init__(self, seed: int, plan: FaultPlan) -> None:
        self.plan = plan
        self._seed = seed

    def call(self, method: str, about: str, count: int, settling_ns: int) -> CallFate:
        """Return what becomes of the *count*th call of *method* about one thing."""
        plan = self.plan
        if not (plan.error_before or plan.error_after or plan.hang):
            return CallFate()
        random = self._random("call", method, about, count)
        place = random.random()
        if place < plan.error_before:
            return CallFate(fails="before")
        place -= plan.error_before
        if place < plan.error_after:
            return CallFate(fails="after")
        if place - plan.error_after >= plan.hang:
            return CallFate()
        late_ns = random.randrange(settling_ns * 9 // 10)
        return CallFate(fails="hang", arrives_ns=(0, late_ns, None)[random.randrange(3)])

    def message(self, identity: str) -> MessageFate:
        """Return what becomes of one stream message."""
        plan, random = self.plan, self._random("message", identity)
        return MessageFate(
            is_forgotten=random.random() < plan.forget,
            is_dropped=random.random() < plan.drop,
            again_ns=_between(random, SECOND // 100, 20 * SECOND, plan.duplicate),
            is_marked=random.random() < 0.5,
            late_ns=_between(random, SECOND, 30 * SECOND, plan.delay),
            is_kept_back=random.random() < plan.reorder,
            is_understated=random.random() < plan.wrong_cum_qty,
            reuses_trade_id=random.random() < plan.reuse_trade_id,
        )

    def trade(self, trade_id: str) -> TradeFate:
        """Return what becomes of one match."""
        plan = self.plan
        if not (plan.bust or plan.correct):
            return TradeFate()
        random = self._random("trade", trade_id)
        place, after_ns = random.random(), _between(random, SECOND // 2, 30 * SECOND, 1)
        if place < plan.bust:
            return TradeFate(amendment="bust", after_ns=after_ns)
        if place < plan.bust + plan.correct:
            is_price = random.random() < 0.5
            return TradeFate(amendment="correct", after_ns=after_ns, is_price=is_price)
        return TradeFate()

    def is_understated(self, method: str, about: str, count: int) -> bool:
        """Tell whether a snapshot in the answer to a call counts too little."""
        chance = self.plan.wrong_cum_qty
        return bool(chance) and self._random("snapshot", method, about, count).random() < chance

    def unseen_ns(self, client_order_id: str, settling_ns: int) -> int:
        """Return how long look-ups do not find a new order."""
        return _between(
            self._random("unseen", client_order_id), 0, settling_ns * 9 // 10, self.plan.unseen
        )

    def break_in_minute(self, word: str, minute: int) -> tuple[int, int] | None:
        """Return when in the minute the line breaks and for how long; None where it does not."""
        random = self._random(word, minute)
        if random.random() >= getattr(self.plan, word):
            return None
        return random.randrange(60) * SECOND, _between(random, SECOND // 2, 20 * SECOND, 1)

    def deed_in_minute(self, word: str, minute: int) -> Deed | None:
        """Return what is done to the account in a minute; None where nothing is."""
        random = self._random(word, minute)
        if random.random() >= getattr(self.plan, word):
            return None
        return Deed(
            after_ns=random.randrange(60 * SECOND // MICROSECOND) * MICROSECOND,
            place=random.random(),
            size=random.random(),
            is_up=random.random() < 0.5,
        )

    def positions(self, count: int) -> PositionsFate:
        """Return what the *count*th answer to `positions` gets wrong."""
        plan, random = self.plan, self._random("positions", count)
        return PositionsFate(
            age_ns=_between(random, SECOND, OLDEST_NS, plan.stale_positions),
            is_empty=random.random() < plan.empty_positions,
            missing=random.random() if random.random() < plan.partial_positions else None,
        )

    def _random(self, *names: object) -> Random:
        return Random("/".join(map(str, (self._seed, *names))))


def _between(random: Random, least: int, most: int, chance: float) -> int:
    """Return a time in whole microseconds where the *chance* comes true, else 0."""
    comes_true = random.random() < chance
    span = random.randrange(max((most - least) // MICROSECOND, 1)) * MICROSECOND
    return least + span if comes_true else 0
