"""Hold since when book and broker agree; the fold of what comparing them gave.

A comparison speaks of the accounts that it compared and of no others, so it is held by those.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import define, field

from fillbook.core.events import Event
from fillbook.core.reconciled_events import BookReconciled, PositionAdopted, PositionGap

__all__ = ["AGREEMENT_EVENTS", "Agreement", "Agreements", "Key"]

AGREEMENT_EVENTS = (BookReconciled, PositionAdopted)

Key = tuple[str, str]
"""(account_id, instrument_id)."""

_AGREES = ("AGREED", "ADOPTED")


@define
class Agreement:
    """What is known of it for some accounts, as of the last record applied.

    Attributes:
        last: The last run; None before the first.
        last_seq: Its seq.
        told_seq: Seq of the last run that was answered; 0 before the first.
        left: What that one left open.
        point_seq, point_ns: The agreed point: the last run that left nothing open, and when that
            began (ns since 1970, UTC).  All before it is accounted for.  0 where there was none.
        asked_ns: When the last run began that came to an end: all before it was asked for.
        since_ns: Since when every run has agreed; None while book and broker do not.
        unconfirmed: Positions that were adopted and that no run has found to agree since, with the
            seq of the adoption.
        restored: Positions that were last adopted with an order that trades them back: the seq of
            the adoption, and the client order id.
    """

    last: BookReconciled | None = None
    last_seq: int = 0
    told_seq: int = 0
    left: tuple[PositionGap, ...] = ()
    point_seq: int = 0
    point_ns: int = 0
    asked_ns: int = 0
    since_ns: int | None = None
    unconfirmed: dict[Key, int] = field(factory=dict)
    restored: dict[Key, tuple[int, str]] = field(factory=dict)

    @property
    def is_so(self) -> bool | None:
        """Book and broker hold the same; None where no run told yet, or the last one could not."""
        if self.last is None or self.last.outcome in ("UNSETTLED", "UNANSWERED"):
            return None
        return self.since_ns is not None

    def why_open(self, since_ns: int) -> str | None:
        """Return why the last run could not tell; None where it could, or began before *since_ns*.

        What waits is named by one position, for whoever waits with it.
        """
        last = self.last
        if last is None or self.is_so is not None or last.started < since_ns:
            return None
        waiting = [gap for gap in last.gaps if gap.action == "WAIT"]
        return f"{waiting[0].instrument_id}: {waiting[0].text}" if waiting else last.text

    def apply(self, seq: int, event: Event) -> None:
        """Take in the next event; those of no concern are passed over."""
        if isinstance(event, PositionAdopted):
            key = event.account_id, event.instrument_id
            self.unconfirmed[key] = seq
            self.restored.pop(key, None)
            if event.restore_client_order_id is not None:
                self.restored[key] = seq, event.restore_client_order_id
        elif isinstance(event, BookReconciled):
            self._compared(seq, event)

    def _compared(self, seq: int, run: BookReconciled) -> None:
        self.last, self.last_seq = run, seq
        if run.outcome == "UNANSWERED":  # it tells nothing, neither that they differ
            return
        self.told_seq, self.left = seq, run.gaps
        # A run comes before its own adoptions: what is unconfirmed here is from earlier ones.
        left = {(gap.account_id, gap.instrument_id) for gap in run.gaps}
        for key in [key for key in self.unconfirmed if key not in left]:
            del self.unconfirmed[key]
        # An operator may have compared with a statement, which answers no question.
        if run.outcome in _AGREES or (run.outcome == "DIFFERS" and run.cause != "OPERATOR"):
            self.asked_ns = run.started
        if run.outcome in _AGREES:
            self.point_seq, self.point_ns = seq, run.started
            if self.since_ns is None:
                self.since_ns = run.ts_event
        elif run.outcome == "DIFFERS":
            self.since_ns = None

    def confirms(self, key: Key, after: int) -> bool:
        """Tell whether the last run found *key* to agree, and came after seq *after*."""
        if self.last is None or self.last.outcome == "UNANSWERED" or self.last_seq < after:
            return False
        return all((gap.account_id, gap.instrument_id) != key for gap in self.last.gaps)

    def state(self) -> dict[str, Any]:
        """Return everything but the runs themselves as data that JSON can hold."""
        return {
            "last_seq": self.last_seq,
            "told_seq": self.told_seq,
            "point": [self.point_seq, self.point_ns],
            "asked_ns": self.asked_ns,
            "since_ns": self.since_ns,
            "unconfirmed": [[*key, seq] for key, seq in sorted(self.unconfirmed.items())],
            "restored": [[*key, *of] for key, of in sorted(self.restored.items())],
        }

    def restore(self, state: Mapping[str, Any], last: Event | None, told: Event | None) -> None:
        """Take over what `state` returned, with two runs read again from the log.

        Args:
            last, told: Those of `last_seq` and `told_seq`; None where that is 0.
        """
        assert last is None or isinstance(last, BookReconciled)
        assert told is None or isinstance(told, BookReconciled)
        self.last, self.last_seq = last, state["last_seq"]
        self.told_seq, self.left = state["told_seq"], () if told is None else told.gaps
        self.point_seq, self.point_ns = state["point"]
        self.asked_ns = state["asked_ns"]
        self.since_ns = state["since_ns"]
        self.unconfirmed = {(account, name): seq for account, name, seq in state["unconfirmed"]}
        self.restored = {(each[0], each[1]): (each[2], each[3]) for each in state["restored"]}


@define
class Agreements:
    """Every agreement, by the accounts that were compared together.

    Attributes:
        by_accounts: Of each set of accounts, sorted.
    """

    by_accounts: dict[tuple[str, ...], Agreement] = field(factory=dict)

    def of(self, account_ids: Iterable[str]) -> Agreement:
        """Return that of *account_ids*; one that knows nothing where they were never compared."""
        return self.by_accounts.get(tuple(sorted(account_ids))) or Agreement()

    def weakest(self) -> Agreement:
        """Return the one that says least of agreement, of those the one told last."""

        def place(agreement: Agreement) -> tuple[int, int]:
            return {False: 0, None: 1, True: 2}[agreement.is_so], -agreement.last_seq

        return min(self.by_accounts.values(), key=place, default=Agreement())

    def apply(self, seq: int, event: Event) -> None:
        """Take in the next event; those of no concern are passed over."""
        if isinstance(event, BookReconciled):
            self.by_accounts.setdefault(event.account_ids, Agreement()).apply(seq, event)
        elif isinstance(event, PositionAdopted):
            for account_ids, agreement in self.by_accounts.items():
                if event.account_id in account_ids:
                    agreement.apply(seq, event)

    def state(self) -> list[dict[str, Any]]:
        """Return them as data that JSON can hold."""
        return [
            {"account_ids": list(account_ids), **agreement.state()}
            for account_ids, agreement in sorted(self.by_accounts.items())
        ]

    def restore(
        self, states: Iterable[Mapping[str, Any]], event_at: Callable[[int], Event]
    ) -> None:
        """Take over what `state` returned; *event_at* reads the event of a seq again."""
        for state in states:
            last, told = (
                event_at(seq) if seq else None for seq in (state["last_seq"], state["told_seq"])
            )
            agreement = self.by_accounts[tuple(state["account_ids"])] = Agreement()
            agreement.restore(state, last, told)
