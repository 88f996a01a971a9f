"""The explorer's checks: a form, the page of a result, and all that may go wrong in between."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ksurf.check.dependency import Consumer, ConsumerKind, Dependency, Kind, Use
from ksurf.check.verdict import ConsumerReport, Finding, Outcome, Report, Suggestion
from ksurf.cli import run
from ksurf.report.check_json import check_json
from ksurf.report.check_layout import Page
from ksurf.report.check_read import check_page
from ksurf.surface.attach import Mechanism
from ksurf.web import upload
from ksurf.web.app import application
from ksurf.web.check_model import check_model
from ksurf.web.explorer import Settings
from ksurf.web.limits import Limits
from ksurf.web.results import Results
from ksurf.web.upload import Bounds, Checks
from ksurf.web.views.check import CheckRoom
from made_bpf import Elf
from made_check import KERNELS
from made_check import page as made_page
from made_kernel import kernel
from made_web import web_dataset
from test_web import Checked

LIST = b"kprobe:kvm_vcpu_kick\nstruct:changing::added\nkfunc:nothing_such\n"
HOSTILE = "<script>alert(1)</script>\"onload='x'&amp;\u202e\x1b[31m"
LOOPS = """
import json, os, socket, sys
sys.path[:] = json.loads(sys.argv[1])
from ksurf.web.limits import Limits, confine
confine(Limits(**json.loads(sys.argv[2])))
socket.recv_fds(socket.socket(fileno=0), 1 << 16, 1)
while not os.path.exists({flag!r}): pass
os._exit(3)
"""
"""A process that reads what was sent, and loops until a file is there."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return web_dataset(tmp_path_factory.mktemp("web") / "dataset")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def client(dataset: Path, cache: Path) -> Iterator[TestClient]:
    with TestClient(application(Settings(dataset, cache=cache)), raise_server_exceptions=False) as client:
        yield client


def bounded(dataset: Path, folder: Path, bounds: Bounds) -> Starlette:
    """An application that takes other things, or less."""
    app = application(Settings(dataset, cache=folder))
    app.state.checking = CheckRoom(Checks(dataset, bounds), Results(folder / "checks"))
    return app


def sent(
    client: TestClient,
    data: bytes,
    name: str = "x.list",
    headers: dict[str, str] | None = None,
    **fields: Any,
) -> httpx.Response:
    answer: httpx.Response = client.post(
        "/check", data=fields, files={"file": (name, data)}, headers=headers, follow_redirects=False
    )
    return answer


def result(client: TestClient, data: bytes, name: str = "x.list", **fields: Any) -> str:
    """The address of what came of it."""
    answer = sent(client, data, name, **fields)
    assert answer.status_code == 303, answer.text
    assert re.fullmatch(r"/check/[A-Za-z0-9_-]{22}", answer.headers["location"])
    return answer.headers["location"]


def kept(client: TestClient, page: Page) -> str:
    """The address of a result that was made up."""
    return f"/check/{client.app.state.checking.results.keep(check_json(page).encode())}"  # type: ignore[attr-defined]


def of_names(*names: str, consumers: int = 1, **told: Any) -> Page:
    """A page of programs that are broken everywhere."""
    made = made_page()

    def report(number: int) -> ConsumerReport:
        dependencies = [
            Dependency(Kind.FUNCTION, name, Mechanism.KPROBE, (Use(name, name, 3, name),)) for name in names
        ]
        consumer = Consumer(ConsumerKind.LIST, f"{names[0]}{number}", names[0], None, (), tuple(dependencies))
        findings = [
            Finding(one, dependency, Outcome.BROKEN, uses=dependency.uses, **told)
            for dependency in dependencies
            for one in KERNELS
        ]
        return ConsumerReport(consumer, None, tuple(findings))

    return replace(
        made, report=Report(KERNELS, tuple(report(number) for number in range(consumers))), unreadable=()
    )


def test_the_form_says_what_is_taken(client: TestClient) -> None:
    answer = client.get("/check")
    assert answer.status_code == 200
    assert not Checked(answer.text).bad
    for words in ('enctype="multipart/form-data"', 'type="file"', "64 MiB", "20 seconds", "7 days"):
        assert words in answer.text
    assert kernel("6.1.5").id in answer.text
    # Without it no browser would say where a form comes from.
    assert answer.headers["referrer-policy"] == "same-origin"


def test_a_result_is_what_the_command_says(
    client: TestClient, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    elf = Elf()
    elf.program("kprobe/kvm_vcpu_kick", "prog")
    elf.section("license", b"GPL\0")
    script = b"kprobe:kvm_vcpu_kick { @ = count(); }\nkprobe:nowhere { exit(); }\n"
    monkeypatch.chdir(tmp_path)
    for name, data in {"x.list": LIST, "x.bpf.o": elf.finish(), "x.bt": script}.items():
        (tmp_path / name).write_bytes(data)
        path = result(client, data, name)
        for form, option in (("json", []), ("md", []), ("md?all=1", ["--explain"])):
            kind = form.partition("?")[0]
            run(["check", name, "--dataset", str(dataset), "--format", kind, *option])
            assert client.get(f"{path}.{form}").text == capsys.readouterr().out
        page = client.get(path)
        assert page.status_code == 200
        assert name in page.text
        assert not Checked(page.text).bad


def test_the_page_has_verdicts_reasons_and_links(client: TestClient) -> None:
    path = result(client, LIST, "tool.list")
    text = client.get(path).text
    page = Checked(text)
    assert len(page.ids) == len(set(page.ids))
    assert "✘" in text and "broken" in text and "3 kernels" in text
    assert 'href="/field/changing/added"' in text and 'href="/kfunc/nothing_such"' in text
    assert "changing has no field added" in text and "tool.list:2" in text
    # What is ok is folded, and there when it is asked for.
    assert 'href="/function/kvm_vcpu_kick"' not in text
    everything = client.get(f"{path}?all=1").text
    assert 'href="/function/kvm_vcpu_kick"' in everything and "✔" in everything
    for link in page.links:
        address = httpx.URL(path).join(link)
        if address.path == path and address.fragment:
            assert address.fragment in page.ids
        elif "nothing_such" not in link and not link.startswith(("/compare", "/source", "/plots")):
            assert client.get(str(address)).status_code == 200, link


def test_a_reason_has_its_place_and_what_to_do(client: TestClient) -> None:
    text = client.get(kept(client, made_page())).text
    for words in (
        "it is inlined everywhere",
        "inlined into blk_mq_submit_bio",
        "The compiler inlined every call",
        "biotop.bpf.c:45 in on_start",
        "int BPF_KPROBE(on_start, struct request *req)",
        "read the new field where it is",
        "cut.deb: truncated: ar member at offset 0x84",
        "Regular",
        "Flavor",
    ):
        assert words in text, words
    assert re.search(r'<pre class="code"><code>[^<]*SEC\(', text)


def test_several_programs_have_sections(client: TestClient) -> None:
    path = kept(client, made_page())
    text = client.get(path).text
    assert 'id="programs"' in text and 'href="#p2"' in text and 'id="p2"' in text and 'id="p3"' not in text
    assert "Ok on all kernels" in text
    everything = Checked(client.get(f"{path}?all=1").text)
    assert "p3" in everything.ids and not everything.bad
    assert len(everything.ids) == len(set(everything.ids))


def test_kernels_and_a_baseline_are_chosen(client: TestClient) -> None:
    old, new = kernel("6.1.5"), kernel("6.12.1")
    path = result(client, LIST, kernel=[old.id, new.id], baseline=new.id)
    document = client.get(f"{path}.json").json()
    assert [one["kernel"]["id"] for one in document["kernels"]] == [old.id, new.id]
    assert document["baseline"] == document["consumers"][0]["baseline"] == new.id
    only = client.get(f"{result(client, LIST, kernel=old.id, baseline=new.id)}.json").json()
    assert (len(only["kernels"]), only["baseline"]) == (1, new.id)
    assert client.get(result(client, LIST, kernel=old.id, baseline=new.id)).status_code == 200


def test_a_text_is_pasted(client: TestClient) -> None:
    answer = client.post(
        "/check", data={"text": LIST.decode()}, files={"file": ("", b"")}, follow_redirects=False
    )
    assert answer.status_code == 303
    assert client.get(f"{answer.headers['location']}.json").json()["consumers"][0]["path"] == "pasted"


def test_a_program_is_answered_in_json(client: TestClient) -> None:
    accept = {"accept": "application/json"}
    answer = sent(client, LIST, headers=accept)
    assert answer.status_code == 201
    assert answer.json() == {"location": answer.headers["location"]}
    refused = sent(client, b"", headers=accept)
    assert refused.status_code == 422
    assert "empty" in refused.json()["error"]


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"", 422, "it is empty"),
        (b"\x7fELF", 422, "none of what ksurf checks"),
        (b"PK\x03\x04" + bytes(100), 422, "archives and packages are not opened here"),
        (gzip.compress(bytes(1 << 20)), 422, "decompress it first"),
        (b"kprob:vfs_read\n", 422, "kprob"),
        (b"#!/usr/bin/bpftrace\nkprobe:{{{{%s\n" % HOSTILE.encode(), 422, "&lt;b&gt;"),
    ],
)
def test_what_is_refused_is_told_why(client: TestClient, data: bytes, status: int, words: str) -> None:
    answer = sent(client, data, "<b>")
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert "Not checked:" in answer.text and 'type="file"' in answer.text
    assert "<b>" not in answer.text and not Checked(answer.text).bad


def test_bodies_that_are_no_form(client: TestClient) -> None:
    assert client.post("/check", content=LIST).status_code == 415
    assert client.post("/check", data={"text": "x"}).status_code == 415
    for kind in ("multipart/form-data", "multipart/form-data; boundary=b"):
        assert client.post("/check", content=LIST, headers={"content-type": kind}).status_code == 400
    assert sent(client, LIST, kernel="9.99").status_code == 404
    assert client.put("/check", content=LIST).status_code == 405


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "same-origin", "origin": "null"}, 303),
        ({"sec-fetch-site": "none"}, 303),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://testserver.evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"origin": "http://testserver"}, 303),
        ({"origin": "https://testserver"}, 303),
        ({}, 303),
    ],
)
def test_pages_of_other_sites_cannot_send(client: TestClient, headers: dict[str, str], status: int) -> None:
    assert sent(client, LIST, headers=headers).status_code == status


def test_uploads_are_turned_off(dataset: Path, tmp_path: Path) -> None:
    with TestClient(application(Settings(dataset, cache=tmp_path, uploads=False))) as client:
        page = client.get("/check")
        assert page.status_code == 200
        assert "--no-uploads" in page.text and "enctype" not in page.text
        answer = sent(client, LIST)
        assert answer.status_code == 403
        assert "does not check files" in answer.text
        assert client.get(kept(client, made_page())).status_code == 200


@pytest.mark.parametrize("form", ["", ".json", ".md"])
def test_a_token_that_is_unknown_or_expired(client: TestClient, form: str) -> None:
    path = kept(client, made_page())
    token = path.rpartition("/")[2]
    file = client.app.state.checking.results.folder / f"{token}.result"  # type: ignore[attr-defined]
    assert client.get(f"{path}{form}").status_code == 200
    then = time.time() - timedelta(days=8).total_seconds()
    os.utime(file, (then, then))
    for one in (token, "A" * 22, "A", "%2e%2e%2fx", "a%00b", "x" * 10_000, "<b>"):
        answer = client.get(f"/check/{one}{form}")
        assert answer.status_code == 404, one
        assert "<b>" not in answer.text
    assert "there is no result" in client.get(f"{path}{form}").text


def test_a_result_says_when_it_expires_and_outlives_the_server(dataset: Path, cache: Path) -> None:
    app = application(Settings(dataset, cache=cache))
    with TestClient(app) as client:
        path = kept(client, made_page())
        expires = app.state.checking.results.find(path.rpartition("/")[2]).expires
        page = client.get(path).text
        assert f'datetime="{expires.isoformat()}"' in page and f"{expires.day} {expires:%B %Y}" in page
    with TestClient(application(Settings(dataset, cache=cache))) as again:
        assert again.get(path).text == page


def test_a_document_that_is_not_understood_is_no_result(client: TestClient) -> None:
    results: Results = client.app.state.checking.results  # type: ignore[attr-defined]
    document = json.loads(check_json(made_page()))
    wrong: list[dict[str, Any]] = [{"version": 99}, {"kernels": None}, {"consumers": [{}]}, {"baseline": "x"}]
    for changed in wrong:
        token = results.keep(json.dumps({**document, **changed}).encode())
        answer = client.get(f"/check/{token}")
        assert answer.status_code == 404
        assert "cannot be shown" in answer.text


def test_hostile_texts_do_no_harm(client: TestClient) -> None:
    code = Suggestion(HOSTILE, f"a\n\t{HOSTILE}\n" + "x" * 10_000 + "\n" * 1000, HOSTILE)
    made = of_names(
        HOSTILE, "y" * 1_000_000, "\u0301" * 500, consequence=HOSTILE * 100, evidence=(HOSTILE,) * 30
    )
    told = of_names(HOSTILE, consumers=2, suggestions=(code,) * 30)
    for page in (made, told):
        for query in ("", "?all=1"):
            answer = client.get(f"{kept(client, page)}{query}")
            assert answer.status_code == 200
            assert not Checked(answer.text).bad
            for bad in ("<script>", "\u202e", "\x1b", "onload='x'", "y" * 500, "x" * 500):
                assert bad not in answer.text
            assert len(answer.content) < 100_000


@pytest.mark.parametrize("query", ["", "?all=1"])
@pytest.mark.parametrize(("names", "consumers"), [(4000, 1), (3, 1200), (100, 40)])
def test_a_page_has_an_end(client: TestClient, names: int, consumers: int, query: str) -> None:
    made = of_names(*(f"some_function_{number}" for number in range(names)), consumers=consumers)
    path = kept(client, made)
    answer = client.get(f"{path}{query}", headers={"accept-encoding": "identity"})
    assert answer.status_code == 200
    assert len(gzip.compress(answer.content, 4)) < 300_000
    assert "more" in answer.text and f"{path}.json" in answer.text
    assert not Checked(answer.text).bad


def test_the_page_counts_all_there_is() -> None:
    model = check_model(check_page(check_json(of_names(*(f"f{number}" for number in range(5000))))))
    (section,) = model.sections
    assert [(cell.word, count) for cell, count in section.counts] == [("broken", 5000)]
    assert len(section.lines) + section.lines_more == 5000
    assert len(section.told) + section.told_more == len(section.lines)


def answered(
    app: Starlette, body: Callable[[int], bytes | None], headers: dict[str, str]
) -> tuple[list[dict[str, Any]], int]:
    """What the application answers to a body that need not end, and how many pieces of it were received."""
    given = 0
    messages: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        nonlocal given
        await asyncio.sleep(0)
        piece = body(given)
        if piece is None:
            return {"type": "http.disconnect"}
        given += 1
        return {"type": "http.request", "body": piece, "more_body": True}

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/check",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "app": app,
    }

    async def ask() -> None:
        await app(scope, receive, send)
        await app.state.checking.checks.close()

    asyncio.run(ask())
    return messages, given


FORM = {"host": "x", "content-type": "multipart/form-data; boundary=b"}
FILE = b'--b\r\nContent-Disposition: form-data; name="%s"; filename="x"\r\n\r\n'


@pytest.mark.parametrize(("name", "status"), [(b"file", 413), (b"other", 400)])
def test_a_gigabyte_is_not_received(dataset: Path, tmp_path: Path, name: bytes, status: int) -> None:
    piece = bytes(1 << 16)
    messages, given = answered(
        bounded(dataset, tmp_path, Bounds()), lambda number: FILE % name if not number else piece, FORM
    )
    assert messages[0]["status"] == status
    assert (b"connection", b"close") in messages[0]["headers"]
    assert given * len(piece) < 70 << 20
    assert not any(tmp_path.rglob("*.result"))


def test_a_gigabyte_that_is_announced_is_not_begun(dataset: Path, tmp_path: Path) -> None:
    for length in (str(1 << 30), "9" * 5000):
        headers = {**FORM, "content-length": length, "accept": "application/json"}
        messages, given = answered(bounded(dataset, tmp_path, Bounds()), lambda _: bytes(1 << 16), headers)
        assert (messages[0]["status"], given) == (413, 0)
        assert b"64 MiB" in messages[1]["body"]


def children() -> set[str]:
    return {
        pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()
    }


def test_who_goes_away_ends_the_check(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "_START", LOOPS.format(flag=str(tmp_path / "never")))
    before = children()
    pieces = [FILE % b"file" + LIST + b"\r\n--b--\r\n", None]
    started = time.monotonic()
    answered(bounded(dataset, tmp_path, Bounds()), lambda number: pieces[min(number, 1)], FORM)
    assert time.monotonic() - started < 10
    assert children() <= before


def test_other_pages_answer_while_something_loops(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flag = tmp_path / "flag"
    monkeypatch.setattr(upload, "_START", LOOPS.format(flag=str(flag)))
    with (
        TestClient(bounded(dataset, tmp_path, Bounds(limits=Limits(cpu_seconds=60)))) as client,
        ThreadPoolExecutor(2) as threads,
    ):
        looping = [threads.submit(sent, client, LIST) for _ in range(2)]
        for number in range(20):
            answer = client.get(("/struct/kvm", "/check", "/search.json?q=kvm", "/")[number % 4])
            assert answer.status_code == 200
        assert not any(one.done() for one in looping)
        flag.touch()
        for one in looping:
            assert one.result().status_code == 422
            assert "ended with status 3" in one.result().text
        assert not any(tmp_path.rglob("*.result"))


def test_what_loops_is_ended(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "_START", LOOPS.format(flag=str(tmp_path / "never")))
    with TestClient(bounded(dataset, tmp_path, Bounds(limits=Limits(cpu_seconds=1)))) as client:
        answer = sent(client, LIST)
        assert answer.status_code == 422
        assert "1 seconds of processor time" in answer.text


def test_who_comes_too_late_is_told_to_come_again(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flag = tmp_path / "flag"
    monkeypatch.setattr(upload, "_START", LOOPS.format(flag=str(flag)))
    bounds = Bounds(running=1, waiting=0, limits=Limits(cpu_seconds=60))
    with TestClient(bounded(dataset, tmp_path, bounds)) as client, ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(sent, client, LIST) for _ in range(3)]
        busy = [one.result() for one in islice(as_completed(waiting), 2)]
        flag.touch()
        assert [answer.status_code for answer in busy] == [503, 503]
        assert all(answer.headers["retry-after"] == "60" for answer in busy)
        assert "try again in a minute" in busy[0].text


def test_no_room_is_told(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Results, "keep", lambda *_: None)
    answer = sent(client, LIST)
    assert answer.status_code == 507
    assert "no room to keep the result" in answer.text
