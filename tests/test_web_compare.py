"""``/compare``: choosing two kernels, what differs, one symbol on both."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ksurf.cli import run
from ksurf.dataset.store import Store
from ksurf.errors import DatasetError
from ksurf.report.everything import DIFF_KINDS, differences
from ksurf.surface.change import RenameProposed
from ksurf.surface.diff import Changed, KindDiff
from ksurf.surface.type_change import SizeChanged
from ksurf.web import pairs as pairs_module
from ksurf.web.addresses import compare_path
from ksurf.web.folder import forget_oldest
from ksurf.web.pair_file import Pair, Question, packed, part_of, read_pair, sealed, unsealed
from ksurf.web.pairs import BusyError, Job, Pairs
from made_kernel import MadeKernel, bpf_kernel, kernel, kvm_kernel
from web_page import Page, TestClient, client

if TYPE_CHECKING:
    from real_kernels import RealKernels

OLD, NEW, ARM = kernel("6.1.5"), kernel("6.12.1"), kernel("6.12.1", arch="arm64")
PAIR = compare_path(OLD.id, NEW.id)
Opened = Callable[[Path, Path], TestClient]
HOSTILE = '<script>alert("1")</script>'


def with_functions(made: MadeKernel, new: bool) -> MadeKernel:
    """Add functions that differ, and names that no page likes."""
    unit = made.unit("fs/namei.c")
    first = "struct mnt_idmap *idmap" if new else "struct user_namespace *mnt_userns"
    create = made.function(
        "vfs_create", "fs/namei.c", 10 + new, external=True, prototype=f"int vfs_create({first}, bool excl);"
    )
    code = made.instance(create, unit, address=0x1000)
    made.symbol("vfs_create", code, bind="STB_GLOBAL")
    if new:
        for number, name in enumerate((HOSTILE, "a/../b", "käse", "x" * 10_000)):
            odd = made.function(name, "fs/odd.c", prototype=f"void {name}(void);")
            made.symbol(name, made.instance(odd, unit, address=0x2000 + number))
        made.struct("only_new", ("int", "a", 0, 4), ("u64", "b", 8, 8))
    else:
        made.type("var", "gone_var", type="int")
    return made


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dataset = tmp_path_factory.mktemp("web") / "dataset"
    with_functions(bpf_kernel(0), new=False).write(dataset, OLD)
    with_functions(bpf_kernel(1), new=True).write(dataset, NEW)
    kvm_kernel().write(dataset, ARM)
    return dataset


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def web(dataset: Path, cache: Path) -> Iterator[TestClient]:
    with client(dataset, cache) as web:
        yield web


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Opens servers, and ends in the end what runs beside them."""
    with ExitStack() as stack:
        yield lambda dataset, cache: stack.enter_context(client(dataset, cache))


def get(web: TestClient, address: str, status: int = 200) -> Page:
    """A page, asked for again while it says that it is being computed."""
    deadline = time.monotonic() + 60
    while True:
        answer = web.get(address)
        if answer.status_code != 202:
            break
        assert answer.headers["refresh"] == "1"
        assert time.monotonic() < deadline
    assert answer.status_code == status, answer.text
    assert "refresh" not in answer.headers
    page = Page(answer.text, address)
    assert page.styles == []
    assert len(set(page.ids)) == len(page.ids)
    return page


# Choosing


def test_the_form_leads_to_an_address_of_ids(web: TestClient) -> None:
    page = get(web, "/compare")
    assert PAIR in page.paths()
    assert compare_path(NEW.id, ARM.id) in page.paths()
    for old, new in ((OLD.id, NEW.id), ("6.1", "6.12"), ("6.1-amd64", NEW.release)):
        answer = web.get("/compare", params={"old": old, "new": new}, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, PAIR)
    answer = web.get("/compare/6.1/6.12?kind=struct", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PAIR}?kind=struct")
    answer = web.get("/compare/6.1/6.12.json", follow_redirects=False)
    assert answer.headers["location"] == f"{PAIR}.json"


def test_kernels_that_do_not_exist_are_answered_with_near_ones(web: TestClient) -> None:
    page = get(web, f"/compare/{OLD.id}/debian_6.12.2-cloud-amd64_6.12.2-1_amd64", 404)
    assert f"/kernels/{NEW.id}" in page.paths()
    for odd in ("nonsense", "..%2f..%2fetc", "%3Cscript%3E", "x" * 10_000, "%00"):
        get(web, f"/compare/{odd}/{NEW.id}", 404)
        get(web, f"/compare/{OLD.id}/{odd}/struct/kvm", 404)
    assert web.get(f"/compare/{OLD.id}/nope.json").status_code == 404
    assert web.get("/compare", params={"old": "nope", "new": NEW.id}).status_code == 404


def test_an_empty_dataset_says_what_to_do(tmp_path: Path, opened: Opened) -> None:
    assert "ksurf pull" in get(opened(tmp_path / "none", tmp_path), "/compare").text


# What differs


def test_counts_and_list_are_those_of_the_command(
    web: TestClient, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["diff", OLD.id, NEW.id, "--dataset", str(dataset), "--format", "json"]) == 0
    printed = capsys.readouterr().out
    assert web.get(f"{PAIR}.json").text == printed
    plain = web.get(f"{PAIR}.json", headers={"accept-encoding": "identity"})
    assert (plain.text, plain.headers.get("content-encoding")) == (printed, None)
    page = get(web, PAIR)
    for one in json.loads(printed)["kinds"]:
        counts = [len(one[what]) for what in ("added", "removed", "changed")]
        assert " ".join(map(str, (one["kind"], *counts))) in page.rows, one["kind"]
    rows = [row for row in page.rows if row.startswith(("+ added", "− removed", "~ changed"))]
    listed = [
        name for one in json.loads(printed)["kinds"] for what in ("added", "removed") for name in one[what]
    ]
    listed += [entry["name"] for one in json.loads(printed)["kinds"] for entry in one["changed"]]
    assert len(rows) == len(listed)
    assert "+ added struct only_new" in rows
    assert any(
        row.startswith("~ changed function vfs_create 2 Param added struct mnt_idmap *idmap") for row in rows
    )


def test_the_list_is_filtered_and_sorted_by_the_query(web: TestClient) -> None:
    def rows(query: str) -> list[str]:
        page = get(web, f"{PAIR}?{query}")
        return [" ".join(row.split()[:4]) for row in page.rows if row.startswith(("+", "−", "~"))]

    assert rows("kind=var") == ["− removed var gone_var"]
    assert rows("kind=struct&what=added") == ["+ added struct only_new"]
    assert rows("text=VFS_CREA&kind=function") == ["~ changed function vfs_create"]
    assert rows("what=Param+added") == ["~ changed function vfs_create"]
    assert rows("text=nothing_has_this") == []
    assert rows("kind=function&what=changed&own=1") == ["~ changed function vfs_create"]
    names = [row.split()[3] for row in rows("sort=name")]
    assert [name.lower() for name in names] == sorted(name.lower() for name in names)
    assert [row.split()[3] for row in rows("sort=-name")] == names[::-1]
    assert rows("sort=changes")[0].split()[0] == "~"
    # What means nothing asks for nothing.
    assert rows("kind=nope&what=nope&sort=nope&page=nope&text=") == rows("")
    assert rows("page=99999999999999") == rows("page=-3") == rows("")


def test_names_of_any_kind_are_shown_as_they_are_and_linked(web: TestClient) -> None:
    page = get(web, f"{PAIR}?kind=function&what=added")
    assert f"+ added function {HOSTILE}" in page.rows
    for name in (HOSTILE, "a/../b", "käse", "x" * 10_000):
        address = compare_path(OLD.id, NEW.id, None, "function", name)
        assert any(link.endswith(address) for link in page.links)
        shown = get(web, address)
        assert name in shown.text
        assert f"+ added void {name}(" in shown.rows


def test_a_kind_that_is_not_known_of_a_kernel_says_so(web: TestClient) -> None:
    page = get(web, compare_path(NEW.id, ARM.id))
    assert f"config not known of {ARM.id}" in page.rows


# One symbol


def test_a_struct_side_by_side(tmp_path: Path, opened: Opened) -> None:
    old, new = MadeKernel(), MadeKernel()
    for made in (old, new):
        made.image()
    old.struct(
        "s",
        ("int", "a", 0, 4),
        ("u64", "b", 8, 8),
        ("u64", "moved", 16, 8),
        ("char", "gone", 24, 1),
    )
    new.struct(
        "s",
        ("int", "a", 0, 4),
        ("int", "come", 4, 4),
        ("s64", "b", 8, 8),
        ("u64", "moved", 64, 8),
    )
    old.write(tmp_path / "d", OLD)
    new.write(tmp_path / "d", NEW)
    web = opened(tmp_path / "d", tmp_path)
    page = get(web, f"{PAIR}/struct/s")
    for row in (
        "+ added 4 4 int come;",
        "~ changed /* hole: 4 bytes */",
        "~ changed 8 8 u64 b; 8 8 s64 b;",
        "↕ offset changed 16 8 u64 moved; 64 8 u64 moved;",
        "/* cache line 1 (byte 64) */",
        "− removed 24 1 char gone;",
    ):
        assert row in page.rows, page.rows
    assert "25 bytes, 1 cache line, 4 members, 1 hole of together 4 bytes" in page.text
    assert "Field type changed" in page.text
    assert f"{PAIR}/struct/s?only=changes#sides" in [
        link.removeprefix("http://testserver") for link in page.links
    ]
    turned = get(web, compare_path(NEW.id, OLD.id, None, "struct", "s"))
    assert "− removed 4 4 int come;" in turned.rows
    assert "+ added 24 1 char gone;" in turned.rows


def test_only_what_changed_is_shown_if_that_is_asked_for(tmp_path: Path, opened: Opened) -> None:
    for version, last in ((OLD, "int"), (NEW, "long")):
        made = MadeKernel()
        made.image()
        made.struct(
            "s", *(("u64", f"f{number}", number * 8, 8) for number in range(50)), (last, "end", 400, 8)
        )
        made.write(tmp_path / "d", version)
    web = opened(tmp_path / "d", tmp_path)
    assert any("f10;" in row for row in get(web, f"{PAIR}/struct/s").rows)
    page = get(web, f"{PAIR}/struct/s?only=changes")
    assert not any("f10;" in row for row in page.rows)
    assert any(row.endswith("lines the same") for row in page.rows)
    assert "~ changed 400 8 int end; 400 8 long end;" in page.rows


def test_prototypes_side_by_side(web: TestClient) -> None:
    page = get(web, f"{PAIR}/function/vfs_create")
    rows = page.rows
    start = rows.index("int vfs_create( int vfs_create(")
    assert rows[start + 1 : start + 5] == [
        "− removed struct user_namespace *mnt_userns,",
        "+ added struct mnt_idmap *idmap,",
        "bool excl bool excl",
        "); );",
    ]
    assert "declared fs/namei.c:10 fs/namei.c:11" in rows
    assert "/function/vfs_create" in page.paths()


@pytest.mark.parametrize(
    ("kind", "name", "row"),
    [
        ("enum", "pid_type", "~ changed"),
        ("enum", "pid_type", "+ added PIDTYPE_1 = 2,"),
        ("enum", "pid_type", "− removed PIDTYPE_0 = 2,"),
        ("typedef", "pid_t", "typedef __kernel_pid_t pid_t; typedef __kernel_pid_t pid_t;"),
        ("union", "security_list_options", "union security_list_options {"),
        ("var", "gone_var", "− removed int gone_var;"),
        ("struct", "twin", "in"),
        ("struct", "only_new", "+ added 8 8 u64 b;"),
        ("tracepoint", "sched:sched_switch", "tp_btf"),
        ("tracepoint", "sched_bare", "raw_tp"),
        ("syscall", "stat", "64 4 stat __x64_sys_newstat"),
        ("lsm", "file_open", "lsm"),
        ("kfunc", "bpf_task_acquire", "kfunc call"),
        ("export", "kvm_get_kvm", "EXPORT_SYMBOL"),
        ("config", "CONFIG_NUMBER", "~ changed CONFIG_NUMBER=0 CONFIG_NUMBER=1"),
        ("field", "kvm/irqfds/lock", "spinlock_t irqfds.lock;"),
        ("attachability", "vfs_create", "kprobe"),
        ("attachability", "sched:sched_switch", "tracepoint"),
        ("attachability", "(every function)", "fentry"),
    ],
)
def test_every_kind_has_its_page(web: TestClient, kind: str, name: str, row: str) -> None:
    page = get(web, f"{PAIR}/{kind}/{name}")
    if (kind, row) == ("enum", "~ changed"):
        assert not any(line.startswith(row) for line in page.rows)  # nothing has another value
    else:
        assert any(row in line for line in page.rows), page.rows


def test_a_symbol_that_neither_has_is_answered_with_near_ones(web: TestClient) -> None:
    page = get(web, f"{PAIR}/struct/only_nw", 404)
    assert f"{PAIR}/struct/only_new" in page.paths()
    assert f"{PAIR}/var/gone_var" in get(web, f"{PAIR}/var/gone_vr", 404).paths()
    for kind in ("function", *DIFF_KINDS, "field", "attachability"):
        get(web, f"{PAIR}/{kind}/{'y' * 10_000}", 404)
        get(web, f"{PAIR}/{kind}/%00", 404)
    get(web, f"{PAIR}/nonsense/kvm", 404)


def test_a_kernel_compared_with_itself_differs_in_nothing(web: TestClient) -> None:
    assert "Nothing that differs is like this." in get(web, compare_path(NEW.id, NEW.id)).text
    get(web, compare_path(NEW.id, NEW.id, None, "struct", "kvm"))


# What is kept


def made_pair(count: int = 500) -> Pair:
    changes = tuple(SizeChanged(f"{n} bytes", "9 bytes") for n in range(5))
    rename = RenameProposed("old_name", "new_name", 0.876, ("a",))
    diff = KindDiff(
        "struct",
        ("new_name", *(f"s{number:04}" for number in range(count))),
        ("old_name",),
        (Changed("Changed", changes),),
        (rename,),
    )
    other = KindDiff("config", (), (), (), unknown=("k",))
    body = unsealed(packed([part_of(diff), part_of(other)]))
    assert body is not None
    return read_pair(body)


def test_pages_are_cut_out_of_the_rows() -> None:
    pair = made_pair()
    assert [one.total for one in pair.kinds] == [503, 0]
    assert pair.kinds[1].unknown == ("k",)
    first = pair.ask(Question(), 0, 200)
    assert (first.total, first.start, len(first.rows)) == (503, 0, 200)
    last = pair.ask(Question(), 10_000, 200)
    assert (last.start, len(last.rows)) == (400, 103)
    both = [pair.ask(Question(sort=sort), 0, 1000).rows for sort in ("name", "-name")]
    assert both[0] == both[1][::-1]
    changed = pair.ask(Question(what="changed"), 0, 10).rows[0]
    assert (changed.name, changed.count, len(changed.changes), changed.more) == ("Changed", 5, 3, 2)
    assert changed.changes[0] == ("Size changed", "0 bytes", "9 bytes")
    assert [row.name for row in pair.ask(Question(sort="changes"), 0, 1).rows] == ["Changed"]
    renamed = pair.ask(Question(what="renamed"), 0, 10).rows
    assert [(row.name, row.rename) for row in renamed] == [
        ("new_name", ("old_name", 0.88)),
        ("old_name", ("new_name", 0.88)),
    ]
    assert pair.ask(Question(text="S0001"), 0, 10).total == 1
    assert pair.ask(Question(what="Size changed", text="s0"), 0, 10) == pair.ask(Question(kind="var"), 0, 10)


def test_a_damaged_file_is_none() -> None:
    whole = packed([part_of(KindDiff("struct", ("a",), (), ()))])
    assert unsealed(whole) is not None
    for damaged in (
        b"",
        whole[:20],
        whole[:-1],
        whole + b"x",
        b"x" + whole,
        whole[:100] + b"\xff" + whole[101:],
    ):
        assert unsealed(damaged) is None


def test_files_are_shared_and_made_again_if_they_are_damaged(
    dataset: Path, tmp_path: Path, opened: Opened
) -> None:
    get(opened(dataset, tmp_path), PAIR)
    (file,) = (tmp_path / "compare").glob("*.pair")
    before = file.stat()
    get(opened(dataset, tmp_path), PAIR)  # another server
    assert file.stat().st_ino == before.st_ino
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    page = get(opened(dataset, tmp_path), PAIR)
    assert "+ added struct only_new" in page.rows
    assert file.read_bytes() == content


def test_another_content_of_a_kernel_is_another_pair(tmp_path: Path, opened: Opened) -> None:
    for version in (OLD, NEW):
        bpf_kernel(0).write(tmp_path / "d", version)
    web = opened(tmp_path / "d", tmp_path)
    assert "CONFIG_NUMBER" not in get(web, PAIR).text
    Store(tmp_path / "d").remove(NEW.id)
    bpf_kernel(7).write(tmp_path / "d", NEW)
    time.sleep(1.1)  # the server looks at the dataset once in a second
    rows = get(web, PAIR).rows
    assert any(row.startswith("~ changed config CONFIG_NUMBER 1 Value changed") for row in rows)


def test_what_failed_is_told_and_tried_again(
    dataset: Path, tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "compare").write_text("in the way")
    web = opened(dataset, tmp_path)
    deadline = time.monotonic() + 60
    while (answer := web.get(PAIR)).status_code == 202:
        assert time.monotonic() < deadline
    assert answer.status_code == 503
    assert "the comparison failed" in answer.text
    (tmp_path / "compare").unlink()
    monkeypatch.setattr(pairs_module, "_FAILURE_SECONDS", 0.0)
    get(web, PAIR)


def test_only_so_many_are_compared_at_once(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs_module, "_JOBS", 1)
    monkeypatch.setattr(pairs_module, "arguments", lambda *_: ["sleep", "60"])
    old, new = Store(dataset).kernels()[:2]
    pairs = Pairs(dataset, tmp_path)
    job = pairs.pair(old, new)
    assert isinstance(job, Job)
    assert pairs.pair(old, new) is job
    with pytest.raises(BusyError):
        pairs.pair(new, old)
    pairs.close()
    assert job.process.returncode is not None


def test_one_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs_module, "_LONGEST_SECONDS", 0.1)
    job = Job(["sleep", "60"], tmp_path / "x")
    assert not job.is_done()
    time.sleep(0.15)
    with pytest.raises(DatasetError, match="killed"):
        job.is_done()


def test_a_folder_is_bounded(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"{number}.pair").write_bytes(b"x")
        time.sleep(0.01)
    (tmp_path / "lock").touch()
    forget_oldest(tmp_path, 3, keep="0.pair")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.pair", "4.pair", "5.pair", "lock"]
    forget_oldest(tmp_path, 3, byte_size=2, keep="0.pair")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.pair", "5.pair", "lock"]


def test_sealed_is_unsealed() -> None:
    body = unsealed(sealed(b"body"))
    assert body is not None
    assert bytes(body) == b"body"


# Real kernels


@pytest.mark.network
def test_pages_of_real_kernels_are_small_and_true(
    real_kernels: RealKernels, tmp_path: Path, opened: Opened
) -> None:
    old, new = (real_kernels.pull(selector) for selector in ("6.1-cloud-amd64", "6.12-cloud-amd64"))
    web = opened(real_kernels.dataset, tmp_path)
    here = compare_path(old.kernel.id, new.kernel.id)
    page = get(web, here)
    for diff in differences((old.kernel, old.tables), (new.kernel, new.tables), ["struct", "lsm"]):
        counts = (len(names) for names in (diff.added, diff.removed, diff.changed))
        assert " ".join((diff.kind, *(f"{count:,}" for count in counts))) in page.rows
    addresses = [here, f"{here}?sort=changes", f"{here}?kind=attachability", f"{here}?sort=-name&page=100"]
    addresses += [f"{here}/struct/task_struct", f"{here}/struct/net_device", f"{here}/function/vfs_create"]
    for address in addresses:
        answer = web.get(address, headers={"accept-encoding": "identity"})
        assert answer.status_code == 200
        assert len(gzip.compress(answer.content, 4)) < 300_000, address
