"""Signing in and out: who asks, what they may, and the proof that a form came from our own page."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import wraps
from time import monotonic
from urllib.parse import parse_qsl

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from node.web.users import Right, User, check_password

COOKIE = "deid_node_session"
#: Wrong passwords in a row for one name, and how long it then stays closed.
MOST_FAILURES = 5
CLOSED_SECONDS = 60.0
FORM_BYTES = 64 * 1024
log = structlog.get_logger()
Page = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Session:
    """A person who signed in; `revealed` are the instances whose PHI they have been shown."""

    name: str
    right: Right
    csrf: str
    seen: float
    revealed: frozenset[str] = frozenset()


class Sessions:
    """Who is signed in; forgotten when the role stops."""

    def __init__(self, users: dict[str, User], minutes: float) -> None:
        self._users = users
        self._seconds = minutes * 60
        self._lock = threading.Lock()
        self._open: dict[str, Session] = {}
        self._failures: dict[str, tuple[int, float]] = {}

    @property
    def in_use(self) -> bool:
        """Whether there are users at all; without them everybody on this machine may watch."""
        return bool(self._users)

    def sign_in(self, name: str, password: str, now: float) -> str | None:
        """Give a token if name and password fit and the name is not closed, else None."""
        with self._lock:
            failures, last = self._failures.get(name, (0, 0.0))
            if failures >= MOST_FAILURES and now - last < CLOSED_SECONDS:
                return None
        user = check_password(self._users, name, password)
        with self._lock:
            if user is None:
                if name in self._users:
                    self._failures[name] = (failures + 1, now)
                return None
            self._failures.pop(name, None)
            token = secrets.token_urlsafe(32)
            self._open[token] = Session(name, user.right, secrets.token_urlsafe(32), now)
            return token

    def sign_out(self, token: str) -> None:
        """Forget a session."""
        with self._lock:
            self._open.pop(token, None)

    def find(self, token: str, now: float) -> Session | None:
        """Give the session of a token if it is still alive, and keep it alive."""
        with self._lock:
            session = self._open.get(token)
            if session is None or now - session.seen > self._seconds:
                self._open.pop(token, None)
                return None
            self._open[token] = replace(session, seen=now)
            return session

    def reveal(self, token: str, instance: str) -> bool:
        """Note that an instance is shown to this session; tell whether it is the first time."""
        with self._lock:
            session = self._open[token]
            if instance in session.revealed:
                return False
            self._open[token] = replace(session, revealed=session.revealed | {instance})
            return True


def session_of(request: Request) -> Session | None:
    """Give the session of a request, if somebody is signed in."""
    sessions: Sessions = request.app.state.sessions
    return sessions.find(request.cookies.get(COOKIE, ""), monotonic())


def may(right: Right) -> Callable[[Page], Page]:
    """Let a page be seen by those with this right only; others are asked to sign in."""

    def guard(page: Page) -> Page:
        @wraps(page)
        async def guarded(request: Request) -> Response:
            sessions: Sessions = request.app.state.sessions
            session = session_of(request)
            request.state.session = session
            if right is Right.WATCH and not sessions.in_use:
                return await page(request)
            if session is None:
                return _ask_to_sign_in(request)
            if right is Right.DECIDE and session.right is not Right.DECIDE:
                return PlainTextResponse("You may watch, and not decide.", 403)
            return await page(request)

        return guarded

    return guard


async def read_form(request: Request) -> dict[str, str] | None:
    """Read a form of one of our own pages; None if it is not: wrong token, or too large."""
    form = await _fields(request)
    session: Session | None = request.state.session
    given = form.get("csrf", "").encode()
    if session is None or not secrets.compare_digest(given, session.csrf.encode()):
        return None
    return form


async def _fields(request: Request) -> dict[str, str]:
    """Read an urlencoded body; nothing of one that is too large or does not say how large."""
    if int(request.headers.get("content-length", FORM_BYTES + 1)) > FORM_BYTES:
        return {}
    return dict(parse_qsl((await request.body()).decode("utf-8", "replace")))


async def sign_in_page(request: Request) -> Response:
    """Ask for name and password."""
    return _form(request, "")


async def sign_in(request: Request) -> Response:
    """Check name and password, and go on to the page that was asked for."""
    form = await _fields(request)
    sessions: Sessions = request.app.state.sessions
    name, password = form.get("name", ""), form.get("password", "")
    token = await run_in_threadpool(sessions.sign_in, name, password, monotonic())
    if token is None:
        log.warning("sign_in_refused", address=request.client.host if request.client else "")
        return _form(request, "Name or password is wrong, or the name is closed for a minute.", 403)
    request.app.state.audit(name, "signed in")
    answer = RedirectResponse("/", 303)
    answer.set_cookie(
        COOKIE, token, httponly=True, samesite="strict", secure=request.url.scheme == "https"
    )
    return answer


@may(Right.WATCH)
async def sign_out(request: Request) -> Response:
    """Forget the session."""
    if await read_form(request) is None:
        return PlainTextResponse("This form is not of this session.", 403)
    request.app.state.sessions.sign_out(request.cookies.get(COOKIE, ""))
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(COOKIE)
    return answer


def _ask_to_sign_in(request: Request) -> Response:
    if not request.app.state.sessions.in_use:
        return PlainTextResponse(
            "Nobody can sign in: add users with `deid-node user add`, and set [web] users.", 403
        )
    if request.url.path.endswith("/events"):
        return PlainTextResponse("Sign in first.", 401)
    return RedirectResponse("/sign-in", 303)


def _form(request: Request, complaint: str, code: int = 200) -> Response:
    answer: Response = request.app.state.templates.TemplateResponse(
        request, "sign_in.html", {"complaint": complaint}, status_code=code
    )
    return answer
