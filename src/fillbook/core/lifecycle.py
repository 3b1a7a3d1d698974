"""Hold the law of an order's life: which status may follow which, and the one machine built on it.

`TRANSITIONS` is the whole law: (trigger, from, to).  What a status *is* follows from the states an
order is in (`orders.Standing`); the law says which of the steps between them can exist at all.  No
status is a dead end: a filled order reopens by a bust, a canceled one by a restatement.  What never
happens is a way back to `PENDING_NEW` once the venue has had the order in hand, and one closing
replacing another.

One `transitions.Machine` drives every order, live and replayed.  The library's own `trigger` costs
microseconds, so the machine is extended where the library allows it (`event_cls`): a table answers
for every transition that carries no condition and no callback.  Whatever is added later, by any of
the library's ways, sends the transitions it touches back to the library.
"""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Protocol, SupportsIndex

from transitions import Machine, State, Transition
from transitions.core import Event as MachineEvent

from fillbook.core.values import OrderStatus

__all__ = ["INITIAL", "TRANSITIONS", "TRIGGERS", "Lifecycle", "can_follow", "new_lifecycle"]

_S = OrderStatus

INITIAL = _S.PENDING_NEW

TRIGGERS: dict[OrderStatus, str] = {
    _S.PENDING_NEW: "receive",
    _S.NEW: "accept",
    _S.PARTIALLY_FILLED: "fill_partly",
    _S.FILLED: "fill",
    _S.CANCELED: "cancel",
    _S.REJECTED: "reject",
    _S.EXPIRED: "expire",
    _S.PENDING_CANCEL: "pend_cancel",
    _S.PENDING_REPLACE: "pend_replace",
    _S.DONE_FOR_DAY: "finish_day",
    _S.STOPPED: "stop",
    _S.SUSPENDED: "suspend",
    _S.CALCULATED: "calculate",
    _S.UNKNOWN: "lose",
}
"""The trigger that leads to each status."""

_ENDS = {_S.CANCELED, _S.REJECTED, _S.EXPIRED}
_BEFORE_ACCEPTANCE = {_S.UNKNOWN, _S.PENDING_CANCEL, _S.PENDING_REPLACE}


def _may_follow(old: OrderStatus, new: OrderStatus) -> bool:
    if new is _S.PENDING_NEW:
        return old in _BEFORE_ACCEPTANCE
    if new is _S.UNKNOWN:  # what is over is not lost
        return old not in _ENDS | {_S.FILLED, _S.CALCULATED}
    return not (old in _ENDS and new in _ENDS)


TRANSITIONS: tuple[tuple[str, OrderStatus, OrderStatus], ...] = tuple(
    (TRIGGERS[new], old, new)
    for new in OrderStatus
    for old in OrderStatus
    if old is not new and _may_follow(old, new)
)
"""The law, one row per step that exists."""

_LEGAL = frozenset((old, new) for _, old, new in TRANSITIONS)


def can_follow(old: OrderStatus, new: OrderStatus) -> bool:
    """Tell whether the law has a step from *old* to *new*, or they are the same."""
    return old is new or (old, new) in _LEGAL


class HasStatus(Protocol):
    """Anything the machine can drive."""

    order_status: OrderStatus


class _Watched(list[Any]):
    """A list of callbacks or conditions that tells its owner when it grows."""

    __slots__ = ("_changed",)

    def __init__(self, items: Iterable[Any], changed: Callable[[], None]) -> None:
        super().__init__(items)
        self._changed = changed

    def append(self, item: Any) -> None:
        super().append(item)
        self._changed()

    def extend(self, items: Iterable[Any]) -> None:
        super().extend(items)
        self._changed()

    def insert(self, index: SupportsIndex, item: Any) -> None:
        super().insert(index, item)
        self._changed()

    def __iadd__(self, items: Iterable[Any]) -> "_Watched":  # type: ignore[misc]
        self.extend(items)
        return self


class _CompiledEvent(MachineEvent):
    """One trigger; `plain` maps each source that nothing hangs on to its destination."""

    def __init__(self, name: str, machine: "Lifecycle") -> None:
        super().__init__(name, machine)
        self.plain: dict[OrderStatus, OrderStatus] = {}

    def trigger(self, model: Any, *args: Any, **kwargs: Any) -> bool:
        """Move *model* (it `HasStatus`); raise `transitions.MachineError` where the law forbids."""
        new = self.plain.get(model.order_status)
        if new is not None:
            model.order_status = new
            return True
        return bool(super().trigger(model, *args, **kwargs))

    def add_transition(self, transition: Transition) -> None:
        super().add_transition(transition)
        self.machine.recompile()


class _WatchedState(State):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owner: Lifecycle | None = None
        self.on_enter = _Watched(self.on_enter, self._changed)
        self.on_exit = _Watched(self.on_exit, self._changed)

    def _changed(self) -> None:
        if self.owner is not None:
            self.owner.recompile()


class _WatchedTransition(Transition):
    owner: "Lifecycle | None" = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("conditions", "prepare", "before", "after"):
            setattr(self, name, _Watched(getattr(self, name), self._changed))

    def _changed(self) -> None:
        if self.owner is not None:
            self.owner.recompile()

    def is_plain(self) -> bool:
        return not (self.conditions or self.prepare or self.before or self.after)


class Lifecycle(Machine):
    """The machine that drives orders.

    Orders are never registered (`add_model`); they are handed to `move` or to an event's `trigger`.
    """

    event_cls = _CompiledEvent
    state_cls = _WatchedState
    transition_cls = _WatchedTransition
    _LISTS: ClassVar[frozenset[str]] = frozenset(
        {
            "_prepare_event",
            "_before_state_change",
            "_after_state_change",
            "_finalize_event",
            "_on_exception",
            "_on_final",
        }
    )

    def __init__(self) -> None:
        self._built = False
        super().__init__(
            model=None,
            states=OrderStatus,
            initial=INITIAL,
            auto_transitions=False,
            model_attribute="order_status",
            name="order",
        )
        for trigger, old, new in TRANSITIONS:
            self.add_transition(trigger, old, new)
        self._built = True
        self.recompile()

    def __setattr__(self, name: str, value: Any) -> None:
        if name in Lifecycle._LISTS:
            value = _Watched(value, self.recompile)
        super().__setattr__(name, value)
        if name in Lifecycle._LISTS:
            self.recompile()

    def remove_transition(self, trigger: str, source: Any = "*", dest: Any = "*") -> None:
        """Take steps out of the law; a trigger that leads nowhere any more is gone."""
        super().remove_transition(trigger, source, dest)
        self.recompile()

    def move(self, order: HasStatus, new: OrderStatus) -> None:
        """Bring *order* to status *new*; nothing where it is there already.

        Raises `transitions.MachineError` where the law has no such step; the order is as before.
        """
        if order.order_status is not new:
            self.events[TRIGGERS[new]].trigger(order)

    def recompile(self) -> None:
        """Work out anew which transitions nothing hangs on; every way to add something calls it."""
        if not self.__dict__.get("_built"):
            return
        silent = not any(self.__dict__[name] for name in Lifecycle._LISTS)
        states: dict[str, Any] = dict(self.states)
        events: dict[str, Any] = dict(self.events)
        for state in states.values():
            state.owner = self
        for event in events.values():
            event.plain = {}
            for source, options in event.transitions.items():
                for option in options:
                    option.owner = self
                if not silent or len(options) != 1 or not options[0].is_plain():
                    continue
                old, new = states[source], states.get(options[0].dest)
                if new is not None and not (old.on_exit or new.on_enter):
                    event.plain[old.value] = new.value


def new_lifecycle() -> Lifecycle:
    """Return a machine of its own; several books in one process share nothing."""
    return Lifecycle()
