"""Make of a configuration what reconciliation goes by."""

from decimal import Decimal

from fillbook.configuration import Configuration, ToleranceSettings
from fillbook.reconcile.choices import Choices
from fillbook.reconcile.policies import (
    DEFAULT,
    Action,
    Policies,
    PriceRule,
    Size,
    Tolerance,
    Unit,
)
from fillbook.reconcile.reconciler import Rhythm
from fillbook.reconcile.wishes import Patience

__all__ = ["choices_of", "policies_of"]

_UNITS: dict[str, Unit] = {"base": "BASE", "step": "STEP", "lot": "LOT"}
_PRICES: dict[str, PriceRule] = {"broker": "BROKER", "mark": "MARK", "unknown": "UNKNOWN"}


def choices_of(said: Configuration) -> Choices:
    """Return everything that *said* chooses about reconciliation."""
    reconcile = said.reconcile
    return Choices(
        policies=policies_of(said),
        patience=Patience(most_ns=_in_ns(reconcile.patience_s)),
        rhythm=Rhythm(
            interval_ns=_in_ns(reconcile.interval_s) or None, at_start=reconcile.at_start
        ),
    )


def policies_of(said: Configuration) -> Policies:
    """Return what *said* has done about differences, and how large it finds them."""
    general = said.reconcile
    actions = {DEFAULT: _actions(general.on_rounding, general.on_minor, general.on_critical)}
    most_restore_qty: dict[str, Decimal] = {}
    if general.most_restore_qty is not None:
        most_restore_qty[DEFAULT] = general.most_restore_qty
    price_rule = {DEFAULT: _PRICES[general.price]}
    for name, own in said.tolerance.items():
        if own_actions := _actions(own.on_rounding, own.on_minor, own.on_critical):
            actions[name] = own_actions
        if own.most_restore_qty is not None:
            most_restore_qty[name] = own.most_restore_qty
        if own.price is not None:
            price_rule[name] = _PRICES[own.price]
    return Policies(
        tolerances={name: _tolerance(each) for name, each in said.tolerance.items()},
        actions=actions,
        halt_all=general.halts == "all",
        most_restore_qty=most_restore_qty,
        price_rule=price_rule,
    )


def _actions(*words: str | None) -> dict[Size, Action]:
    """Return them by size, smallest first; what is None is left out."""
    return {
        size: Action(word.upper())
        for size, word in zip(Size, words, strict=True)
        if word is not None
    }


def _tolerance(said: ToleranceSettings) -> Tolerance:
    return Tolerance(
        rounding=said.rounding,
        critical=said.critical,
        unit=_UNITS[said.unit],
        critical_value=said.critical_value,
    )


def _in_ns(seconds: Decimal) -> int:
    return int(seconds * 1_000_000_000)
