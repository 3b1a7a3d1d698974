"""Compare book and broker because somebody wants to know, whoever is at work on the ledger.

A robot that runs is asked at its door, and its broker is asked.  Where there is none the ledger is
compared at rest, with the broker that its configuration names.  A statement in a file is compared
at rest in any case.  A dry run writes nothing and works beside any writer.
"""

import os
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, Literal

from attrs import evolve, frozen

from fillbook.brokers.live import Broker
from fillbook.configuration import Configuration, read_configuration
from fillbook.core.book import Book
from fillbook.core.times import time_text
from fillbook.errors import BadInput, FillbookError, NotOverYet, OperatorRefused
from fillbook.feedback.doorbell import Closed, Refused, Silent, ask
from fillbook.log.lock import is_locked
from fillbook.operating import DOOR_PATIENCE_S, path_of
from fillbook.reconcile.choices import Choices
from fillbook.reconcile.wishes import SECOND, Wish
from fillbook.wiring import configured_robot
from fillbook.wiring.chosen import choices_of
from fillbook.wiring.reconciling import reconcile_at_rest
from fillbook.wiring.statements import Stated, stated_in

__all__ = ["Compared", "Question", "compare_now", "moved_later"]

_BETWEEN_S = 0.3
_FOLDER = "fillbook.toml"


@frozen(kw_only=True)
class Question:
    """What somebody wants compared.

    Attributes:
        config: The configuration that names the broker and the policies; None looks for the one
            in the current folder, if that is the ledger's.
        positions, mapping: A statement, and how it is read; see `read_statement`.
        account_id: Whose account; None is the configuration's, or the statement's own.
        apply: Put on record what comes of it; without, nothing is written.
        adopt: Instruments that are set to what the broker says, whatever the policy.
    """

    ledger: str
    by: str
    config: str | None = None
    positions: str | None = None
    mapping: str | None = None
    account_id: str | None = None
    apply: bool = False
    adopt: tuple[str, ...] = ()
    reason: str | None = None
    timeout_s: float = 90.0

    def wish(self) -> Wish:
        """Return it as a run takes it."""
        return Wish(cause="OPERATOR", by=self.by, reason=self.reason, adopt=frozenset(self.adopt))


@frozen(kw_only=True)
class Compared:
    """What came of it.

    Attributes:
        how: `ROBOT` where a running robot did it, `LEDGER` where it was done here, `STATEMENT`
            where a file stood in for the broker.
        result: See `reconcile_at_rest`.
        stated: The statement.
    """

    how: Literal["ROBOT", "LEDGER", "STATEMENT"]
    result: dict[str, Any]
    stated: Stated | None = None


def compare_now(question: Question, on_stage: Callable[[str], None]) -> Compared:
    """Compare as *question* says; *on_stage* is told how far it is.

    Raises a `FillbookError` where it cannot be done: nothing was written then, except that after
    `NotOverYet` the robot may still do it.
    """
    path = path_of(question.ledger)
    if question.positions is not None:
        return _with_statement(path, question.positions, question)
    result = _by_robot(path, question, on_stage)
    if result is not None:
        return Compared(how="ROBOT", result=result)
    return Compared(how="LEDGER", result=_at_rest(path, question, on_stage))


# ---- a robot that runs


def _by_robot(
    path: str, question: Question, on_stage: Callable[[str], None]
) -> dict[str, Any] | None:
    """Return what came of it where a robot answers; None where there is none."""
    door, deadline = path + ".sock", time.monotonic() + question.timeout_s
    wanted = {
        "by": question.by,
        "apply": question.apply,
        "adopt": "\n".join(question.adopt) or None,
        "reason": question.reason,
    }
    given = {key: value for key, value in wanted.items() if value is not None}
    if question.account_id is not None and _answers(door):
        raise BadInput("a robot is running, and compares its own account", "leave --account out")
    try:
        number = str(ask(door, "reconcile", given, DOOR_PATIENCE_S)["number"])
    except Closed:
        return None
    except Refused as exc:
        raise BadInput(str(exc)) from exc
    except Silent as exc:
        raise OperatorRefused(
            f"{path}: {is_locked(path) or 'the robot'} gave no answer within {DOOR_PATIENCE_S:g} s",
            "`fillbook status` says how it stands; a statement (--positions) needs no robot",
        ) from exc
    return _awaited(door, number, deadline, question, on_stage)


def _awaited(
    door: str,
    number: str,
    deadline: float,
    question: Question,
    on_stage: Callable[[str], None],
) -> dict[str, Any]:
    """Return what the robot's run *number* comes to."""
    remedy = (
        "what comes of it is a book.reconciled of the ledger, see `fillbook tail`"
        if question.apply
        else "nothing is written; ask again, with a longer --timeout"
    )
    while time.monotonic() < deadline:
        try:
            told = ask(door, "reconciled", {"number": number}, DOOR_PATIENCE_S)
        except Closed as exc:
            raise NotOverYet("the robot ended before it was over", remedy) from exc
        except Refused as exc:
            raise BadInput(str(exc)) from exc
        except Silent:  # busy; its deadline is ours
            continue
        if told["is_over"]:
            result: dict[str, Any] = told["result"]
            return result
        on_stage(told["stage"])
        time.sleep(_BETWEEN_S)
    raise NotOverYet(f"the robot is not done with it after {question.timeout_s:g} s", remedy)


def _answers(door: str) -> bool:
    try:
        ask(door, "status", {}, DOOR_PATIENCE_S)
    except (Closed, Refused, Silent):
        return False
    return True


# ---- a ledger at rest


def _at_rest(path: str, question: Question, on_stage: Callable[[str], None]) -> dict[str, Any]:
    config = _configuration_of(path, question)
    if config is None:
        raise BadInput(
            "no robot is running, and no configuration says which broker to ask",
            "give --config FILE, or a statement with --positions FILE",
        )
    _refuse_new_account(config)
    broker, choices, account_id = _made_by(config)
    most_ns = min(choices.patience.most_ns, int(question.timeout_s * SECOND))
    wanted_id = question.account_id

    def look_at(book: Book) -> None:
        if wanted_id is not None and wanted_id != account_id:
            _refuse_unknown(book, wanted_id, account_id)

    with closing(broker):
        return reconcile_at_rest(
            path,
            broker,
            evolve(choices, patience=evolve(choices.patience, most_ns=most_ns)),
            [wanted_id or account_id],
            question.wish(),
            apply=question.apply,
            on_book=look_at,
            on_stage=on_stage,
        )


def _refuse_unknown(book: Book, wanted_id: str, own_id: str) -> None:
    """Raise where the book never heard of the account: nothing would agree with nothing there."""
    ours = {view.account_id for view in book.position_views()}
    if ours and wanted_id not in ours:
        raise BadInput(
            f"the book has no account {wanted_id!r}; it has {', '.join(sorted(ours))}",
            f"leave --account out to compare {own_id}",
        )


def _configuration_of(path: str, question: Question) -> str | None:
    """Return the configuration that was named, or that of this folder if it is the ledger's."""
    if question.config is not None:
        return question.config
    if not os.path.lexists(_FOLDER):
        return None
    named = read_configuration(_FOLDER).robot.ledger
    return _FOLDER if os.path.realpath(named) == path else None


def _refuse_new_account(config: str) -> None:
    """Raise where asking the paper exchange would make its account, which a look must not do."""
    said = read_configuration(config)
    if said.broker.kind != "paper" or "url" in said.broker.options:
        return
    account = said.broker.options.get("path") or f"{said.robot.ledger}.paper"
    if not os.path.lexists(str(account)):
        raise BadInput(
            f"{account}: the paper exchange has no account yet",
            "let the robot run once, or compare with a statement (--positions)",
        )


def _made_by(config: str) -> tuple[Broker, Choices, str]:
    try:
        said = configured_robot(config)
    except FillbookError:
        raise
    except Exception as exc:
        # The factory is the owner's code over anybody's library: whatever it raises is why there is
        # no broker, and a person at a terminal is told that.
        text = " ".join(f"{type(exc).__name__}: {exc}".split())
        raise BadInput(
            f"{config}: the broker could not be made ({text})",
            "mend its section [broker] or what its factory needs",
        ) from exc
    return said.broker, said.choices, said.settings.account_id


# ---- a statement


def _with_statement(path: str, file: str, question: Question) -> Compared:
    stated = stated_in(file, question.mapping, question.account_id)
    config = _configuration_of(path, question)
    said = Configuration() if config is None else read_configuration(config)
    if question.apply and (writer := is_locked(path)) is not None:
        raise OperatorRefused(
            f"{path}: {writer} is at work on it",
            "stop it first, or leave --apply out to see what would be done",
        )
    own = question.account_id or (said.broker.account if config is not None else "default")
    account_ids = stated.account_ids or frozenset({own})

    agreed_ns = 0

    def look_at(book: Book) -> None:
        nonlocal agreed_ns
        agreed_ns = book.agreements.of(account_ids).point_ns
        _refuse_strangers(book, account_ids, file)

    def compared(*, apply: bool) -> dict[str, Any]:
        return reconcile_at_rest(
            path,
            stated.broker,
            choices_of(said),
            account_ids,
            question.wish(),
            apply=apply,
            statement_ns=stated.as_of or 0,
            on_book=look_at,
        )

    result = compared(apply=False)
    if question.apply:
        _refuse_older(result, stated.as_of, agreed_ns, question.adopt, file)
        result = compared(apply=True)
    return Compared(how="STATEMENT", result=result, stated=stated)


def _refuse_strangers(book: Book, account_ids: frozenset[str], file: str) -> None:
    """Raise where the statement is of accounts that the book does not have, and the book of others.

    Compared all the same, everything would be missing on both sides.
    """
    ours = {view.account_id for view in book.position_views() if view.position_qty}
    if ours and not ours & account_ids:
        raise BadInput(
            f"{file} tells of account {', '.join(sorted(account_ids))}, the book of "
            f"{', '.join(sorted(ours))}",
            f"name it as the book does (--account {min(ours)}), or use a mapping with `accounts`",
        )


def _refuse_older(
    result: dict[str, Any], as_of: int | None, agreed_ns: int, adopt: tuple[str, ...], file: str
) -> None:
    """Raise where the book would be moved to what was true before it moved last."""
    for row in result["positions"]:
        name = row["instrument_id"]
        if not row["adjustment_id"] or name in adopt or as_of is None:
            continue
        later = moved_later(row, as_of)
        if later is not None or as_of < agreed_ns:
            why = f"moved (seq {later})" if later is not None else "was found to agree"
            raise OperatorRefused(
                f"{name} {why} after the time of {file}, {time_text(as_of)}",
                f"take a newer statement, or name it: --adopt {name}",
            )


def moved_later(row: dict[str, Any], as_of: int | None) -> int | None:
    """Return the seq of what moved the position of *row* last, if later than *as_of*; else None."""
    moves = [each for each in row["look_at"] if each["ts_event"] is not None]
    if as_of is None or not moves:
        return None
    return (
        moves[-1]["seq"] if _in_full(moves[-1]["ts_event"]) > _in_full(time_text(as_of)) else None
    )


def _in_full(moment: str | None) -> str:
    """Return an instant of `time_text` with all digits, so that it sorts."""
    return (moment or "").removesuffix("Z").ljust(29, "0")
