{"do": "start"}
{"do": "answer", "call": "open_orders", "rows": []}
{"do": "submit", "order": {"client_order_id": "R-1", "instrument_id": "SBER", "side": "BUY", "order_qty": "10", "order_type": "LIMIT", "limit_px": "100", "ts_event": "2026-03-13T08:00:00Z"}}
{"do": "fail", "call": "submit", "text": "the line was cut"}
{"do": "wait", "seconds": 1}
{"do": "answer", "call": "look_up", "rows": [{"kind": "report", "client_order_id": "R-1", "venue_order_id": "V-1", "instrument_id": "SBER", "side": "BUY", "exec_type": "TRADE", "order_status": "PARTIALLY_FILLED", "trade_id": "T-1", "exec_id": "E-1", "last_qty": "4", "last_px": "100", "cum_qty": "4", "ts_event": "2026-03-13T08:00:00.5Z"}]}
{"do": "submit", "order": {"client_order_id": "R-2", "instrument_id": "SBER", "side": "BUY", "order_qty": "1000000", "order_type": "LIMIT", "limit_px": "100", "ts_event": "2026-03-13T08:00:01Z"}}
{"do": "refuse", "call": "submit", "reason": "TOO_LARGE", "text": "at most 1000"}
{"do": "submit", "order": {"client_order_id": "R-3", "instrument_id": "SBER", "side": "SELL", "order_qty": "4", "order_type": "MARKET", "ts_event": "2026-03-13T08:00:01Z"}}
{"do": "fail", "call": "submit", "text": "503"}
{"do": "wait", "seconds": 5}
{"do": "answer", "call": "look_up", "rows": []}
{"do": "wait", "seconds": 4}
{"do": "answer", "call": "look_up", "rows": []}
{"do": "wait", "seconds": 8}
{"do": "answer", "call": "look_up", "rows": []}
{"do": "wait", "seconds": 16}
{"do": "answer", "call": "look_up", "rows": []}
{"do": "answer", "call": "open_orders", "rows": [{"kind": "report", "client_order_id": "R-1", "venue_order_id": "V-1", "exec_type": "ORDER_STATUS", "order_status": "PARTIALLY_FILLED", "cum_qty": "4", "avg_px": "100", "ts_event": "2026-03-13T08:00:34Z"}]}
{"do": "cancel", "order": "R-1"}
{"do": "answer", "call": "cancel", "rows": [{"kind": "report", "client_order_id": "X-1", "orig_client_order_id": "R-1", "venue_order_id": "V-1", "exec_type": "CANCELED", "order_status": "CANCELED", "cum_qty": "4", "exec_id": "E-2", "ts_event": "2026-03-13T08:00:35Z"}]}
{"do": "stop", "reason": "the day is over"}
