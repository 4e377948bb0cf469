"""A small Hub on loopback: what huggingface_hub asks of one, and what can go wrong.

As on the Hub, ``/resolve/`` answers for large files with commit, hash and size, and redirects to
another host (``localhost`` instead of ``127.0.0.1``), which takes ranges and must not see a token.
Publishing goes through ``preupload``, the LFS batch and ``commit``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import huggingface_hub

TOKEN = "hf_good"  # noqa: S105
USER = "me"
Files = dict[str, bytes]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def is_large(name: str) -> bool:
    return name.endswith(".safetensors")


@dataclass
class Repo:
    """Commits are whole trees; a branch names a commit."""

    private: bool = False
    gated: bool = False
    commits: dict[str, Files] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Files, branch: str = "main") -> str:
        """Adds files to a branch and returns the new commit."""
        tree = {**self.commits.get(self.branches.get(branch, ""), {}), **files}
        seed = repr((branch, len(self.commits), sorted((n, git_hash(d)) for n, d in tree.items())))
        commit = hashlib.sha1(seed.encode(), usedforsecurity=False).hexdigest()
        self.commits[commit] = tree
        self.branches[branch] = commit
        return commit

    def resolve(self, revision: str) -> str | None:
        commit = self.branches.get(revision, revision)
        return commit if commit in self.commits else None


@dataclass
class Fault:
    """What goes wrong with the next requests whose line begins with ``request``."""

    request: str
    act: Callable[[Handler], None]
    times: int


class Hub:
    """The server and all that it knows."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.blobs: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.writers = {TOKEN}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.hub = self  # type: ignore[attr-defined]
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        # A short poll, so that stopping is quick.
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """Refuses connections from now on, and closes open ones."""
        huggingface_hub.close_session()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def add(self, name: str, files: Files, **settings: Any) -> Repo:
        """Adds a repository with one commit."""
        repo = self.repos[name] = Repo(**settings)
        self.blobs |= {sha256(d): d for n, d in files.items() if is_large(n)}
        repo.commit(files)
        return repo

    def update(self, name: str, files: Files) -> str:
        """Adds a commit and returns it."""
        self.blobs |= {sha256(d): d for n, d in files.items() if is_large(n)}
        return self.repos[name].commit(files)

    def fail(self, request: str, act: Callable[[Handler], None], times: int = 1) -> None:
        """Lets ``act`` answer instead, ``times`` times."""
        self.faults.append(Fault(request, act, times))

    def asked(self, request: str) -> list[dict[str, str]]:
        """Headers of the requests whose line begins with ``request``, names in lower case."""
        return [headers for line, headers in self.requests if line.startswith(request)]


class Handler(BaseHTTPRequestHandler):
    """Answers requests, one instance per connection."""

    protocol_version = "HTTP/1.1"
    server: Any

    @property
    def hub(self) -> Hub:
        return self.server.hub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._route()

    def do_GET(self) -> None:
        self._route()

    def do_POST(self) -> None:
        self._route()

    def do_PUT(self) -> None:
        self._route()

    def _route(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(size)
        path = unquote(urlsplit(self.path).path)
        line = f"{self.command} {path}"
        self.hub.requests.append((line, {k.lower(): v for k, v in self.headers.items()}))
        for fault in self.hub.faults:
            if fault.times and line.startswith(fault.request):
                fault.times -= 1
                fault.act(self)
                return
        for pattern, answer in ROUTES:
            if match := re.fullmatch(pattern, line):
                answer(self, **match.groupdict())
                return
        self.refuse(404, "", f"no route for {line}")

    # Answers.

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def say(self, value: Any, status: int = 200) -> None:
        self.answer(status, json.dumps(value).encode(), Content_Type="application/json")

    def refuse(self, status: int, code: str = "", message: str = "", **headers: str) -> None:
        if code:
            headers["X_Error_Code"] = code
        self.answer(status, X_Error_Message=message, **headers)

    def cut(self, data: bytes, length: int) -> None:
        """Promises all of ``data`` but sends only ``length`` bytes."""
        self.answer(200, data[:length], Content_Length=str(len(data)))
        self.close_connection = True

    # Who asks.

    def token(self) -> str | None:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None

    def repo(self, name: str) -> Repo | None:
        """The repository, or None after a refusal if it may not be seen."""
        token, repo = self.token(), self.hub.repos.get(name)
        if token and token not in {TOKEN, *self.hub.writers}:
            self.refuse(401, "", "Invalid credentials in Authorization header")
        elif repo is None or (repo.private and not token):
            self.refuse(404 if token else 401, "RepoNotFound", "Repository not found")
        elif repo.gated and not token:
            self.refuse(403, "GatedRepo", f"Access to model {name} is restricted")
        else:
            return repo
        return None

    def may_write(self) -> bool:
        if self.token() is None:
            self.refuse(401, "", "Invalid username or password.")
        elif self.token() not in self.hub.writers:
            self.refuse(403, "", "You have read access but not the required permissions")
        else:
            return True
        return False

    # Reading.

    def resolve(self, repo: str, revision: str, file: str) -> None:
        found = self.repo(repo)
        if found is None:
            return
        commit = found.resolve(revision)
        if commit is None:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        data = found.commits[commit].get(file)
        if data is None:
            self.refuse(404, "EntryNotFound", "Entry not found", X_Repo_Commit=commit)
        elif is_large(file):
            self.answer(
                302,
                X_Repo_Commit=commit,
                X_Linked_Etag=f'"{sha256(data)}"',
                X_Linked_Size=str(len(data)),
                Location=f"http://localhost:{self.hub.port}/cdn/{sha256(data)}",
            )
        else:
            self.answer(200, data, X_Repo_Commit=commit, ETag=f'"{git_hash(data)}"')

    def cdn(self, oid: str) -> None:
        data = self.hub.blobs[oid]
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if asked is None:
            self.answer(200, data, Accept_Ranges="bytes")
            return
        begin = int(asked[1])
        shown = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        self.answer(206, data[begin:], Content_Range=shown, Accept_Ranges="bytes")

    def models(self) -> None:
        self.say(
            [
                {"id": name, "tags": ["baryir", "license:mit"]}
                for name, repo in self.hub.repos.items()
                if not repo.private
            ]
        )

    def model(self, repo: str, revision: str = "main") -> None:
        found = self.repo(repo)
        if found is not None:
            self.say({"id": repo, "sha": found.resolve(revision), "siblings": []})

    def tree(self, repo: str, revision: str) -> None:
        found = self.repo(repo)
        if found is not None:
            files = found.commits[found.resolve(revision) or ""]
            self.say(
                [
                    {"type": "file", "path": name, "size": len(data), "oid": git_hash(data)}
                    for name, data in files.items()
                ]
            )

    # Writing.

    def create(self) -> None:
        if not self.may_write():
            return
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        url = f"{self.hub.url}/{name}"
        if asked["organization"] != USER:
            self.refuse(403, "", "You don't have the rights to create a model there")
        elif name in self.hub.repos:
            self.say({"error": "You already created this model repo", "url": url}, 409)
        else:
            hidden = asked.get("visibility") == "private" or asked.get("private") is True
            self.hub.add(name, {".gitattributes": b"*.safetensors filter=lfs\n"}, private=hidden)
            self.say({"url": url, "id": name})

    def branch(self, repo: str, branch: str) -> None:
        found = self.repo(repo)
        if found is None or not self.may_write():
            return
        if branch in found.branches:
            self.refuse(409, "", "Reference already exists")
        else:
            found.branches[branch] = found.branches["main"]
            self.say({})

    def validate(self) -> None:
        self.say({"errors": [], "warnings": []})

    def preupload(self, repo: str, revision: str) -> None:
        found = self.repo(repo)
        if found is None or not self.may_write():
            return
        tree = found.commits[found.resolve(revision) or ""]
        self.say({"files": [self._mode(tree, f["path"]) for f in json.loads(self.body)["files"]]})

    def _mode(self, tree: Files, path: str) -> dict[str, Any]:
        large, there = is_large(path), tree.get(path)
        oid = None if there is None else sha256(there) if large else git_hash(there)
        mode = "lfs" if large else "regular"
        return {"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid}

    def batch(self) -> None:
        if not self.may_write():
            return
        objects = []
        for item in json.loads(self.body)["objects"]:
            entry = {"oid": item["oid"], "size": item["size"]}
            if item["oid"] not in self.hub.blobs:
                entry["actions"] = {
                    "upload": {"href": f"{self.hub.url}/lfs/{item['oid']}"},
                    "verify": {"href": f"{self.hub.url}/verify"},
                }
            objects.append(entry)
        self.say({"transfer": "basic", "objects": objects})

    def upload(self, oid: str) -> None:
        if sha256(self.body) != oid:
            self.refuse(400, "", "hash mismatch")
            return
        self.hub.blobs[oid] = self.body
        self.answer(200)

    def verify(self) -> None:
        asked = json.loads(self.body)
        whole = len(self.hub.blobs.get(asked["oid"], b"")) == asked["size"]
        self.answer(200 if whole else 404)

    def commit(self, repo: str, revision: str) -> None:
        found = self.repo(repo)
        if found is None or not self.may_write():
            return
        files: Files = {}
        for line in self.body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = self.hub.blobs[value["oid"]]
        commit = found.commit(files, revision)
        self.say({"commitUrl": f"{self.hub.url}/{repo}/commit/{commit}", "commitOid": commit})


_REPO = r"(?P<repo>[^/]+/[^/]+)"
ROUTES: list[tuple[str, Callable[..., None]]] = [
    (rf"(HEAD|GET) /{_REPO}/resolve/(?P<revision>[^/]+)/(?P<file>.+)", Handler.resolve),
    (r"GET /cdn/(?P<oid>\w+)", Handler.cdn),
    (r"GET /api/models", Handler.models),
    (rf"GET /api/models/{_REPO}(/revision/(?P<revision>[^/]+))?", Handler.model),
    (rf"GET /api/models/{_REPO}/tree/(?P<revision>[^/]+)", Handler.tree),
    (r"POST /api/repos/create", Handler.create),
    (r"POST /api/validate-yaml", Handler.validate),
    (rf"POST /api/models/{_REPO}/branch/(?P<branch>.+)", Handler.branch),
    (rf"POST /api/models/{_REPO}/preupload/(?P<revision>.+)", Handler.preupload),
    (r"POST /[^/]+/[^/]+\.git/info/lfs/objects/batch", Handler.batch),
    (r"PUT /lfs/(?P<oid>\w+)", Handler.upload),
    (r"POST /verify", Handler.verify),
    (rf"POST /api/models/{_REPO}/commit/(?P<revision>.+)", Handler.commit),
]
