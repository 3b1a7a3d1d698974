"""Collect the numbered steps beside this file, in order, as one set of migrations.

`sqlite-utils migrate FILE migrations/` looks for a file of this name; `fillbook.log.schema` reads
the same one, or for a new file the steps alone.  A step is a file `NNNN_name.py` with one function
`migrate(db)` that asks nothing of *db* but `execute`, so that a plain connection will do.  A
released step never changes; the next change is the next number.
"""

from pathlib import Path
from runpy import run_path

from sqlite_utils import Migrations

fillbook = Migrations("fillbook")

for _step in sorted(Path(__file__).resolve().parent.glob("[0-9][0-9][0-9][0-9]_*.py")):
    fillbook(name=_step.stem)(run_path(str(_step))["migrate"])
