"""The web explorer: what all pages have in common, and the pages of symbols."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from ksurf.cli import run
from ksurf.report.kinds import KINDS
from ksurf.web.addresses import SiteAddresses, field_name, symbol_path
from ksurf.web.app import application
from ksurf.web.explorer import Settings
from ksurf.web.views.search import parse
from made_kernel import kernel, offering_kernel
from made_web import web_dataset

NAMES = {
    "function": "kvm_vcpu_kick",
    "struct": "kvm",
    "enum": "pid_type",
    "typedef": "pid_t",
    "tracepoint": "sched:sched_switch",
    "syscall": "stat",
    "kfunc": "bpf_task_acquire",
    "export": "kvm_get_kvm",
    "config": "CONFIG_BPF",
    "field": "kvm::irqfds.items.next",
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return web_dataset(tmp_path_factory.mktemp("web") / "dataset")


@pytest.fixture(scope="module")
def client(dataset: Path) -> Iterator[TestClient]:
    with TestClient(application(Settings(dataset)), raise_server_exceptions=False) as client:
        yield client


class Checked(HTMLParser):
    """Reads a page, and notes what must not be in one, and where it leads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.bad: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = dict(attrs)
        if tag == "style" or "style" in own or (tag == "script" and "src" not in own):
            self.bad.append(f"{tag} with a style or a script of its own")
        self.bad += [f"{tag} {name}" for name in own if name.startswith("on")]
        for name in ("href", "src", "action", "data-part"):
            if address := own.get(name):
                self.links.append(address)
                if re.match(r"(?i)[a-z]+:|//", address):
                    self.bad.append(f"{tag} leads to {address}")
        if identity := own.get("id"):
            self.ids.append(identity)


def test_every_page_keeps_to_the_rules(client: TestClient) -> None:
    pages = [
        "/",
        "/search",
        "/search?q=kvm",
        "/kernels",
        "/check",
        "/plots",
        "/nothing",
        "/struct/nothing",
        "/calls/vfs_read",
    ]
    for path in (*pages, *(symbol_path(kind, name) for kind, name in NAMES.items())):
        answer = client.get(path)
        assert answer.status_code in {200, 404}, path
        page = Checked(answer.text)
        assert not page.bad, path
        assert len(page.ids) == len(set(page.ids)), path
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy and "default-src 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert '<html lang="en">' in answer.text and "<h1>" in answer.text


def test_links_lead_somewhere(client: TestClient) -> None:
    seen: set[str] = set()
    waiting = ["/"]
    while waiting and len(seen) < 300:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = client.get(path)
        if path in {"/source"} or path.startswith(("/plot/", "/compare/")):
            continue
        assert answer.status_code == 200, path
        if answer.headers["content-type"].startswith("text/html"):
            found = [str(httpx.URL(path).join(link)).partition("#")[0] for link in Checked(answer.text).links]
            waiting += [link for link in found if link not in seen]
    assert len(seen) > 40


@pytest.mark.parametrize("kind", list(NAMES))
def test_a_symbol_is_what_the_command_shows(
    client: TestClient, dataset: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    name = NAMES[kind]
    present = client.get(symbol_path(kind, name))
    assert present.status_code == 200
    assert name in present.text
    for form in ("md", "json"):
        assert run(["show", kind, name, "--format", form, "--dataset", str(dataset)]) == 0
        assert client.get(symbol_path(kind, name, form)).text == capsys.readouterr().out


def test_the_page_of_a_struct_has_what_changed(client: TestClient) -> None:
    page = client.get("/struct/changing").text
    assert page.count("✔") >= 3
    assert "6.1 amd64" in page and "6.12 arm64" in page
    assert "Field added" in page and "Δ added in 6.12" in page and "Δ type changed in 6.12 from long" in page


def test_the_page_of_a_function_has_its_callers_with_the_chain(client: TestClient) -> None:
    page = client.get("/function/kvm_vcpu_kick").text
    assert "void kvm_vcpu_kick(void);" in page and "virt/kvm/kvm_main.c:10" in page
    assert 'href="/function/kvm_vcpu_wake_up"' in page
    assert re.search(r'through\s*<a href="/function/kick_helper">', page)
    assert "kprobe" in page


@pytest.mark.parametrize(
    ("name", "way", "other"),
    [("kvm_vcpu_kick", "callers", "kvm_vcpu_wake_up"), ("kvm_vcpu_wake_up", "callees", "kick_helper")],
)
def test_calls_open_step_by_step(client: TestClient, name: str, way: str, other: str) -> None:
    page = client.get(f"/calls/{name}", params={"way": way}).text
    (part,) = {link for link in Checked(page).links if "part=1" in link and f"/{other}?" in link}
    assert f"<code>{other}</code>" in page
    opened = client.get(part)
    assert opened.status_code == 200 and "<html" not in opened.text


def test_a_kernel_is_chosen(client: TestClient) -> None:
    old = kernel("6.1.5").id
    assert "Definition on 6.1 " in client.get("/struct/kvm", params={"kernel": old}).text
    assert client.get("/struct/kvm", params={"kernel": "nothing"}).status_code == 404


def test_what_to_use_instead_is_told(client: TestClient) -> None:
    page = client.get("/enum/pid_type").text
    assert "/instead/" not in page
    made = client.get("/instead/struct/nothing").text
    assert "broken" in made and "6.1 amd64" in made
    assert "has it on all kernels" in client.get("/instead/struct/changing").text
    assert "<html" not in client.get("/instead/struct/nothing", params={"part": "1"}).text


def test_bad_names_are_answered_with_near_ones(client: TestClient) -> None:
    answer = client.get("/struct/kvmm")
    assert answer.status_code == 404
    assert 'href="/struct/kvm"' in answer.text
    assert "near" in client.get("/struct/kvmm.json").text


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "%3Cimg%20src=x%20onerror=alert(1)%3E",
        "..",
        "../../etc/passwd",
        "%2e%2e/%2e%2e/etc/passwd",
        "a%00b",
        "%ff%fe",
        "x" * 10_000,
        '"onmouseover="alert(1)',
        ".md",
        ".json",
        "",
    ],
)
@pytest.mark.parametrize(
    "kind", ["function", "struct", "field", "config", "kernels", "calls", "instead/struct", "static"]
)
def test_hostile_names_do_no_harm(client: TestClient, kind: str, name: str) -> None:
    answer = client.get(f"/{kind}/{name}")
    assert answer.status_code in {200, 404}
    assert "<script>alert" not in answer.text and "<img src=x" not in answer.text
    assert "root:" not in answer.text
    assert len(answer.content) < 50_000
    if answer.headers["content-type"].startswith("text/html"):
        assert not Checked(answer.text).bad


def test_hostile_searches_do_no_harm(client: TestClient) -> None:
    for text in ("<b>", "x" * 10_000, "\0", "::", "struct:", ":", "a:b:c", "%", "\\", "(((", "\ud800"):
        for path in ("/search", "/search.json"):
            answer = client.get(path, params={"q": text.encode("utf-8", "surrogatepass")})
            assert answer.status_code == 200, text
            assert "<b>" not in answer.text.replace("<b></b>", "")


def test_what_is_typed_is_found_and_ranked(client: TestClient) -> None:
    hits = client.get("/search.json", params={"q": "struct:kvm"}).json()["hits"]
    assert hits[0] == {"kind": "struct", "name": "kvm", "on": "", "href": "/struct/kvm"}
    assert {hit["kind"] for hit in hits} == {"struct"}
    for hit in client.get("/search.json", params={"q": "k"}).json()["hits"]:
        assert client.get(hit["href"]).status_code == 200, hit


@pytest.mark.parametrize(
    ("typed", "text", "kinds", "files"),
    [
        ("struct:task", "task", ("struct",), False),
        ("func: kick ", "kick", ("function",), False),
        ("file:vgic", "vgic", (), True),
        ("sched:sched_sw", "sched:sched_sw", None, True),
        ("kvm::lock", "kvm::lock", None, True),
        ("event:sched:x", "sched:x", ("tracepoint",), False),
        ("  a  ", "a", None, True),
    ],
)
def test_a_query_is_taken_apart(typed: str, text: str, kinds: tuple[str, ...] | None, files: bool) -> None:
    query = parse(typed)
    assert (query.text, query.files) == (text, files)
    if kinds is not None:
        assert query.kinds == kinds
    else:
        assert len(query.kinds) > 5


_names = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1)


@given(st.sampled_from(["function", *KINDS]), _names)
def test_an_address_stays_within_its_kind(kind: str, name: str) -> None:
    path = symbol_path(kind, name)
    url = httpx.URL("http://x/").join(path)
    assert url.path.startswith(f"/{kind}/") and not url.query and not url.fragment


@given(st.lists(st.from_regex(r"[a-z_][a-z0-9_]*", fullmatch=True), min_size=2))
def test_a_field_is_named_by_its_address(parts: list[str]) -> None:
    name = f"{parts[0]}::{'.'.join(parts[1:])}"
    assert field_name(symbol_path("field", name).removeprefix("/field/")) == name


def test_a_site_links_only_what_it_has() -> None:
    pages = {"/", "/struct/kvm", "/tracepoint/sched:sched_switch", "/struct/kvm.md"}
    here = SiteAddresses(pages, "/struct/kvm")
    assert here.to("/") == "../index.html"
    assert here.to("/struct/kvm.md") == "./kvm.md" or here.to("/struct/kvm.md") == "kvm.md"
    assert here.to("/tracepoint/sched:sched_switch", anchor="a") == "../tracepoint/sched:sched_switch.html#a"
    assert here.to("/struct/other") is None
    assert here.to("/struct/kvm", {"kernel": "x"}) is None


def test_kernels_that_come_are_there_a_second_later(tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    with TestClient(application(Settings(dataset))) as client:
        assert "no kernels yet" in client.get("/").text
        assert client.get("/struct/kvm").status_code == 404
        offering_kernel(0).write(dataset, kernel("6.1.5"))
        time.sleep(1.1)
        assert client.get("/struct/kvm").status_code == 200


@contextmanager
def serving(dataset: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server of two processes, and its address."""
    command = [sys.executable, "-c", "import sys; from ksurf.cli import main; sys.argv[0] = 'ksurf'; main()"]
    arguments = ["serve", "--port", "0", "--workers", "2", "--dataset", str(dataset), *options]
    process = subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    assert process.stdout is not None
    address = process.stdout.readline().split()[0]
    yield process, address
    process.kill()
    process.wait()


@pytest.fixture
def server(dataset: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with serving(dataset) as started:
        yield started


def _workers(parent: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            is_child = int(status.read_text().rpartition(")")[2].split()[1]) == parent
            if is_child and b"ksurf.web.worker" in status.with_name("cmdline").read_bytes():
                found.append(int(status.parent.name))
        except OSError:
            continue
    return found


def _is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _gone(processes: list[int]) -> bool:
    until = time.monotonic() + 20
    while time.monotonic() < until and any(map(_is_running, processes)):
        time.sleep(0.1)
    return not any(map(_is_running, processes))


def test_it_serves_and_stops(server: tuple[subprocess.Popen[str], str]) -> None:
    process, address = server
    assert address.startswith("http://127.0.0.1:")
    assert httpx.get(f"{address}struct/kvm", timeout=30).status_code == 200
    workers = _workers(process.pid)
    assert len(workers) == 2
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert _gone(workers)


def test_other_names_of_this_machine_are_refused(dataset: Path) -> None:
    hosts = ("localhost", "127.0.0.1", "::1")
    with TestClient(application(Settings(dataset, hosts=hosts))) as client:
        for host in ("localhost:8080", "127.0.0.1", "[::1]:9000", "LOCALHOST"):
            assert client.get("/kernels", headers={"host": host}).status_code == 200, host
        for host in ("evil.example:8080", "", "[::1", "127.0.0.1.evil.example", "localhost@evil.example"):
            assert client.get("/kernels", headers={"host": host}).status_code == 421, host


def test_a_process_that_dies_is_replaced_and_none_is_left_behind(
    server: tuple[subprocess.Popen[str], str],
) -> None:
    process, address = server
    assert httpx.get(address, timeout=30).status_code == 200
    time.sleep(5.5)
    first, second = _workers(process.pid)
    os.kill(first, signal.SIGKILL)
    time.sleep(0.6)
    workers = _workers(process.pid)
    assert len(workers) == 2 and second in workers and first not in workers
    assert httpx.get(address, timeout=30).status_code == 200
    process.kill()
    assert _gone(workers)


def test_killed_under_load_and_started_again_nothing_is_lost(dataset: Path, tmp_path: Path) -> None:
    cache = ("--cache", str(tmp_path / "cache"))
    with serving(dataset, *cache) as (process, address):
        sent = {"text": "struct:changing::added\nkprobe:nothing_such\n"}
        answer = httpx.post(
            f"{address}check", files={"text": (None, sent["text"])}, timeout=60, follow_redirects=False
        )
        assert answer.status_code == 303, answer.text
        result = answer.headers["location"]
        before = httpx.get(urljoin(address, result), timeout=60).text
        pages = ["struct/kvm", "search.json?q=k", "function/kvm_vcpu_kick", "compare", "kernels"]
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(httpx.get, f"{address}{pages[n % 5]}", timeout=60) for n in range(60)]
            while not asked[10].done():
                time.sleep(0.01)
            for worker in _workers(process.pid):
                os.kill(worker, signal.SIGKILL)
            process.kill()
            answered = [one.result().status_code for one in asked if one.exception() is None]
        assert answered and set(answered) == {200}
    with serving(dataset, *cache) as (_, address):
        assert httpx.get(urljoin(address, result), timeout=60).text == before
        for page in pages:
            assert httpx.get(f"{address}{page}", timeout=60).status_code == 200


def test_a_port_that_is_taken_is_an_error(
    server: tuple[subprocess.Popen[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    port = server[1].rstrip("/").rpartition(":")[2]
    assert run(["serve", "--port", port]) == 1
    assert f"port {port}: Address already in use" in capsys.readouterr().err


def test_plots_are_drawn_once(tmp_path: Path) -> None:
    dataset = web_dataset(tmp_path / "dataset")
    with TestClient(application(Settings(dataset, cache=tmp_path / "cache"))) as client:
        page = Checked(client.get("/plots", params={"structs": "changing"}).text)
        pictures = [link for link in page.links if link.startswith("/plot/struct-growth")]
        assert len(pictures) == 5 and not page.bad
        first = client.get("/plot/struct-growth.svg", params={"structs": "changing"})
        assert first.headers["content-type"] == "image/svg+xml" and b"changing" in first.content
        assert "script" not in first.headers["content-security-policy"]
        (kept,) = (tmp_path / "cache" / "drawings").iterdir()
        kept.write_bytes(b"kept")
        assert client.get("/plot/struct-growth.svg", params={"structs": "changing"}).content == b"kept"
        assert client.get("/plot/struct-growth.svg", params={"structs": "nothing"}).status_code == 404
        for structs in ("--help", "a;b", "../x", "a," * 99, "<b>"):
            assert client.get("/plot/struct-growth.svg", params={"structs": structs}).status_code == 404
        assert client.get("/plot/other.svg").status_code == 404
        assert client.get("/plot/churn.exe").status_code == 404


def test_a_damaged_table_is_told(tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    offering_kernel(0).write(dataset, kernel("6.1.5"))
    (table,) = dataset.glob("kernels/*/types.parquet")
    table.write_bytes(b"nothing")
    with TestClient(application(Settings(dataset)), raise_server_exceptions=False) as client:
        answer = client.get("/struct/kvm")
    assert answer.status_code == 503
    assert "cannot be read" in answer.text
