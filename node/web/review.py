"""What only those see who decide: an instance's picture and what would change in it; the decision.

Every reveal and every decision is in the audit trail before anything is shown or done. No PHI is
in any address: studies and instances go by our own ids.
"""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from node.inbox import views
from node.inbox.decisions import Decision, DecisionKind, Keep, write_decision
from node.inbox.layout import Inbox
from node.inbox.originals import original
from node.status.find import find_studies
from node.status.read import reading_index
from node.web.asked import Compare, Draw, compare, draw
from node.web.sessions import COOKIE, may, read_form
from node.web.studio import CannotShow, Studio
from node.web.users import Right

#: What a decision from a page may be, and the fields that go with it.
KINDS = ("release", "exclude", "reject", "requeue", "complete")
_ID = re.compile(r"[0-9a-z-]{1,32}")


@may(Right.DECIDE)
async def instance(request: Request) -> Response:
    """Show one instance: its picture, and what de-identifying it would change."""
    found = await run_in_threadpool(_look_up, request)
    if found is None:
        return PlainTextResponse("There is no such instance.", 404)
    path, facts = found
    _reveal(request)
    config = request.app.state.config
    routes = {route.name: route for route in config.effective_routes}
    route = routes.get(facts["route"], config.effective_routes[0])
    asked = Compare(path, route.profile, config.folder, route.default_issuer, route.assume_charset)
    try:
        facts["compared"] = await _ask(request, compare, asked)
    except CannotShow as error:
        facts["problem"] = str(error)
    try:
        facts["drawn"] = await _ask(request, draw, Draw(path))
    except CannotShow:
        facts["drawn"] = None
    page: Response = request.app.state.templates.TemplateResponse(
        request, "instance.html", facts | {"session": request.state.session}
    )
    return page


@may(Right.DECIDE)
async def frame(request: Request) -> Response:
    """Give one frame as a picture."""
    found = await run_in_threadpool(_look_up, request)
    if found is None:
        return PlainTextResponse("There is no such instance.", 404)
    _reveal(request)
    asked = request.query_params
    try:
        window = float(asked["centre"]), max(float(asked["width"]), 1e-6)
    except (KeyError, ValueError):
        window = None
    number = int(asked.get("n", "0")) if asked.get("n", "0").isdecimal() else 0
    try:
        drawn = await _ask(request, draw, Draw(found[0], number, window))
    except CannotShow:
        return PlainTextResponse("This image cannot be drawn.", 404)
    return Response(drawn.png, media_type="image/png")


@may(Right.DECIDE)
async def decide(request: Request) -> Response:
    """Write a person's decision for `process`, audited first."""
    form = await read_form(request)
    if form is None:
        return PlainTextResponse("This form is not of this session.", 403)
    study = request.path_params["study"]
    reason = form.get("reason", "").strip()
    kind = form.get("kind", "")
    if kind not in KINDS or not _ID.fullmatch(study):
        return PlainTextResponse("There is no such decision.", 400)
    if not reason:
        return PlainTextResponse("A decision needs a reason.", 400)
    series, instance_id, keep = form.get("series"), form.get("instance"), form.get("keep")
    decision = Decision(
        kind=DecisionKind(kind),
        study=study,
        who=request.state.session.name,
        when=datetime.now(UTC).isoformat(),
        why=reason,
        series=int(series) if series and series.isdecimal() else None,
        instance=instance_id or None,
        keep=Keep(keep) if keep in set(Keep) else None,
        override=form.get("override") == "yes",
    )
    request.app.state.audit(decision.who, "decided", study=study, kind=kind)
    inbox = Inbox(request.app.state.config.inbox_dir)
    await run_in_threadpool(write_decision, inbox, decision)
    return RedirectResponse(f"/studies/{study}", 303)


@may(Right.DECIDE)
async def find(request: Request) -> Response:
    """Find studies by what a person knows of them; the question comes in a form, never a URL."""
    form = await read_form(request)
    if form is None:
        return PlainTextResponse("This form is not of this session.", 403)
    value = form.get("value", "").strip()
    config = request.app.state.config
    found = await run_in_threadpool(find_studies, config, [value]) if value else []
    request.app.state.audit(request.state.session.name, "find", studies=found)
    if len(found) == 1:
        return RedirectResponse(f"/studies/{found[0]}", 303)
    page: Response = request.app.state.templates.TemplateResponse(
        request, "found.html", {"found": found, "session": request.state.session}
    )
    return page


def _look_up(request: Request) -> tuple[Path, dict[str, Any]] | None:
    """Find an instance's original and what the page says of it; ids are checked against rows."""
    config = request.app.state.config
    study, wanted = request.path_params["study"], request.path_params["instance"]
    with reading_index(config) as conn:
        if conn is None:
            return None
        rows = views.instances(conn, study)
        row = next((row for row in rows if row.instance == wanted), None)
        known = views.study(conn, study)
        findings = [one for one in views.findings(conn, study) if one.instance == wanted]
    if row is None or known is None:
        return None
    place = rows.index(row)
    facts = {
        "study": known, "instance": row, "route": known.route, "findings": findings,
        "before": rows[place - 1].instance if place else None,
        "after": rows[place + 1].instance if place + 1 < len(rows) else None,
        "number": place + 1, "count": len(rows),
    }  # fmt: skip
    return original(Inbox(config.inbox_dir), study, wanted), facts


def _reveal(request: Request) -> None:
    """Record who is shown which instance; raises, and shows nothing, if it cannot be recorded."""
    wanted = request.path_params["instance"]
    if request.app.state.sessions.reveal(request.cookies[COOKIE], wanted):
        request.app.state.audit(
            request.state.session.name, "revealed",
            study=request.path_params["study"], instance=wanted,
        )  # fmt: skip


async def _ask(request: Request, job: Any, message: Any) -> Any:
    studio: Studio = request.app.state.studio
    return await asyncio.wrap_future(studio.ask(job, message))
