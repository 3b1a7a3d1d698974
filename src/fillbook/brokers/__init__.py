"""Brokers and formats; what a robot's author names is loaded when it is asked for."""

from importlib import import_module
from typing import Any

__all__ = ["ClientBroker", "PaperBroker"]

_WHERE = {"ClientBroker": "client", "PaperBroker": "paper_live"}


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"fillbook.brokers.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
