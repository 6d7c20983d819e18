"""A STOW-RS server that answers to order."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

from pydicom import dcmread


@dataclass(slots=True)
class DicomWeb:
    """A STOW-RS server that answers to order: a status, and the reason of a failure or warning.

    A request takes the next of `answers`, for all that is in it; when there is none left, each
    instance is stored, or fails for the reason that stands in `failing` under its UID. 0 is a
    reason that the server keeps to itself: the instance is not in its answer.
    """

    answers: deque[tuple[int, int]] = field(default_factory=deque)
    failing: dict[str, int] = field(default_factory=dict)
    #: The UID of an instance that ends the connection of each request it is in.
    poison: str = ""
    held: list[bytes] = field(default_factory=list)
    #: How many instances were in each request.
    requests: list[int] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    connections: int = 0
    url: str = ""

    def store(self, parts: list[bytes]) -> tuple[int, dict[str, Any]]:
        """Answer as PS3.18 10.5.3 says: the status, and what is said of each instance."""
        status, reason = self.answers.popleft() if self.answers else (200, 0)
        stored, failed = [], []
        for part in parts:
            uid = str(dcmread(BytesIO(part)).SOPInstanceUID)
            because = reason if status >= 400 else self.failing.get(uid)
            if because is None:
                self.held.append(part)
                stored.append(_reference(uid, "00081196", reason))
            elif because:
                failed.append(_reference(uid, "00081197", because))
        if status == 200 and len(stored) < len(parts):
            status = 202 if stored else 409
        said = {"00081198": failed, "00081199": stored}
        return status, {tag: {"vr": "SQ", "Value": all_} for tag, all_ in said.items() if all_}


def _reference(uid: str, tag: str, reason: int) -> dict[str, Any]:
    said: dict[str, Any] = {"00081155": {"vr": "UI", "Value": [uid]}}
    return said | ({tag: {"vr": "US", "Value": [reason]}} if reason else {})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def setup(self) -> None:
        super().setup()
        self.server.pacs.connections += 1

    def do_POST(self) -> None:
        """Store, and answer as PS3.18 10.5.3 says."""
        pacs: DicomWeb = self.server.pacs
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:  # the sender broke off: nothing whole came, nothing is stored
            self.close_connection = True
            return
        boundary = b"\r\n--" + self.headers["Content-Type"].rpartition("boundary=")[2].encode()
        *parts, end = body.split(boundary)[1:]
        assert end == b"--\r\n"
        pacs.tokens.append(self.headers.get("Authorization", ""))
        pacs.requests.append(len(parts))
        poisoned = bool(pacs.poison) and pacs.poison.encode() in body
        if poisoned or (pacs.answers and pacs.answers[0][0] == 0):
            self.close_connection = True
            return
        status, said = pacs.store([part.partition(b"\r\n\r\n")[2] for part in parts])
        encoded = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/dicom+json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[DicomWeb]:
    """Run a server."""
    pacs = DicomWeb()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.pacs = pacs  # type: ignore[attr-defined]
    pacs.url = f"http://127.0.0.1:{server.server_address[1]}/dicom-web"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield pacs
    server.shutdown()
    server.server_close()
