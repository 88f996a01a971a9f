"""Plots in a browser: drawn, in the colours of the page, and to be saved."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from browser import DARK, LIGHT, LOOKS, PLAIN, Look, Visitor

Visit = Callable[[Look], Visitor]
DRAWN = "async image => { image.scrollIntoView(); await image.decode(); return image.naturalWidth; }"


@pytest.mark.parametrize("look", [LIGHT, DARK], ids=lambda look: look.name)
def test_plots_are_drawn_in_the_colours_of_the_page(visit: Visit, look: Look) -> None:
    visitor = visit(look)
    page = visitor.open("/")
    page.get_by_role("link", name="Plots").click()
    pictures = page.get_by_role("img")
    expect(pictures).to_have_count(3)
    for picture in pictures.all():
        assert picture.evaluate(DRAWN) > 300
        assert ("dark=1" in picture.evaluate("image => image.currentSrc")) == look.dark
        expect(picture).to_have_attribute("alt", re.compile("6.12"))
    visitor.shot("drawn", whole=True)


@pytest.mark.parametrize("look", [LIGHT, PLAIN], ids=lambda look: look.name)
def test_other_structs_are_asked_for(visit: Visit, look: Look) -> None:
    visitor = visit(look)
    page = visitor.open("/plots")
    page.get_by_label("Structs").fill("kvm,changing")
    page.get_by_role("button", name="Show").click()
    assert "structs=kvm%2Cchanging" in visitor.path
    expect(page.get_by_role("img").last).to_have_attribute("src", re.compile("changing"))


def test_pictures_can_be_saved(visit: Visit) -> None:
    visitor = visit(LIGHT)
    page = visitor.open("/plots")
    for form in ("SVG", "PNG"):
        address = page.get_by_role("link", name=form, exact=True).first.get_attribute("href")
        assert address is not None
        answer = page.request.get(visitor.address + address.removeprefix("/"))
        assert answer.status == 200 and f"image/{form.lower()}" in answer.headers["content-type"]


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_the_page_of_plots_looks_well(visit: Visit, look: Look) -> None:
    visitor = visit(look)
    page = visitor.open("/plots")
    for picture in page.get_by_role("img").all():
        picture.scroll_into_view_if_needed()
        if look.scripts:
            picture.evaluate(DRAWN)
    visitor.shot("plots", whole=True)
    visitor.fits()
    if look.scripts:
        visitor.is_accessible()
