{"do": "accept_tail_loss", "by": "olga", "reason": "the disk of the old machine is gone", "head_seq": 1, "checkpoint_seq": 9}
{"do": "start"}
{"do": "answer", "call": "open_orders", "rows": []}
{"do": "submit", "order": {"client_order_id": "R-1", "instrument_id": "SBER", "side": "BUY", "order_qty": "10", "order_type": "LIMIT", "limit_px": "100", "ts_event": "2026-03-13T08:00:00Z"}}
{"do": "fail", "call": "submit", "text": "the line was cut"}
{"do": "operator", "verb": "resolve", "by": "olga", "reason": "seen on the broker's page", "client_order_id": "R-1", "venue_order_id": "V-1"}
{"do": "hear", "rows": [{"kind": "report", "client_order_id": "R-1", "venue_order_id": "V-1", "exec_type": "TRADE", "order_status": "PARTIALLY_FILLED", "trade_id": "T-1", "exec_id": "E-1", "last_qty": "4", "last_px": "100", "cum_qty": "4", "ts_event": "2026-03-13T08:00:01Z"}]}
{"do": "submit", "order": {"client_order_id": "R-2", "instrument_id": "SBER", "side": "SELL", "order_qty": "4", "order_type": "MARKET", "ts_event": "2026-03-13T08:00:01Z"}}
{"do": "fail", "call": "submit", "text": "the line was cut"}
{"do": "operator", "verb": "resolve", "by": "olga", "reason": "the broker's desk says that it never came", "client_order_id": "R-2", "never_arrived": true}
{"do": "operator", "verb": "adjust", "by": "olga", "reason": "2 were transferred out", "instrument_id": "SBER", "qty": "-2"}
{"do": "operator", "verb": "cancel_all", "by": "olga", "reason": "the day is over"}
{"do": "answer", "call": "cancel", "rows": [{"kind": "report", "client_order_id": "X-1", "orig_client_order_id": "R-1", "venue_order_id": "V-1", "exec_type": "CANCELED", "order_status": "CANCELED", "cum_qty": "4", "exec_id": "E-2", "ts_event": "2026-03-13T08:00:03Z"}]}
{"do": "stop", "reason": "the day is over"}
