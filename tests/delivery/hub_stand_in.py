"""A stand-in for the Hugging Face hub on this machine: the few requests that fetching and sending a model make."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


class HubStandIn:
    """Repositories in memory behind HTTP.

    Attributes:
        repositories: files by repository and name.
        asked: method and path of every request.
        tokens: what came as authorization.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.asked: list[str] = []
        self.tokens: set[str | None] = set()
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stand_in.answer(self)

            do_HEAD = do_POST = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Stop answering."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def commit(self, repository: str) -> str:
        """The commit that the files of a repository stand for."""
        files = self.repositories[repository]
        return hashlib.sha1(repr(sorted(files.items())).encode(), usedforsecurity=False).hexdigest()

    def answer(self, request: Any) -> None:
        """Answer one request."""
        path = urlsplit(request.path).path
        self.asked.append(f"{request.command} {path}")
        self.tokens.add(request.headers.get("Authorization"))
        length = int(request.headers.get("Content-Length") or 0)
        status, content, headers = self._find(request.command, path, request.rfile.read(length))
        request.send_response(status)
        headers.setdefault("Content-Type", "application/json")
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            request.send_header(name, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content)

    def _find(self, method: str, path: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        parts = path.strip("/").split("/")
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
            self.repositories.setdefault(name, {".gitattributes": b""})
            return 200, json.dumps({"url": f"{self.url}/{name}", "id": name}).encode(), {}
        if path == "/api/whoami-v2":
            return 200, json.dumps({"name": "owner", "type": "user", "orgs": [], "auth": {}}).encode(), {}
        if path == "/api/validate-yaml":
            return 200, b'{"errors": [], "warnings": []}', {}
        name = "/".join(parts[2:4] if parts[:2] == ["api", "models"] else parts[:2])
        if name not in self.repositories:
            return 404, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"}
        files, sha = self.repositories[name], self.commit(name)
        if method == "POST":
            return self._take(name, parts[4], body)
        if "resolve" in parts:
            content = files.get("/".join(parts[4:]))
            if content is None:
                return 404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": sha}
            etag = hashlib.sha256(content).hexdigest()
            return 200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": sha, "Content-Type": "application/octet-stream"}
        if "tree" in parts:
            tree = [
                {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha256(content).hexdigest()[:40]}
                for path, content in files.items()
            ]
            return 200, json.dumps(tree).encode(), {}
        siblings = [{"rfilename": path, "size": len(content)} for path, content in files.items()]
        about = {"id": name, "sha": sha, "siblings": siblings, "private": False, "tags": [], "downloads": 0}
        return 200, json.dumps(about).encode(), {}

    def _take(self, name: str, what: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        if what == "preupload":
            paths = [file["path"] for file in json.loads(body)["files"]]
            wanted = [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths]
            return 200, json.dumps({"files": wanted}).encode(), {}
        for line in body.decode().splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                self.repositories[name][entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            if entry["key"] == "deletedFile":
                del self.repositories[name][entry["value"]["path"]]
        url = f"{self.url}/{name}/commit/{self.commit(name)}"
        return 200, json.dumps({"commitUrl": url, "commitOid": self.commit(name), "success": True}).encode(), {}
