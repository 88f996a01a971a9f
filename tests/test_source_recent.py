"""What is kept because it was made last."""

from __future__ import annotations

from ksurf.recent import Recent


def test_what_was_not_asked_for_longest_goes_first() -> None:
    recent: Recent[str] = Recent(10)
    recent.put("a", "A", 4)
    recent.put("b", "B", 4)
    assert recent.get("a") == "A"
    recent.put("c", "C", 4)
    assert [recent.get(key) for key in "abc"] == ["A", None, "C"]


def test_a_thing_takes_the_place_of_the_one_of_its_key() -> None:
    recent: Recent[str] = Recent(10)
    recent.put("a", "old", 9)
    recent.put("a", "new", 5)
    recent.put("b", "B", 5)
    assert recent.get("a") == "new"
    assert recent.get("b") == "B"


def test_what_weighs_too_much_is_not_kept() -> None:
    recent: Recent[str] = Recent(10)
    recent.put("a", "A", 5)
    recent.put("b", "B", 11)
    assert [recent.get("a"), recent.get("b")] == ["A", None]
    recent.put("a", "A", 11)
    assert recent.get("a") is None
