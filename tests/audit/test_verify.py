"""`verify` finds what the witness cannot: a chain that holds over events that do not add up."""

import json
import shutil
from pathlib import Path
from runpy import run_path

import pytest

from audit.ledgers import a_long_day
from fillbook.audit.order_folds import OrderFolds
from fillbook.audit.verify import MOST_PROBLEMS, Verdict, verify
from fillbook.errors import LedgerTooNew, NotALedger
from fillbook.log.reader import open_reader
from fillbook.log.sqlite import SqliteLog
from fillbook.wiring import LogHistory, recover, save_state
from ledger.playing import GOLDEN, play
from ledger.tampering import altered, chained_anew

examine = run_path(str(GOLDEN.parent / "witness.py"))["examine"]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_long_day(tmp_path_factory.mktemp("good"))


@pytest.fixture
def ledger(good: Path, tmp_path: Path) -> Path:
    shutil.copy(good, tmp_path / "x.ledger")
    return tmp_path / "x.ledger"


def verdict_of(ledger: Path) -> Verdict:
    with open_reader(ledger) as reader:
        return verify(reader)


def found(ledger: Path) -> list[tuple[int, str]]:
    return [(problem.seq, problem.what) for problem in verdict_of(ledger).problems]


@pytest.mark.parametrize(
    ("type_", "old", "new"),
    [
        ("order.filled", '"cum_qty":"4"', '"cum_qty":"3"'),
        ("order.accepted", '"order_status":"NEW"', '"order_status":"SUSPENDED"'),
        ("order.accepted", '"leaves_qty":"10"', '"leaves_qty":"9"'),
        ("order.filled", '"avg_px":"100"', '"avg_px":"100.1"'),
        ("order.fill_busted", '"fill_no":1', '"fill_no":7'),
        ("order.fill_inferred", '"last_px":"101"', '"last_px":"102"'),
    ],
)
def test_what_an_event_says_of_its_order_must_be_the_fold(
    ledger: Path, type_: str, old: str, new: str
):
    """A forger works out every hash and column again; no witness sees it, the fold does."""
    with open_reader(ledger) as reader:
        seq = next(r.seq for r in reader.records() if r.type == type_ and old in r.body)
    chained_anew(
        ledger,
        f"UPDATE events SET body = replace(body, '{old}', '{new}'),"
        " status = CASE WHEN body LIKE '%SUSPENDED%' THEN 12 ELSE status END,"
        f" fill_no = CASE fill_no WHEN 1 THEN 7 ELSE fill_no END WHERE seq = {seq}"
        if type_ == "order.fill_busted"
        else f"UPDATE events SET body = replace(body, '{old}', '{new}'),"
        " status = iif(instr(replace(body, '"
        + old
        + "', '"
        + new
        + "'), 'SUSPENDED'), 12, status),"
        f" px = iif('{new}' LIKE '%last_px%', 10200000000, px) WHERE seq = {seq}",
    )

    assert examine(str(ledger))["problems"] == []
    assert found(ledger) == [(seq, "fold")]


def test_a_newer_version_can_be_verified_and_not_folded(ledger: Path):
    chained_anew(
        ledger,
        "UPDATE events SET type_version = 9 WHERE seq ="
        " (SELECT seq FROM events WHERE type = 'order.accepted' LIMIT 1)",
    )

    verdict = verdict_of(ledger)

    assert verdict.problems == []
    assert verdict.unfolded == 1
    assert examine(str(ledger))["notes"] != []


def test_the_derived_positions_must_be_the_fold(good: Path, tmp_path: Path):
    """Other programs read the table and believe it."""
    ledger = tmp_path / "x.ledger"
    shutil.copy(good, ledger)
    shutil.copy(f"{good}.heads", f"{ledger}.heads")
    with SqliteLog.open(ledger, create=False) as log:
        save_state(log, recover(log))
    assert found(ledger) == []

    altered(ledger, "UPDATE positions SET position_qty = '7' WHERE rowid = 3")

    assert found(ledger) == [(0, "positions")]


def test_positions_may_be_behind_the_log(good: Path, tmp_path: Path):
    """They are refreshed at snapshots and right as of the seq they name."""
    ledger = tmp_path / "x.ledger"
    shutil.copy(good, ledger)
    shutil.copy(f"{good}.heads", f"{ledger}.heads")
    with SqliteLog.open(ledger, create=False) as log:
        book = recover(log, upto=100)
        book.refresh_positions()
        rows = [
            (v.account_id, v.instrument_id, *(v.as_json()[key] for key in (
                "position_qty", "avg_px", "realized_pnl_gross", "realized_pnl", "pnl_currency",
                "trade_count",
            )))
            for v in book.position_views()
        ]  # fmt: skip
        log.refresh_positions(rows, 100)

    assert len(rows) > 3
    assert found(ledger) == []


def test_orders_let_go_are_folded_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Memory holds a few thousand orders; with room for two of five the verdict is the same."""
    story = tmp_path / "91-in-turn"
    story.mkdir()
    with (story / "story.jsonl").open("w") as file:
        for turn in range(4):
            for number in range(5):
                said = {"client_order_id": f"R-{number}", "ts_event": f"2026-03-13T07:0{turn}:00Z"}
                if turn == 0:
                    said |= {"kind": "order", "instrument_id": "SBER", "side": "BUY"}
                    said |= {"order_qty": "9", "order_type": "MARKET"}
                else:
                    said |= {"kind": "report", "exec_type": "TRADE", "trade_id": f"{turn}"}
                    said |= {"last_qty": "3", "last_px": "100", "cum_qty": str(3 * turn)}
                file.write(json.dumps(said) + "\n")
    play(story, tmp_path / "x.ledger")
    monkeypatch.setattr("fillbook.audit.order_folds._KEPT", 1)
    loads: list[int] = []
    fold_anew = OrderFolds._fold_anew
    monkeypatch.setattr(
        OrderFolds, "_fold_anew", lambda *told: loads.append(told[1]) or fold_anew(*told)
    )

    verdict = verdict_of(tmp_path / "x.ledger")

    assert verdict.problems == []
    assert len(loads) == 15


def test_progress_is_told_and_a_live_ledger_can_be_verified(tmp_path: Path):
    told: list[int] = []
    with SqliteLog.open(tmp_path / "live.ledger", robot="live") as log:
        verdict = verify(log, told.append)
        with open_reader(log.path) as reader:
            beside = verify(reader)

    assert verdict.is_whole
    assert beside == verdict


def test_many_problems_are_counted_and_not_all_kept(ledger: Path):
    altered(
        ledger,
        "UPDATE events SET status = 99, op = 3, qty = 1, px = 1, fee = 1, fill_no = 9, position = 1"
        " WHERE status IS NOT NULL",
    )

    verdict = verdict_of(ledger)

    assert verdict.problem_count > len(verdict.problems) == MOST_PROBLEMS


def test_another_database_and_a_newer_format_are_refused(ledger: Path):
    for pragma, error in (("user_version = 2", LedgerTooNew), ("application_id = 1", NotALedger)):
        altered(ledger, f"PRAGMA {pragma}")
        with pytest.raises(error):
            verdict_of(ledger)
        altered(ledger, f"PRAGMA user_version = 1 /* {pragma} */")


def test_the_history_of_the_check_is_that_of_the_wiring(good: Path):
    """Both ask the log the same; the check has its own because it may not know the wiring."""
    from fillbook.audit.tables import _History

    with open_reader(good) as reader:
        ours, theirs = _History(reader), LogHistory(reader)

        assert ours.record(5).seq == theirs.record(5).seq == 5
        for ask in (
            lambda h: [r.seq for r in h.stream_records(2, 50)],
            lambda h: [r.seq for r in h.position_records(5, 50)],
            lambda h: h.find_client_order("01/R-1"),
            lambda h: h.find_venue_orders("01/V-1"),
            lambda h: h.find_trades("01/T-1"),
        ):
            assert ask(ours) == ask(theirs)
            assert ask(ours)


def test_a_ledger_of_one_event_is_whole(tmp_path: Path):
    play(GOLDEN / "v1" / "02-rejected", tmp_path / "a.ledger")

    assert found(tmp_path / "a.ledger") == []
