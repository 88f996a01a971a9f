"""The explorer's pages of source: trees, folders, code, names, text search, versions."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from ksurf.progress import Silent
from ksurf.source.browse import Browser
from ksurf.source.names import NamesIndex
from ksurf.source.tree import SourceTree
from ksurf.web.app import application
from ksurf.web.explorer import Settings
from ksurf.web.source_files import FileList, files_matching
from made_kernel import MadeKernel
from made_source import FILES, kernel, prepare, source_dataset
from made_trees import put_tree

ARM, AMD = kernel("arm64"), kernel("amd64")
TREE = "/source/debian_7.3.4-1"
TIMER = f"{TREE}/kernel/timer.c"
PAGE_LIMIT = 300_000
"""Bytes that a page may have, compressed."""


@pytest.fixture
def tree(tmp_path: Path) -> SourceTree:
    tree = source_dataset(tmp_path)
    made = MadeKernel()
    made.image()
    unit = made.unit("kernel/timer.c")
    start = made.function("timer_start", "kernel/timer.c", external=True)
    caller = made.instance(made.function("timer_test", "kernel/timer.c", external=True), unit, address=64)
    made.instance(start, unit, address=16)
    made.call(caller, start, line=18)
    made.write(tmp_path, ARM)
    return tree


def index(tree: SourceTree) -> None:
    NamesIndex.build(tree.root, tree.names, reporter=Silent())


@pytest.fixture
def client(tree: SourceTree, tmp_path: Path) -> Iterator[TestClient]:
    index(tree)
    with TestClient(
        application(Settings(tmp_path, cache=tmp_path / "cache")), raise_server_exceptions=False
    ) as opened:
        yield opened


def text(client: TestClient, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status, f"{address[:200]}: {answer.text}"
    assert "style=" not in answer.text
    assert "<script>" not in answer.text
    return str(answer.text)


def row(page: str, line: int) -> str:
    return next(one for one in page.splitlines() if f'id="L{line}"' in one)


def test_trees_and_folders(client: TestClient) -> None:
    page = text(client, "/source")
    assert f'<a href="{TREE}">debian_7.3.4-1</a>' in page
    assert f"{ARM.release} (arm64)" in page
    page = text(client, TREE)
    assert page.index(f'href="{TREE}/kernel"') < page.index(f'href="{TREE}/Makefile"')
    page = text(client, f"{TREE}/kernel/")
    extra = next(line for line in page.splitlines() if "extra.c" in line)
    assert AMD.release in extra
    assert ARM.release not in extra
    assert 'class="number">31</td>' in extra
    assert f'href="{TIMER}?kernel={quote(AMD.id)}"' in text(client, f"{TREE}/kernel?kernel={quote(AMD.id)}")


def test_a_dataset_without_trees(tmp_path: Path) -> None:
    with TestClient(application(Settings(tmp_path, cache=tmp_path / "cache"))) as client:
        assert "There are no source trees yet" in client.get("/source").text
        assert client.get("/source/debian_7.3").status_code == 404
        assert client.get("/source/diff?a=1&b=2&file=x.c").status_code == 404


def test_the_code_as_a_kernel_compiled_it(client: TestClient) -> None:
    page = text(client, f"{TIMER}?kernel={quote(ARM.id)}")
    assert "semantic layer" in page
    assert "<i>delay: </i>" in row(page, 18)
    assert '<a class="function" href="#L3">timer_start</a>' in row(page, 18)
    due = f"{TREE}/include/linux/timer.h?kernel={quote(ARM.id)}#L3"
    assert f'<a class="function" href="{due}">timer_due</a>' in row(page, 18)
    assert f'href="{TREE}/include/linux/timer.h?kernel={quote(ARM.id)}">&lt;linux/timer.h&gt;' in row(page, 1)
    assert row(page, 11).startswith('<tr id="L11" class="off">')
    assert "left out by this configuration" in row(page, 11)
    assert 'class="off"' not in text(client, f"{TIMER}?kernel={quote(AMD.id)}")
    assert 'class="function definition"' in row(page, 3)
    outline = page[page.index('id="outline"') :]
    assert outline.index("timer_start") < outline.index("timer_test")
    hidden = text(client, f"{TIMER}?hints=0&calls=1")
    assert 'class="source no-hints show-calls"' in hidden
    assert "hints=0" not in re.findall(r'data-switch="hints"[^>]* href="([^"]*)"', hidden)[0]


def test_what_kernels_made_of_it_comes_later_or_when_it_is_asked_for(client: TestClient) -> None:
    page = text(client, f"{TIMER}?kernel={quote(ARM.id)}")
    assert "<td></td>" in row(page, 18)
    (address,) = re.findall(r'data-facts="([^"]*)"', page)
    found = client.get(address.replace("&amp;", "&")).json()
    css, sign, title, calls = found["rows"]["18"]
    assert (css, sign) == ("own call-called", "→")
    assert title == "called timer_start; nothing left of timer_due"
    assert calls == title
    assert found["rows"]["3"][:2] == ["own", "●"]
    assert found["functions"]["3"][0] == "●"
    assert "called by timer_test" in found["functions"]["3"][1]
    page = text(client, f"{TIMER}?kernel={quote(ARM.id)}")
    assert "data-facts" not in page
    assert '<td class="own call-called" title="called timer_start; nothing left of timer_due">→</td>' in row(
        page, 18
    )
    assert "<em>called timer_start; " in row(page, 18)
    page = text(client, f"{TREE}/include/linux/timer.h?facts=1")
    assert "data-facts" not in page


def test_a_page_is_made_once_until_something_changes(
    client: TestClient, tree: SourceTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = client.get(TIMER)
    again = client.get(TIMER, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    plain = client.get(TIMER, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.text == first.text
    file = tree.root / "kernel/timer.c"
    file.write_bytes(file.read_bytes() + b"int more;\n")
    assert ">more</a>" in text(client, TIMER)


def test_lines_and_ranges(client: TestClient) -> None:
    for words, anchor in (("18", "#L18"), ("3-7", "#L3-L7"), ("L3-L7", "#L3-L7"), ("99", "#L99")):
        answer = client.get(f"{TIMER}?line={words}&hints=0", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{TIMER}?hints=0{anchor}")
    for words in ("0", "x", "-3", "1-2-3", "9" * 30):
        text(client, f"{TIMER}?line={words}", 404)
    for part in ("0", "2", "x", "-1", "²", "1" * 30):
        text(client, f"{TIMER}?part={part}", 404)


def test_a_file_that_the_build_made(client: TestClient, tree: SourceTree) -> None:
    made = tree.units_folder(ARM) / "build/include/generated/autoconf.h"
    made.parent.mkdir(parents=True)
    made.write_text("#define CONFIG_MADE 1\n")
    page = text(client, f"{TREE}/include/generated/autoconf.h?kernel={quote(ARM.id)}")
    assert "CONFIG_MADE" in page
    assert "made by the build of" in page


def test_without_a_kernel_names_lead_to_the_list_of_their_definitions(client: TestClient) -> None:
    page = text(client, f"{TREE}/kernel/extra.c?kernel={quote(ARM.id)}")
    assert "names layer" in page
    assert f'href="{TREE}?kernel={quote(ARM.id)}&amp;def=extra">extra</a>' in row(page, 1)
    answer = client.get(f"{TREE}?def=extra&kernel={quote(ARM.id)}", follow_redirects=False)
    assert answer.headers["location"] == f"{TREE}/kernel/extra.c?kernel={quote(ARM.id)}#L1"
    for name in ("only_nowhere", "<b>"):
        address = client.get(f"{TREE}?def={quote(name)}", follow_redirects=False).headers["location"]
        assert quote(name) not in text(client, address, 404) or name == "only_nowhere"


def test_names_and_their_lines(client: TestClient) -> None:
    page = text(client, f"{TREE}/defs?name=timer_start")
    assert f'href="{TIMER}#L3">kernel/timer.c:3</a>' in page
    assert "function declaration" in page
    assert "not compiled by" in text(client, f"{TREE}/defs?name=extra&kernel={quote(ARM.id)}")
    near = text(client, f"{TREE}/defs?name=timer_stxrt", 404)
    assert f"{TREE}/defs?name=timer_start" in near
    page = text(client, f"{TREE}/refs?name=timer_start")
    assert "3 lines" in page
    assert f'href="{TIMER}#L18">18</a>' in page
    assert "the first 1 below" in text(client, f"{TREE}/refs?name=timer_start&limit=1")
    assert "search the text" in text(client, f"{TREE}/refs?name=nowhere", 404)
    for address in ("defs", "refs", "defs?name=", f"refs?name={'x' * 10_000}", "defs?name=%00"):
        text(client, f"{TREE}/{address}", 404)


def test_text_search(client: TestClient) -> None:
    page = text(client, f"{TREE}/search?q=return%20%5Cw%2B_start")
    assert f'href="{TIMER}#L18">18</a>' in page
    assert "No line matches" in text(client, f"{TREE}/search?q=timer_start&files=arch/**")
    assert "No line matches" in text(client, f"{TREE}/search?q=TIMER_START")
    assert "3 lines" in text(client, f"{TREE}/search?q=TIMER_START&case=ignore")
    assert "Show more" in text(client, f"{TREE}/search?q=int&limit=2")
    assert "<h1>Search the text" in text(client, f"{TREE}/search")
    for query in ("q=(", f"q={'a' * 5000}", "q=(a{1000}){1000}"):
        assert 'role="alert"' in text(client, f"{TREE}/search?{query}", 400)


def test_cards(client: TestClient) -> None:
    page = text(client, f"{TREE}/card?symbol=timer_start&kind=function&file=kernel/timer.c&line=3")
    assert "int timer_start(struct timer *t, int delay, int flags)" in page
    assert 'href="/function/timer_start"' in page
    assert f"{TREE}/refs?name=timer_start" in page
    assert "<html" not in page
    page = text(client, f"{TREE}/card?symbol=due&kind=field&file=include/linux/timer.h&line=1")
    assert "of struct timer" in page
    page = text(client, f"{TREE}/card?symbol=t&kind=parameter&file=kernel/timer.c&line=3")
    assert "struct timer *t" in page
    assert "references" not in page
    assert "int extra(void)" in text(client, f"{TREE}/card?symbol=extra&kind=identifier")
    assert "&lt;b&gt;" in text(client, f"{TREE}/card?symbol=%3Cb%3E&kind=%3Cb%3E")
    for query in ("", "symbol=%00", f"symbol={'x' * 9999}", "symbol=x&file=kernel/timer.c&line=x"):
        text(client, f"{TREE}/card?{query}", 404)
    for file in ("../../manifest.json", "/etc/passwd", "%00", "kernel"):
        assert "root:" not in text(client, f"{TREE}/card?symbol=x&kind=macro&file={file}&line=1")


def test_documentation_is_on_the_card(tree: SourceTree, tmp_path: Path) -> None:
    (tree.root / "kernel/said.c").write_text(
        "/**\n * said - what is said\n * @how: how it is <said>\n */\nint said(int how)\n{\n}\n"
    )
    index(tree)
    with TestClient(application(Settings(tmp_path, cache=tmp_path / "cache"))) as client:
        page = text(client, f"{TREE}/card?symbol=said&kind=function&file=kernel/said.c&line=5")
    assert "what is said" in page
    assert "<dt>@how</dt><dd>how it is &lt;said&gt;</dd>" in page


def test_another_version_at_the_same_place(client: TestClient, tmp_path: Path) -> None:
    other = kernel("arm64", "7.4.1")
    files = {**FILES, "kernel/timer.c": b"int new;\n\n" + FILES["kernel/timer.c"]}
    files["virt/extra.c"] = files.pop("kernel/extra.c")
    tree = put_tree(tmp_path, "7.4.1-1", "7.4.1", files=files)
    index(tree)
    prepare(tree, other, ["kernel/timer.c"])
    new = "/source/debian_7.4.1-1"

    def to(query: str) -> str:
        answer = client.get(f"/source/switch?tree=debian_7.3.4-1&{query}", follow_redirects=False)
        assert answer.status_code == 303
        return str(answer.headers["location"])

    assert to("file=kernel/timer.c&to=debian_7.4.1-1") == f"{new}/kernel/timer.c"
    assert to("file=kernel/timer.c&to=debian_7.4.1-1&line=18") == f"{new}/kernel/timer.c#L20"
    assert to("file=kernel/timer.c&to=debian_7.4.1-1&line=3-7") == f"{new}/kernel/timer.c#L5-L9"
    with_kernel = f"{new}/kernel/timer.c?kernel={quote(other.id)}"
    assert to(f"file=kernel/timer.c&to={quote(other.id)}") == with_kernel
    assert to("file=kernel&to=debian_7.4.1-1") == f"{new}/kernel"
    assert to("file=&to=debian_7.4.1-1") == new
    page = text(client, "/source/switch?tree=debian_7.3.4-1&file=kernel/extra.c&to=debian_7.4.1-1", 404)
    assert "it may have moved" in page
    assert f'href="{new}/virt/extra.c"' in page
    page = text(client, f"{TREE}/kernel/timer.c?kernel={quote(other.id)}", 404)
    assert f'href="{with_kernel}"' in page
    for query in ("to=5.10", "to=", "file=../x&to=debian_7.4.1-1", "tree=x", f"to={'x' * 9999}"):
        text(client, f"/source/switch?tree=debian_7.3.4-1&file=kernel/timer.c&{query}", 404)


def test_a_file_in_two_versions(client: TestClient, tmp_path: Path) -> None:
    page = text(client, f"/source/diff?a={quote(ARM.id)}&b={quote(AMD.id)}&file=kernel/timer.c")
    assert "let in" in page
    assert "Left out by the configuration of A alone: lines 10-13" in page
    changed = FILES["kernel/timer.c"].replace(b"3 | 4", b"5 & 6")
    put_tree(tmp_path, "7.4.1-1", "7.4.1", files={**FILES, "kernel/timer.c": changed, "new.c": b"int n;\n"})
    sides = "a=debian_7.3.4-1&b=debian_7.4.1-1"
    page = text(client, f"/source/diff?{sides}&file=kernel/timer.c")
    added = next(line for line in page.splitlines() if line.startswith('<tr class="added">'))
    assert re.search(r"<td></td><td>18</td><td>\+</td>", added)
    assert "&amp;" in added
    assert '<tr class="removed"><td>18</td><td></td><td>−</td>' in page
    assert "has no new.c" in text(client, f"/source/diff?{sides}&file=new.c")
    assert "No difference" in text(client, f"/source/diff?{sides}&file=Makefile")
    assert "Compare a file in two versions" in text(client, "/source/diff")
    assert f"{TREE.replace('7.3.4', '7.4.1')}/kernel/timer.c" in text(
        client, f"/source/diff?{sides}&file=kernel/tiemr.c", 404
    )
    for file in ("../manifest.json", "/etc/passwd", "%00", "kernel"):
        text(client, f"/source/diff?{sides}&file={file}", 404)


def test_no_address_leads_out_of_the_tree(client: TestClient, tree: SourceTree, tmp_path: Path) -> None:
    (tmp_path / "secret.c").write_text("int secret_number;\n")
    (tree.root / "out.c").symlink_to(tmp_path / "secret.c")
    (tree.root / "out").symlink_to(tmp_path)
    (tree.root / "loop").symlink_to(tree.root / "loop")
    (tree.root / "inside.c").symlink_to("kernel/extra.c")
    (tree.root / b"\xff.c".decode("utf-8", "surrogateescape")).write_text("int odd;\n")
    names = (
        *(
            "../manifest.json",
            "%2e%2e/manifest.json",
            "kernel/../../manifest.json",
            "%2E%2E%2Fmanifest.json",
        ),
        *("/etc/passwd", "kernel%00", "%00", "%ff.c", "x" * 10_000, "a/" * 5000, "kernel/timer.c/x", "<b>.c"),
        *("out.c", "out/secret.c", "out", "loop", "loop/x", "kernel%0Atimer.c"),
    )
    for name in names:
        page = text(client, f"{TREE}/{name}", 404)
        assert "secret_number" not in page
        assert "<b>" not in page
        assert '7.3.4-1"' not in page or "format_version" not in page
    for name in ("..", "%2e%2e", "%00", "x" * 10_000, "<b>"):
        assert client.get(f"/source/{name}", follow_redirects=False).status_code in {404, 200}
        text(client, f"/source/{quote(name)}/kernel/timer.c", 404)
    assert "int extra" in re.sub("<[^>]*>", "", text(client, f"{TREE}/inside.c"))
    page = text(client, TREE)
    assert "\ufffd.c" in page
    assert "→ kernel/extra.c" in page
    near = text(client, f"{TREE}/kernel/tiemr.c", 404)
    assert f'href="{TIMER}"' in near
    assert f'href="{TREE}/kernel"' in near


def test_long_files_come_in_parts_that_are_small(tmp_path: Path) -> None:
    width = 40
    long = b"".join(
        b"#define REGISTER_NUMBER_%06d 0x%08x\n" % (n, n * 2654435761 % 2**32) for n in range(23_000)
    )
    wide = b"".join(
        b"int a%d = %s;\n" % (n, b" + ".join(b"%d" % (n * m) for m in range(900))) for n in range(100)
    )
    calls = b"".join(
        b"int f%d(int %s) { return %s; }\n" % (n, b", int ".join(b"p%d" % m for m in range(width)),
        b" + ".join(b"p%d" % m for m in range(width))) for n in range(900)
    )  # fmt: skip
    files = {**FILES, "long.h": long, "wide.c": wide, "calls.c": calls, "one.c": b"int x;" * 8_000}
    tree = put_tree(tmp_path, files=files)
    index(tree)
    prepare(tree, ARM, ["calls.c"])
    with TestClient(application(Settings(tmp_path, cache=tmp_path / "cache"))) as client:
        for file, least in (("long.h", 5), ("wide.c", 2), ("calls.c", 2), ("one.c", 1)):
            first = client.get(f"{TREE}/{file}")
            parts = max([1, *(int(n) for n in re.findall(r"part=(\d+)", first.text))])
            assert parts >= least
            lines = []
            for part in range(1, parts + 1):
                answer = client.get(f"{TREE}/{file}?part={part}", headers={"accept-encoding": "gzip"})
                assert answer.status_code == 200
                assert len(gzip.compress(answer.content, 4)) < PAGE_LIMIT
                lines += [int(n) for n in re.findall(r'<tr id="L(\d+)"', answer.text)]
            assert lines == list(range(1, files[file].count(b"\n") + (file == "one.c") + 1))
        assert "more characters on this line" in first.text
        answer = client.get(f"{TREE}/long.h?line=20001", follow_redirects=False)
        assert answer.headers["location"] == f"{TREE}/long.h?part=5#L20001"
        assert 'id="L20001"' in client.get(answer.headers["location"]).text
        assert f"{TREE}/long.h?line=20501#L20501" in text(client, f"{TREE}/defs?name=REGISTER_NUMBER_020500")


def test_files_by_a_part_of_their_name(client: TestClient, tmp_path: Path) -> None:
    with Browser(tmp_path) as browser:
        assert files_matching(browser, "timer.c", 5) == [("debian_7.3.4-1", "kernel/timer.c")]
        assert files_matching(browser, "TIMER", 5)[0][1] == "kernel/timer.c"
        assert len(files_matching(browser, "e", 3)) == 3
        assert files_matching(browser, "nothing like it", 3) == []
    with Browser(tmp_path / "none") as browser:
        assert files_matching(browser, "timer", 3) == []


def test_the_best_files_come_first() -> None:
    paths = [
        "tools/vgic.c",
        "arch/arm64/kvm/vgic/a.c",
        "x/my-vgic.c",
        "y/z/vgic.h",
        "vgic-v4.c",
        "b/vgic",
        "odd\udcff",
    ]
    found = FileList(paths)
    assert found.matching("vgic", 10) == [
        *("b/vgic", "y/z/vgic.h", "tools/vgic.c", "vgic-v4.c", "x/my-vgic.c", "arch/arm64/kvm/vgic/a.c"),
    ]
    assert found.matching("vgic/", 10) == ["arch/arm64/kvm/vgic/a.c"]
    assert found.matching("vgic", 2) == ["b/vgic", "y/z/vgic.h"]
    assert found.matching("", 2) == found.matching("a\nb", 2) == []
    assert FileList([]).matching("a", 1) == FileList([]).near("a") == []
    assert found.near("arch/arm64/vgic.h")[0] == "y/z/vgic.h"
    assert json.dumps(found.near("q/vgic-v4.h"))
