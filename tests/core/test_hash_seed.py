"""The state is the same in every process, whatever order its sets happen to have.

Snapshots, replay on another machine and a stranger's check all compare digests of it.
"""

import os
import subprocess
import sys
from pathlib import Path

import fillbook

TESTS = Path(__file__).parents[1]
SEEDS = ["0", "1", "2", "1234567", "4294967295"]

PLAY = """
import hashlib, json, logging
logging.getLogger("fillbook.events").setLevel(logging.CRITICAL)
from attrs import evolve
from builders import Desk, a_cancel, a_replace
from core.venue_histories import a_history, an_arrival
from brokers.paper_day import play_day
from fillbook.core.replaying import book_state
from fillbook.log.codec import encode

day, desk = Desk(), Desk(keep_closed=1)
for content in play_day(7, 40).messages:
    if content is not None:
        day.say(content)
for number in range(12):
    ours, theirs = f"R-{number}", f"V-{number}"
    desk.say(*(
        evolve(each, client_order_id=ours, venue_order_id=theirs)
        for each in an_arrival(a_history(number), number)
    ))
    desk.say(a_cancel(f"C-{number}", ours), a_replace(f"P-{number}", "12", ours))
assert len(day.log.records) > 100, len(day.log.records)
assert len(desk.log.records) > 100, len(desk.log.records)
for each in (day, desk):
    each.book.refresh_positions()
    state = json.dumps(book_state(each.book))
    bodies = "".join(encode(record.event) for record in each.log.records)
    views = json.dumps([view.as_json() for view in each.book.position_views()])
    ids = json.dumps([[o.flags, o.client_order_ids, sorted(map(str, o.disputes))]
                      for o in each.orders()])
    print(hashlib.sha256("".join([state, bodies, views, ids]).encode()).hexdigest())
print(hash("sentinel"))
"""


def test_five_hash_seeds_lead_to_one_state():
    """What a set or a dict of text yields first differs from process to process."""
    source = Path(fillbook.__file__).parents[1]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PLAY],
            env=os.environ
            | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join([str(source), str(TESTS)])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in SEEDS
    ]
    said = [process.communicate(timeout=120) for process in running]

    assert [process.returncode for process in running] == [0] * len(SEEDS), said
    day, desk, sentinels = zip(*(out.split() for out, _ in said), strict=True)
    assert len(set(sentinels)) == len(SEEDS), "the processes hashed alike: nothing was tested"
    assert len(set(day)) == 1
    assert len(set(desk)) == 1
