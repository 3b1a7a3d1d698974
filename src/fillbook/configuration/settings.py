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
)
from fillbook.configuration.secrets import Secret

__all__ = [
    "SECTIONS",
    "BrokerSettings",
    "Configuration",
    "FeedbackSettings",
    "HaltSettings",
    "PartialFillSettings",
    "RobotSettings",
    "Tolerance",
    "keys_of",
]


def _key(default: Any, check: Check, about: str, example: str = "") -> Any:
    return attrs.field(
        default=default, metadata={"check": check, "about": about, "example": example}
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


@frozen(kw_only=True)
class FeedbackSettings:
    """How often the broker is asked, and what happens while it cannot be."""

    poll_interval_s: Decimal = _key(
        Decimal(30), seconds_of, "Between two questions per open order."
    )
    position_interval_s: Decimal = _key(Decimal(300), seconds_of, "Between two looks at positions.")
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


@frozen(kw_only=True)
class Tolerance:
    """When the broker's position and ours differ, per instrument in a section of its name."""

    rounding: Decimal = _key(Decimal("0.001"), qty_of, "A difference up to this is none.")
    critical: Decimal = _key(
        Decimal(10), qty_of, "Above this a difference is critical (see halts)."
    )
    unit: str = _key("base", one_of("base", "lot"), "What both are counted in: base units or lots.")


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
    on_critical: str = _key("halt", _HALTS, "A critical difference in a position.")
    on_unknown: str = _key("halt", _HALTS, "The instrument of an order unknown for too long.")
    on_rejects: str = _key("halt", _HALTS, "The instrument of too many rejects.")
    on_stale: str = _key("halt", _HALTS, "The whole robot, when the broker is silent.")


def _default_tolerances() -> dict[str, Tolerance]:
    return {"default": Tolerance()}


@frozen(kw_only=True)
class Configuration:
    """Everything in the file."""

    robot: RobotSettings = RobotSettings()
    broker: BrokerSettings = BrokerSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    partial_fills: PartialFillSettings = PartialFillSettings()
    tolerance: Mapping[str, Tolerance] = attrs.field(factory=_default_tolerances)
    halts: HaltSettings = HaltSettings()

    def tolerance_of(self, instrument_id: str) -> Tolerance:
        """Return the instrument's own, else the default."""
        return self.tolerance.get(instrument_id, self.tolerance["default"])


SECTIONS: dict[str, type[Any]] = {
    "robot": RobotSettings,
    "broker": BrokerSettings,
    "feedback": FeedbackSettings,
    "partial_fills": PartialFillSettings,
    "tolerance": Tolerance,
    "halts": HaltSettings,
}
"""Every section by its name in the file, in the order in which it is written."""


def keys_of(cls: type[Any]) -> "list[Attribute[Any]]":
    """Return the keys that a section declares."""
    return [each for each in attrs.fields(cls) if "check" in each.metadata]


def _revealed(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.read()
    if isinstance(value, dict):
        return {key: _revealed(each) for key, each in value.items()}
    return [_revealed(each) for each in value] if isinstance(value, list) else value
