"""The README's first command, where there is no network and where there is no toolchain."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run_demo(folder: Path) -> str:
    environment = {**os.environ, "KSURF_OFFLINE": "1", "VENV": sys.prefix}
    done = subprocess.run(
        [ROOT / "scripts" / "demo", folder],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_a_network_the_demo_compiles_two_images_and_goes_the_same_way(tmp_path: Path) -> None:
    folder = tmp_path / "a demo"
    first = run_demo(folder)
    assert "KSURF_OFFLINE is set" in first
    # 6.12's images have a changed parameter, and KVM built in.
    assert "Param added: bool wait" in first
    assert "kvm_make_request" in first
    assert "Duplicate, Full Inline" in first
    second = run_demo(folder)
    assert "linking" not in second
    assert second.count("already in the dataset") == 2
    assert second.split("$ ksurf show")[1] == first.split("$ ksurf show")[1]


def test_a_missing_toolchain_is_named_with_the_way_to_get_it(tmp_path: Path) -> None:
    for tool in ("bash", "env", "sed", "sort", "head", "cut", "dirname"):
        found = shutil.which(tool)
        assert found is not None
        (tmp_path / tool).symlink_to(found)
    (tmp_path / "rustc").write_text("#!/bin/sh\necho 'rustc 1.63.0 (4b91a6ea7 2022-08-08)'\n")
    (tmp_path / "rustc").chmod(0o755)
    environment = {"PATH": str(tmp_path), "PYTHON": sys.executable}
    done = subprocess.run([ROOT / "scripts" / "toolchain"], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert [line.partition(":")[0].strip() for line in lines] == ["missing", "get it"] * (len(lines) // 2)
    missing = [line for line in lines if line.startswith("missing")]
    assert [line.split()[1] for line in missing] == ["cargo", "rustc", "a"]
    assert "found 1.63.0" in missing[1]
    assert "apt install gcc" in lines[-1]


@pytest.mark.parametrize("version", ["3.10.12", "2.7.18"])
def test_an_old_python_is_refused(tmp_path: Path, version: str) -> None:
    python = tmp_path / "python3"
    # It answers like an old one: the check fails, and -V says why.
    python.write_text(f'#!/bin/sh\n[ "$1" = -V ] && echo "Python {version}" || exit 1\n')
    python.chmod(0o755)
    done = subprocess.run(
        [ROOT / "scripts" / "toolchain"],
        env={**os.environ, "PYTHON": str(python)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert f"missing: Python 3.11 or newer ({python} is {version})" in done.stderr
