"""Put a robot together: its ledger, its broker, its feedback loop and its door."""

import logging
import os
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

from attrs import frozen

from fillbook.log.port import Log
from fillbook.wiring.books import recover, save_state
from fillbook.wiring.ledgers import MEMORY, Durability, open_log

if TYPE_CHECKING:
    from fillbook.brokers.live import Broker
    from fillbook.feedback.door import Door
    from fillbook.feedback.keeper import Keeper
    from fillbook.feedback.runner import Runner
    from fillbook.feedback.settings import Settings
    from fillbook.reconcile.choices import Choices

__all__ = ["Configured", "configured_robot", "id_maker", "open_robot"]

_LOG = logging.getLogger("fillbook.robot")


def open_robot(
    ledger: str,
    broker: "Broker | None",
    settings: "Settings",
    durability: Durability,
    name: str,
    choices: "Choices | None" = None,
) -> "tuple[Runner, Callable[[], None]]":
    """Return what runs a robot on *ledger*, not yet started, and what ends it: a snapshot, closing.

    Raises what `open_log` raises, and `TypeError` for a *broker* that is none.
    """
    from fillbook.feedback.halt_file import HaltFile
    from fillbook.feedback.keeper import Keeper
    from fillbook.feedback.runner import Runner
    from fillbook.feedback.tracker import Tracker
    from fillbook.reconcile.choices import Choices
    from fillbook.wiring.reconciling import reconcile_task

    if broker is not None and not hasattr(broker, "capabilities"):
        raise TypeError(
            f"broker is a {type(broker).__name__}: a client of your own trades as "
            "ClientBroker(client), and the paper exchange as PaperBroker()"
        )
    log = open_log(ledger, durability=durability, robot=name)
    try:
        if broker is None:
            from fillbook.brokers.paper_live import PaperBroker

            broker = PaperBroker()
        keep_beside = getattr(broker, "keep_beside", None)  # only paper has to be told
        if keep_beside is not None and ledger != MEMORY:
            keep_beside(ledger)
        keeper = Keeper(log, lambda: recover(log), settings.fill_policy)
        make_id = id_maker(log, broker.capabilities.client_id_form)
        tracker = Tracker(keeper, broker.capabilities, settings, make_id, Random(os.urandom(16)))
        tracker.task = reconcile_task(tracker, choices or Choices())
        halt_file = None if ledger == MEMORY else HaltFile(os.path.realpath(ledger))
        runner = Runner(tracker, broker, halt_file=halt_file)
        door = None if ledger == MEMORY else _open_door(ledger, runner, keeper)
    except BaseException:
        log.close()
        raise

    def end() -> None:
        if door is not None:
            door.close()
        with runner.lock:  # what somebody asked for at the door is done first
            try:
                if keeper.storage_problem is None:
                    save_state(log, keeper.book)
            finally:
                log.close()

    return runner, end


@frozen(kw_only=True)
class Configured:
    """What `open_robot` is to be called with, as a configuration has it; see there."""

    ledger: str
    broker: "Broker"
    settings: "Settings"
    durability: Durability
    name: str
    choices: "Choices"


def configured_robot(path: str) -> Configured:
    """Return what the configuration *path* says, with the broker made.

    Raises `BadInput` naming file and line of what is wrong.
    """
    from fillbook.configuration import factory_at, read_configuration
    from fillbook.core.policies import PartialFills
    from fillbook.feedback.settings import Settings
    from fillbook.wiring.chosen import choices_of

    said = read_configuration(path)
    feedback, halts, rest = said.feedback, said.halts, said.partial_fills
    partial_fills = {
        "keep": PartialFills(),
        "cancel": PartialFills("CANCEL_REST"),
        "cancel_after": PartialFills("CANCEL_AFTER", rest.after_s),
        "cancel_below": PartialFills("MINIMUM", rest.minimum_qty),
        "reprice": PartialFills("REPRICE_BY", rest.reprice_by),
    }[rest.policy]
    settings = Settings(
        poll_ns=_in_ns(feedback.poll_interval_s),
        call_timeout_ns=_in_ns(feedback.call_timeout_s),
        offline=feedback.offline.upper(),
        queue_ns=_in_ns(feedback.queue_expiry_s),
        most_unknown_ns=_in_ns(halts.max_unknown_s) if halts.on_unknown != "none" else None,
        most_rejects=(halts.max_rejects or None) if halts.on_rejects != "none" else None,
        most_silence_ns=_in_ns(halts.stale_s) if halts.on_stale != "none" else None,
        unknown_level=_level(halts.on_unknown),
        rejects_level=_level(halts.on_rejects),
        silence_level=_level(halts.on_stale),
        partial_fills=partial_fills,
        account_id=said.broker.account,
    )
    broker: Broker
    if said.broker.kind == "client":
        from fillbook.brokers.client import ClientBroker

        broker = ClientBroker(factory_at(said.broker.client or "")(**said.broker.resolved()))
    elif said.broker.kind == "paper":
        from fillbook.brokers.paper_live import PaperBroker

        options = said.broker.resolved()
        if "url" not in options:
            options.setdefault("path", f"{said.robot.ledger}.paper")
        broker = PaperBroker(**options)
    else:
        broker = factory_at(said.broker.kind)(**said.broker.resolved())
    return Configured(
        ledger=said.robot.ledger,
        broker=broker,
        settings=settings,
        durability=said.robot.durability,
        name=said.robot.name,
        choices=choices_of(said),
    )


def _in_ns(seconds: Decimal) -> "int | Any":
    """Return *seconds* in nanoseconds; None for 0, which means that there is no limit."""
    return int(seconds * 1_000_000_000) or None


def _level(word: str) -> str:
    return "REDUCE_ONLY" if word == "reduce_only" else "HALTED"


def _open_door(ledger: str, runner: "Runner", keeper: "Keeper") -> "Door | None":
    """Open the door beside *ledger*; where there can be none the robot works without."""
    from fillbook.feedback.door import Door
    from fillbook.feedback.operator import Operator
    from fillbook.feedback.verbs import operator_verbs
    from fillbook.wiring.reconciling import add_reconcile_verbs

    tracker = runner.tracker
    operator = Operator(keeper, tracker.make_id, tracker, lambda: runner.trouble)
    verbs = operator_verbs(operator, runner.short_step)
    add_reconcile_verbs(verbs, runner)
    try:
        return Door(os.path.realpath(ledger) + ".sock", verbs)
    except OSError as exc:
        _LOG.warning("%s.sock: no control door: %s", ledger, exc.strerror or exc)
        return None


def id_maker(log: Log, form: str) -> Callable[[], str]:
    """Return what makes the client order ids of one run: numbered on from the head, never twice."""
    from fillbook.core.client_ids import RUN_BITS, client_order_id

    run = int.from_bytes(os.urandom(RUN_BITS // 8), "big")
    seq = 0

    def make_id() -> str:
        nonlocal seq
        head = log.head()
        seq = max(seq, head.seq) + 1
        return client_order_id(form, run, seq, head.event_hash)

    return make_id
