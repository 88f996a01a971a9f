"""Two kernels compared in a browser: chosen, counted, filtered, and a symbol side by side."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from browser import LIGHT, LOOKS, PLAIN, Look, Visitor
from ksurf.web.addresses import compare_path
from made_kernel import kernel

Visit = Callable[[Look], Visitor]
PAIR = compare_path(kernel("6.1.5").id, kernel("6.12.1").id)


def until_there(page: Page) -> None:
    """Wait for what is computed when it is asked for the first time; the page comes back by itself."""
    expect(page.get_by_role("region", name="How much differs")).to_be_visible(timeout=60_000)


@pytest.mark.parametrize("look", [LIGHT, PLAIN], ids=lambda look: look.name)
def test_two_kernels_are_chosen(visit: Visit, look: Look) -> None:
    visitor = visit(look)
    page = visitor.open("/")
    page.get_by_role("link", name="Compare").click()
    page.get_by_label("old kernel").select_option(kernel("6.1.5").id)
    page.get_by_label("new kernel").select_option(kernel("6.12.1").id)
    page.get_by_role("button", name="Compare").click()
    until_there(page)
    assert visitor.path == PAIR
    counts = page.get_by_role("region", name="How much differs")
    struct = counts.get_by_role("row").filter(has=page.get_by_role("rowheader", name="struct", exact=True))
    expect(struct.get_by_role("cell").nth(2)).to_have_text("2")
    visitor.shot("counts", whole=True)


def test_the_list_is_filtered_while_typing(visit: Visit) -> None:
    visitor = visit(LIGHT)
    page = visitor.open(PAIR)
    until_there(page)
    names = page.get_by_role("region", name="What differs").get_by_role("rowheader")
    before = names.count()
    assert before > 2
    page.get_by_label("name has").fill("chang")
    expect(names).to_have_text(["changing"])
    expect(page).to_have_url(re.compile(r"text=chang"))
    visitor.shot("filtered")
    visitor.is_accessible()
    page.get_by_label("name has").fill("")
    expect(names).to_have_count(before)
    page.locator("select[name=kind]").select_option("enum")
    expect(names).to_have_text(["pid_type"])


def test_the_list_is_filtered_and_sorted_without_scripts(visit: Visit) -> None:
    visitor = visit(PLAIN)
    page = visitor.open(PAIR)
    until_there(page)
    names = page.get_by_role("region", name="What differs").get_by_role("rowheader")
    page.get_by_role("link", name="name", exact=True).click()
    ascending = names.all_inner_texts()
    assert ascending == sorted(ascending, key=str.casefold)
    page.get_by_role("link", name="name ▲").click()
    assert names.all_inner_texts() == ascending[::-1]
    page.locator("select[name=kind]").select_option("struct")
    page.get_by_role("button", name="Show").click()
    assert set(names.all_inner_texts()) == {"changing", "kvm"}


def test_a_struct_is_shown_side_by_side(visit: Visit) -> None:
    visitor = visit(LIGHT)
    page = visitor.open(f"{PAIR}?kind=struct")
    until_there(page)
    page.get_by_role("link", name="changing", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("changing")
    sides = page.get_by_role("region", name="Side by side")
    expect(sides.get_by_role("row").filter(has_text="added")).to_contain_text("u64 added")
    expect(sides.get_by_role("row").filter(has_text="long state")).to_contain_text("int state")
    visitor.shot("struct", whole=True)


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_the_pages_of_comparisons_look_well(visit: Visit, look: Look) -> None:
    visitor = visit(look)
    visitor.looks("/compare", "choose")
    until_there(visitor.open(PAIR))
    visitor.looks(PAIR, "pair")
    visitor.looks(f"{PAIR}/struct/changing", "struct")
    visitor.looks(f"{PAIR}/function/kvm_vcpu_kick", "function")
    visitor.looks(f"{PAIR}/struct/nothing", "missing", 404)
