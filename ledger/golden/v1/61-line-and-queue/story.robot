{"do": "start"}
{"do": "answer", "call": "open_orders", "rows": []}
{"do": "submit", "order": {"client_order_id": "R-1", "instrument_id": "SBER", "side": "BUY", "order_qty": "10", "order_type": "LIMIT", "limit_px": "100", "ts_event": "2026-03-13T08:00:00Z"}}
{"do": "answer", "call": "submit", "rows": [{"kind": "report", "client_order_id": "R-1", "venue_order_id": "V-1", "exec_type": "NEW", "order_status": "NEW", "cum_qty": "0", "exec_id": "E-1", "ts_event": "2026-03-13T08:00:00.1Z"}]}
{"do": "replace", "order": "R-1", "limit_px": "101"}
{"do": "fail", "call": "replace", "text": "the line was cut"}
{"do": "submit", "order": {"client_order_id": "R-2", "instrument_id": "SBER", "side": "SELL", "order_qty": "5", "order_type": "LIMIT", "limit_px": "200", "ts_event": "2026-03-13T08:00:00Z"}}
{"do": "fail", "call": "submit", "text": "the line was cut"}
{"do": "submit", "order": {"client_order_id": "R-3", "instrument_id": "SBER", "side": "SELL", "order_qty": "5", "order_type": "LIMIT", "limit_px": "200", "ts_event": "2026-03-13T08:00:00Z"}}
{"do": "fail", "call": "submit", "text": "the line was cut"}
{"do": "submit", "order": {"client_order_id": "Q-1", "instrument_id": "SBER", "side": "BUY", "order_qty": "3", "order_type": "MARKET", "ts_event": "2026-03-13T08:00:02Z"}}
{"do": "submit", "order": {"client_order_id": "Q-2", "instrument_id": "SBER", "side": "BUY", "order_qty": "4", "order_type": "MARKET", "ts_event": "2026-03-13T08:00:02Z"}}
{"do": "cancel", "order": "Q-2"}
{"do": "wait", "seconds": 2}
{"do": "answer", "call": "open_orders", "rows": [{"kind": "report", "client_order_id": "X-1", "orig_client_order_id": "R-1", "venue_order_id": "V-1", "exec_type": "REPLACED", "order_status": "NEW", "cum_qty": "0", "order_qty": "10", "limit_px": "101", "exec_id": "E-2", "ts_event": "2026-03-13T08:00:01.5Z"}]}
{"do": "answer", "call": "look_up", "rows": [{"kind": "report", "client_order_id": "R-2", "venue_order_id": "V-3", "exec_type": "ORDER_STATUS", "order_status": "NEW", "cum_qty": "0", "ts_event": "2026-03-13T08:00:02Z"}]}
{"do": "answer", "call": "look_up", "rows": [{"kind": "report", "client_order_id": "R-3", "venue_order_id": "V-4", "exec_type": "ORDER_STATUS", "order_status": "REJECTED", "cum_qty": "0", "reason": "OTHER", "text": "no margin", "ts_event": "2026-03-13T08:00:02Z"}]}
{"do": "answer", "call": "open_orders", "rows": [{"kind": "report", "client_order_id": "X-1", "venue_order_id": "V-1", "exec_type": "ORDER_STATUS", "order_status": "NEW", "cum_qty": "0", "order_qty": "10", "limit_px": "101", "ts_event": "2026-03-13T08:00:02Z"}]}
{"do": "answer", "call": "submit", "rows": [{"kind": "report", "client_order_id": "Q-1", "venue_order_id": "V-2", "instrument_id": "SBER", "side": "BUY", "exec_type": "TRADE", "order_status": "FILLED", "trade_id": "T-1", "exec_id": "E-3", "last_qty": "3", "last_px": "102", "cum_qty": "3", "ts_event": "2026-03-13T08:00:02.2Z"}]}
{"do": "stop", "reason": "the day is over"}
