"""A small archive of packages on 127.0.0.1, which can be made to misbehave."""

import lzma
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote


@dataclass
class Behaviour:
    """How the server answers one path; what is ``None`` or false is as it should be."""

    status: int | None = None
    times: int = 1_000_000
    """For how many requests it misbehaves."""
    cut_after: int | None = None
    """Break the connection after so many bytes of the body."""
    no_ranges: bool = False
    no_length: bool = False
    body: bytes | None = None


@dataclass
class ArchiveServer:
    """Files by path, as the server would send them."""

    files: dict[str, bytes] = field(default_factory=dict)
    behaviour: dict[str, Behaviour] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""
    """The base address of the archive, with a path, as real ones have."""

    def counts(self) -> Counter[str]:
        """How often each path was asked for."""
        return Counter(path for path, _ in self.requests)

    def package(
        self,
        release: str,
        version: str,
        arch: str,
        content: bytes = b"content",
        pool: str = "pool/main/l/linux",
        fields: Mapping[str, str] = MappingProxyType({}),
        name: str | None = None,
        **others: str,
    ) -> str:
        """Put a kernel's package, by default the debug package, into the pool and return its paragraph.

        Some of its ``fields`` may be replaced.
        """
        name = name or f"linux-image-{release}-dbg"
        path = f"{pool}/{name}_{version}_{arch}.deb"
        self.files[path] = content
        paragraph = {
            "Package": name,
            "Source": "linux",
            "Version": version,
            "Architecture": arch,
            "Depends": "",
            "Description": f"Debug symbols for linux-image-{release}",
            "Filename": path,
            "Size": str(len(content)),
            "SHA256": sha256(content).hexdigest(),
            **fields,
            **others,
        }
        return "".join(f"{key}: {value}\n" for key, value in paragraph.items() if value)

    def suite(
        self,
        directory: str,
        paragraphs: dict[str, list[str]],
        *,
        suffix: str = ".xz",
        **fields: str,
    ) -> None:
        """Write an unsigned suite; ``paragraphs`` by architecture, ``fields`` of its ``InRelease``."""
        lines = []
        for arch, some in paragraphs.items():
            text = "\n".join(some).encode()
            data = lzma.compress(text) if suffix == ".xz" else text
            path = f"main/binary-{arch}/Packages{suffix}"
            digest = sha256(data).hexdigest()
            self.files[f"dists/{directory}/{path}"] = data
            if fields.get("Acquire_By_Hash") == "yes":
                self.files[f"dists/{directory}/main/binary-{arch}/by-hash/SHA256/{digest}"] = data
            lines.append(f" {digest} {len(data)} {path}\n")
        header = {"Origin": "Debian", "Suite": directory, "Codename": directory, **fields}
        top = "".join(f"{key.replace('_', '-')}: {value}\n" for key, value in header.items())
        self.files[f"dists/{directory}/InRelease"] = f"{top}SHA256:\n{''.join(lines)}".encode()


def _handler(archive: ArchiveServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(self.path).removeprefix("/debian/")
            archive.requests.append((path, {key.lower(): value for key, value in self.headers.items()}))
            how = archive.behaviour.get(path, Behaviour())
            if how.times <= 0:
                how = Behaviour()
            else:
                how.times -= 1
            body = how.body if how.body is not None else archive.files.get(path)
            status = how.status or (404 if body is None else 200)
            if status not in {200, 206}:
                self._send(status, b"", how)
                return
            assert body is not None
            etag = f'"{sha256(body).hexdigest()[:16]}"'
            if self.headers.get("If-None-Match") == etag:
                self._send(304, b"", how)
                return
            headers = {"ETag": etag}
            asked = self.headers.get("Range")
            if asked and not how.no_ranges:
                start, _, end = asked.removeprefix("bytes=").partition("-")
                if int(start) >= len(body):
                    self._send(416, b"", how)
                    return
                last = min(int(end), len(body) - 1) if end else len(body) - 1
                headers["Content-Range"] = f"bytes {start}-{last}/{len(body)}"
                status, body = 206, body[int(start) : last + 1]
            self._send(status, body, how, headers)

        def _send(
            self, status: int, body: bytes, how: Behaviour, headers: Mapping[str, str] = MappingProxyType({})
        ) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            if how.no_length:
                self.send_header("Connection", "close")
                self.close_connection = True
            elif status != 304:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: how.cut_after])
            if how.cut_after is not None:
                self.close_connection = True

        def log_message(self, *arguments: Any) -> None:
            pass

    return Handler


@contextmanager
def serving() -> Iterator[ArchiveServer]:
    """Run an empty archive."""
    archive = ArchiveServer()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(archive)) as server:
        archive.url = f"http://127.0.0.1:{server.server_port}/debian"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield archive
        finally:
            server.shutdown()
            thread.join()
