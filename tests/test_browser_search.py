"""Search in a browser: by keyboard, as you type, and without scripts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from browser import DARK, LIGHT, LOOKS, PHONE, PLAIN, Look, Visitor

Visit = Callable[[Look], Visitor]


def test_a_symbol_is_reached_by_keyboard_alone(visit: Visit) -> None:
    visitor = visit(LIGHT)
    page = visitor.open("/")
    page.keyboard.press("/")
    box = page.get_by_role("combobox")
    expect(box).to_be_focused()
    page.keyboard.type("vcpu_k", delay=20)
    options = page.get_by_role("option")
    expect(options).to_have_count(1)
    expect(options.first).to_contain_text("kvm_vcpu_kick")
    expect(box).to_have_attribute("aria-expanded", "true")
    visitor.shot("typed")
    visitor.is_accessible()
    page.keyboard.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    expect(box).to_have_attribute("aria-activedescendant", "suggestion-0")
    visitor.shot("chosen")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("kvm_vcpu_kick")
    assert visitor.path == "/function/kvm_vcpu_kick"


def test_the_arrows_go_round_and_escape_closes(visit: Visit) -> None:
    visitor = visit(DARK)
    page = visitor.open("/struct/kvm")
    page.keyboard.press("/")
    page.keyboard.type("k", delay=20)
    options = page.get_by_role("option")
    expect(options.nth(1)).to_be_visible()
    page.keyboard.press("ArrowUp")
    expect(options.last).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    visitor.shot("open")
    visitor.is_accessible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()
    assert visitor.path == "/struct/kvm"


def test_a_word_before_a_colon_narrows(visit: Visit) -> None:
    visitor = visit(PHONE)
    page = visitor.open("/")
    page.get_by_role("combobox").click()
    page.keyboard.type("struct:kvm", delay=20)
    options = page.get_by_role("option")
    expect(options).to_have_count(1)
    expect(options.first).to_contain_text("struct")
    visitor.shot("narrowed")
    visitor.fits()
    options.first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Struct kvm")


@pytest.mark.parametrize("look", [LIGHT, PLAIN], ids=lambda look: look.name)
def test_enter_shows_all_that_is_found(visit: Visit, look: Look) -> None:
    visitor = visit(look)
    page = visitor.open("/")
    box = page.locator("#q")
    box.fill("kvm")
    box.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("kvm")
    assert visitor.path == "/search?q=kvm"
    assert page.get_by_role("row").count() > 4
    visitor.shot("results")
    page.get_by_role("link", name="kvm_vcpu_wake_up", exact=True).first.click()
    assert visitor.path == "/function/kvm_vcpu_wake_up"


def test_the_first_key_skips_to_the_content(visit: Visit) -> None:
    visitor = visit(LIGHT)
    page = visitor.open("/struct/kvm")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_the_pages_of_search_look_well(visit: Visit, look: Look) -> None:
    visitor = visit(look)
    visitor.looks("/", "home")
    visitor.looks("/search?q=kvm", "results")
    visitor.looks("/search?q=nothing_like_it", "none")
    page = visitor.looks("/struct/kvmm", "missing", 404)
    page.get_by_role("link", name="kvm", exact=True).click()
    assert visitor.path == "/struct/kvm"
