"""One law for orders: the compiled table answers as the library's own machine would."""

from collections.abc import Callable
from typing import Any

import pytest
from attrs import define
from transitions import Machine, MachineError

from builders import Desk, a_fill, a_report, an_intent
from fillbook.core.lifecycle import (
    INITIAL,
    TRANSITIONS,
    TRIGGERS,
    Lifecycle,
    can_follow,
    new_lifecycle,
)
from fillbook.core.values import CLOSED, ExecType, OrderStatus

_S = OrderStatus
_SHARED = new_lifecycle()
PAIRS = [(old, new) for old in OrderStatus for new in OrderStatus]


@define(eq=False)
class Thing:
    """Anything that has a status."""

    order_status: OrderStatus = INITIAL


def stepped(machine: Machine, old: OrderStatus, new: OrderStatus) -> OrderStatus | str:
    """Return where the trigger of *new* leads from *old*, or what it raises."""
    thing = Thing(old)
    try:
        moved = machine.events[TRIGGERS[new]].trigger(thing)
    except MachineError as error:
        assert thing.order_status is old
        return type(error).__name__
    assert moved is (thing.order_status is new)
    return thing.order_status


def plain_machine() -> Machine:
    """The library's machine on the same table, with nothing of ours in it."""
    machine = Machine(
        model=None, states=OrderStatus, initial=INITIAL, auto_transitions=False,
        model_attribute="order_status",
    )  # fmt: skip
    for trigger, old, new in TRANSITIONS:
        machine.add_transition(trigger, old, new)
    return machine


# ---- the table


def test_the_table_says_what_the_librarys_machine_does():
    theirs, ours = plain_machine(), new_lifecycle()
    assert len(PAIRS) == 196

    answers = {pair: stepped(theirs, *pair) for pair in PAIRS}

    assert {pair: stepped(ours, *pair) for pair in PAIRS} == answers
    assert len([each for each in answers.values() if each == "MachineError"]) == 196 - len(
        TRANSITIONS
    )


def test_the_table_answers_for_every_step_of_the_law():
    """A step that falls back to the library costs a hundred times as much."""
    machine: Any = new_lifecycle()
    told = {
        (TRIGGERS[new], old, new)
        for new in OrderStatus
        for old, target in machine.events[TRIGGERS[new]].plain.items()
        if target is new
    }
    assert told == set(TRANSITIONS)


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_a_move_follows_the_law_and_nothing_else(old: OrderStatus, new: OrderStatus):
    thing = Thing(old)
    if can_follow(old, new):
        _SHARED.move(thing, new)
        assert thing.order_status is new
    else:
        with pytest.raises(MachineError):
            _SHARED.move(thing, new)
        assert thing.order_status is old


# ---- the law


@pytest.mark.parametrize("status", OrderStatus)
def test_no_status_is_a_dead_end(status: OrderStatus):
    """A filled order reopens by a bust, a canceled one by a restatement or a late fill."""
    assert can_follow(status, _S.PARTIALLY_FILLED)
    assert can_follow(status, _S.NEW)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        *[(old, new) for old in (_S.CANCELED, _S.REJECTED, _S.EXPIRED)
          for new in (_S.CANCELED, _S.REJECTED, _S.EXPIRED) if old is not new],
        *[(old, _S.PENDING_NEW) for old in OrderStatus
          if old not in (_S.PENDING_NEW, _S.UNKNOWN, _S.PENDING_CANCEL, _S.PENDING_REPLACE)],
        *[(old, _S.UNKNOWN) for old in CLOSED],
    ],
)  # fmt: skip
def test_what_never_happens(old: OrderStatus, new: OrderStatus):
    """One end replaces no other, nothing becomes unsent, what is over cannot be lost."""
    assert not can_follow(old, new)


@pytest.mark.parametrize("status", [each for each in OrderStatus if each not in CLOSED])
def test_unknown_goes_anywhere_and_comes_from_all_that_is_open(status: OrderStatus):
    assert can_follow(status, _S.UNKNOWN)
    assert can_follow(_S.UNKNOWN, status)


# ---- what is hung on it later


def before(machine: Lifecycle, note: Callable[..., Any]) -> None:
    machine.events["fill"].transitions["NEW"][0].add_callback("before", note)


def after(machine: Lifecycle, note: Callable[..., Any]) -> None:
    machine.events["fill"].transitions["NEW"][0].after.append(note)


def entering(machine: Lifecycle, note: Callable[..., Any]) -> None:
    machine.get_state(_S.FILLED).add_callback("enter", note)


def leaving(machine: Lifecycle, note: Callable[..., Any]) -> None:
    machine.get_state(_S.NEW).add_callback("exit", note)


def entering_by_name(machine: Any, note: Callable[..., Any]) -> None:
    machine.on_enter_FILLED(note)


def before_by_name(machine: Any, note: Callable[..., Any]) -> None:
    machine.before_fill(note)


def before_any(machine: Lifecycle, note: Callable[..., Any]) -> None:
    machine.before_state_change.append(note)


def after_any(machine: Lifecycle, note: Callable[..., Any]) -> None:
    machine.after_state_change = [note]


def preparing(machine: Lifecycle, note: Callable[..., Any]) -> None:
    machine.prepare_event += [note]


def finally_(machine: Lifecycle, note: Callable[..., Any]) -> None:
    machine.finalize_event.insert(0, note)


HOOKS = [
    before, after, entering, leaving, entering_by_name, before_by_name, before_any, after_any,
    preparing, finally_,
]  # fmt: skip


@pytest.mark.parametrize("hang", HOOKS)
def test_a_callback_added_later_fires(hang: Callable[[Lifecycle, Callable[..., Any]], None]):
    machine, seen = new_lifecycle(), []
    machine.move(Thing(_S.NEW), _S.FILLED)

    hang(machine, lambda *_: seen.append("fired"))
    thing = Thing(_S.NEW)
    machine.move(thing, _S.FILLED)

    assert (thing.order_status, seen) == (_S.FILLED, ["fired"])


@pytest.mark.parametrize("keyword", ["conditions", "unless"])
@pytest.mark.parametrize("answer", [True, False])
def test_a_condition_added_later_decides(keyword: str, answer: bool):
    machine = new_lifecycle()
    machine.events["fill"].transitions["NEW"][0].conditions.append(
        machine.transition_cls("NEW", "FILLED", **{keyword: lambda *_: answer}).conditions[0]
    )
    thing = Thing(_S.NEW)

    machine.move(thing, _S.FILLED)

    is_let = answer is (keyword == "conditions")
    assert thing.order_status is (_S.FILLED if is_let else _S.NEW)


def test_of_two_steps_the_first_that_may_is_taken():
    """The table must not answer where the library would choose."""
    machine = new_lifecycle()
    machine.add_transition("fill", _S.NEW, _S.SUSPENDED)
    machine.events["fill"].transitions["NEW"][0].conditions.append(
        machine.transition_cls("NEW", "FILLED", conditions=lambda *_: False).conditions[0]
    )
    thing = Thing(_S.NEW)

    machine.events["fill"].trigger(thing)

    assert thing.order_status is _S.SUSPENDED


def test_a_step_taken_out_of_the_law_is_not_taken():
    machine = new_lifecycle()
    machine.remove_transition("fill", _S.NEW, _S.FILLED)

    with pytest.raises(MachineError):
        machine.move(Thing(_S.NEW), _S.FILLED)
    thing = Thing(_S.PARTIALLY_FILLED)
    machine.move(thing, _S.FILLED)
    assert thing.order_status is _S.FILLED


def test_what_hangs_on_the_machine_fires_for_the_orders_of_its_book():
    """With `send_event` the library tells a callback which order it is."""
    machine: Any = new_lifecycle()
    seen = []
    machine.send_event = True
    machine.on_enter_FILLED(lambda event: seen.append(event.model.client_order_id))
    desk = Desk(machine=machine)

    desk.say(an_intent(), a_report(ExecType.NEW), a_fill("T-1", "10", "100"))

    assert seen == ["R-1"]


def test_machines_share_nothing_and_register_no_order():
    one, other = new_lifecycle(), new_lifecycle()
    seen: list[str] = []
    before_any(one, lambda *_: seen.append("fired"))

    desk = Desk(machine=other)
    desk.say(an_intent(), a_report(ExecType.NEW))

    assert (seen, one.models, other.models) == ([], [], [])
