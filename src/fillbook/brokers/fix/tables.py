"""List the codes of FIX 4.0 to 5.0 SP2 and the words they are told in.

Dialects are merged: a code means the same in every version that has it, and where versions differ
the table's comment says so.  What is not listed is for the reader of the field to keep or refuse.

Source: FIX 4.2 with Errata 20010501, FIX 4.4 with Errata 20030618, FIX 5.0 SP2, field definitions.
"""

from fillbook.core.values import ExecType, OrderStatus, Side

__all__ = [
    "CANCEL_REJECT_REASONS",
    "DATA_LENGTHS",
    "EXEC_TRANS_TYPES",
    "EXEC_TYPES",
    "KINDS",
    "LIQUIDITY",
    "ORDER_TYPES",
    "REJECT_REASONS",
    "RESTATEMENT_REASONS",
    "SESSION",
    "SIDES",
    "STATUSES",
    "TIMES_IN_FORCE",
    "TYPE_OF_STATUS",
]

KINDS = {
    "D": "order",  # NewOrderSingle
    "F": "cancel",  # OrderCancelRequest
    "G": "replace",  # OrderCancelReplaceRequest
    "8": "report",  # ExecutionReport
    "9": "cancel_reject",  # OrderCancelReject
    "AP": "position",  # PositionReport, 4.4
    "H": "status_request",  # OrderStatusRequest
    "AF": "status_request",  # OrderMassStatusRequest, 4.3
    "3": "refusal",  # Reject
    "j": "refusal",  # BusinessMessageReject, 4.2
    "Q": "dont_know",  # DontKnowTrade
}
"""MsgType (35) of the messages that count."""

SESSION = frozenset("01245A")
"""MsgType of Heartbeat, TestRequest, ResendRequest, SequenceReset, Logout, Logon."""

EXEC_TRANS_TYPES = {
    "1": ExecType.TRADE_CANCEL,
    "2": ExecType.TRADE_CORRECT,
    "3": ExecType.ORDER_STATUS,
}
"""ExecTransType (20), up to 4.2, but met in later logs too.  0, New, leaves the word to 150."""

EXEC_TYPES = {
    "0": ExecType.NEW,
    "1": ExecType.TRADE,  # Partial fill, up to 4.2
    "2": ExecType.TRADE,  # Fill, up to 4.2
    "3": ExecType.DONE_FOR_DAY,
    "4": ExecType.CANCELED,
    "5": ExecType.REPLACED,
    "6": ExecType.PENDING_CANCEL,  # in 4.1 also pending replace
    "7": ExecType.STOPPED,
    "8": ExecType.REJECTED,
    "9": ExecType.SUSPENDED,
    "A": ExecType.PENDING_NEW,
    "B": ExecType.CALCULATED,
    "C": ExecType.EXPIRED,
    "D": ExecType.RESTATED,
    "E": ExecType.PENDING_REPLACE,
    "F": ExecType.TRADE,  # from 4.3
    "G": ExecType.TRADE_CORRECT,  # from 4.3
    "H": ExecType.TRADE_CANCEL,  # from 4.3
    "I": ExecType.ORDER_STATUS,  # from 4.3
    "L": ExecType.TRIGGERED,  # from 5.0
}
"""ExecType (150), from 4.1."""

STATUSES = {
    "0": OrderStatus.NEW,
    "1": OrderStatus.PARTIALLY_FILLED,
    "2": OrderStatus.FILLED,
    "3": OrderStatus.DONE_FOR_DAY,
    "4": OrderStatus.CANCELED,
    "5": None,  # Replaced, up to 4.2: what the order is now is not told
    "6": OrderStatus.PENDING_CANCEL,  # up to 4.1 also pending replace
    "7": OrderStatus.STOPPED,
    "8": OrderStatus.REJECTED,
    "9": OrderStatus.SUSPENDED,
    "A": OrderStatus.PENDING_NEW,
    "B": OrderStatus.CALCULATED,
    "C": OrderStatus.EXPIRED,
    "E": OrderStatus.PENDING_REPLACE,
}
"""OrdStatus (39).  D, accepted for bidding, has no word here."""

TYPE_OF_STATUS = {
    code: EXEC_TYPES[code] for code in ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9", *"ABCE")
}
"""What a report tells by its OrdStatus where it has no ExecType: 4.0 has only the former."""

SIDES = {
    "1": Side.BUY,
    "2": Side.SELL,
    "3": Side.BUY,  # Buy minus
    "4": Side.SELL,  # Sell plus
    "5": Side.SELL_SHORT,
    "6": Side.SELL_SHORT,  # Sell short exempt
}
"""Side (54).  Crosses, undisclosed, lend and borrow move no position that could be named."""

ORDER_TYPES = {"1": "MARKET", "2": "LIMIT", "3": "STOP", "4": "STOP_LIMIT"}
"""OrdType (40)."""

TIMES_IN_FORCE = {"0": "DAY", "1": "GTC", "3": "IOC", "4": "FOK", "6": "GTD"}
"""TimeInForce (59)."""

LIQUIDITY = {"1": "MAKER", "2": "TAKER"}
"""LastLiquidityInd (851), from 4.4."""

REJECT_REASONS = {
    "0": "BROKER_OPTION",
    "1": "UNKNOWN_SYMBOL",
    "2": "EXCHANGE_CLOSED",
    "3": "EXCEEDS_LIMIT",
    "4": "TOO_LATE_TO_ENTER",
    "5": "UNKNOWN_ORDER",
    "6": "DUPLICATE_ORDER",
    "7": "DUPLICATE_OF_VERBAL_ORDER",
    "8": "STALE_ORDER",
    "99": "OTHER",
}
"""OrdRejReason (103)."""

CANCEL_REJECT_REASONS = {
    "0": "TOO_LATE_TO_CANCEL",
    "1": "UNKNOWN_ORDER",
    "2": "BROKER_OPTION",
    "3": "ALREADY_PENDING",
    "6": "DUPLICATE_CLIENT_ORDER_ID",
    "99": "OTHER",
}
"""CxlRejReason (102)."""

RESTATEMENT_REASONS = {
    "0": "GT_CORPORATE_ACTION",
    "1": "GT_RENEWAL",
    "2": "VERBAL_CHANGE",
    "3": "REPRICING",
    "4": "BROKER_OPTION",
    "5": "PARTIAL_DECLINE",
    "6": "TRADING_HALT",
    "7": "SYSTEM_FAILURE",
    "8": "MARKET_OPTION",
    "9": "NOT_BEST",
    "99": "OTHER",
}
"""ExecRestatementReason (378)."""

DATA_LENGTHS = {
    "89": "93",  # Signature
    "91": "90",  # SecureData
    "96": "95",  # RawData
    "213": "212",  # XmlData
    "349": "348",  # EncodedIssuer
    "351": "350",  # EncodedSecurityDesc
    "353": "352",  # EncodedListExecInst
    "355": "354",  # EncodedText
    "357": "356",  # EncodedSubject
    "359": "358",  # EncodedHeadline
    "361": "360",  # EncodedAllocText
    "363": "362",  # EncodedUnderlyingIssuer
    "365": "364",  # EncodedUnderlyingSecurityDesc
    "446": "445",  # EncodedListStatusText
    "619": "618",  # EncodedLegIssuer
    "622": "621",  # EncodedLegSecurityDesc
    "1185": "1184",  # SecurityXML
    "1278": "1277",  # DerivativeEncodedIssuer
    "1281": "1280",  # DerivativeEncodedSecurityDesc
    "1283": "1282",  # DerivativeSecurityXML
    "1398": "1397",  # EncodedMktSegmDesc
    "1402": "1401",  # EncryptedPassword
    "1404": "1403",  # EncryptedNewPassword
}
"""Fields of type data, which may hold separators, and the field that says how many bytes."""
