"""A hub on 127.0.0.1 that speaks as much of the real one's language as huggingface_hub needs for a download."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.tiny_llama import make_model

_INFO = re.compile(r"/api/models/([^/]+/[^/]+?)(?:/revision/(.+))?$")
_TREE = re.compile(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)/?$")
_FILE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)$")
#: A fault: half of the content, then nothing. It stays, so that a client that asks again gets no more.
HANG = "hang"


@dataclass
class Repository:
    files: dict[str, bytes]
    commit: str = "c0ffee" * 6 + "abcd"
    gated: bool | str = False
    licence: str = "apache-2.0"


@dataclass
class Hub:
    """What it has, what it was asked, and how it will fail: a fault each time a file (or "api") is asked for."""

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    #: a status, (status, headers), "drop", "short", "altered", or HANG, which lasts until `closing` is set
    faults: dict[str, list[Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)  #: "GET model.safetensors"
    closing: threading.Event = field(default_factory=threading.Event)

    def fetched(self) -> list[str]:
        """Files whose content was asked for, in order."""
        return [line.removeprefix("GET ") for line in self.asked if line.startswith("GET ") and "api" not in line]


def _blob(path: str, content: bytes) -> tuple[str, bool]:
    """The hash by which the hub knows a file, and whether it is a large one."""
    if path.endswith(".safetensors"):
        return hashlib.sha256(content).hexdigest(), True
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest(), False


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if match := _TREE.match(path):
            self._api(match[1], match[2], self._tree)
        elif match := _INFO.match(path):
            self._api(match[1], match[2], self._info)
        elif match := _FILE.match(path):
            self._file(*match.groups())
        else:
            self._answer(404)

    def _api(self, repo: str, revision: str | None, make: Any) -> None:
        self.hub.asked.append("GET api")
        if (fault := self._fault("api")) is not None:
            self._fail(fault)
        elif (repository := self._repository(repo, revision)) is not None:
            self._answer(200, json.dumps(make(repo, repository)).encode(), {"Content-Type": "application/json"})

    def _repository(self, repo: str, revision: str | None) -> Repository | None:
        repository = self.hub.repositories.get(repo)
        if repository is None:
            self._answer(404, headers={"X-Error-Code": "RepoNotFound"})
        elif revision not in (None, "main", repository.commit):
            self._answer(404, headers={"X-Error-Code": "RevisionNotFound"})
        else:
            return repository
        return None

    def _info(self, repo: str, repository: Repository) -> dict[str, Any]:
        card = {"license": repository.licence}
        return {"id": repo, "sha": repository.commit, "gated": repository.gated, "cardData": card, "siblings": []}

    def _tree(self, repo: str, repository: Repository) -> list[dict[str, Any]]:
        entries = []
        for path, content in repository.files.items():
            digest, large = _blob(path, content)
            entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": digest[:40]}
            if large:
                entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 130}
            entries.append(entry)
        return entries

    def _file(self, repo: str, revision: str, path: str) -> None:
        self.hub.asked.append(f"{self.command} {path}")
        repository = self._repository(repo, revision)
        if repository is None:
            return
        content = repository.files[path]
        fault = self._fault(f"{self.command} {path}")
        if isinstance(fault, int | tuple):
            self._fail(fault)
            return
        if fault == "altered":
            content = bytes(byte ^ 1 for byte in content)
        elif fault == "short":
            content = content[:-1]
        digest, large = _blob(path, repository.files[path])
        headers = {"X-Repo-Commit": repository.commit, "ETag": f'"{digest}"', "Accept-Ranges": "bytes"}
        if large:
            headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(repository.files[path]))}
        first = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(first[1]) if first else 0
        if first:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._answer(206 if first else 200, content[start:], headers, fault if fault in ("drop", HANG) else "")

    def _fault(self, what: str) -> Any:
        waiting = self.hub.faults.get(what)
        if not waiting or self.hub.closing.is_set():
            return None
        return HANG if waiting[0] == HANG else waiting.pop(0)

    def _fail(self, fault: int | tuple[int, dict[str, str]]) -> None:
        status, headers = fault if isinstance(fault, tuple) else (fault, {})
        self._answer(status, headers=headers)

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None, broken: str = "") -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if broken else body)
        if broken == HANG:
            self.hub.closing.wait()
        self.close_connection = True


@contextmanager
def serving() -> Iterator[Hub]:
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def tiny(weights: int = 200_000) -> dict[str, bytes]:
    """The files of a repository that looks like a model, with some that must never be fetched."""
    header = json.dumps({"a": {"dtype": "U8", "shape": [weights], "data_offsets": [0, weights]}}).encode()
    return {
        "model.safetensors": len(header).to_bytes(8, "little") + header + bytes(weights),
        "config.json": b'{"model_type": "llama"}',
        "tokenizer.json": b'{"version": "1.0"}',
        "1_Pooling/config.json": b"{}",
        "README.md": b"# tiny",
        "modeling_tiny.py": b"raise SystemExit",
        "pytorch_model.bin": b"a pickle",
        "onnx/model.onnx": b"another form",
    }


def loadable(folder: Path) -> dict[str, bytes]:
    """The files of a repository whose model mlx-lm loads; `folder` is where it is made."""
    made = make_model(folder)
    return tiny() | {file.name: file.read_bytes() for file in made.iterdir()}
