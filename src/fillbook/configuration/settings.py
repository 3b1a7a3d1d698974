"""Hold what a robot's owner has chosen: the sections of `fillbook.toml` with their defaults.

Every key is declared once, with its default, its check and its explanation; the file that
`fillbook init` writes is made of the same declarations.  Secrets are never in the file, only where
to find them.
"""

# ruff: noqa: RUF009 (`_key` makes a field, as `attrs.field` does)

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import attrs
from attrs import Attribute, frozen

from fillbook.configuration.checks import (
    Check,
    broker_kind_of,
    count_of,
    factory_name_of,
    limit_s_of,
    one_of,
    qty_of,
    seconds_of,
    text_of,
    yes_or_no_of,
)
from fillbook.configuration.secrets import Secret

__all__ = [
    "MOVED",
    "SECTIONS",
    "BrokerSettings",
    "Configuration",
    "FeedbackSettings",
    "HaltSettings",
    "PartialFillSettings",
    "ReconcileSettings",
    "RobotSettings",
    "ToleranceSettings",
    "keys_of",
]


def _key(default: Any, check: Check, about: str, example: str = "", *, is_own: bool = False) -> Any:
    """Declare a key; *is_own* only in the section of one instrument."""
    return attrs.field(
        default=default,
        metadata={"check": check, "about": about, "example": example, "is_own": is_own},
    )


@frozen(kw_only=True)
class RobotSettings:
    """Who the robot is and where its book lies."""

    name: str = _key("robot", text_of, "Goes into the ledger and into every log line.")
    ledger: str = _key("robot.ledger", text_of, "Beside this file, unless the path is absolute.")
    durability: Literal["strict", "relaxed"] = _key(
        "strict", one_of("strict", "relaxed"),
        "strict: nothing acknowledged is lost; relaxed: a power cut may cost a tail.",
    )  # fmt: skip


@frozen(kw_only=True)
class BrokerSettings:
    """Whom the robot trades with.  All other keys of this section are given to the factory.

    Attributes:
        options: Those other keys; a secret among them is a `Secret`.
    """

    kind: str = _key(
        "paper", broker_kind_of,
        "paper: the exchange in this package; client: an object with the four methods\n"
        "place_order, get_order_status, cancel_order and get_positions, made by the factory\n"
        "that `client` names; or a factory of your own broker, as module:factory.",
    )  # fmt: skip
    account: str = _key("default", text_of, "The account's name in the book.")
    client: str | None = _key(
        None,
        factory_name_of,
        "What makes the client, where kind is client.",
        '"mybot.api:make_client"',
    )
    options: Mapping[str, Any] = attrs.field(factory=dict)

    def resolved(self) -> dict[str, Any]:
        """Return the options with every secret read from where it is kept."""
        return {key: _revealed(value) for key, value in self.options.items()}


def _revealed(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.read()
    if isinstance(value, dict):
        return {key: _revealed(each) for key, each in value.items()}
    return [_revealed(each) for each in value] if isinstance(value, list) else value


@frozen(kw_only=True)
class FeedbackSettings:
    """How often the broker is asked, and what happens while it cannot be."""

    poll_interval_s: Decimal = _key(
        Decimal(30), seconds_of, "Between two questions per open order."
    )
    call_timeout_s: Decimal = _key(
        Decimal(10), seconds_of, "After so long a call counts as failed."
    )
    offline: str = _key(
        "refuse", one_of("refuse", "queue"),
        "New orders while the line is down: refused, or queued; cancels are always queued.",
    )  # fmt: skip
    queue_expiry_s: Decimal = _key(
        Decimal(60), seconds_of, "A queued order older than this is never sent."
    )


@frozen(kw_only=True)
class PartialFillSettings:
    """What becomes of the rest of an order that was filled in part."""

    policy: str = _key(
        "keep", one_of("keep", "cancel", "cancel_after", "cancel_below", "reprice"),
        "keep: it goes on working; cancel: the rest is canceled at once; cancel_after: after\n"
        "after_s; cancel_below: at once where less than minimum_qty is filled, else kept;\n"
        "reprice: the rest moves once by reprice_by toward the market.",
    )  # fmt: skip
    after_s: Decimal = _key(
        Decimal(30), seconds_of, "Of cancel_after, counted from the first fill."
    )
    minimum_qty: Decimal | None = _key(None, qty_of, "Base units.", "10")
    reprice_by: Decimal | None = _key(None, qty_of, "Quote currency per base unit.", "0.05")


_ACTIONS = one_of("alert", "adopt", "restore", "halt")
_PRICES = one_of("broker", "mark", "unknown")


@frozen(kw_only=True)
class ReconcileSettings:
    """What is done where the broker's positions are not ours, and nothing explains it."""

    on_rounding: str = _key(
        "adopt", _ACTIONS,
        "alert: it is put on record; adopt: the book is adjusted to the broker; restore: that,\n"
        "then one order trades the account back to where the robot had it; halt: trading stops.",
    )  # fmt: skip
    on_minor: str = _key("alert", _ACTIONS, "Between rounding and critical, see tolerance.")
    on_critical: str = _key("halt", _ACTIONS, "A difference that is critical, see tolerance.")
    halts: str = _key(
        "instrument", one_of("instrument", "all"), "What halt stops: the instrument, or all."
    )
    interval_s: Decimal = _key(Decimal(300), limit_s_of, "Between two comparisons; 0 is never.")
    at_start: bool = _key(True, yes_or_no_of, "Compare before trading begins.")
    patience_s: Decimal = _key(
        Decimal(60),
        seconds_of,
        "What does not come to rest by then is left unsettled till the next.",
    )
    most_restore_qty: Decimal | None = _key(
        None, qty_of,
        "Base units that restore trades at most; else up to where a difference is critical.", "10",
    )  # fmt: skip
    price: str = _key(
        "broker", _PRICES, "At what adopt books: the broker's average, the mark, or no price."
    )


@frozen(kw_only=True)
class ToleranceSettings:
    """How large a difference is; per instrument in a section of its name."""

    rounding: Decimal | None = _key(
        None, qty_of,
        "Up to this a difference is rounding.  Else: what is less than one step of the\n"
        "instrument; 0.001 base units where its step is not known.", "0.001",
    )  # fmt: skip
    critical: Decimal | None = _key(
        None, qty_of,
        "Above this it is critical.  Else: ten lots; ten base units where the lot is not known.",
        "10",
    )  # fmt: skip
    unit: str = _key(
        "base", one_of("base", "step", "lot"),
        "What both are counted in; where step or lot of an instrument are not known, they say\n"
        "nothing about it.",
    )  # fmt: skip
    critical_value: Decimal | None = _key(
        None, qty_of, "Worth more than this it is critical too; quote currency.", "50000"
    )
    on_rounding: str | None = _key(
        None, _ACTIONS, "What is done, of this instrument alone.", '"adopt"', is_own=True
    )
    on_minor: str | None = _key(None, _ACTIONS, "The same.", '"restore"', is_own=True)
    on_critical: str | None = _key(None, _ACTIONS, "The same.", '"halt"', is_own=True)
    most_restore_qty: Decimal | None = _key(None, qty_of, "Base units.", "100", is_own=True)
    price: str | None = _key(None, _PRICES, "At what adopt books.", '"mark"', is_own=True)


_HALTS = one_of("halt", "reduce_only", "none")


@frozen(kw_only=True)
class HaltSettings:
    """When trading stops by itself: halt, reduce_only (no new risk) or none.  0 is no limit."""

    max_unknown_s: Decimal = _key(
        Decimal(60), limit_s_of, "An order may be UNKNOWN for so long before on_unknown."
    )
    max_rejects: int = _key(5, count_of, "Rejects in a row on one instrument before on_rejects.")
    stale_s: Decimal = _key(
        Decimal(120), limit_s_of, "So long without any answer of the broker before on_stale."
    )
    on_unknown: str = _key("halt", _HALTS, "The instrument of an order unknown for too long.")
    on_rejects: str = _key("halt", _HALTS, "The instrument of too many rejects.")
    on_stale: str = _key("halt", _HALTS, "The whole robot, when the broker is silent.")


def _default_tolerances() -> dict[str, ToleranceSettings]:
    return {"default": ToleranceSettings()}


@frozen(kw_only=True)
class Configuration:
    """Everything in the file."""

    robot: RobotSettings = RobotSettings()
    broker: BrokerSettings = BrokerSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    partial_fills: PartialFillSettings = PartialFillSettings()
    reconcile: ReconcileSettings = ReconcileSettings()
    tolerance: Mapping[str, ToleranceSettings] = attrs.field(factory=_default_tolerances)
    halts: HaltSettings = HaltSettings()

    def tolerance_of(self, instrument_id: str) -> ToleranceSettings:
        """Return the instrument's own, else the default."""
        return self.tolerance.get(instrument_id, self.tolerance["default"])


SECTIONS: dict[str, type[Any]] = {
    "robot": RobotSettings,
    "broker": BrokerSettings,
    "feedback": FeedbackSettings,
    "partial_fills": PartialFillSettings,
    "reconcile": ReconcileSettings,
    "tolerance": ToleranceSettings,
    "halts": HaltSettings,
}
"""Every section by its name in the file, in the order in which it is written."""

MOVED = {
    ("feedback", "position_interval_s"): "interval_s in [reconcile]",
    ("halts", "on_critical"): "on_critical in [reconcile]",
}
"""Keys that files of before may have, and what says it now."""


def keys_of(cls: type[Any]) -> "list[Attribute[Any]]":
    """Return the keys that a section declares."""
    return [each for each in attrs.fields(cls) if "check" in each.metadata]
