"""Which calls may start: the urgent first, never more than the broker takes."""

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from feedback.desk import ABLE
from fillbook.core.commands import CancelOrder
from fillbook.feedback.schedule import Call, Schedule
from fillbook.feedback.settings import SECOND

FIVE = evolve(ABLE, calls=5, concurrency=100)


def look_ups(count: int) -> list[Call]:
    return [Call("look_up", stream=number) for number in range(count)]


@given(st.lists(st.integers(0, SECOND // 2), min_size=1, max_size=60))
def test_in_no_second_do_more_calls_start_than_the_broker_takes(pauses: list[int]):
    schedule = Schedule(FIVE, 10 * SECOND, is_open=True)
    for call in look_ups(100):
        schedule.want(call)
    now, starts = 0, []
    for pause in pauses:
        now += pause
        starts += [now for _ in schedule.start(now)]

    for start in starts:
        assert sum(start <= each < start + SECOND * 9 // 8 for each in starts) <= 5


def test_all_of_them_start_as_soon_as_they_may():
    schedule = Schedule(FIVE, 10 * SECOND, is_open=True)
    for call in look_ups(12):
        schedule.want(call)
    now, started = 0, 0
    while True:
        started += len(schedule.start(now))
        due = schedule.due_ns(now)
        if started == 12:
            break
        assert due is not None
        assert due > now
        now = due

    assert now == 2 * SECOND * 9 // 8


def test_the_urgent_go_first_and_few_at_once():
    schedule = Schedule(evolve(ABLE, concurrency=2), 10 * SECOND, is_open=True)
    for call in look_ups(3):
        schedule.want(call)
    cancel = schedule.want(
        Call("cancel", command=CancelOrder(client_order_id="X", orig_client_order_id="R"), stream=9)
    )

    first = schedule.start(0)
    assert first[0] is cancel
    assert len(first) == 2
    assert schedule.start(0) == []
    schedule.finish(cancel)
    assert len(schedule.start(0)) == 1


def test_a_question_is_asked_with_what_it_is_about():
    assert Call("activities_since", since=7).arguments() == (7,)
    assert Call("fills_since", since=7).arguments() == (7,)
    assert Call("cash", since=7).arguments() == Call("positions").arguments() == ()
    schedule = Schedule(ABLE, 10 * SECOND)
    wanted = [schedule.want(Call("cash")), schedule.want(Call("activities_since"))]
    assert schedule.start(0) == wanted, "questions may start before trading does"


def test_more_look_ups_than_the_rate_allows_keep_no_other_question_out():
    """A recovery waits for the fills; asked about one by one, enough orders would never let it."""
    schedule = Schedule(evolve(ABLE, calls=1, concurrency=1), 10 * SECOND, is_open=True)
    for call in look_ups(3):
        schedule.want(call)
    fills = schedule.want(Call("fills_since"))
    seen: list[Call] = []
    for second in range(5):
        (call,) = schedule.start(second * 2 * SECOND)
        schedule.finish(call)
        seen.append(call)
        schedule.want(Call("look_up", stream=call.stream))

    assert fills in seen
