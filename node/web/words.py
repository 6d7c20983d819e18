"""How numbers and times are said on the pages."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.templating import Jinja2Templates

STEP = 1000.0
MINUTE, HOUR, DAY = 60, 3600, 86400


def add_words(templates: Jinja2Templates) -> Jinja2Templates:
    """Let the templates say bytes, ages and times."""
    templates.env.filters |= {"in_bytes": in_bytes, "age": age, "clock": clock}
    return templates


def in_bytes(count: float) -> str:
    """Say a number of bytes, such as `1.2 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < STEP:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= STEP
    return f"{count:.1f} TB"


def age(when: str | None, now: datetime | None = None) -> str:
    """Say how long ago a time (ISO 8601 with offset) was, such as `5 min ago`."""
    if not when:
        return ""
    seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(when)).total_seconds()
    if seconds < MINUTE:
        return "now"
    if seconds < HOUR:
        return f"{seconds // MINUTE:.0f} min ago"
    if seconds < DAY:
        return f"{seconds // HOUR:.0f} h ago"
    return f"{seconds // DAY:.0f} d ago"


def clock(when: str | None) -> str:
    """Say a time (ISO 8601) as date and time in UTC."""
    return "" if not when else datetime.fromisoformat(when).strftime("%Y-%m-%d %H:%M:%S UTC")
