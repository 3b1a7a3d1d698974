"""Hold everything that a robot's owner chose about reconciliation."""

from attrs import field, frozen

from fillbook.reconcile.policies import Policies
from fillbook.reconcile.reconciler import Rhythm
from fillbook.reconcile.wishes import Patience

__all__ = ["Choices"]


@frozen(kw_only=True)
class Choices:
    """What is done about differences, how long a run takes over it, and when there is one."""

    policies: Policies = field(factory=Policies)
    patience: Patience = field(factory=Patience)
    rhythm: Rhythm = field(factory=Rhythm)
