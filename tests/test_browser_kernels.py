"""The page of kernels in a browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from browser import LIGHT, LOOKS, Look, Visitor

Visit = Callable[[Look], Visitor]


def test_a_kernel_is_found_from_the_first_page(visit: Visit) -> None:
    visitor = visit(LIGHT)
    page = visitor.open("/")
    page.get_by_role("navigation", name="Rooms").get_by_role("link", name="Kernels").click()
    table = page.get_by_role("region", name="What was read of each kernel")
    expect(table.get_by_role("rowheader")).to_have_count(3)
    visitor.shot("kernels", whole=True)
    table.get_by_role("link", name="6.1.5-cloud-amd64").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("6.1.5-cloud-amd64")


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_the_pages_of_kernels_look_well(visit: Visit, look: Look) -> None:
    visitor = visit(look)
    visitor.looks("/kernels", "kernels")
    page = visitor.open("/kernels")
    page.get_by_role("link", name="6.12.1-cloud-arm64").first.click()
    page.wait_for_load_state()
    visitor.looks(visitor.path, "kernel")
