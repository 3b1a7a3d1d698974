"""Make the ledger: its tables, the rules that keep it append-only, and the views over it.

The rules are triggers because they must hold for whoever writes, not only for this package.  A
BEFORE INSERT trigger looks for every UNIQUE key itself: without it `INSERT OR REPLACE` deletes the
row that holds the key, and no DELETE trigger fires.  What the columns mean: `ledger/FORMAT.md`.
"""

APPLICATION_ID = 0x46424B4C  # "FBKL"
FORMAT_VERSION = 1

TABLES = (
    """\
CREATE TABLE meta (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  ledger_id BLOB NOT NULL CHECK (length(ledger_id) = 16),
  robot TEXT NOT NULL,
  format_version INTEGER NOT NULL,
  chain_domain TEXT NOT NULL
) STRICT""",
    """\
CREATE TABLE runs (
  epoch INTEGER PRIMARY KEY,
  run_id TEXT NOT NULL CHECK (length(run_id) = 32),
  boot_id TEXT,
  pid INTEGER NOT NULL,
  host TEXT NOT NULL,
  program_version TEXT NOT NULL,
  ts_opened INTEGER NOT NULL
) STRICT""",
    """\
CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  op INTEGER NOT NULL CHECK (op BETWEEN 0 AND 3),
  stream INTEGER NOT NULL,
  status INTEGER,
  position INTEGER,
  qty INTEGER,
  px INTEGER,
  fee INTEGER,
  fee_currency TEXT,
  fill_no INTEGER,
  version INTEGER NOT NULL,
  type TEXT NOT NULL,
  type_version INTEGER NOT NULL,
  ts_event INTEGER,
  ts_received INTEGER,
  ts_recorded INTEGER NOT NULL,
  mono_ns INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  actor TEXT NOT NULL CHECK (actor IN ('ROBOT', 'VENUE', 'OPERATOR', 'RECONCILER', 'IMPORT')),
  correlation TEXT,
  causation INTEGER,
  client_order_id TEXT,
  venue_order_id TEXT,
  idempotency_key TEXT,
  input_hash BLOB,
  raw_digest BLOB CHECK (length(raw_digest) = 32),
  event_hash BLOB NOT NULL CHECK (length(event_hash) = 32),
  body TEXT NOT NULL
) STRICT""",
    """\
CREATE TABLE raws (
  seq INTEGER PRIMARY KEY,
  length INTEGER NOT NULL,
  salt BLOB,
  sha256 BLOB,
  raw BLOB
) STRICT""",
    """\
CREATE TABLE snapshots (
  seq INTEGER PRIMARY KEY,
  event_hash BLOB NOT NULL,
  reducer TEXT NOT NULL,
  state TEXT NOT NULL
) STRICT""",
    """\
CREATE TABLE positions (
  account_id TEXT NOT NULL,
  instrument_id TEXT NOT NULL,
  position_qty TEXT NOT NULL,
  avg_px TEXT,
  realized_pnl_gross TEXT,
  realized_pnl TEXT,
  pnl_currency TEXT,
  trade_count INTEGER NOT NULL,
  as_of_seq INTEGER NOT NULL,
  PRIMARY KEY (account_id, instrument_id)
) STRICT""",
)

INDEXES = (
    "CREATE UNIQUE INDEX events_stream ON events (stream, version)",
    "CREATE UNIQUE INDEX events_idempotency_key ON events (idempotency_key)"
    " WHERE idempotency_key IS NOT NULL",
    "CREATE UNIQUE INDEX events_client_order_id ON events (client_order_id)"
    " WHERE client_order_id IS NOT NULL",
    "CREATE INDEX events_venue_order_id ON events (venue_order_id)"
    " WHERE venue_order_id IS NOT NULL",
    "CREATE INDEX events_position ON events (position) WHERE position IS NOT NULL",
    "CREATE INDEX events_instrument ON events (op) WHERE op = 2 AND position IS NULL",
    "CREATE INDEX events_amendment ON events (stream, fill_no, version) WHERE op = 2",
)

TRIGGERS = (
    """\
CREATE TRIGGER events_append BEFORE INSERT ON events BEGIN
  SELECT CASE
    WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM events)
      THEN RAISE(ABORT, 'events: seq must be the last seq + 1')
    WHEN NEW.epoch IS NOT (SELECT max(epoch) FROM runs)
      THEN RAISE(ABORT, 'events: epoch must be the current writer epoch')
    WHEN NEW.version IS NOT
        (SELECT coalesce(max(version), 0) + 1 FROM events WHERE stream = NEW.stream)
      THEN RAISE(ABORT, 'events: version must be the last version of the stream + 1')
    WHEN NEW.version = 1 AND NEW.stream <> NEW.seq AND NEW.stream <> 0
      THEN RAISE(ABORT, 'events: a stream is named by the seq of its first event')
    WHEN NEW.idempotency_key IS NOT NULL
        AND EXISTS (SELECT 1 FROM events WHERE idempotency_key = NEW.idempotency_key)
      THEN RAISE(ABORT, 'events: idempotency_key is in the ledger already')
    WHEN NEW.client_order_id IS NOT NULL
        AND EXISTS (SELECT 1 FROM events WHERE client_order_id = NEW.client_order_id)
      THEN RAISE(ABORT, 'events: client_order_id is in the ledger already')
  END;
END""",
    """\
CREATE TRIGGER events_no_update BEFORE UPDATE ON events BEGIN
  SELECT RAISE(ABORT, 'events: append-only, no UPDATE');
END""",
    """\
CREATE TRIGGER events_no_delete BEFORE DELETE ON events BEGIN
  SELECT RAISE(ABORT, 'events: append-only, no DELETE');
END""",
    """\
CREATE TRIGGER runs_append BEFORE INSERT ON runs
WHEN NEW.epoch IS NOT (SELECT coalesce(max(epoch), 0) + 1 FROM runs) BEGIN
  SELECT RAISE(ABORT, 'runs: epoch must be the last epoch + 1');
END""",
    """\
CREATE TRIGGER runs_no_update BEFORE UPDATE ON runs BEGIN
  SELECT RAISE(ABORT, 'runs: append-only, no UPDATE');
END""",
    """\
CREATE TRIGGER runs_no_delete BEFORE DELETE ON runs BEGIN
  SELECT RAISE(ABORT, 'runs: append-only, no DELETE');
END""",
    """\
CREATE TRIGGER raws_append BEFORE INSERT ON raws BEGIN
  SELECT CASE
    WHEN EXISTS (SELECT 1 FROM raws WHERE seq = NEW.seq)
      THEN RAISE(ABORT, 'raws: this event has its raw message already')
    WHEN (SELECT raw_digest FROM events WHERE seq = NEW.seq) IS NULL
      THEN RAISE(ABORT, 'raws: no event with a raw_digest has this seq')
  END;
END""",
    """\
CREATE TRIGGER raws_erase_only BEFORE UPDATE ON raws
WHEN NEW.seq IS NOT OLD.seq OR NEW.length IS NOT OLD.length
  OR NEW.salt IS NOT NULL OR NEW.sha256 IS NOT NULL OR NEW.raw IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'raws: only erasing is allowed: salt, sha256 and raw all to NULL');
END""",
    """\
CREATE TRIGGER raws_no_delete BEFORE DELETE ON raws BEGIN
  SELECT RAISE(ABORT, 'raws: no DELETE');
END""",
    """\
CREATE TRIGGER meta_once BEFORE INSERT ON meta WHEN EXISTS (SELECT 1 FROM meta) BEGIN
  SELECT RAISE(ABORT, 'meta: a ledger has one identity');
END""",
    """\
CREATE TRIGGER meta_no_update BEFORE UPDATE ON meta BEGIN
  SELECT RAISE(ABORT, 'meta: no UPDATE');
END""",
    """\
CREATE TRIGGER meta_no_delete BEFORE DELETE ON meta BEGIN
  SELECT RAISE(ABORT, 'meta: no DELETE');
END""",
)

VIEWS = (
    # One row per order: what its first event says of the order, what its last says of its state.
    """\
CREATE VIEW orders AS
SELECT
  json_extract(z.body, '$.client_order_id') AS client_order_id,
  json_extract(z.body, '$.venue_order_id') AS venue_order_id,
  json_extract(z.body, '$.account_id') AS account_id,
  json_extract(z.body, '$.instrument_id') AS instrument_id,
  json_extract(z.body, '$.side') AS side,
  (SELECT json_extract(o.body, '$.order_type') FROM events o
    WHERE o.stream = a.seq AND o.type IN ('order.submitted', 'order.discovered')
      AND json_extract(o.body, '$.order_type') IS NOT NULL
    ORDER BY o.version DESC LIMIT 1) AS order_type,
  CASE WHEN EXISTS (SELECT 1 FROM events s WHERE s.stream = a.seq AND s.type = 'order.submitted')
    THEN 'ROBOT' ELSE 'EXTERNAL' END AS origin,
  json_extract(z.body, '$.order_status') AS order_status,
  json_extract(z.body, '$.order_qty') AS order_qty,
  json_extract(z.body, '$.cum_qty') AS cum_qty,
  json_extract(z.body, '$.leaves_qty') AS leaves_qty,
  json_extract(z.body, '$.avg_px') AS avg_px,
  (SELECT json_extract(p.body, '$.limit_px') FROM events p
    WHERE p.stream = a.seq AND p.type IN ('order.submitted', 'order.discovered',
      'order.replaced', 'order.restated', 'order.updated')
      AND json_extract(p.body, '$.limit_px') IS NOT NULL
    ORDER BY p.version DESC LIMIT 1) AS limit_px,
  coalesce(a.ts_event, a.ts_received, a.ts_recorded) AS ts_first,
  coalesce(z.ts_event, z.ts_received, z.ts_recorded) AS ts_last,
  a.seq AS stream,
  z.seq AS last_seq
FROM events a JOIN events z ON z.seq = (
  SELECT l.seq FROM events l WHERE l.stream = a.seq AND l.status IS NOT NULL
  ORDER BY l.version DESC LIMIT 1)
WHERE a.stream = a.seq AND a.status IS NOT NULL""",
    # One row per fill: quantity and price after busts, corrections and the replacement of
    # inferred quantity; the fee after its changes.
    """\
CREATE VIEW fills AS
SELECT
  f.seq AS seq,
  f.stream AS stream,
  json_extract(f.body, '$.client_order_id') AS client_order_id,
  json_extract(f.body, '$.account_id') AS account_id,
  json_extract(f.body, '$.instrument_id') AS instrument_id,
  json_extract(f.body, '$.side') AS side,
  json_extract(f.body, '$.trade_id') AS trade_id,
  coalesce(json_extract(f.body, '$.exec_id'),
    CASE WHEN f.type = 'order.filled' AND f.type_version = 1
      THEN json_extract(f.body, '$.trade_id') END) AS exec_id,
  CASE
    WHEN a.type = 'order.fill_busted' THEN '0'
    WHEN a.type = 'order.fill_corrected' THEN json_extract(a.body, '$.last_qty')
    WHEN f.remainder IS NOT NULL THEN json_extract(f.remainder, '$.left_qty')
    ELSE json_extract(f.body, '$.last_qty') END AS last_qty,
  CASE
    WHEN a.type = 'order.fill_corrected' THEN json_extract(a.body, '$.last_px')
    WHEN f.remainder IS NOT NULL THEN json_extract(f.remainder, '$.left_px')
    ELSE json_extract(f.body, '$.last_px') END AS last_px,
  coalesce(
    (SELECT json_extract(c.body, '$.commission') FROM events c
      WHERE c.op = 2 AND c.stream = f.stream AND c.fill_no = f.fill_no
        AND c.type = 'order.commission_changed'
        AND json_extract(c.body, '$.commission_currency') = f.currency
      ORDER BY c.version DESC LIMIT 1),
    json_extract(f.body, '$.commission')) AS commission,
  f.currency AS commission_currency,
  f.type = 'order.fill_inferred' AS inferred,
  coalesce(a.type = 'order.fill_busted', 0) AS busted,
  f.ts_event AS ts_event
FROM (
  SELECT e.seq, e.stream, e.type, e.type_version, e.fill_no, e.ts_event, e.body,
    (SELECT m.seq FROM events m
      WHERE m.op = 2 AND m.stream = e.stream AND m.fill_no = e.fill_no
        AND m.type IN ('order.fill_busted', 'order.fill_corrected')
      ORDER BY m.version DESC LIMIT 1) AS amended_by,
    CASE WHEN e.type = 'order.fill_inferred' THEN
      (SELECT r.value FROM events x,
        json_each(x.body, CASE x.type WHEN 'order.filled' THEN '$.replaces' ELSE '$.releases' END) r
      WHERE x.op = 2 AND x.stream = e.stream
        AND x.type IN ('order.filled', 'order.inferred_fill_released')
        AND json_extract(r.value, '$.fill_no') = e.fill_no
      ORDER BY x.version DESC, r.key DESC LIMIT 1) END AS remainder,
    CASE WHEN json_extract(e.body, '$.commission') IS NOT NULL
      THEN json_extract(e.body, '$.commission_currency')
      ELSE (SELECT json_extract(c.body, '$.commission_currency') FROM events c
        WHERE c.op = 2 AND c.stream = e.stream AND c.fill_no = e.fill_no
          AND c.type = 'order.commission_changed'
        ORDER BY c.version LIMIT 1) END AS currency
  FROM events e
  WHERE e.type IN ('order.filled', 'order.fill_inferred')
) f LEFT JOIN events a ON a.seq = f.amended_by""",
)


def migrate(db):
    """Make everything in one transaction, which `sqlite-utils` opens around this step."""
    for statement in (*TABLES, *INDEXES, *TRIGGERS, *VIEWS):
        db.execute(statement)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
