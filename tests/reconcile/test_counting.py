"""When a difference counts, and what is kept of the run that found it."""

import hashlib
from decimal import Decimal
from pathlib import Path

from feedback.desk import filled
from fillbook.brokers.live import Capabilities
from fillbook.brokers.port import Message
from fillbook.core.values import Side
from fillbook.feedback.schedule import Call
from fillbook.feedback.settings import SECOND
from fillbook.log.sqlite import SqliteLog
from fillbook.reconcile.choices import Choices
from fillbook.reconcile.policies import DEFAULT, Action
from fillbook.reconcile.run import Patience, Wish
from fillbook.wiring import open_reader
from fillbook.wiring.reconciling import reconcile_at_rest
from reconcile.house import House, policies, statement

ADOPTS = policies(Action.ADOPT, Action.ADOPT, Action.ADOPT)


def holding(said=ADOPTS, qty: str = "10") -> House:
    """A house in which book and broker agree on *qty* for a long while."""
    house = House(said)
    house.begin()
    house.hold(qty)
    house.live(310)
    assert house.outcomes()[-1] == "AGREED"
    return house


def test_two_readings_must_say_the_same():
    house = holding()
    said = [8, 9] * 50
    house.tell = lambda call: (
        statement({"SBER": Decimal(said.pop())}) if call.kind == "positions" else None
    )

    run = house.reconcile()

    assert (run.outcome, run.unsettled) == ("UNSETTLED", 1)
    assert run.reads > 2
    assert not house.of_type("position.adopted")


def test_nothing_counts_while_an_order_is_unanswered():
    house = holding()
    house.theirs["SBER"] = Decimal(8)
    answers = {"submit": TimeoutError("slow"), "look_up": ValueError("unreadable")}
    house.tell = lambda call: [] if call.kind == "open_orders" else answers.get(call.kind)
    house.submit("2", side=Side.SELL)

    run = house.reconcile()

    assert run.outcome == "UNSETTLED"
    assert not house.of_type("position.adopted")


def test_nothing_counts_while_what_may_explain_it_is_not_told():
    house = holding()
    house.by_hand("-2", is_told=True)
    house.tell = lambda call: TimeoutError("slow") if call.kind == "fills_since" else None

    assert house.reconcile().outcome == "UNSETTLED"
    assert not house.of_type("position.adopted")
    house.tell = lambda call: None
    assert house.reconcile().outcome == "AGREED"


def test_what_just_moved_is_read_once_more():
    """The first answer may lag behind the fill, by as much as the broker says that it may."""
    house = holding()
    house.by_hand("-2", is_told=False)
    at_rest = house.reconcile()
    house = holding()
    house.hold("1")
    house.by_hand("-2", is_told=False)
    just_moved = house.reconcile()

    assert (at_rest.outcome, at_rest.reads) == ("ADOPTED", 2)
    assert (just_moved.outcome, just_moved.reads) == ("ADOPTED", 3)


def test_a_clock_that_is_set_back_hides_no_move_between_the_readings():
    """By its time the fill came long before the first reading, and the answer is as old as that."""
    house = holding()
    order = house.submit("1", "100")
    house.live(310)
    house.theirs["SBER"] = Decimal(8)

    def trade_meanwhile(call: Call) -> None:
        if call.kind == "positions" and house.asked.count("positions") == 2:
            house.log._writer.clock = lambda: house.now - 3600 * SECOND
            house.hear(filled(order, "T-late", "1", "1", "100"))

    house.asked.clear()
    house.tell = trade_meanwhile
    run = house.reconcile()

    assert (house.held(), run.outcome) == ("8", "ADOPTED")
    assert run.reads == 3


def test_what_was_adopted_and_never_agreed_is_not_adopted_again():
    house = holding()
    house.by_hand("-2", is_told=False)
    assert house.reconcile(6).outcome == "ADOPTED"
    house.by_hand("-1", is_told=False)
    house.live(120)

    assert house.halts() == ["SBER"]
    assert len(house.of_type("position.adopted")) == 1


def test_what_is_too_much_to_trade_back_is_halted():
    house = holding(policies(critical=Action.RESTORE, most_restore_qty={DEFAULT: Decimal(15)}))
    house.by_hand("-20", is_told=False)
    house.live(340)

    assert house.halts() == ["SBER"]
    assert not house.restoring()
    assert house.held() == "10"


def test_a_run_keeps_what_the_broker_said():
    house = holding()
    *_, record = (each for each in house.log.records() if each.type == "book.reconciled")

    raw = house.log.raw(record.seq)

    assert raw is not None
    assert raw.raw == statement(house.theirs)[0].raw
    assert record.event.statement_sha256 == hashlib.sha256(raw.raw).hexdigest()


class Teller:
    """A broker that only tells what is held."""

    capabilities = Capabilities(name="teller", has_positions=True, positions_lag_ns=0)

    def positions(self) -> list[Message]:
        return statement({"SBER": Decimal(3)})


def test_by_hand_nothing_is_written_unless_that_is_wanted(tmp_path: Path):
    path = str(tmp_path / "a.ledger")
    SqliteLog.open(path).close()
    choices = Choices(policies=ADOPTS, patience=Patience(between_ns=1))

    def types() -> list[str]:
        with open_reader(path) as reader:
            return [record.type for record in reader.records()]

    def compare(*, apply: bool) -> str:
        wish = Wish(cause="OPERATOR")
        done = reconcile_at_rest(path, Teller(), choices, ["default"], wish, apply=apply)  # type: ignore[arg-type]
        return str(done["outcome"])

    before = types()
    assert compare(apply=False) == "ADOPTED"
    assert types() == before

    assert compare(apply=True) == "ADOPTED"
    assert types() == [*before, "book.reconciled", "position.adopted"]
