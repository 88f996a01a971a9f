"""Checks in a browser: a file is chosen or dropped, verdicts with reasons, and a link that keeps them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from browser import LIGHT, LOOKS, PHONE, PLAIN, Look, Visitor

Visit = Callable[[Look], Visitor]
NAMES = "kprobe:kvm_vcpu_kick\nstruct:changing::added\nkfunc:nothing_such\n"
_DROPPED = """([content]) => {
    const moved = new DataTransfer();
    moved.items.add(new File([content], "names.txt"));
    const told = name => document.getElementById("drop").dispatchEvent(
        new DragEvent(name, {dataTransfer: moved, bubbles: true, cancelable: true}));
    told("dragenter");
    told("drop");
}"""


@pytest.mark.parametrize("look", [LIGHT, PLAIN], ids=lambda look: look.name)
def test_a_file_is_checked_and_its_link_keeps_the_result(visit: Visit, look: Look, tmp_path: Path) -> None:
    visitor = visit(look)
    names = tmp_path / "names.txt"
    names.write_text(NAMES)
    page = visitor.open("/")
    page.get_by_role("link", name="Check", exact=True).click()
    page.get_by_label("A file, dropped here or chosen").set_input_files(names)
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Check of", timeout=60_000)
    visitor.shot("verdicts", whole=True)
    kept = visitor.path
    assert re.fullmatch(r"/check/[\w-]{16,}", kept)
    verdicts = page.get_by_role("region", name=re.compile("Verdicts"))
    row = verdicts.get_by_role("row").filter(has_text="changing::added")
    expect(row.get_by_role("cell").first).to_contain_text("✘")
    page.goto(visitor.address)
    page = visitor.open(kept)
    expect(page.get_by_role("article").filter(has_text="nothing_such")).to_be_visible()
    page.get_by_role("link", name="all dependencies").click()
    expect(page.get_by_role("region", name=re.compile("Verdicts"))).to_contain_text("kvm_vcpu_kick")


def test_a_file_is_dropped(visit: Visit) -> None:
    visitor = visit(LIGHT)
    page = visitor.open("/check")
    page.evaluate(_DROPPED, [NAMES])
    expect(page.locator("#progress")).to_contain_text("names.txt is chosen")
    visitor.shot("dropped")
    visitor.is_accessible()
    page.keyboard.press("Enter")  # the button has the focus
    expect(page.get_by_role("heading", level=1)).to_contain_text("names", timeout=60_000)


def test_a_text_is_checked_on_some_kernels(visit: Visit) -> None:
    visitor = visit(PHONE)
    page = visitor.open("/check")
    page.get_by_label("Or a bpftrace script").fill("kprobe:kvm_vcpu_kick { @ = count(); }")
    page.get_by_text("choose some").click()
    page.get_by_label("6.1.5-cloud-amd64").check()
    visitor.fits()
    page.get_by_role("button", name="Check").click()
    expect(page.locator(".sums")).to_contain_text("on 1 kernel", timeout=60_000)
    visitor.shot("some", whole=True)
    visitor.fits()


def test_a_verdict_leads_to_its_reason_and_to_the_symbol(visit: Visit) -> None:
    visitor = visit(LIGHT)
    page = visitor.open("/check")
    page.get_by_label("Or a bpftrace script").fill(NAMES)
    page.get_by_role("button", name="Check").click()
    verdicts = page.get_by_role("region", name=re.compile("Verdicts"))
    row = verdicts.get_by_role("row").filter(has_text="changing::added")
    row.get_by_role("cell").first.get_by_role("link").click(timeout=60_000)
    assert "#" in visitor.path
    expect(page.locator(":target")).to_contain_text("changing::added")
    expect(page.locator(":target")).to_be_in_viewport()
    row.get_by_role("rowheader").get_by_role("link").click()
    assert visitor.path.startswith("/struct/changing") or visitor.path.startswith("/field/changing/added")


def test_what_cannot_be_checked_is_told(visit: Visit) -> None:
    visitor = visit(LIGHT)
    page = visitor.open("/check")
    page.get_by_role("button", name="Check").click()
    failure = page.locator("#failure")
    expect(failure).to_contain_text("Choose a file")
    visitor.shot("refused")
    visitor.is_accessible()


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_the_pages_of_checks_look_well(visit: Visit, look: Look) -> None:
    visitor = visit(look)
    visitor.looks("/check", "form")
    page = visitor.open("/check")
    page.get_by_label("Or a bpftrace script").fill(NAMES)
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Check of", timeout=60_000)
    kept = visitor.path
    visitor.looks(kept, "verdicts")
    visitor.looks(f"{kept}?all=1", "all")
    visitor.looks("/check/0123456789abcdef0123456789abcdef", "expired", 404)
