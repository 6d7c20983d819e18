"""The triggers that keep the counts, so that what is shown cannot drift from the rows.

An instance's row moves its study's counts, and a study's counts move the totals of its state, in
the transaction that changed the row.
"""

from __future__ import annotations

from node.inbox.tables import COUNTS

#: When an instance's row counts into a column of its study.
_WHEN = {
    "received": "1",
    "waiting": "{row}.state = 'RECEIVED'",
    "deidentified": "{row}.state = 'DEIDENTIFIED' AND NOT {row}.released",
    "released": "{row}.state = 'DEIDENTIFIED' AND {row}.released",
    "excluded": "{row}.state = 'EXCLUDED'",
    "quarantined": "{row}.state = 'QUARANTINED'",
    "duplicate": "{row}.state = 'DUPLICATE'",
    "rejected": "{row}.state = 'REJECTED'",
    # of the study's current generation:
    "total": "{row}.generation IS generation",
    "done": "{row}.generation IS generation AND"
    " ({row}.state <> 'RECEIVED' OR {row}.waits_for IS NOT NULL)",
}


def _counted(column: str, row: str) -> str:
    return f"({_WHEN[column].format(row=row)})"


def _of_study(row: str, operator: str, columns: tuple[str, ...]) -> str:
    return ", ".join(f"{name} = {name} {operator} {_counted(name, row)}" for name in columns)


_ALL = (*COUNTS, "total", "done")
_MOVED = ", ".join(
    f"{name} = {name} - {_counted(name, 'OLD')} + {_counted(name, 'NEW')}"
    for name in _ALL
    if name != "received"
)


def _of_total(operator: str, row: str) -> str:
    counts = ", ".join(f"{name} = {name} {operator} {row}.{name}" for name in COUNTS)
    return f"studies = studies {operator} 1, {counts}"


# Nothing from outside is in these statements: only the names of COUNTS, above and in tables.py.
# ruff: noqa: S608
TRIGGERS = (
    f"""CREATE TRIGGER instance_came AFTER INSERT ON instance BEGIN
    UPDATE study SET {_of_study("NEW", "+", _ALL)} WHERE id = NEW.study;
    END""",
    f"""CREATE TRIGGER instance_moved
    AFTER UPDATE OF state, released, generation, waits_for ON instance BEGIN
    UPDATE study SET {_MOVED} WHERE id = NEW.study;
    END""",
    f"""CREATE TRIGGER instance_went AFTER DELETE ON instance BEGIN
    UPDATE study SET {_of_study("OLD", "-", _ALL)} WHERE id = OLD.study;
    END""",
    f"""CREATE TRIGGER study_came AFTER INSERT ON study BEGIN
    INSERT OR IGNORE INTO total (state) VALUES (NEW.state);
    UPDATE total SET {_of_total("+", "NEW")} WHERE state = NEW.state;
    END""",
    f"""CREATE TRIGGER study_moved AFTER UPDATE OF state, {", ".join(COUNTS)} ON study BEGIN
    INSERT OR IGNORE INTO total (state) VALUES (NEW.state);
    UPDATE total SET {_of_total("-", "OLD")} WHERE state = OLD.state;
    UPDATE total SET {_of_total("+", "NEW")} WHERE state = NEW.state;
    END""",
    f"""CREATE TRIGGER study_went AFTER DELETE ON study BEGIN
    UPDATE total SET {_of_total("-", "OLD")} WHERE state = OLD.state;
    END""",
)
