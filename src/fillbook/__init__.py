"""An event-sourced ledger for trading robots, embedded in the robot that uses it."""

__all__ = ["__version__"]

__version__ = "0.1.0"
