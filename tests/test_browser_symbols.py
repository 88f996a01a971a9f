"""The page of a symbol in a browser: matrix, changes, what can be attached, and calls as a tree."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from browser import LIGHT, LOOKS, PHONE_DARK, PLAIN, Look, Visitor

Visit = Callable[[Look], Visitor]


def test_the_matrix_says_in_words_what_it_says_in_colour(visit: Visit) -> None:
    visitor = visit(LIGHT)
    page = visitor.open("/export/vfs_read")
    matrix = page.get_by_role("region", name="Status on all kernels")
    heads = matrix.get_by_role("columnheader").all_inner_texts()
    assert [head for head in heads if head[:1].isdigit()] == ["6.1", "6.12"]
    cells = matrix.locator(".status")
    expect(cells).to_have_text([re.compile("✔ OK")] * 3)


def test_a_kernel_of_the_matrix_is_chosen(visit: Visit) -> None:
    visitor = visit(LIGHT)
    page = visitor.open("/struct/changing")
    expect(page.get_by_role("heading", name="Definition on 6.12 amd64")).to_be_visible()
    expect(page.locator("tr.marked")).to_have_count(2)
    visitor.shot("newest", whole=True)
    page.get_by_role("region", name="Status on all kernels").get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="Definition on 6.1 amd64")).to_be_visible()
    expect(page.locator(".definition")).to_contain_text("long state")
    assert "kernel=" in visitor.path


@pytest.mark.parametrize("look", [LIGHT, PLAIN], ids=lambda look: look.name)
def test_a_struct_tells_its_story_and_leads_to_its_fields(visit: Visit, look: Look) -> None:
    visitor = visit(look)
    page = visitor.open("/struct/changing")
    changed = page.locator(".timeline .changed")
    expect(changed).to_have_count(1)
    expect(changed).to_contain_text("Field added")
    expect(changed).to_contain_text("Field type changed")
    page.get_by_text("Facts on each kernel").click()
    expect(page.get_by_role("region", name="Facts on each kernel")).to_contain_text("24")
    page.get_by_role("link", name="field state").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("changing::state")
    assert visitor.path == "/field/changing/state"
    page.get_by_role("link", name="JSON").click()
    assert visitor.path == "/field/changing/state.json"


def test_what_can_be_attached_has_reasons(visit: Visit) -> None:
    visitor = visit(LIGHT)
    page = visitor.open("/function/kvm_vcpu_kick")
    table = page.get_by_role("region", name="Attachability")
    kprobe = table.get_by_role("row").filter(has=page.get_by_role("rowheader", name="kprobe", exact=True))
    expect(kprobe.get_by_role("cell")).to_have_text([re.compile("✔")] * 3)
    fentry = table.get_by_role("row").filter(has=page.get_by_role("rowheader", name="fentry", exact=True))
    (number,) = set(fentry.locator("sup").all_inner_texts())
    expect(page.locator(".reasons li").nth(int(number) - 1)).to_contain_text("BPF trampoline")


def test_calls_open_as_a_tree_by_keyboard(visit: Visit) -> None:
    visitor = visit(LIGHT)
    page = visitor.open("/function/kvm_vcpu_kick")
    calls = page.locator(".callers li")
    expect(calls).to_contain_text(re.compile(r"kvm_vcpu_wake_up through kick_helper"))
    page.get_by_role("link", name="callers as a tree").click()
    first = page.locator(".tree > li > details > summary").first
    expect(first).to_contain_text("kvm_vcpu_wake_up")
    first.focus()
    with page.expect_response(lambda answer: "part=1" in answer.url):
        page.keyboard.press("Enter")
    expect(page.locator(".tree .tree, .tree .quiet").first).to_be_visible()
    visitor.shot("opened")
    visitor.is_accessible()


def test_calls_are_pages_without_scripts(visit: Visit) -> None:
    visitor = visit(PLAIN)
    page = visitor.open("/calls/kvm_vcpu_wake_up?way=callees")
    page.locator(".tree summary").first.click()
    page.get_by_role("link", name="callees of kick_helper").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Callees of kick_helper")
    expect(page.locator(".tree")).to_contain_text("kvm_vcpu_kick")


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_the_pages_of_symbols_look_well(visit: Visit, look: Look) -> None:
    visitor = visit(look)
    visitor.looks("/function/kvm_vcpu_kick", "function")
    visitor.looks("/struct/kvm", "struct")
    visitor.looks("/struct/changing", "changing")
    visitor.looks("/calls/kvm_vcpu_kick", "calls")


@pytest.mark.parametrize(
    "path",
    [
        "/enum/pid_type",
        "/typedef/pid_t",
        "/tracepoint/sched:sched_switch",
        "/syscall/stat",
        "/kfunc/bpf_task_acquire",
        "/export/kvm_get_kvm",
        "/config/CONFIG_NUMBER",
        "/field/kvm/irqfds/items/next",
    ],
)
def test_every_kind_looks_well_on_a_phone(visit: Visit, path: str) -> None:
    visit(PHONE_DARK).looks(path, path.split("/")[1])
