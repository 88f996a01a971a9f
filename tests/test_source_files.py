"""Files of a tree: named by a person, read without leaving the tree, and why a build leaves them out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ksurf.errors import InputError
from ksurf.source.files import file_named, files_below, read_file
from ksurf.source.left_out import options_set, why_left_out


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name in ("kernel/fork.c", "drivers/a/main.c", "drivers/b/main.c", "drivers/b/x-main.c"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"int a;\n")
    (tmp_path / "secret.c").write_bytes(b"secret")
    return root


def named(root: Path, name: str) -> str:
    return file_named(root, name, lambda: files_below(root))


def test_a_file_is_named_by_its_path_or_the_end_of_it(root: Path) -> None:
    assert named(root, "kernel/fork.c") == "kernel/fork.c"
    assert named(root, "./kernel//fork.c") == "kernel/fork.c"
    assert named(root, str(root / "kernel/fork.c")) == "kernel/fork.c"
    assert named(root, "fork.c") == "kernel/fork.c"
    assert named(root, "b/main.c") == "drivers/b/main.c"


def test_candidates_are_listed(root: Path) -> None:
    with pytest.raises(InputError, match=r"2 files .* end in main\.c") as several:
        named(root, "main.c")
    assert several.value.hint == "which one? drivers/a/main.c, drivers/b/main.c"
    with pytest.raises(InputError, match=r"has no file forc\.c") as near:
        named(root, "forc.c")
    assert near.value.hint == "did you mean kernel/fork.c?"
    with pytest.raises(InputError) as nothing:
        named(root, "zzzzzzzz")
    assert nothing.value.hint is None


@pytest.mark.parametrize("name", ["../secret.c", "kernel/../../secret.c", "/etc/passwd", "", ".", "/"])
def test_a_name_does_not_lead_out_of_the_tree(root: Path, name: str) -> None:
    with pytest.raises(InputError):
        named(root, name)


def test_links_out_of_the_tree_are_not_read(root: Path) -> None:
    (root / "out.c").symlink_to(root.parent / "secret.c")
    (root / "folder").symlink_to(root.parent)
    (root / "inside.c").symlink_to("kernel/fork.c")
    for name in ("out.c", "folder/secret.c"):
        with pytest.raises(InputError, match="leads out of the tree"):
            read_file(root, name)
    assert read_file(root, "inside.c") == b"int a;\n"
    assert "folder/secret.c" not in set(files_below(root))


def test_what_is_no_plain_file_is_not_read(root: Path) -> None:
    os.mkfifo(root / "pipe.c")
    with pytest.raises(InputError, match="no plain file"):
        read_file(root, "pipe.c")
    with pytest.raises(InputError, match="folder"):
        read_file(root, "kernel")
    with pytest.raises(InputError, match="no such file"):
        read_file(root, "kernel/gone.c")
    (root / "huge.c").touch()
    os.truncate(root / "huge.c", 1 << 40)
    with pytest.raises(InputError, match="more than a page can show"):
        read_file(root, "huge.c")


def test_the_missing_option_is_found_in_makefiles(root: Path) -> None:
    (root / "drivers/Makefile").write_text("obj-y += a/\nobj-$(CONFIG_B) += \\\n\tb/ c.o\n")
    (root / "drivers/a/Makefile").write_text(
        "a-y := x.o\na-$(CONFIG_TWO) += main.o\na-$(CONFIG_ONE) += main.o\n# $(CONFIG_NO) += other.o\n"
    )
    (root / "drivers/b/Makefile").write_text("obj-$(CONFIG_B_MAIN) += main.o\n")
    assert why_left_out(root, "drivers/a/main.c", frozenset()) == (
        "drivers/a/Makefile asks for CONFIG_ONE or CONFIG_TWO, which is not set"
    )
    assert why_left_out(root, "drivers/a/main.c", frozenset({"CONFIG_ONE"})) is None
    assert why_left_out(root, "drivers/a/other.c", frozenset()) is None
    assert why_left_out(root, "drivers/b/main.c", frozenset({"CONFIG_B_MAIN"})) == (
        "drivers/Makefile asks for CONFIG_B, which is not set"
    )
    assert why_left_out(root, "drivers/b/main.c", frozenset({"CONFIG_B"})) == (
        "drivers/b/Makefile asks for CONFIG_B_MAIN, which is not set"
    )


def test_an_object_may_be_named_from_a_folder_above(root: Path) -> None:
    (root / "drivers/Makefile").write_text("kvm-$(CONFIG_VGIC) += b/main.o\n")
    assert why_left_out(root, "drivers/b/main.c", frozenset()) == (
        "drivers/Makefile asks for CONFIG_VGIC, which is not set"
    )


def test_options_of_a_configuration(tmp_path: Path) -> None:
    config = tmp_path / ".config"
    assert options_set(config) is None
    config.write_text('CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=m\nCONFIG_D=""\n')
    assert options_set(config) == frozenset({"CONFIG_A", "CONFIG_C", "CONFIG_D"})
