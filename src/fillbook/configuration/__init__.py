"""What a robot's owner has chosen: `fillbook.toml`, read, checked and explained."""

from fillbook.configuration.factories import factory_at
from fillbook.configuration.reading import parse_configuration, read_configuration
from fillbook.configuration.secrets import Secret
from fillbook.configuration.settings import (
    BrokerSettings,
    Configuration,
    FeedbackSettings,
    HaltSettings,
    PartialFillSettings,
    ReconcileSettings,
    RobotSettings,
    ToleranceSettings,
)
from fillbook.configuration.writing import template

__all__ = [
    "BrokerSettings",
    "Configuration",
    "FeedbackSettings",
    "HaltSettings",
    "PartialFillSettings",
    "ReconcileSettings",
    "RobotSettings",
    "Secret",
    "ToleranceSettings",
    "factory_at",
    "parse_configuration",
    "read_configuration",
    "template",
]
