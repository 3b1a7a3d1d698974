"""What is done about a difference is what its owner said, and else the careful default."""

from decimal import Decimal
from typing import Any

import pytest

from fillbook.reconcile.policies import Action, Limits, Policies, Size, Tolerance

ROUNDING, MINOR, CRITICAL = Size.ROUNDING, Size.MINOR, Size.CRITICAL


def test_nobody_said_anything():
    policies = Policies()

    assert [policies.action("SBER", size) for size in Size] == ["ADOPT", "ALERT", "HALT"]
    assert not policies.halt_all
    assert policies.price_rule_of("SBER") == "BROKER"
    assert policies.limits("SBER", None, None) == Tolerance().limits(None, None)


def test_an_instrument_goes_before_the_default_size_by_size():
    policies = Policies(
        actions={
            "default": {MINOR: Action.ADOPT, CRITICAL: Action.ALERT},
            "SBER": {MINOR: Action.RESTORE},
        }
    )

    assert [policies.action("SBER", size) for size in Size] == ["ADOPT", "RESTORE", "ALERT"]
    assert [policies.action("GAZP", size) for size in Size] == ["ADOPT", "ADOPT", "ALERT"]


def test_an_instrument_has_limits_of_its_own():
    policies = Policies(
        tolerances={
            "default": Tolerance(critical=Decimal(7)), "SBER": Tolerance(critical=Decimal(3))
        },
        price_rule={"default": "MARK", "SBER": "UNKNOWN"},
    )  # fmt: skip

    assert policies.limits("SBER", None, None).critical_qty == 3
    assert policies.limits("GAZP", None, Decimal(5)) == Limits(
        rounding_qty=Decimal("0.001"), critical_qty=Decimal(7), px=Decimal(5)
    )
    assert policies.price_rule_of("SBER") == "UNKNOWN"
    assert policies.price_rule_of("GAZP") == "MARK"


def test_a_restoring_order_is_bounded():
    """By what its owner said, else by the quantity above which nothing is traded unasked."""
    limits = Limits(rounding_qty=Decimal(0), critical_qty=Decimal(9))

    assert Policies().most_restore("SBER", limits) == 9
    said = Policies(most_restore_qty={"default": Decimal(5), "SBER": Decimal(2)})
    assert said.most_restore("SBER", limits) == 2
    assert said.most_restore("GAZP", limits) == 5


@pytest.mark.parametrize("key", ["rounding", "critical", "critical_value"])
@pytest.mark.parametrize("value", [Decimal(-1), Decimal("NaN"), Decimal("Infinity"), 0.1, 1])
def test_a_limit_is_a_decimal_of_at_least_nothing(key: str, value: Any):
    with pytest.raises(ValueError, match=f"{key} is "):
        Tolerance(**{key: value})
