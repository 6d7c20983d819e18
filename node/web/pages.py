"""The pages: what the node does, and one study's story; both live."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.templating import Jinja2Templates

from node.config import NodeConfig
from node.inbox.states import StudyState
from node.status.studies import show_study
from node.web.live import events
from node.web.sessions import Session, may
from node.web.users import Right

OVERVIEW_PARTS = ("roles", "tiles", "held", "studies", "destinations", "conservation")
STUDY_PARTS = ("study",)


@may(Right.WATCH)
async def overview(request: Request) -> Response:
    """Show the whole node on one page."""
    facts = await run_in_threadpool(_overview_facts, request)
    return _templates(request).TemplateResponse(request, "overview.html", facts)


@may(Right.WATCH)
async def overview_events(request: Request) -> Response:
    """Stream the parts of the overview."""

    def parts() -> dict[str, str]:
        return _render(request, OVERVIEW_PARTS, _overview_facts(request))

    return _stream(request, parts)


@may(Right.WATCH)
async def study(request: Request) -> Response:
    """Show one study's story."""
    facts = await run_in_threadpool(_study_facts, request)
    if facts is None:
        return PlainTextResponse("There is no such study.", status_code=404)
    return _templates(request).TemplateResponse(request, "study.html", facts)


@may(Right.WATCH)
async def study_events(request: Request) -> Response:
    """Stream one study's story, and the decision's form from when the study has moved.

    Until then nothing touches the form, in which somebody may be writing.
    """
    moved = False

    def parts() -> dict[str, str]:
        nonlocal moved
        facts = _study_facts(request)
        if facts is None:
            return {}
        session: Session | None = facts["session"]
        decides = session is not None and session.right is Right.DECIDE
        moved = moved or facts["study"]["state"] != request.query_params.get("state")
        names = (*STUDY_PARTS, "decide") if decides and moved else STUDY_PARTS
        return _render(request, names, facts)

    return _stream(request, parts)


def _overview_facts(request: Request) -> dict[str, Any]:
    chosen = request.query_params.get("state", "")
    state = StudyState(chosen) if chosen in set(StudyState) else None
    snapshot = request.app.state.snapshots.now(state)
    return {
        "status": snapshot, "state": state, "states": list(StudyState),
        "session": request.state.session, "listens": _listens(request.app.state.config),
    }  # fmt: skip


def _listens(config: NodeConfig) -> str:
    """Say what a modality is pointed at."""
    receive = config.receive
    port = receive.port or (receive.tls.port if receive.tls else 0)
    return f"{receive.ae_titles[0]}, port {port}{'' if receive.port else ' (TLS)'}"


def _study_facts(request: Request) -> dict[str, Any] | None:
    found = show_study(request.app.state.config, request.path_params["study"])
    return None if found is None else {"study": found, "session": request.state.session}


def _render(request: Request, names: tuple[str, ...], facts: dict[str, Any]) -> dict[str, str]:
    templates = _templates(request)
    return {
        name: templates.get_template(f"parts/{name}.html").render(facts | {"request": request})
        for name in names
    }


def _stream(request: Request, parts: Any) -> StreamingResponse:
    return StreamingResponse(events(request, partial(parts)), media_type="text/event-stream")


def _templates(request: Request) -> Jinja2Templates:
    templates: Jinja2Templates = request.app.state.templates
    return templates
