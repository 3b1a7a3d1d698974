{"do": "compares", "rounding": "ADOPT", "minor": "RESTORE", "critical": "HALT"}
{"do": "start"}
{"do": "answer", "call": "open_orders", "rows": []}
{"do": "answer", "call": "positions", "rows": []}
{"do": "answer", "call": "open_orders", "rows": []}
{"do": "submit", "order": {"client_order_id": "R-1", "instrument_id": "SBER", "side": "BUY", "order_qty": "10", "order_type": "LIMIT", "limit_px": "100", "ts_event": "2026-03-13T08:00:00Z"}}
{"do": "answer", "call": "submit", "rows": [{"kind": "report", "client_order_id": "R-1", "venue_order_id": "V-1", "exec_type": "TRADE", "order_status": "FILLED", "trade_id": "T-1", "exec_id": "E-1", "last_qty": "10", "last_px": "100", "cum_qty": "10", "ts_event": "2026-03-13T08:00:00.1Z"}]}
{"do": "wait", "seconds": 300}
{"do": "answer", "call": "positions", "rows": [{"kind": "position", "instrument_id": "SBER", "position_qty": "8", "avg_px": "100"}]}
{"do": "answer", "call": "open_orders", "rows": []}
{"do": "wait", "seconds": 6}
{"do": "answer", "call": "positions", "rows": [{"kind": "position", "instrument_id": "SBER", "position_qty": "8", "avg_px": "100"}]}
{"do": "answer", "call": "submit", "rows": [{"kind": "report", "client_order_id": "$restore", "venue_order_id": "V-2", "exec_type": "TRADE", "order_status": "FILLED", "trade_id": "T-2", "exec_id": "E-2", "last_qty": "2", "last_px": "102", "cum_qty": "2", "ts_event": "2026-03-13T08:05:07Z"}]}
{"do": "wait", "seconds": 21}
{"do": "answer", "call": "positions", "rows": [{"kind": "position", "instrument_id": "SBER", "position_qty": "10", "avg_px": "100.4"}]}
{"do": "answer", "call": "open_orders", "rows": []}
{"do": "wait", "seconds": 300}
{"do": "answer", "call": "positions", "rows": [{"kind": "position", "instrument_id": "SBER", "position_qty": "10.0004", "avg_px": "100.4"}, {"kind": "position", "instrument_id": "GAZP", "position_qty": "-50", "avg_px": "160"}]}
{"do": "answer", "call": "open_orders", "rows": []}
{"do": "wait", "seconds": 6}
{"do": "answer", "call": "positions", "rows": [{"kind": "position", "instrument_id": "SBER", "position_qty": "10.0004", "avg_px": "100.4"}, {"kind": "position", "instrument_id": "GAZP", "position_qty": "-50", "avg_px": "160"}]}
{"do": "stop", "reason": "SIGTERM"}
