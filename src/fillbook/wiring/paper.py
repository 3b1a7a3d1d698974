"""Serve the paper broker to robots in other processes."""

from collections.abc import Callable

__all__ = ["serve_paper"]


def serve_paper(
    port: int, seed: int, plan: str, path: str | None, ready: Callable[[int, str], None]
) -> None:
    """Serve a paper broker until the process ends; *ready* is told the port and the faults.

    Raises `BadInput` for a plan that says nothing, `OSError` for a port that cannot be had.
    """
    from fillbook.brokers.paper_faults import FaultPlan
    from fillbook.brokers.paper_server import serve

    faults = FaultPlan.parse(plan)
    serve(port, seed, faults, path, ready=lambda actual: ready(actual, faults.text))
