"""Two real FIX logs go into a ledger whole: every message is known by its outcome.

What the files hold is counted by a scan of their bytes that shares nothing with our reader.  One is
a session pasted 39 times, most checksums wrong; the other a bridge that logs each report as it came
in and again as it was handed on, by hand made anonymous, so that most lengths are wrong.
"""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from attrs import define, field

from data_logs.fixscan import scan
from fillbook.core.events import MessageSetAside
from fillbook.core.views import order_json
from fillbook.forensics.replay import orders_upto
from fillbook.wiring import ImportResult, import_file, open_reader, recover

LOGS = Path(__file__).resolve().parents[3] / "shared/data/fix"
SESSION_2004 = "quickfix_logviewer_2004_fix42.log"
BRIDGE_2009 = "sackfix_brbridge_2009_fix44.log"
EVERY_LOG = pytest.mark.parametrize("name", [SESSION_2004, BRIDGE_2009])


def the_log(name):
    path = LOGS / name
    if not path.exists():
        pytest.skip(f"{name} is not beside this checkout (../shared/data/fix)")
    return path


@define
class Taken:
    """One import: its result, and each message's bytes with what came of it."""

    ledger: str
    result: ImportResult | None = None
    judged: list = field(factory=list)

    def outcomes(self):
        return Counter(judgement.outcome for _, judgement in self.judged)

    def problems(self):
        """What is disputed or was set aside, by line."""
        return {message.line: judged.problem for message, judged in self.judged if judged.problem}


def take_in(path, folder, checksum="refuse"):
    taken = Taken(str(folder / "day.ledger"))
    taken.result = import_file(
        str(path),
        taken.ledger,
        checksum=checksum,
        on_judgement=lambda message, judgement: taken.judged.append((message, judgement)),
    )
    return taken


def the_book(ledger):
    """Return orders by client id, and positions by instrument, as the command prints them."""
    with open_reader(ledger) as reader:
        book = recover(reader)
        orders = [order_json(order) for order in orders_upto(reader, book)]
        positions = [view.as_json() for view in book.position_views()]
    return (
        {order["client_order_id"]: order for order in orders},
        {position["instrument_id"]: position for position in positions},
    )


def told(orders, *keys):
    return {each: tuple(order[key] for key in keys) for each, order in orders.items()}


# ---- every message is accounted for


@EVERY_LOG
def test_every_message_has_an_outcome_and_wrong_ones_are_set_aside(name, tmp_path):
    """In file order, byte for byte; only whole session messages have none."""
    scanned = scan(the_log(name).read_bytes())

    taken = take_in(the_log(name), tmp_path)

    due = [each for each in scanned if not (each.is_session and each.is_whole)]
    assert [message.raw for message, _ in taken.judged] == [each.raw for each in due]
    assert taken.outcomes()["SET_ASIDE"] == sum(not each.is_whole for each in scanned)
    for each, (_, judgement) in zip(due, taken.judged, strict=True):
        assert (judgement.outcome == "SET_ASIDE") == (not each.is_whole)
        if not each.is_whole:
            is_length = each.lengths[0] != each.lengths[1]
            figures = re.findall(r"\d+", judgement.problem)
            assert figures[0] == ("9" if is_length else "10")
            assert [*map(int, figures[1:])] == [*(each.lengths if is_length else each.checksums)]


@EVERY_LOG
def test_believed_messages_are_accounted_for_too(name, tmp_path):
    """With `--checksum warn` nothing is set aside, and how many were wrong is told."""
    scanned = scan(the_log(name).read_bytes())

    taken = take_in(the_log(name), tmp_path, checksum="warn")

    due = [each for each in scanned if not each.is_session]
    assert [message.raw for message, _ in taken.judged] == [each.raw for each in due]
    assert taken.result.believed == sum(not each.is_whole for each in scanned)
    assert taken.result.skipped == {}
    assert taken.outcomes()["SET_ASIDE"] == 0


@pytest.mark.parametrize(
    ("name", "checksum", "session", "outcomes"),
    [
        (SESSION_2004, "refuse", 0, {"RECORDED": 2, "DUPLICATE": 115, "SET_ASIDE": 702}),
        (SESSION_2004, "warn", 390, {"RECORDED": 10, "DUPLICATE": 419}),
        (BRIDGE_2009, "refuse", 0, {"RECORDED": 3, "DUPLICATE": 3, "SET_ASIDE": 42}),
        pytest.param(
            BRIDGE_2009, "warn", 0, {"RECORDED": 10, "DUPLICATE": 35, "DISPUTED": 3},
        ),
    ],
)  # fmt: skip
def test_the_outcomes_add_up(name, checksum, session, outcomes, tmp_path):
    """A pasted session says everything 39 times, a bridge says everything twice."""
    places = the_log(name).read_bytes().count(b"8=FIX")

    taken = take_in(the_log(name), tmp_path, checksum=checksum)

    assert taken.outcomes() == taken.result.tally.outcomes == outcomes
    assert taken.result.tally.message_count + session == places


@EVERY_LOG
def test_what_is_set_aside_is_kept_word_for_word_with_its_reason(name, tmp_path):
    taken = take_in(the_log(name), tmp_path)

    due = {
        (message.raw, judgement.problem)
        for message, judgement in taken.judged
        if judgement.outcome == "SET_ASIDE"
    }
    with open_reader(taken.ledger) as reader:
        kept = [
            (reader.raw(record.seq).raw, record.event.problem)
            for record in reader.records()
            if isinstance(record.event, MessageSetAside)
        ]
    assert len(kept) == len(set(kept))
    assert set(kept) == due


@EVERY_LOG
def test_nothing_comes_from_a_message_that_is_refused(name, tmp_path):
    """Every event but the keeping itself leads back to a message whose checksum is right."""
    whole = {each.raw for each in scan(the_log(name).read_bytes()) if each.is_whole}

    taken = take_in(the_log(name), tmp_path)

    checked = 0
    with open_reader(taken.ledger) as reader:
        for record in reader.records():
            if record.type in ("ledger.created", "message.set_aside", "import.progressed"):
                continue
            raw = reader.raw(record.seq if record.causation is None else record.causation)
            assert raw is not None
            assert raw.raw in whole
            checked += 1
    assert checked >= 2


BOTH_WAYS = pytest.mark.parametrize("checksum", ["refuse", "warn"])


@BOTH_WAYS
@EVERY_LOG
def test_a_file_imported_again_adds_nothing(name, checksum, tmp_path):
    first = take_in(the_log(name), tmp_path, checksum)

    again = take_in(the_log(name), tmp_path, checksum)

    assert again.result.tally.known_bytes > 0
    assert again.result.tally.head_seq == first.result.tally.head_seq
    assert len(again.judged) == len(first.judged)


@pytest.mark.parametrize(
    ("name", "checksum"),
    [
        (SESSION_2004, "refuse"),
        (SESSION_2004, "warn"),
        (BRIDGE_2009, "refuse"),
        pytest.param(BRIDGE_2009, "warn"),
    ],
)
def test_messages_that_come_again_in_another_file_add_nothing(name, checksum, tmp_path):
    """One line more at the top, and no part of the file is known: each message is judged anew."""
    first = take_in(the_log(name), tmp_path, checksum)
    before = the_book(first.ledger)
    moved = tmp_path / "moved.log"
    moved.write_bytes(b"a line that moves everything\n" + the_log(name).read_bytes())

    again = take_in(moved, tmp_path, checksum)

    assert again.result.tally.known_bytes == 0
    assert the_book(again.ledger) == before
    assert set(again.outcomes()) <= {"DUPLICATE", "SET_ASIDE"}
    assert again.result.tally.head_seq == first.result.tally.head_seq


def test_the_command_says_what_was_believed_and_what_is_disputed(tmp_path):
    """As a process of its own, found without its script on the path."""
    log = the_log(BRIDGE_2009)
    arguments = ["--ledger", str(tmp_path / "day.ledger"), "--checksum", "warn", "--json"]

    done = subprocess.run(
        [sys.executable, "-m", "fillbook", "import", str(log), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1, done.stderr
    summary = json.loads(done.stdout)
    assert summary["format"] == "fix"
    assert summary["messages"] == sum(summary["outcomes"].values()) == 48
    assert summary["believed_checksums"] == 42
    assert "42 messages with a wrong checksum or length were believed" in done.stderr
    assert done.stderr.count(": disputed: ") == summary["outcomes"]["DISPUTED"]


# ---- what the book concludes


def test_the_pasted_session_ends_as_its_venue_said(tmp_path):
    """One order refused, one filled, one canceled half way; the cancel that was asked for first in
    the file is the last thing that happened."""
    taken = take_in(the_log(SESSION_2004), tmp_path, checksum="warn")

    orders, positions = the_book(taken.ledger)

    keys = ("side", "order_qty", "order_status", "cum_qty", "leaves_qty", "avg_px", "flags")
    assert told(orders, *keys) == {
        "1": ("BUY", "100", "REJECTED", "0", "0", None, []),
        "2": ("BUY", "100", "FILLED", "100", "0", "43.2", []),
        "3": ("SELL", "200", "CANCELED", "100", "0", "43.2", []),
    }
    assert orders["3"]["client_order_ids"] == ["3", "4"]
    assert {order["origin"] for order in orders.values()} == {"ROBOT"}
    assert told(positions, "position_qty", "realized_pnl", "trade_count") == {"DELL": ("0", "0", 2)}


def test_of_the_pasted_session_only_what_is_whole_is_believed(tmp_path):
    """Of 20 different messages two are whole: an order and its acknowledgment."""
    taken = take_in(the_log(SESSION_2004), tmp_path)

    orders, positions = the_book(taken.ledger)

    assert told(orders, "order_status", "order_qty", "cum_qty", "is_open") == {
        "2": ("NEW", "100", "0", True)
    }
    assert positions == {}


BRIDGED = {
    "42583905": ("B00LR01", "BUY", "67000", "54000", "12275.6296"),
    "42583908": ("0491563", "BUY", "10000", "3297", "1049.109039"),
    "42643889": ("0491563", "BUY", "10919", "8838", "1044.622426"),
    "42583904": ("B0L0W35", "SELL", "750000", "537743", "149.1464"),
    "42584489": ("B058J56", "SELL", "100000", "42000", "400.4759"),
}


@pytest.mark.parametrize(
    ("checksum", "known"), [("warn", list(BRIDGED)), ("refuse", list(BRIDGED)[2:])]
)
def test_the_bridged_orders_are_filled_once_and_canceled(checksum, known, tmp_path):
    """The cancel comes before its last fill, which says Partially Filled with nothing left; each
    comes in, goes out, and goes out again in pounds where it came in pence."""
    taken = take_in(the_log(BRIDGE_2009), tmp_path, checksum=checksum)

    orders, positions = the_book(taken.ledger)

    keys = ("instrument_id", "side", "order_qty", "cum_qty", "avg_px")
    assert told(orders, *keys) == {each: BRIDGED[each] for each in known}
    assert {order["order_status"] for order in orders.values()} == {"CANCELED"}
    assert {order["leaves_qty"] for order in orders.values()} == {"0"}
    assert {order["origin"] for order in orders.values()} == {"EXTERNAL"}
    both = 3297 + 8838 if "42583908" in known else 8838
    held = {"B00LR01": "54000", "0491563": str(both), "B0L0W35": "-537743", "B058J56": "-42000"}
    if checksum == "refuse":
        del held["B00LR01"]
    assert {each: row["position_qty"] for each, row in positions.items()} == held


def test_a_fill_in_pence_and_again_in_pounds_is_a_conflict_and_no_second_fill(tmp_path):
    """1049.109039 GBp and 10.49109039 GBP under the same ids: one fill and a claim that differs."""
    taken = take_in(the_log(BRIDGE_2009), tmp_path, checksum="warn")

    orders, positions = the_book(taken.ledger)

    problems = taken.problems()
    assert problems[17] == (
        "FILL_DIFFERS: 24856: 3297 @ 10.49109039, on record: 24856: 3297 @ 1049.109039"
    )
    assert problems[39] == (
        "FILL_DIFFERS: 27256: 8838 @ 10.44622426, on record: 27256: 8838 @ 1044.622426"
    )
    assert "CONFLICT" in orders["42583908"]["flags"]
    assert "CONFLICT" in orders["42643889"]["flags"]
    assert positions["0491563"]["trade_count"] == 2


def test_another_instrument_under_known_ids_is_a_conflict_and_no_second_order(tmp_path):
    """Whoever made the log anonymous renamed an instrument in one copy of an order's reports."""
    taken = take_in(the_log(BRIDGE_2009), tmp_path, checksum="warn")

    orders, positions = the_book(taken.ledger)

    problems = taken.problems()
    assert problems[78] == "INSTRUMENT_DIFFERS: TSCO.L, on record: B058J56"
    assert max(problems) == 78, "the same contradiction again is no news"
    assert "CONFLICT" in orders["42584489"]["flags"]
    assert "TSCO.L" not in positions
