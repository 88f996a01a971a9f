"""A folder prepared of a configuration alone, by the tree's own Makefiles."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ksurf.acquire.config import parse_config
from ksurf.cli import run
from ksurf.errors import InputError
from ksurf.progress import Silent
from ksurf.source import configure as configure_module
from ksurf.source.configure import arch_of, config_text, configure
from ksurf.source.tree import Trees
from test_cli_source import source_files, write

CONFIG = """CONFIG_64BIT=y
CONFIG_X86_64=y
CONFIG_NR_CPUS=8192
CONFIG_PHYSICAL_START=0x1000000
CONFIG_NEGATIVE=-1
CONFIG_E1000=m
# CONFIG_DEBUG_X is not set
CONFIG_CMDLINE=""
CONFIG_LOCALVERSION="-a \\"b\\" \\\\c"
"""
# What the goals of a kernel's Makefile leave behind.
GOALS = b"""
olddefconfig: ; echo CONFIG_NEW=y >> $(O)/.config
prepare:
\tmkdir -p $(O)/include/generated $(O)/include/config $(O)/arch/x86/include/generated
\ttouch $(O)/include/generated/autoconf.h
\tcp $(O)/.config $(O)/include/config/auto.conf
"""


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for no more than make, as the small tree needs no more."""
    monkeypatch.setattr(configure_module, "_TOOLS", {"make": "make"})
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")


def test_options_become_a_configuration_again() -> None:
    assert config_text(parse_config(CONFIG.encode(), "x")) == CONFIG


@pytest.mark.parametrize(
    ("options", "arch"),
    [
        ([("CONFIG_X86", "y"), ("CONFIG_X86_64", "y")], "amd64"),
        ([("CONFIG_X86_32", "y"), ("CONFIG_X86_64", "n")], "i386"),
        ([("CONFIG_ARM64", "y")], "arm64"),
        ([("CONFIG_ALPHA", "y")], None),
        ([], None),
    ],
)
def test_a_configuration_tells_its_architecture(options: list[tuple[str, str]], arch: str | None) -> None:
    assert arch_of(options) == arch


@pytest.mark.usefixtures("tools")
def test_the_trees_makefile_prepares_the_folder(tmp_path: Path) -> None:
    tree = write(tmp_path / "tree", {"Makefile": GOALS})
    configure(tree, CONFIG, tmp_path / "build", "amd64", Silent())
    assert (tmp_path / "build/.config").read_text() == CONFIG + "CONFIG_NEW=y\n"
    assert (tmp_path / "build/include/generated/autoconf.h").is_file()
    write(tree, {"Makefile": b"olddefconfig: ; echo no such thing >&2; false\n"})
    with pytest.raises(InputError, match="make olddefconfig failed; it says: no such thing"):
        configure(tree, CONFIG, tmp_path / "other", "amd64", Silent())


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"make", "flex", "bison", "gcc", "ld", "clang"}
    monkeypatch.setattr(shutil, "which", lambda name: name if name in there else None)
    with pytest.raises(InputError, match="no compiler for arm64 is installed") as error:
        configure(tmp_path, CONFIG, tmp_path / "build", "arm64", Silent())
    assert error.value.hint == "apt install gcc-aarch64-linux-gnu, or clang and lld"
    there.remove("flex")
    with pytest.raises(InputError, match="flex is not installed"):
        configure(tmp_path, CONFIG, tmp_path / "build", "arm64", Silent())
    with pytest.raises(InputError, match="units of alpha cannot be read"):
        configure(tmp_path, CONFIG, tmp_path / "build", "alpha", Silent())
    assert not (tmp_path / "build").exists()


@pytest.mark.usefixtures("tools")
def test_a_kernel_is_prepared_with_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = source_files()
    folder = write(tmp_path / "linux", {**files, "Makefile": files["Makefile"] + GOALS})
    config = tmp_path / "my.config"
    config.write_text(CONFIG)
    assert run(["source", "add", str(folder), "--no-index"]) == 0
    prepare = ["source", "prepare", "custom_7.3.4", "--config", str(config)]
    assert run(prepare) == 2
    assert "name a KERNEL" in capsys.readouterr().err
    tree = Trees(tmp_path / "dataset").named("7.3")
    assert tree.prepared() == []
    assert run([*prepare, "--release", "7.3.4-mine"]) == 1
    assert "and custom_7.3.4 is not verified" in capsys.readouterr().err
    assert run([*prepare, "--release", "7.3.4-mine", "--run-makefiles"]) == 0
    (prepared,) = tree.prepared()
    assert (prepared.kernel.id, prepared.config) == ("custom_7.3.4-mine_amd64", str(config))
