"""A stand-in for the Hub: an HTTP server on the loopback interface with repositories in memory.

It serves the requests of huggingface_hub, transformers and datasets: three kinds of repositories
with commits, branches and tags; files by revision with their hash as ETag; large files, among them
all weights and parquet files, by the LFS protocol; private repositories, which do not exist for
requests without the token of the owner; and the validation of a card's metadata.
"""

import base64
import fnmatch
import hashlib
import json
import re
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

KINDS = {"models": "model", "datasets": "dataset", "spaces": "space"}
LARGE = ("*.safetensors", "*.parquet", "*.bin", "*.wav", "*.flac")
DATE = "2026-01-01T00:00:00.000Z"
NAME = r"(?P<name>[\w.-]+/[\w.-]+)"


@dataclass
class Repository:
    """A repository: commits, each with all its files, and references to them."""

    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, files: dict[str, bytes], ref: str, message: str) -> str:
        """Add a commit and set a branch to it."""
        digest = hashlib.sha1(f"{len(self.commits)} {message}".encode())
        for path, content in sorted(files.items()):
            digest.update(path.encode() + b"\0" + content)
        sha = digest.hexdigest()
        self.commits[sha] = files
        self.refs[ref] = sha
        self.messages.append(message)
        return sha

    def find(self, revision: str) -> str | None:
        """Return the commit of a branch, tag or commit id; None if there is none."""
        revision = revision.removeprefix("refs/heads/")
        return revision if revision in self.commits else self.refs.get(revision)


@dataclass
class Hub:
    """All repositories and users; ``before`` can answer or interrupt a request."""

    tokens: dict[str, str] = field(default_factory=lambda: {"hf_me": "me"})
    repositories: dict[tuple[str, str], Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    before: Callable[["Handler"], bool] | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)

    def files(self, name: str, kind: str = "model", revision: str = "main") -> dict[str, bytes]:
        """Return the files of a revision."""
        repository = self.repositories[kind, name]
        sha = repository.find(revision)
        assert sha is not None, revision
        return repository.commits[sha]


class Failure(Exception):
    """An error to answer with."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status, self.code = status, code


class Handler(BaseHTTPRequestHandler):
    """Handler of one request."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    def log_message(self, *_: Any) -> None:
        """Log nothing."""

    def do_GET(self) -> None:  # noqa: N802
        self.serve()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def serve(self) -> None:
        """Route the request and answer failures as the Hub does."""
        hub = self.server.hub
        hub.requests.append(f"{self.command} {self.path}")
        if hub.before is not None and hub.before(self):
            return
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            self.body = self.read_chunks()
        try:
            with hub.lock:
                self.route()
        except Failure as failure:
            headers = {"X-Error-Code": failure.code, "X-Error-Message": str(failure)}
            self.answer({"error": str(failure)}, failure.status, headers)

    def read_chunks(self) -> bytes:
        """Read a body of unknown length."""
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(
        self, content: Any, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        """Send an answer: bytes unchanged, other content as JSON."""
        plain = isinstance(content, bytes)
        body = content if plain else json.dumps(content).encode()
        self.send_response(status)
        self.send_header(
            "Content-Type", "application/octet-stream" if plain else "application/json"
        )
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    @property
    def user(self) -> str | None:
        """The user whose token was sent."""
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        return self.server.hub.tokens.get(token)

    def route(self) -> None:
        """Call the method that serves the path."""
        split = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(split.query).items()}
        path = split.path
        for pattern, method in ROUTES:
            if found := re.fullmatch(pattern, path):
                # Decoded after matching, because revisions can contain an encoded slash.
                parts = {name: unquote(part or "") for name, part in found.groupdict().items()}
                method(self, **parts)
                return
        raise Failure(404, "NotFound", f"the stand-in serves no {self.command} {path}")

    def whoami(self) -> None:
        if self.user is None:
            raise Failure(401, "", "Invalid credentials in Authorization header")
        self.answer({"type": "user", "name": self.user, "fullname": self.user, "orgs": []})

    def create(self) -> None:
        asked = json.loads(self.body)
        owner, kind = asked.get("organization") or self.user, asked.get("type") or "model"
        self.must_own(owner or "")
        name = f"{owner}/{asked['name']}"
        url = f"{self.server.url}/{'' if kind == 'model' else kind + 's/'}{name}"
        if (kind, name) in self.server.hub.repositories:
            self.answer({"error": "You already created this repo", "url": url}, 409)
            return
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        repository = Repository(private=private)
        repository.commit({".gitattributes": b""}, "main", "initial commit")
        self.server.hub.repositories[kind, name] = repository
        self.answer({"url": url, "name": name, "id": name})

    def must_own(self, owner: str) -> None:
        if self.user is None:
            raise Failure(401, "", "Invalid username or password.")
        if self.user != owner:
            raise Failure(403, "", f"You don't have the rights to create under {owner}")

    def repository(self, kind: str, name: str) -> Repository:
        """Return a repository; a private one is not found for other users."""
        repository = self.server.hub.repositories.get((kind, name))
        if repository is None or (repository.private and self.user != name.split("/")[0]):
            raise Failure(401 if self.user is None else 404, "RepoNotFound", "Repository not found")
        return repository

    def tree_of(self, kind: str, name: str, revision: str) -> tuple[str, dict[str, bytes]]:
        """Return the commit id and the files of a revision."""
        repository = self.repository(kind, name)
        sha = repository.find(revision)
        if sha is None:
            raise Failure(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return sha, repository.commits[sha]

    def info(self, kinds: str, name: str, revision: str = "main") -> None:
        sha, files = self.tree_of(KINDS[kinds], name, revision)
        data = card_data(files.get("README.md", b""))
        self.answer(
            {
                "_id": sha[:24],
                "id": name,
                "modelId": name,
                "author": name.split("/")[0],
                "sha": sha,
                "private": self.repository(KINDS[kinds], name).private,
                "disabled": False,
                "gated": False,
                "downloads": 0,
                "likes": 0,
                "lastModified": DATE,
                "createdAt": DATE,
                "tags": data.get("tags") or [],
                "pipeline_tag": data.get("pipeline_tag"),
                "library_name": data.get("library_name"),
                "cardData": data,
                "siblings": [{"rfilename": path} for path in sorted(files)],
            }
        )

    def refs(self, kinds: str, name: str) -> None:
        refs = self.repository(KINDS[kinds], name).refs
        branches = [
            {"name": ref, "ref": f"refs/heads/{ref}", "targetCommit": sha}
            for ref, sha in refs.items()
        ]
        self.answer({"branches": branches, "tags": [], "converts": []})

    def branch(self, kinds: str, name: str, revision: str) -> None:
        self.must_own(name.split("/")[0])
        repository = self.repository(KINDS[kinds], name)
        if revision in repository.refs:
            self.answer({"error": "Reference already exists"}, 409)
            return
        start = json.loads(self.body or b"{}").get("startingPoint") or "main"
        repository.refs[revision] = self.tree_of(KINDS[kinds], name, start)[0]
        self.answer({})

    def tree(self, kinds: str, name: str, revision: str, path: str) -> None:
        sha, files = self.tree_of(KINDS[kinds], name, revision)
        path = path.strip("/")
        inside = f"{path}/" if path else ""
        entries: dict[str, dict[str, Any]] = {}
        for file, content in files.items():
            if not file.startswith(inside):
                continue
            parts = file[len(inside) :].split("/")
            for depth in range(1, len(parts)):
                folder = inside + "/".join(parts[:depth])
                if depth == 1 or self.query.get("recursive"):
                    entries[folder] = {"type": "directory", "path": folder, "oid": sha, "size": 0}
            if len(parts) == 1 or self.query.get("recursive") in ("true", "True", "1"):
                entries[file] = entry_of(file, content)
        if path and not entries:
            raise Failure(404, "EntryNotFound", f"{path} does not exist on {revision}")
        self.answer([entries[name] for name in sorted(entries)])

    def paths_info(self, kinds: str, name: str, revision: str) -> None:
        sha, files = self.tree_of(KINDS[kinds], name, revision)
        if "json" in self.headers.get("Content-Type", ""):
            asked = json.loads(self.body)["paths"]
        else:
            asked = parse_qs(self.body.decode()).get("paths", [])
        found = []
        for path in asked:
            if path in files:
                found.append(entry_of(path, files[path]))
            elif any(file.startswith(f"{path}/") for file in files):
                found.append({"type": "directory", "path": path, "oid": sha, "size": 0})
        self.answer(found)

    def preupload(self, kinds: str, name: str, revision: str) -> None:
        self.must_own(name.split("/")[0])
        _, files = self.tree_of(KINDS[kinds], name, revision)
        modes = []
        for file in json.loads(self.body)["files"]:
            path = file["path"]
            mode = {
                "path": path,
                "uploadMode": "lfs" if is_large(path) else "regular",
                "shouldIgnore": False,
            }
            if path in files:
                mode["oid"] = entry_of(path, files[path])["lfs" if is_large(path) else "oid"]
                if is_large(path):
                    mode["oid"] = mode["oid"]["oid"]
            modes.append(mode)
        self.answer({"files": modes})

    def lfs_batch(self, kinds: str, name: str) -> None:
        self.must_own(name.split("/")[0])
        objects = []
        for wanted in json.loads(self.body)["objects"]:
            entry = dict(wanted)
            if wanted["oid"] not in self.server.hub.large:
                url = f"{self.server.url}/lfs-upload/{wanted['oid']}"
                entry["actions"] = {"upload": {"href": url}}
            objects.append(entry)
        self.answer({"transfer": "basic", "objects": objects})

    def lfs_upload(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise Failure(400, "", "the content does not have that hash")
        self.server.hub.large[oid] = self.body
        self.answer({})

    def commit(self, kinds: str, name: str, revision: str) -> None:
        self.must_own(name.split("/")[0])
        kind = KINDS[kinds]
        parent, files = self.tree_of(kind, name, revision)
        files = dict(files)
        summary = ""
        for line in self.body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "header":
                summary = value["summary"]
                if value.get("parentCommit") not in (None, parent):
                    raise Failure(412, "", "A commit has happened since.")
            elif item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                if value["oid"] not in self.server.hub.large:
                    raise Failure(400, "", f"LFS object {value['oid']} was never uploaded")
                files[value["path"]] = self.server.hub.large[value["oid"]]
            elif item["key"] == "deletedFile":
                files.pop(value["path"])
            elif item["key"] == "deletedFolder":
                folder = value["path"].rstrip("/") + "/"
                files = {path: file for path, file in files.items() if not path.startswith(folder)}
        if errors := card_errors(files.get("README.md", b"").decode(), kind):
            raise Failure(400, "", "Invalid metadata in README.md: " + "; ".join(errors))
        sha = self.repository(kind, name).commit(files, revision, summary)
        url = f"{self.server.url}/{'' if kind == 'model' else kinds + '/'}{name}"
        self.answer(
            {
                "success": True,
                "commitOid": sha,
                "commitUrl": f"{url}/commit/{sha}",
                "hookOutput": "",
            }
        )

    def validate_yaml(self) -> None:
        asked = json.loads(self.body)
        errors = card_errors(asked["content"], asked.get("repoType") or "model")
        messages = [{"message": error} for error in errors]
        self.answer({"errors": messages, "warnings": []}, 400 if errors else 200)

    def resolve(self, kinds: str, name: str, revision: str, path: str) -> None:
        kind = KINDS[kinds.strip("/") or "models"]
        sha, files = self.tree_of(kind, name, revision)
        if path not in files:
            self.answer(
                {"error": "Entry not found"},
                404,
                {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": sha},
            )
            return
        content = files[path]
        entry = entry_of(path, content)
        tag = entry["lfs"]["oid"] if "lfs" in entry else entry["oid"]
        headers = {"ETag": f'"{tag}"', "X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if asked and content:
            first, last = int(asked[1]), int(asked[2] or len(content) - 1)
            last = min(last, len(content) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            self.answer(content[first : last + 1], 206, headers)
            return
        self.answer(content, 200, headers)


REPO = rf"/api/(?P<kinds>models|datasets|spaces)/{NAME}"
REVISION = r"(?P<revision>[^/]+)"
ROUTES: list[tuple[str, Callable[..., None]]] = [
    (r"/api/whoami-v2", Handler.whoami),
    (r"/api/repos/create", Handler.create),
    (r"/api/validate-yaml", Handler.validate_yaml),
    (REPO, Handler.info),
    (rf"{REPO}/revision/{REVISION}", Handler.info),
    (rf"{REPO}/refs", Handler.refs),
    (rf"{REPO}/branch/{REVISION}", Handler.branch),
    (rf"{REPO}/tree/{REVISION}(?P<path>/.*)?", Handler.tree),
    (rf"{REPO}/paths-info/{REVISION}", Handler.paths_info),
    (rf"{REPO}/preupload/{REVISION}", Handler.preupload),
    (rf"{REPO}/commit/{REVISION}", Handler.commit),
    (rf"/(?P<kinds>datasets/|spaces/)?{NAME}\.git/info/lfs/objects/batch", Handler.lfs_batch),
    (r"/lfs-upload/(?P<oid>\w+)", Handler.lfs_upload),
    (rf"/(?P<kinds>datasets/|spaces/)?{NAME}/resolve/{REVISION}/(?P<path>.+)", Handler.resolve),
]


def is_large(path: str) -> bool:
    """Whether a file is stored with LFS."""
    return any(fnmatch.fnmatch(path, pattern) for pattern in LARGE)


def entry_of(path: str, content: bytes) -> dict[str, Any]:
    """Return the entry of a file in listings."""
    oid = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
    entry: dict[str, Any] = {"type": "file", "path": path, "oid": oid, "size": len(content)}
    if is_large(path):
        sha = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": sha, "size": len(content), "pointerSize": 130}
    return entry


def card_data(card: bytes) -> dict[str, Any]:
    """Return the metadata of a card."""
    found = re.match(r"---\r?\n(.*?)\r?\n---", card.decode(), re.S)
    return (yaml.safe_load(found[1]) or {}) if found else {}


def card_errors(card: str, kind: str) -> list[str]:
    """Return the errors for which the Hub would refuse the metadata of a card."""
    try:
        data = card_data(card.encode())
    except yaml.YAMLError as error:
        return [f"bad YAML: {error}"]
    errors = []
    license = data.get("license")
    if license is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", str(license)):
        errors.append(f'"license" must be one of the known ones: {license}')
    if license == "other" and kind == "model" and not data.get("license_name"):
        errors.append('"license_name" is needed for other licenses')
    bases = data.get("base_model") or []
    for base in [bases] if isinstance(bases, str) else bases:
        if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", base):
            errors.append(f'"base_model" with value "{base}" is not valid')
    for result in data.get("model-index") or []:
        if not result.get("name") or not result.get("results"):
            errors.append('"model-index" needs names and results')
        for one in result.get("results") or []:
            if not (one.get("task", {}).get("type") and one.get("dataset", {}).get("type")):
                errors.append('"model-index" results need a task and a dataset')
            if not all(metric.get("type") for metric in one.get("metrics", [])):
                errors.append('"model-index" metrics need a type')
    return errors


class Server(ThreadingHTTPServer):
    """Server of a :class:`Hub` on a free port of the loopback interface."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.hub = Hub()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report errors, except those of clients that close the connection."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        """Address of the server."""
        return f"http://127.0.0.1:{self.server_port}"
