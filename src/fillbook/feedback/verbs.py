"""Say what can be asked of an operator's door, and check a question before anybody acts on it.

The same table serves the door of a running robot and the command that works on a ledger at rest.
Other verbs are added with `Verbs.add`.
"""

import difflib
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any

from attrs import frozen

from fillbook.core.exact import decimal_of
from fillbook.errors import BadValue, OperatorRefused
from fillbook.feedback.operator import Operator

__all__ = ["BadQuestion", "Key", "RobotBusy", "Verbs", "operator_verbs"]

Step = Callable[[], AbstractContextManager[int]]
"""Holds the robot's lock, or nothing, and gives the moment."""

_LONGEST_TEXT = 2000


class BadQuestion(Exception):
    """The question is none; nothing was done."""


class RobotBusy(Exception):
    """The robot's lock could not be had in time; nothing was done."""


@frozen
class Key:
    """One argument of a verb: what kind it is, and whether it must be there."""

    kind: str = "text"
    is_required: bool = False


@frozen
class _Verb:
    run: Callable[..., dict[str, Any]]
    keys: Mapping[str, Key]
    is_safe_late: bool


class Verbs:
    """The verbs of one door.

    Args:
        step: Held while a verb is done.
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        self._verbs: dict[str, _Verb] = {}

    def add(
        self,
        name: str,
        run: Callable[..., dict[str, Any]],
        keys: Mapping[str, Key] | None = None,
        *,
        is_safe_late: bool = False,
    ) -> None:
        """Let *name* be asked for: *run* is given the moment (ns) and the *keys* of the question.

        With *is_safe_late* it is done even when nobody waits for the answer any more.
        """
        self._verbs[name] = _Verb(run, keys or {}, is_safe_late)

    def names(self) -> list[str]:
        """Return what can be asked."""
        return list(self._verbs)

    def do(
        self, name: str, args: Mapping[str, Any], valid_until: int | None = None
    ) -> dict[str, Any]:
        """Do what was asked and return what came of it as plain data.

        Raises `BadQuestion` where it cannot be meant so, and what the verb raises.
        """
        verb = self._verbs.get(name)
        if verb is None:
            raise BadQuestion(f"verb {name[:40]!r} is none of {', '.join(self._verbs)}")
        checked = _checked(name, verb.keys, args)
        with self._step() as now:
            is_late = valid_until is not None and time.time_ns() > valid_until  # the asker's clock
            if is_late and not verb.is_safe_late:
                raise OperatorRefused("it came too late: nobody waits for the answer", "ask again")
            return verb.run(now, **checked)


def _checked(name: str, keys: Mapping[str, Key], args: Mapping[str, Any]) -> dict[str, Any]:
    for each in args:
        if each not in keys:
            near = difflib.get_close_matches(each, keys, 1)
            hint = f" (is {near[0]} meant?)" if near else ""
            raise BadQuestion(f"{name} takes no {each[:40]!r}{hint}")
    found: dict[str, Any] = {}
    for each, key in keys.items():
        value = args.get(each)
        if value is None:
            if key.is_required:
                raise BadQuestion(f"{name}: {each} is missing")
            continue
        found[each] = _value(f"{name}: {each}", key.kind, value)
    return found


def _value(where: str, kind: str, value: Any) -> Any:
    if kind == "boolean":
        if not isinstance(value, bool):
            raise BadQuestion(f"{where} is true or false")
        return value
    if not isinstance(value, str):
        raise BadQuestion(f"{where} is no text")
    if kind == "decimal":
        return _decimal(where, value)
    if not value.strip():
        raise BadQuestion(f"{where} is empty")
    if len(value) > _LONGEST_TEXT:
        raise BadQuestion(f"{where} has more than {_LONGEST_TEXT} characters")
    try:
        value.encode()
    except UnicodeEncodeError as exc:
        raise BadQuestion(f"{where} is no text that could be stored") from exc
    return value


def _decimal(where: str, value: str) -> Decimal:
    try:
        return decimal_of(value)
    except BadValue as exc:
        raise BadQuestion(f"{where}: {exc.problem}") from exc


_WHO = {"by": Key(is_required=True), "reason": Key(is_required=True)}


def operator_verbs(operator: Operator, step: Step) -> Verbs:
    """Return the verbs of *operator*."""
    verbs = Verbs(step)
    verbs.add("status", operator.status, is_safe_late=True)
    verbs.add(
        "halt", operator.halt, {**_WHO, "instrument_id": Key(), "level": Key()}, is_safe_late=True
    )
    verbs.add("resume", operator.resume, {**_WHO, "instrument_id": Key()})
    verbs.add("cancel_all", operator.cancel_all, {**_WHO, "instrument_id": Key()})
    verbs.add(
        "resolve",
        operator.resolve,
        {
            **_WHO,
            "client_order_id": Key(is_required=True),
            "venue_order_id": Key(),
            "never_arrived": Key("boolean"),
        },
    )
    verbs.add(
        "adjust",
        operator.adjust,
        {
            **_WHO,
            "instrument_id": Key(is_required=True),
            "qty": Key("decimal", is_required=True),
            "px": Key("decimal"),
            "account_id": Key(),
        },
    )
    return verbs
