"""The explorer on Debian's kernels and source: the pages of KVM state all that reports and source state."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from browser import DARK, LIGHT, PHONE, Look, Visitor, serving
from ksurf.cli import run
from ksurf.web.addresses import compare_path
from real_kernels import RealKernels
from real_sources import CLOUD_ARM64, PulledSource, RealSources
from seed_facts import Fact, changes_of_fields, facts_of_function, facts_of_struct

pytestmark = pytest.mark.network

Visit = Callable[[Look], Visitor]
KERNELS = (
    "debian:5.10-cloud-amd64",
    "debian:6.1-cloud-amd64",
    "debian:6.12-cloud-amd64",
    "debian:7.3-cloud-amd64",
    "debian:6.12-cloud-arm64",
    "debian:6.12-ppc64el",
    CLOUD_ARM64,
)
VGIC = "arch/arm64/kvm/vgic/vgic-v4.c"
_PLACES = "main :is(p, li, tr, pre, .status, h3)"
"""What is one place of a page: the words of a fact stand together in it."""


@pytest.fixture(scope="module")
def source(real_sources: RealSources) -> PulledSource:
    return real_sources.pull()


@pytest.fixture(scope="module")
def dataset(
    real_kernels: RealKernels,
    real_sources: RealSources,
    source: PulledSource,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A dataset of the tests' kernels and their source, which lie in two."""
    for selector in KERNELS:
        real_kernels.pull(selector)
    dataset = tmp_path_factory.mktemp("real") / "dataset"
    dataset.mkdir()
    for part in ("kernels", "definitions"):
        (dataset / part).symlink_to(real_kernels.dataset / part)
    (dataset / "sources").symlink_to(real_sources.dataset / "sources")
    return dataset


@pytest.fixture(scope="module")
def explorer(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of it, instead of the small one."""
    folder = tmp_path_factory.mktemp("server")
    with serving(dataset, folder) as address:
        yield address
    shutil.rmtree(folder)  # the unpacked tables of seven kernels


def shown(dataset: Path, capsys: pytest.CaptureFixture[str], kind: str, name: str) -> list[dict[str, Any]]:
    """What ``ksurf show`` has of a symbol, on each kernel that the dataset has."""
    assert run(["show", kind, name, "--format", "json", "--dataset", str(dataset)]) == 0
    document = json.loads(capsys.readouterr().out)
    (symbol,) = document["functions" if kind == "function" else "symbols"]
    return [one for group in symbol["groups"] for one in group["kernels"]]


def places_of(page: Page) -> list[str]:
    """The text of each place of a page, folded parts too."""
    texts = page.locator(_PLACES).evaluate_all("places => places.map(place => place.textContent)")
    return [" ".join(text.split()) for text in texts]


def missing(places: list[str], facts: Iterator[Fact]) -> list[Fact]:
    """The facts that no place states."""
    return [fact for fact in facts if not any(all(word in place for word in fact.words) for place in places)]


@pytest.mark.parametrize("name", ["kvm_vcpu_kick", "kvm_make_request"])
def test_the_page_of_a_function_states_every_fact(
    visit: Visit,
    dataset: Path,
    capsys: pytest.CaptureFixture[str],
    note: Callable[[str], None],
    name: str,
) -> None:
    visitor = visit(LIGHT)
    counted: Counter[str] = Counter()
    for status in shown(dataset, capsys, "function", name):
        identity = status["kernel"]["id"]
        page = visitor.open(f"/function/{name}" + (f"?kernel={quote(identity)}" if status["present"] else ""))
        places = places_of(page)
        if page.locator(".callers .quiet").count():  # and more: they are in the tree
            places += places_of(visitor.open(f"/calls/{name}?way=callers&kernel={quote(identity)}"))
            inlined = [place for place in places if place.startswith("inlined")]
            called = [place for place in places if place.startswith("called")]
            places += [*(f"inlined into {one}" for one in inlined), *(f"called by {one}" for one in called)]
        facts = list(facts_of_function(status))
        counted.update(fact.kind for fact in facts)
        assert not missing(places, iter(facts)), identity
    visitor.open(f"/function/{name}")
    visitor.shot(name, whole=True)
    assert counted["status"] >= len(KERNELS) and counted["inline_callers"] + counted["direct_callers"] > 20
    note(f"facts about {name} on its pages: {dict(counted)}")


@pytest.mark.parametrize("name", ["kvm", "kvmppc_ops"])
def test_the_page_of_a_struct_states_every_fact(
    visit: Visit,
    dataset: Path,
    capsys: pytest.CaptureFixture[str],
    note: Callable[[str], None],
    name: str,
) -> None:
    visitor = visit(LIGHT)
    counted: Counter[str] = Counter()
    statuses = shown(dataset, capsys, "struct", name)
    for status in statuses:
        identity = status["kernel"]["id"]
        page = visitor.open(f"/struct/{name}" + (f"?kernel={quote(identity)}" if status["present"] else ""))
        facts = list(facts_of_struct(status))
        counted.update(fact.kind for fact in facts)
        assert not missing(places_of(page), iter(facts)), identity
    regular = [
        status
        for status in statuses
        if (status["kernel"]["arch"], status["kernel"]["flavor"]) == ("amd64", "cloud")
    ]
    changes = list(changes_of_fields(regular))
    counted.update(fact.kind for fact in changes)
    page = visitor.open(f"/struct/{name}")
    assert not missing(places_of(page), iter(changes))
    visitor.shot(name, whole=True)
    assert counted["field"] > 30
    note(f"facts about struct {name} on its pages: {dict(counted)}")


def test_what_has_not_changed_since_is_there_as_it_was(visit: Visit) -> None:
    """A few facts of reports that others made of older kernels, which still hold."""
    visitor = visit(LIGHT)
    page = visitor.open("/struct/kvm")
    for change in (
        r"Field type changed spinlock_t mmu_lock → rwlock_t mmu_lock",
        r"Field added struct mutex slots_arch_lock",
        r"Field added spinlock_t mn_invalidate_lock",
        r"Field added char stats_id\[48\]",
        r"Field removed long int tlbs_dirty",
    ):
        expect(page.locator(".changes li").filter(has_text=re.compile(change))).not_to_have_count(0)
    page = visitor.open("/struct/kvmppc_ops")
    for field in ("struct module *owner;", "void (*vcpu_put)(struct kvm_vcpu *);"):
        expect(page.locator(".definition")).to_contain_text(field)
    matrix = page.get_by_role("region", name="Status on all kernels")
    expect(matrix.get_by_role("row").filter(has_text="ppc64el")).to_contain_text("✔ OK")
    expect(matrix.get_by_role("row").filter(has_text="amd64")).to_contain_text("Absent")


def test_the_page_of_vgic_states_every_line_and_hint(visit: Visit, source: PulledSource) -> None:
    visitor = visit(LIGHT)
    address = f"/source/{quote(source.tree.id)}/{VGIC}?kernel={quote(source.kernel.id)}"
    page = visitor.open(address)
    expect(page.locator("#facts")).to_have_count(0, timeout=120_000)
    visitor.shot("vgic", whole=True)
    written = (source.tree.root / VGIC).read_text().splitlines()
    said = "rows => rows.map(row => { const code = row.cells[2].cloneNode(true); "
    code = page.locator("table.lines tr").evaluate_all(
        said + "code.querySelectorAll('i, em').forEach(hint => hint.remove()); return code.textContent; })"
    )
    assert [line.strip() for line in code] == [line.strip() for line in written]
    for line in (
        "irqd_irq_disabled(d: &irq_to_desc(irq)->irq_data)",
        "kvm_make_request(req: KVM_REQ_IRQ_PENDING, vcpu);",
        "irq_domain_activate_irq(irq_data: irq_desc_get_irq_data(desc),",
        "irq_set_affinity(irq: vpe->irq,",
    ):
        expect(page.locator("table.lines td:last-child").filter(has_text=line)).not_to_have_count(0)
    outline = page.get_by_role("complementary", name="Definitions").get_by_role("link").all_inner_texts()
    functions = re.findall(r"^(?:static )?(?:struct )?\w+ \**(\w+)\(", "\n".join(written), re.MULTILINE)
    assert len(functions) > 15 and set(functions) <= set(outline)
    number = next(at for at, line in enumerate(written, 1) if "kvm_vcpu_kick(vcpu)" in line)
    gutter = page.locator(f"#L{number} td").nth(1)
    expect(gutter).to_have_attribute("title", re.compile("kvm_vcpu_kick"))
    page.locator(f"#L{number}").get_by_role("link", name="kvm_vcpu_kick").hover()
    card = page.get_by_role("group", name="About kvm_vcpu_kick")
    expect(card).to_contain_text("kvm_vcpu_kick(struct kvm_vcpu *vcpu)")
    visitor.shot("card")
    visitor.is_accessible()
    card.get_by_role("link", name="function on all kernels").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("kvm_vcpu_kick")


def test_a_walk_from_search_to_comparison(visit: Visit, dataset: Path, real_kernels: RealKernels) -> None:
    visitor = visit(DARK)
    page = visitor.open("/")
    page.keyboard.press("/")
    page.keyboard.type("struct:task_str", delay=50)
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("option").first).to_have_attribute("aria-selected", "true")
    visitor.shot("search")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("task_struct")
    visitor.shot("task_struct")
    visitor.is_accessible()
    old, new = (real_kernels.pull(one).kernel.id for one in KERNELS[1:3])
    page = visitor.open(compare_path(old, new))
    expect(page.get_by_role("region", name="How much differs")).to_be_visible(timeout=120_000)
    visitor.shot("compared")
    visitor.is_accessible()
    page.get_by_label("name has").fill("vfs_create")
    expect(page.get_by_role("region", name="What differs")).to_contain_text("struct mnt_idmap *idmap")


@pytest.mark.parametrize(
    "path", ["/function/kvm_make_request", "/struct/kvm", "/kernels", "/calls/kvm_vcpu_kick"]
)
def test_pages_of_real_kernels_look_well_on_a_phone(visit: Visit, path: str) -> None:
    visit(PHONE).looks(path, path.rpartition("/")[2])


def test_plots_of_real_kernels_are_drawn(visit: Visit) -> None:
    visitor = visit(LIGHT)
    page = visitor.open("/plots")
    for picture in page.get_by_role("img").all():
        drawn = "async image => { image.scrollIntoView(); await image.decode(); return image.naturalWidth; }"
        assert picture.evaluate(drawn) > 300
    visitor.shot("plots", whole=True)
    visitor.is_accessible()
