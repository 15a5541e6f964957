"""A hub on 127.0.0.1 that speaks the Hugging Face hub's protocol, with faults on request.

Two servers: the hub itself (metadata, redirects, small files) and the store that large files are
redirected to, as on the real hub.  Every request is recorded.  Faults are planted per path and
used up one by one, so that a test says exactly what goes wrong and how often.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LARGE_SUFFIXES = (".bin", ".safetensors", ".model")


def git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def commit_of(files: dict[str, bytes]) -> str:
    """A commit id that depends on the content, as git's does."""
    text = "".join(f"{path} {git_oid(content)}\n" for path, content in sorted(files.items()))
    return hashlib.sha1(text.encode()).hexdigest()


@dataclass
class Fault:
    """What goes wrong with answers to requests whose path ends with ``path``.

    kind: ``cut`` (close the connection after ``after`` bytes of the body), ``pause`` (send
    ``after`` bytes and wait until :attr:`Hub.resume` is set), ``corrupt`` (flip one bit),
    ``longer`` and ``shorter`` (another size than announced), ``ignore-range`` (send all with
    status 200), ``status`` (answer ``status`` with ``headers``), ``bare-listing`` (a listing
    without sizes and checksums).
    """

    path: str
    kind: str
    times: int = 1
    after: int = 0
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    server: str
    method: str
    path: str
    headers: dict[str, str]


class Hub:
    """The content, the planted faults and the recorded requests of both servers."""

    def __init__(self) -> None:
        self.commits: dict[str, dict[str, dict[str, bytes]]] = {}
        self.branches: dict[str, str] = {}
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.paused = threading.Event()
        self.resume = threading.Event()
        self.lock = threading.Lock()
        #: when set, listings claim to be of this commit
        self.answer_commit: str | None = None
        self.url = ""
        self.store_url = ""

    def publish(self, repo: str, files: dict[str, bytes]) -> str:
        """Make ``files`` the newest commit of ``repo``; give the commit id."""
        commit = commit_of(files)
        self.commits.setdefault(repo, {})[commit] = dict(files)
        self.branches[repo] = commit
        return commit

    def plant(self, path: str, kind: str, **options: Any) -> None:
        self.faults.append(Fault(path, kind, **options))

    def take(self, path: str, *kinds: str) -> Fault | None:
        """Use up one planted fault that fits."""
        with self.lock:
            for fault in self.faults:
                if fault.kind in kinds and fault.times and path.endswith(fault.path):
                    fault.times -= 1
                    return fault
        return None

    def bodies(self, path: str) -> list[Request]:
        """Recorded requests for the bytes of a file, at the server that sends them."""
        server = "store" if path.endswith(LARGE_SUFFIXES) else "hub"
        return [
            request
            for request in self.requests
            if request.server == server
            and request.method == "GET"
            and request.path.endswith(f"/{path}")
        ]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub
    role: str

    def log_message(self, format: str, *args: Any) -> None:
        """Tests read the recorded requests instead."""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        # As a proxy's client would, the path may be a whole address.
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        self.hub.requests.append(Request(self.role, self.command, path, dict(self.headers)))
        fault = self.hub.take(path, "status")
        if fault is not None:
            self._send(fault.status, b"", fault.headers)
        elif self.role == "store":
            self._stored(path.removeprefix("/"))
        elif path.startswith("/api/models/"):
            self._metadata(path.removeprefix("/api/models/"), "blobs" in parse_qs(parts.query))
        elif "/resolve/" in path:
            self._resolve(path)
        else:
            self._send(404, b"", {})

    def _metadata(self, path: str, blobs: bool) -> None:
        repo, _, rest = path.partition("/revision/")
        if not rest:
            repo, _, rest = path.partition("/tree/")
        commit = self._commit(repo, rest or "main")
        if commit is None:
            return
        blobs = blobs and self.hub.take(path, "bare-listing") is None
        files = self.hub.commits[repo][commit]
        siblings = []
        for name, content in sorted(files.items()):
            entry: dict[str, Any] = {"rfilename": name}
            if blobs:
                entry |= {"size": len(content), "blobId": git_oid(content)}
                if name.endswith(LARGE_SUFFIXES):
                    sha256 = hashlib.sha256(content).hexdigest()
                    entry["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
            siblings.append(entry)
        sha = self.hub.answer_commit or commit
        answer: Any = {"id": repo, "modelId": repo, "sha": sha, "siblings": siblings}
        if "/tree/" in path:
            answer = [
                {"type": "file", "path": name, "size": len(content), "oid": git_oid(content)}
                for name, content in sorted(files.items())
            ]
        self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _resolve(self, path: str) -> None:
        repo, _, rest = path.removeprefix("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        commit = self._commit(repo, revision)
        if commit is None:
            return
        content = self.hub.commits[repo][commit].get(name)
        if content is None:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        headers = {"X-Repo-Commit": commit, "ETag": f'"{git_oid(content)}"'}
        if name.endswith(LARGE_SUFFIXES):
            sha256 = hashlib.sha256(content).hexdigest()
            headers |= {
                "X-Linked-Etag": f'"{sha256}"',
                "X-Linked-Size": str(len(content)),
                "Location": f"{self.hub.store_url}/{sha256}/{name}",
            }
            self._send(302, b"", headers)
        else:
            self._body(name, content, headers)

    def _stored(self, path: str) -> None:
        sha256, _, name = path.partition("/")
        for commits in self.hub.commits.values():
            for files in commits.values():
                content = files.get(name)
                if content is not None and hashlib.sha256(content).hexdigest() == sha256:
                    self._body(name, content, {"ETag": f'"{sha256}"'})
                    return
        self._send(404, b"", {})

    def _commit(self, repo: str, revision: str) -> str | None:
        commits = self.hub.commits.get(repo)
        if commits is None:
            self._send(401, b"", {"X-Error-Code": "RepoNotFound"})
            return None
        commit = self.hub.branches[repo] if revision == "main" else revision
        if commit not in commits:
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
            return None
        return commit

    def _body(self, name: str, content: bytes, headers: dict[str, str]) -> None:
        """Send a file or, asked for a range, the rest of it."""
        headers = {**headers, "Accept-Ranges": "bytes"}
        if self.hub.take(name, "corrupt") is not None:
            content = bytes([content[0] ^ 1]) + content[1:]
        if self.hub.take(name, "longer") is not None:
            content += b"more"
        if self.hub.take(name, "shorter") is not None:
            content = content[:-1]
        status, total, wanted = 200, len(content), self.headers.get("Range")
        if wanted is not None and self.hub.take(name, "ignore-range") is None:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= total:
                self._send(416, b"", {"Content-Range": f"bytes */{total}"})
                return
            status, content = 206, content[start:]
            headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        fault = self.hub.take(name, "cut", "pause") if self.command == "GET" else None
        if fault is None:
            self._send(status, content, headers)
            return
        self._head(status, len(content), headers)
        self.wfile.write(content[: fault.after])
        self.wfile.flush()
        if fault.kind == "pause":
            self.hub.paused.set()
            self.hub.resume.wait(60)
        self.close_connection = True

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self._head(status, len(content), headers)
        if self.command != "HEAD":
            self.wfile.write(content)

    def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    #: a client that was killed is part of the tests
    def handle_error(self, request: Any, client_address: Any) -> None:
        return


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A hub that answers until the block ends."""
    hub = Hub()
    servers = []
    for role in ("hub", "store"):
        handler = type(f"_{role}", (_Handler,), {"hub": hub, "role": role})
        server = _Server(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
    hub.url, hub.store_url = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    try:
        yield hub
    finally:
        hub.resume.set()
        for server in servers:
            server.shutdown()
            server.server_close()


@contextmanager
def running_proxy() -> Iterator[tuple[str, list[str]]]:
    """A forward proxy for plain HTTP; gives its address and the addresses asked through it."""
    import http.client

    seen: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """The list of addresses is what tests read."""

        def do_GET(self) -> None:
            seen.append(self.path)
            parts = urlsplit(self.path)
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
            query = f"?{parts.query}" if parts.query else ""
            connection.request("GET", parts.path + query, headers=dict(self.headers))
            answer = connection.getresponse()
            body = answer.read()
            self.send_response(answer.status)
            for key, value in answer.getheaders():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)
            connection.close()

    server = _Server(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()
