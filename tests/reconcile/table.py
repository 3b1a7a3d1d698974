"""Play one row of the table: a state of book, broker and orders in, what a run makes of it out.

What a row says is text, so that the table can be read:

    ours     what the robot has traded, `"10"`
    theirs   `"8"`, `"8 @ 99"` with the broker's average, `"12 & -4"` two legs, `"8 | 9 | 8"` one
             answer after the other, the last one from then on; `absent`: the answer names another
             instrument only; `empty`: it names none; `unreadable`: one line of it makes no sense
    flight   what is under way while it is compared
    told     what the broker tells when it is asked, as far as it can
    defined  `"step 0.1 lot 10"`: how the instrument is defined
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from attrs import evolve, field, frozen

from feedback.desk import filled, told
from fillbook.brokers.port import Message
from fillbook.core.exact import plain
from fillbook.core.reports import (
    InstrumentReport,
    MarkReport,
    PositionReport,
    SplitReport,
    TransferReport,
)
from fillbook.core.robot_events import HaltDeclared
from fillbook.feedback.schedule import Call
from fillbook.reconcile.policies import DEFAULT, Action, Policies, Size
from reconcile.house import TELLS, House, statement

__all__ = ["End", "Row", "end_of", "play"]

DUMB = evolve(
    TELLS, has_open_orders=False, has_fills_since=False, can_look_up=False,
    can_look_up_by_venue_id=False,
)  # fmt: skip
"""Tells its positions, and nothing that would explain them."""

CAN: dict[str, Any] = {
    "all": TELLS,
    "activities": evolve(DUMB, has_activities=True),
    "fills": evolve(DUMB, has_fills_since=True),
    "orders": evolve(DUMB, has_open_orders=True, can_look_up=True),
    "look-ups": evolve(DUMB, can_look_up=True),
    "nothing": DUMB,
}


@frozen
class Row:
    """One state; see the module.

    Attributes:
        name: What the row is about.
        policy: What is done about a difference of any size, or one per size, as
            `"adopt alert halt"` (rounding, minor, critical).
        more: Other choices of `Policies`.
        wish: What an operator wants of the run.
        before: Done to the house before the run.
    """

    name: str
    ours: str
    theirs: str
    policy: str = "adopt alert halt"
    flight: str = "nothing"
    told: str = ""
    can: str = "all"
    defined: str = ""
    mark: str | None = None
    more: dict[str, Any] = field(factory=dict)
    wish: dict[str, Any] = field(factory=dict)
    before: Callable[[House], None] = lambda house: None


@frozen
class End:
    """What the run came to.

    Attributes:
        held: What the book holds after it.
        gap: `"MINOR -2 ALERT"`, and after a colon a piece of its text; "" where none was left.
        adopted: `"-2 @ 99 BROKER"`, or `"-2 BOOK"` without a price; "" where nothing was.
        order: `"BUY 2"`, what trades it back.
        halts: What is halted, `*` is everything; with the level where that is a milder one.
    """

    outcome: str
    held: str
    gap: str = ""
    adopted: str = ""
    order: str = ""
    halts: str = ""


def policies_of(row: Row) -> Policies:
    words = row.policy.upper().split()
    actions = [Action(word) for word in (words if len(words) == 3 else words * 3)]
    said: dict[str, Any] = {"actions": {DEFAULT: dict(zip(Size, actions, strict=True))}}
    return Policies(**said | row.more)


def play(row: Row) -> tuple[House, Any]:
    """Return the house after the run that *row* is about, and the event of that run."""
    house = House(policies_of(row), capabilities=CAN[row.can])
    _define(house, row)
    house.begin(30)
    if row.ours != "0":
        house.hold(row.ours)
    house.live(15)  # what the broker says lags behind nothing any more
    if row.mark is not None:
        house.tracker.hear(
            Message(0, "mark", MarkReport(instrument_id="SBER", px=Decimal(row.mark)), b"{}"),
            house.now,
        )
    row.before(house)
    house.tell = _Broker(house, row)
    run = house.reconcile(**row.wish)
    return house, run


def end_of(house: House, run: Any) -> End:
    """Return what *run* came to, in the words of the table."""
    gaps = [gap for gap in run.gaps if gap.instrument_id == "SBER"]
    gap = f"{gaps[0].size} {plain(gaps[0].gap_qty)} {gaps[0].action}" if gaps else ""
    adopted = ""
    for each in house.of_type("position.adopted"):
        px = "" if each.px is None else f" @ {plain(each.px)}"
        adopted = f"{plain(each.adjusted_qty)}{px} {each.price_rule}"
    orders = [f"{each.side} {plain(each.order_qty)}" for each in house.restoring()]
    halts = " ".join(_halt(name, halt) for name, halt in sorted(_halts(house).items()))
    return End(run.outcome, house.held(), gap, adopted, " ".join(orders), halts)


def _halts(house: House) -> dict[str, HaltDeclared]:
    return house.tracker.book.control.halts


def _halt(name: str, halt: HaltDeclared) -> str:
    return (name or "*") + ("" if halt.level == "HALTED" else f" {halt.level.lower()}")


def _define(house: House, row: Row) -> None:
    said = row.defined.split()
    if said:
        sizes = {
            {"step": "qty_step", "lot": "lot_size", "multiplier": "multiplier"}[name]: Decimal(size)
            for name, size in zip(said[::2], said[1::2], strict=True)
        }
        report = InstrumentReport(instrument_id="SBER", quote_currency="RUB", **sizes)
        house.tracker.hear(Message(0, "instrument", report, b"{}"), house.now)


class _Broker:
    """What the broker of *row* answers from now on."""

    def __init__(self, house: House, row: Row) -> None:
        self._house = house
        self._answers = [self._statement(text.strip()) for text in row.theirs.split("|")]
        self._reports = self._told(row.told)
        self._silent: set[str] = set()
        self._fly(row.flight)

    def __call__(self, call: Call) -> Sequence[Message] | BaseException | None:
        if call.kind == "positions":
            return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if call.kind in self._silent:
            return ConnectionError("no answer")
        if call.kind in ("fills_since", "activities_since"):
            return [message for message in self._reports if message.kind in _TELLS[call.kind]]
        return None

    def _statement(self, text: str) -> list[Message]:
        if text == "empty":
            return []
        if text == "absent":
            return statement({"GAZP": Decimal(0)})
        if text == "unreadable":
            bad = Message(2, "position", None, b"{", problem="line 2 makes no sense")
            return [*statement({"SBER": Decimal(8)}), bad]
        rows = []
        for leg in text.split("&"):
            qty, _, px = leg.partition("@")
            report = PositionReport(
                instrument_id="SBER",
                position_qty=Decimal(qty.strip()),
                avg_px=Decimal(px.strip()) if px else None,
            )
            rows.append(Message(0, "position", report, text.encode()))
        return rows

    def _told(self, text: str) -> list[Message]:
        """Make messages of `"fill -2"`, `"split 2:1"`, `"transfer 5"`."""
        if not text:
            return []
        kind, said = text.split()
        content: Any
        if kind == "fill":
            self._house.by_hand(said, is_told=True)
            return [Message(0, "report", self._house.untold[-1], b"{}")]
        ts = self._house.now - 1
        if kind == "split":
            one, other = said.split(":")
            content = SplitReport(
                instrument_id="SBER", numerator=Decimal(one), denominator=Decimal(other),
                ts_event=ts,
            )  # fmt: skip
        else:
            content = TransferReport(
                instrument_id="SBER", transfer_id="T-1", transferred_qty=Decimal(said), ts_event=ts
            )
        return [Message(0, kind, content, b"{}")]

    def _fly(self, flight: str) -> None:
        house = self._house
        if flight == "nothing":
            return
        if flight == "unanswered submit":
            self._silent = {"submit", "look_up", "open_orders"}
            house.submit("1")
            return
        order = house.submit("1", "90")
        (call,) = [call for call in house.step() if call.kind == "submit"]
        house.tracker.answered(call, [Message(0, "report", told(order), b"{}")], house.now)
        if flight == "unanswered cancel":
            self._silent = {"cancel", "look_up", "open_orders"}
            house.tracker.intents.cancel(order, house.now)
        elif flight == "unanswered replace":
            self._silent = {"replace", "look_up", "open_orders"}
            house.tracker.intents.replace(order, house.now, limit_px=Decimal(91))
        elif flight == "fill told while it is read":
            self._fill_later(order)
        else:
            assert flight == "resting order"

    def _fill_later(self, order: Any) -> None:
        answers = self._answers

        class Late(list[list[Message]]):
            def pop(late, index: Any = -1) -> list[Message]:
                self._house.hear(filled(order, "T-late", "1", "1", "90"))
                self._answers = answers
                return answers[0]

        self._answers = Late([answers[0], answers[0]])


_TELLS = {"fills_since": ("report",), "activities_since": ("split", "transfer")}
