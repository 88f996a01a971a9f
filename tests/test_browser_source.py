"""Source in a browser: folders, code with hints and marks, cards, definitions, references, versions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect

from browser import LIGHT, LOOKS, PHONE, PLAIN, Look, Visitor, serving
from made_web_source import AMD, ARM, NEWER, web_source_dataset

Visit = Callable[[Look], Visitor]
TREE = "/source/debian_7.3.4-1"
TIMER = f"{TREE}/kernel/timer.c"
AS_ARM = f"{TIMER}?kernel={quote(ARM.id)}"


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with source, instead of the one without."""
    folder = tmp_path_factory.mktemp("source")
    with serving(web_source_dataset(folder / "dataset"), folder) as address:
        yield address


def line(page: Page, number: int) -> Locator:
    """A line of the code: its number, its sign and its text."""
    return page.locator(f"#L{number}")


def until_marked(page: Page) -> None:
    """Wait until the signs of the kernels are there; they are read when they are asked for first."""
    expect(page.locator("#facts")).to_have_count(0)


@pytest.mark.parametrize("look", [LIGHT, PLAIN], ids=lambda look: look.name)
def test_a_file_is_found_by_its_folders(visit: Visit, look: Look) -> None:
    visitor = visit(look)
    page = visitor.open("/")
    page.get_by_role("link", name="Source", exact=True).click()
    page.get_by_role("link", name="debian_7.3.4-1").click()
    page.get_by_role("link", name="kernel/", exact=True).click()
    row = page.get_by_role("row").filter(has_text="extra.c")
    expect(row).to_contain_text("amd64")
    visitor.shot("folder")
    page.get_by_role("link", name="timer.c", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("timer.c")
    assert visitor.path.startswith(TIMER)
    expect(line(page, 18)).to_contain_text("timer_start(")


def test_the_code_is_highlighted_and_says_what_was_left_out(visit: Visit) -> None:
    visitor = visit(LIGHT)
    page = visitor.open(AS_ARM)
    until_marked(page)
    visitor.shot("code", whole=True)

    def colour(place: Locator) -> str:
        return str(place.evaluate("place => getComputedStyle(place).color"))

    text = line(page, 16).locator("td").last
    assert colour(text.locator("span, b").first) != colour(text)
    assert "off" in str(line(page, 11).get_attribute("class"))
    assert "off" not in str(line(page, 16).get_attribute("class"))


def test_hints_are_switched_and_stay_so(visit: Visit) -> None:
    visitor = visit(LIGHT)
    page = visitor.open(AS_ARM)
    hint = line(page, 18).get_by_text("delay:")
    expect(hint).to_be_visible()
    page.get_by_role("link", name="Hide hints").click()
    expect(hint).to_be_hidden()
    page.reload()
    expect(hint).to_be_hidden()
    page.get_by_role("link", name="Show hints").click()
    expect(hint).to_be_visible()


def test_hints_are_switched_without_scripts(visit: Visit) -> None:
    page = visit(PLAIN).open(AS_ARM)
    hint = line(page, 18).get_by_text("delay:")
    expect(hint).to_be_visible()
    page.get_by_role("link", name="Hide hints").click()
    expect(hint).to_be_hidden()
    page.get_by_role("link", name="Show hints").click()
    expect(hint).to_be_visible()


def test_the_gutter_says_what_kernels_made_of_it(visit: Visit) -> None:
    visitor = visit(LIGHT)
    page = visitor.open(AS_ARM)
    until_marked(page)
    gutter = line(page, 18).locator("td").nth(1)
    expect(gutter).to_have_attribute("title", re.compile("called timer_start"))
    expect(gutter).to_have_attribute("title", re.compile("inlined timer_due"))
    expect(line(page, 3).locator("td").nth(1)).to_have_text("●")
    page.get_by_role("link", name="Show calls").click()
    expect(line(page, 18).locator("em")).to_be_visible()
    visitor.shot("calls")
    visitor.is_accessible()


def test_the_gutter_is_there_without_scripts(visit: Visit) -> None:
    # Nobody else asks for it as this kernel has it.
    page = visit(PLAIN).open(f"{TIMER}?kernel={quote(AMD.id)}")
    page.get_by_role("link", name="Read it").click()
    expect(line(page, 3).locator("td").nth(1)).to_have_text("●")


def test_a_card_tells_of_a_name_under_the_pointer(visit: Visit) -> None:
    visitor = visit(LIGHT)
    page = visitor.open(AS_ARM)
    line(page, 18).get_by_role("link", name="timer_start").hover()
    card = page.get_by_role("group", name="About timer_start")
    expect(card).to_contain_text("int timer_start(struct timer *t, int delay, int flags)")
    expect(card.locator(".status").first).to_have_text(re.compile("✔"))
    visitor.shot("card")
    visitor.is_accessible()
    card.get_by_role("link", name="function on all kernels").click()
    assert visitor.path.startswith("/function/timer_start")


def test_a_card_opens_and_closes_by_keyboard(visit: Visit) -> None:
    visitor = visit(LIGHT)
    page = visitor.open(f"/source/debian_7.4.1-1/kernel/timer.c?kernel={quote(NEWER.id)}")
    name = line(page, 20).get_by_role("link", name="timer_start")
    line(page, 20).get_by_role("link").first.focus()
    for _ in range(5):
        if name.evaluate("link => link === document.activeElement"):
            break
        page.keyboard.press("Tab")
    card = page.get_by_role("group", name="About timer_start")
    expect(card).to_be_visible()
    expect(card).to_contain_text("let a timer run")
    visitor.shot("documented")
    page.keyboard.press("Tab")
    expect(card.get_by_role("link").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(card).to_have_count(0)
    expect(name).to_be_focused()


@pytest.mark.parametrize("look", [LIGHT, PLAIN], ids=lambda look: look.name)
def test_a_name_leads_to_its_definition(visit: Visit, look: Look) -> None:
    visitor = visit(look)
    page = visitor.open(AS_ARM)
    line(page, 18).get_by_role("link", name="timer_due").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("timer.h")
    assert visitor.path.startswith(f"{TREE}/include/linux/timer.h") and visitor.path.endswith("#L3")
    expect(line(page, 3)).to_be_in_viewport()


@pytest.mark.parametrize("look", [LIGHT, PLAIN], ids=lambda look: look.name)
def test_all_references_are_listed(visit: Visit, look: Look) -> None:
    visitor = visit(look)
    page = visitor.open(f"{TREE}/defs?name=timer_start")
    page.get_by_role("link", name="All lines that mention it").click()
    expect(page.get_by_role("status")).to_contain_text("3 lines")
    visitor.shot("references")
    page.get_by_role("link", name="18", exact=True).click()
    assert visitor.path == f"{TIMER}#L18"


def test_the_outline_leads_to_a_line_and_ranges_have_addresses(visit: Visit) -> None:
    visitor = visit(LIGHT)
    page = visitor.open(TIMER)
    outline = page.get_by_role("complementary", name="Definitions")
    outline.get_by_role("link", name="timer_test").click()
    assert visitor.path == f"{TIMER}#L16"
    expect(line(page, 16)).to_have_class(re.compile("hit"))
    line(page, 19).get_by_role("link", name="19", exact=True).click(modifiers=["Shift"])
    assert visitor.path == f"{TIMER}#L16-L19"
    expect(page.locator("tr.hit")).to_have_count(4)
    visitor.shot("range")
    visitor.open("/")
    visitor.open(f"{TIMER}#L3-L7")
    expect(page.locator("tr.hit")).to_have_count(5)


def test_another_version_keeps_the_place(visit: Visit) -> None:
    visitor = visit(LIGHT)
    page = visitor.open(f"{AS_ARM}#L18")
    page.get_by_label("Show as").select_option(NEWER.id)
    page.get_by_role("button", name="Switch").click()
    expect(page).to_have_url(re.compile(r"debian_7\.4\.1-1/kernel/timer\.c\?kernel=.*#L20$"))
    expect(line(page, 20)).to_contain_text("timer_start(")
    expect(line(page, 20)).to_have_class(re.compile("hit"))


@pytest.mark.parametrize("look", [LIGHT, PLAIN], ids=lambda look: look.name)
def test_two_versions_are_compared(visit: Visit, look: Look) -> None:
    visitor = visit(look)
    page = visitor.open(AS_ARM)
    page.get_by_role("link", name="Compare with another version").click()
    page.get_by_label("B", exact=True).select_option(NEWER.id)
    page.get_by_role("button", name="Compare").click()
    added = page.locator("tr.added")
    expect(added.filter(has_text="5 & 6")).to_have_count(1)
    expect(page.locator("tr.removed")).to_contain_text("3 | 4")
    expect(page.get_by_role("region", name="Definitions")).to_contain_text("fresh")
    visitor.shot("versions", whole=True)


@pytest.mark.parametrize("look", [PHONE, PLAIN], ids=lambda look: look.name)
def test_the_text_is_searched(visit: Visit, look: Look) -> None:
    visitor = visit(look)
    page = visitor.open(TREE)
    page.get_by_label("Text").fill(r"return \w+_start")
    page.get_by_role("button", name="Search text").click()
    expect(page.get_by_role("status")).to_contain_text("1 line")
    visitor.shot("found")
    page.get_by_role("link", name="18", exact=True).click()
    assert visitor.path == f"{TIMER}#L18"


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_the_pages_of_source_look_well(visit: Visit, look: Look) -> None:
    visitor = visit(look)
    visitor.looks("/source", "trees")
    visitor.looks(f"{TREE}/kernel", "folder")
    visitor.looks(AS_ARM, "code")
    visitor.looks(f"{TREE}/defs?name=timer_start", "definitions")
    visitor.looks(f"{TREE}/refs?name=timer_start", "references")
    visitor.looks(f"{TREE}/search?q=timer", "text")
    visitor.looks("/source/diff?a=debian_7.3.4-1&b=debian_7.4.1-1&file=kernel/timer.c", "versions")
    visitor.looks(f"{TREE}/kernel/tiemr.c", "missing", 404)
