"""Source that means harm, or is none, from the front end to the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ksurf.cli import run
from ksurf.progress import Silent
from ksurf.source.browse import Browser
from ksurf.source.names import NamesIndex
from ksurf.source.page import Layer
from made_source import FILES, kernel, prepare
from made_trees import put_tree

HOSTILE = {
    "kernel/crlf.c": b"int f(int first);\r\nint g(void)\r\n{\r\n\treturn f(1);\r\n}\r\n",
    "kernel/cr.c": b"int f(int first);\n/* a\rb\r */ int g(void)\n{\n\treturn f(1);\n}\n",
    "kernel/latin.c": b"int f(int first);\nint g(void) { /* \xe9\xe8 \xc3\xa9 */ return f(1); }\n",
    "kernel/long.c": b"int f(int first);\nvoid g(void) { " + b"f(1); " * 20_000 + b"}\n",
    "kernel/sum.c": b"int f(int first);\nint h(void) { return " + b"f(1) + " * 20_000 + b"0; }\n",
    "kernel/deep.c": b"int a = " + b"(" * 50_000 + b"1" + b")" * 50_000 + b";\n",
    "kernel/junk.c": bytes(range(256)) * 2000,
    "kernel/open.c": b'int a; /* no end "\n' * 1000,
    "kernel/itself.c": b'#include "itself.c"\nint a;\n',
    "kernel/device.c": b'#include "/dev/zero"\nint a;\n',
    "kernel/marked.c": b"int f(int first);\nint g(void) { return f(/* <b>|\x1b[2J\xe2\x80\xae */ 1); }\n",
    "kernel/empty.c": b"",
}


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tree = put_tree(tmp_path, files={**FILES, **HOSTILE})
    prepare(tree, kernel(), list(HOSTILE))
    NamesIndex.build(tree.root, tree.names, reporter=Silent())
    monkeypatch.setenv("KSURF_DATASET", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("file", HOSTILE)
def test_every_file_is_a_page_in_every_format(
    dataset: Path, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    for form in ("terminal", "md", "html", "json"):
        assert run(["source", "show", file, "--format", form]) == 0
        text = capsys.readouterr().out
        assert "\x1b" not in text
        assert form == "json" or "\u202e" not in text
    document = json.loads(text)
    texts = [line["text"] for line in document["lines"]]
    assert len(texts) == HOSTILE[file].count(b"\n") + (
        not HOSTILE[file].endswith(b"\n") and file != "kernel/empty.c"
    )
    for line in document["lines"]:
        ends = [0, *(end for token in line["tokens"] for end in (token["start"], token["end"]))]
        assert ends == sorted(ends)
        assert ends[-1] <= len(line["text"])


def test_hints_stand_in_front_of_their_arguments_whatever_is_before_them(dataset: Path) -> None:
    with Browser(dataset) as browser:
        for file in ("kernel/crlf.c", "kernel/cr.c", "kernel/latin.c", "kernel/long.c", "kernel/marked.c"):
            page = browser.page(browser.view(), file)
            assert page.layer.layer is Layer.SEMANTIC, page.layer
            hints = [line.text[hint.start :] for line in page.lines for hint in line.hints]
            assert len(hints) == (20_000 if file == "kernel/long.c" else 1)
            assert all(text.startswith(("1)", "/* <b>")) for text in hints), file
            assert [found.name for found in page.definitions] == ["g"]


def test_what_the_front_end_does_not_survive_is_shown_without_it(dataset: Path) -> None:
    with Browser(dataset) as browser:
        for file in ("kernel/deep.c", "kernel/sum.c", "kernel/itself.c", "kernel/device.c", "kernel/junk.c"):
            page = browser.page(browser.view(), file)
            assert page.layer.problems or page.layer.reason, file
        # The same browser goes on.
        assert browser.page(browser.view(), "kernel/crlf.c").is_semantic


def test_a_link_out_of_the_tree_is_not_shown(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = Browser(dataset).trees.all()[0].root
    (dataset / "secret").write_text("secret")
    (root / "kernel/secret.c").symlink_to(dataset / "secret")
    for name in ("kernel/secret.c", "secret.c"):
        assert run(["source", "show", name]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "leads out of the tree" in captured.err or "has no file" in captured.err
