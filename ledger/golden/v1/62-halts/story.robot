{"do": "start"}
{"do": "answer", "call": "open_orders", "rows": []}
{"do": "submit", "order": {"client_order_id": "R-1", "instrument_id": "SBER", "side": "BUY", "order_qty": "10", "order_type": "LIMIT", "limit_px": "100", "partial_fills": "CANCEL_REST", "ts_event": "2026-03-13T08:00:00Z"}}
{"do": "answer", "call": "submit", "rows": [{"kind": "report", "client_order_id": "R-1", "venue_order_id": "V-1", "exec_type": "NEW", "order_status": "NEW", "cum_qty": "0", "exec_id": "E-1", "ts_event": "2026-03-13T08:00:00.1Z"}]}
{"do": "hear", "rows": [{"kind": "report", "client_order_id": "R-1", "venue_order_id": "V-1", "exec_type": "NEW", "order_status": "NEW", "cum_qty": "0", "exec_id": "E-1", "ts_event": "2026-03-13T08:00:00.1Z"}]}
{"do": "halt", "level": "HALTED", "by": "olga", "reason": "the feed looks wrong"}
{"do": "submit", "order": {"client_order_id": "R-2", "instrument_id": "SBER", "side": "BUY", "order_qty": "1", "order_type": "MARKET", "ts_event": "2026-03-13T08:00:01Z"}}
{"do": "hear", "rows": [{"kind": "report", "client_order_id": "R-1", "venue_order_id": "V-1", "exec_type": "TRADE", "order_status": "PARTIALLY_FILLED", "trade_id": "T-1", "exec_id": "E-2", "last_qty": "6", "last_px": "100", "cum_qty": "6", "ts_event": "2026-03-13T08:00:02Z"}]}
{"do": "raise", "callback": "on_fill", "problem": "ZeroDivisionError: division by zero"}
{"do": "answer", "call": "cancel", "rows": [{"kind": "report", "client_order_id": "X-1", "orig_client_order_id": "R-1", "venue_order_id": "V-1", "exec_type": "CANCELED", "order_status": "CANCELED", "cum_qty": "6", "exec_id": "E-3", "ts_event": "2026-03-13T08:00:03Z"}]}
{"do": "resume", "by": "olga", "reason": "the feed is right again"}
{"do": "halt", "level": "REDUCE_ONLY", "by": "olga", "reason": "close to the end", "instrument_id": "SBER"}
{"do": "submit", "order": {"client_order_id": "R-3", "instrument_id": "SBER", "side": "SELL", "order_qty": "6", "order_type": "MARKET", "ts_event": "2026-03-13T08:00:04Z"}}
{"do": "answer", "call": "submit", "rows": [{"kind": "report", "client_order_id": "R-3", "venue_order_id": "V-3", "exec_type": "TRADE", "order_status": "FILLED", "trade_id": "T-2", "exec_id": "E-4", "last_qty": "6", "last_px": "101", "cum_qty": "6", "ts_event": "2026-03-13T08:00:04.1Z"}]}
{"do": "stop", "reason": "SIGTERM"}
