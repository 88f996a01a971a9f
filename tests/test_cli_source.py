"""``ksurf source``: the commands that make trees, over a small archive, and what they do not run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from archive_server import ArchiveServer, Behaviour, serving
from full_disk import room_for
from ksurf.acquire import http as http_module
from ksurf.cli import run
from ksurf.source.names import NamesIndex
from ksurf.source.tree import Trees
from ksurf.source.units import Units
from made_packages import package, tar
from made_trees import kernel_files

VERSION = "7.3.4-1"
RELEASE = "7.3.4+deb13-cloud-amd64"
TREE_ID = "debian_7.3.4-1"
# What make prints for two files, as kbuild does, and a mark that it was run at all.
KBUILD = """
all := $(shell touch $(MARK))
.PHONY: ./
./:
\tset -e; gcc -Wp,-MMD,kernel/.fork.o.d -nostdinc -I$(CURDIR)/include -I$(O)/include -include \
$(CURDIR)/include/linux/kernel.h -D__KERNEL__ -O2 -DKBUILD_MODNAME='"fork"' -c -o kernel/fork.o \
$(CURDIR)/kernel/fork.c ; true
"""


def source_files(upstream: str = "7.3.4", mark: Path | None = None) -> dict[str, bytes]:
    """A tree in which make finds one unit."""
    files = kernel_files(upstream)
    kbuild = KBUILD.replace("$(MARK)", str(mark) if mark else "/dev/null")
    return {
        **files,
        "Makefile": files["Makefile"] + kbuild.encode(),
        "scripts/Makefile.build": b"",
        "arch/x86/Makefile": b"",
    }


def headers_files(release: str = RELEASE) -> dict[str, bytes]:
    """What a build prepares."""
    return {
        ".config": b"CONFIG_X86_64=y\nCONFIG_X86=y\n",
        "include/config/auto.conf": b"CONFIG_X86_64=y\n",
        "include/generated/autoconf.h": b"#define CONFIG_X86_64 1\n",
        "include/generated/utsrelease.h": f'#define UTS_RELEASE "{release}"\n'.encode(),
        "arch/x86/include/generated/asm/x.h": b"",
    }


def source_package(upstream: str = "7.3.4", mark: Path | None = None) -> bytes:
    inner = tar(source_files(upstream, mark), prefix="linux-source-7.3/")
    files = {"usr/src/linux-source-7.3.tar.xz": inner}
    return package(
        files,
        Package="linux-source-7.3",
        Version=VERSION,
        Architecture="all",
        Maintainer="Debian Kernel Team",
    )


def headers_package(release: str = RELEASE) -> bytes:
    folder = f"usr/src/linux-headers-{release}"
    files = {f"{folder}/{name}": content for name, content in headers_files(release).items()}
    return package(files, Package=f"linux-headers-{release}", Version=VERSION, Architecture="amd64")


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ArchiveServer]:
    monkeypatch.setattr(http_module, "PAUSES", (0.0,))
    with serving() as server:
        put(server, mark=tmp_path / "mark")
        yield server


def put(server: ArchiveServer, version: str = VERSION, mark: Path | None = None) -> None:
    """Put a kernel, its headers and its source into the archive's one suite."""
    server.suite("stable", {"amd64": paragraphs(server, version, mark)}, Codename="trixie")


def paragraphs(server: ArchiveServer, version: str = VERSION, mark: Path | None = None) -> list[str]:
    upstream = version.partition("-")[0]
    release = f"{upstream}+deb13-cloud-amd64"
    return [
        server.package(release, version, "amd64"),
        server.package(release, version, "amd64", headers_package(release), name=f"linux-headers-{release}"),
        server.package("", version, "all", source_package(upstream, mark), name="linux-source-7.3"),
    ]


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def ask(archive: ArchiveServer, *arguments: str) -> int:
    return run(["source", *arguments, "--mirror", archive.url, "--unsigned"])


def pull(archive: ArchiveServer, *arguments: str) -> int:
    """Pull as if the archive were signed."""
    return ask(archive, "pull", *arguments)


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the archive's signatures for checked."""
    from ksurf.acquire.suites import Suites

    monkeypatch.setattr(
        Suites, "verified", property(lambda self: True, lambda self, value: None), raising=False
    )


@pytest.mark.usefixtures("verified")
def test_pull_unpacks_and_prepares_once(
    archive: ArchiveServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pull(archive, "debian:7.3-cloud-amd64", RELEASE) == 0
    (tree,) = Trees(tmp_path / "dataset").all()
    assert (tree.id, tree.package, tree.version, tree.upstream) == (
        TREE_ID,
        "linux-source-7.3",
        VERSION,
        "7.3.4",
    )
    assert {str(p.relative_to(tree.root)) for p in tree.root.rglob("*") if p.is_file()} == {*source_files()}
    (prepared,) = tree.prepared()
    assert (prepared.kernel.release, prepared.units) == (RELEASE, 1)
    assert prepared.config == f".config of linux-headers-{RELEASE}"
    units = Units.load(tree.root, tree.units_folder(prepared.kernel))
    assert [unit.file for unit in units] == ["kernel/fork.c"]
    assert (units.build / "include/generated/autoconf.h").is_file()
    assert (tmp_path / "mark").exists()
    printed = capsys.readouterr().out
    assert f"{TREE_ID}: 6 files, " in printed
    assert f"  {RELEASE} amd64: 1 units, found in " in printed
    assert f"    configuration: .config of linux-headers-{RELEASE}\n" in printed
    assert "already known" in printed
    before = archive.counts()
    assert pull(archive, RELEASE) == 0
    assert archive.counts() - before == {}
    assert f"{TREE_ID}: already in the dataset\n" in capsys.readouterr().out
    assert run(["source", "list"]) == 0
    assert f"{RELEASE} amd64" in capsys.readouterr().out
    assert run(["source", "list", "--format", "json"]) == 0
    (document,) = json.loads(capsys.readouterr().out)
    assert document["origin"]["verified"] is True
    assert document["prepared"] == [{"kernel": prepared.kernel.id, "config": prepared.config, "units": 1}]
    assert Path(document["root"]) == tree.root


def test_makefiles_of_an_unsigned_archive_are_not_run(
    archive: ArchiveServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pull(archive, "7.3-cloud-amd64") == 1
    assert "--run-makefiles" in capsys.readouterr().err
    (tree,) = Trees(tmp_path / "dataset").all()
    assert (tree.is_trusted, tree.prepared()) == (False, [])
    assert not (tmp_path / "mark").exists()
    assert ask(archive, "prepare", TREE_ID, RELEASE) == 1
    assert not (tmp_path / "mark").exists()
    assert ask(archive, "prepare", TREE_ID, RELEASE, "--run-makefiles") == 0
    assert (tmp_path / "mark").exists()
    assert len(tree.prepared()) == 1


@pytest.mark.usefixtures("verified")
def test_pull_without_preparing_and_download_only(
    archive: ArchiveServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pull(archive, "7.3-cloud-amd64", "--download-only") == 0
    names = [Path(line).name for line in capsys.readouterr().out.splitlines()]
    assert names == [f"linux-source-7.3_{VERSION}_all.deb", f"linux-headers-{RELEASE}_{VERSION}_amd64.deb"]
    assert Trees(tmp_path / "dataset").all() == []
    assert pull(archive, "7.3-cloud-amd64", "--no-prepare", "--no-index") == 0
    (tree,) = Trees(tmp_path / "dataset").all()
    assert tree.prepared() == []
    assert not tree.names.exists()
    assert not (tmp_path / "mark").exists()


@pytest.mark.usefixtures("verified")
def test_names_are_indexed_once_and_again_when_they_must(
    archive: ArchiveServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pull(archive, "7.3-cloud-amd64", "--no-prepare") == 0
    assert "  names: indexed in " in capsys.readouterr().out
    (tree,) = Trees(tmp_path / "dataset").all()
    (definition,) = NamesIndex.open(tree.names, tree.root).definitions("fork")
    assert str(definition.place) == "kernel/fork.c:1"
    for arguments, said in ((["7.3"], "already indexed"), ([TREE_ID, "--again"], "indexed in")):
        assert run(["source", "index", *arguments]) == 0
        assert f"{TREE_ID}:\n  names: {said}" in capsys.readouterr().out
    for path in tree.names.iterdir():
        path.write_bytes(b"damaged")
    assert run(["source", "index", "7.3"]) == 0
    assert "  names: indexed in " in capsys.readouterr().out
    assert NamesIndex.open(tree.names, tree.root).definitions("fork")


@pytest.mark.usefixtures("verified")
def test_the_nearest_source_is_taken_and_said(
    archive: ArchiveServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = paragraphs(archive, "7.3.2-1"), paragraphs(archive, "7.3.9-1")
    archive.suite("stable", {"amd64": [*old, *new[:2]]}, Codename="trixie")
    assert pull(archive, "7.3-cloud-amd64") == 0
    assert "the archive lacks the source of 7.3.9-1; taking that of 7.3.2-1" in capsys.readouterr().err
    archive.suite("stable", {"amd64": new[:2]}, Codename="trixie")
    for path in (tmp_path / "cache/suites").rglob("*.json"):
        path.unlink()
    assert pull(archive, "7.3-cloud-amd64") == 1
    assert "the archive has no source of 7.3" in capsys.readouterr().err


@pytest.mark.usefixtures("verified")
def test_what_the_mirror_lacks_is_an_older_kernel(
    archive: ArchiveServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = paragraphs(archive, "7.3.2-1"), paragraphs(archive, "7.3.9-1")
    archive.suite("stable", {"amd64": [*old, *new]}, Codename="trixie")
    archive.behaviour["pool/main/l/linux/linux-source-7.3_7.3.9-1_all.deb"] = Behaviour(status=404)
    assert pull(archive, "7.3-cloud-amd64") == 0
    assert "taking the next older kernel" in capsys.readouterr().err
    assert [tree.version for tree in Trees(tmp_path / "dataset").all()] == ["7.3.2-1"]
    assert pull(archive, "7.3.9+deb13-cloud-amd64") == 1
    assert "the archive lists it, the mirror answers 404" in capsys.readouterr().err


@pytest.mark.usefixtures("verified")
def test_a_kernel_without_headers_keeps_its_tree(
    archive: ArchiveServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive.behaviour[f"pool/main/l/linux/linux-headers-{RELEASE}_{VERSION}_amd64.deb"] = Behaviour(
        status=404
    )
    assert pull(archive, "7.3-cloud-amd64") == 1
    printed = capsys.readouterr()
    assert "its configuration cannot be had, and so its units are not known" in printed.err
    assert "--build" in printed.err
    assert [tree.id for tree in Trees(tmp_path / "dataset").all()] == [TREE_ID]


@pytest.mark.usefixtures("verified")
def test_a_damaged_package_leaves_nothing(
    archive: ArchiveServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = f"pool/main/l/linux/linux-source-7.3_{VERSION}_all.deb"
    archive.files[path] = archive.files[path][:-9] + b"x" * 9
    assert pull(archive, "7.3-cloud-amd64") == 1
    assert "its SHA256 is" in capsys.readouterr().err
    assert not (tmp_path / "dataset/sources").exists()


@pytest.mark.usefixtures("verified")
def test_an_interrupted_pull_goes_on(
    archive: ArchiveServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("ksurf.source.made.unpack", interrupted)
        assert pull(archive, "7.3-cloud-amd64") == 130
    assert Trees(tmp_path / "dataset").all() == []
    assert list((tmp_path / "dataset/tmp").iterdir()) == []
    with monkeypatch.context() as patch:
        patch.setattr("ksurf.source.kernels.prepare", interrupted)
        assert pull(archive, "7.3-cloud-amd64") == 130
    (tree,) = Trees(tmp_path / "dataset").all()
    assert tree.prepared() == []
    with monkeypatch.context() as patch:
        patch.setattr("ksurf.source.kernels.precompile_common", interrupted)
        assert pull(archive, "7.3-cloud-amd64") == 130
    assert len(tree.prepared()) == 1  # what is missing only saves time
    assert pull(archive, "7.3-cloud-amd64") == 0
    assert len(tree.prepared()) == 1
    assert archive.counts()[f"pool/main/l/linux/linux-source-7.3_{VERSION}_all.deb"] == 1
    assert capsys.readouterr().err.count("interrupted") == 3


@pytest.mark.usefixtures("verified")
def test_two_that_want_the_same_wait_for_each_other(
    archive: ArchiveServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ThreadPoolExecutor(3) as pool:
        ended = [pool.submit(pull, archive, "7.3-cloud-amd64") for _ in range(3)]
        assert [one.result() for one in ended] == [0, 0, 0]
    (tree,) = Trees(tmp_path / "dataset").all()
    assert len(tree.prepared()) == 1
    assert list((tmp_path / "dataset/tmp").iterdir()) == []
    assert capsys.readouterr().out.count(", found in ") == 1


@pytest.mark.usefixtures("verified")
def test_a_full_disk_is_said_before_and_meanwhile(
    archive: ArchiveServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert pull(archive, "7.3-cloud-amd64", "--download-only") == 0
    with monkeypatch.context() as patch:
        patch.setattr("ksurf.source.made.unpacked_byte_size", lambda path: 1 << 60)
        assert pull(archive, "7.3-cloud-amd64") == 1
    assert "the source of 7.3 needs about" in capsys.readouterr().err
    with room_for(100):
        assert pull(archive, "7.3-cloud-amd64") == 1
    assert "no room" in capsys.readouterr().err
    assert Trees(tmp_path / "dataset").all() == []


def test_pull_knows_debian_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["source", "pull", "ubuntu:6.8"]) == 1
    assert "ksurf source add" in capsys.readouterr().err


def test_add_takes_archives_packages_and_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mark = tmp_path / "mark"
    tarball, deb = tmp_path / "linux.tar.gz", tmp_path / "source.deb"
    tarball.write_bytes(tar(source_files("7.3-rc2", mark), "gz", "linux-7.3-rc2/"))
    deb.write_bytes(source_package(mark=mark))
    folder = write(tmp_path / "linux", {**source_files("6.1.5", mark), ".git/config": b"", "a.o": b""})
    assert run(["source", "add", str(tarball), str(deb), str(folder)]) == 0
    assert run(["source", "add", str(folder), "--in-place", "--name", "my tree"]) == 0
    trees = Trees(tmp_path / "dataset").all()
    assert [(tree.id, tree.version, tree.is_trusted) for tree in trees] == [
        ("custom_6.1.5", None, False),
        ("my%20tree", None, False),
        ("custom_7.3-rc2", None, False),
        (TREE_ID, VERSION, False),
    ]
    assert trees[1].root == folder
    assert {path.name for path in trees[0].root.iterdir()} == {
        *("Kbuild", "Makefile", "arch", "include", "kernel", "scripts"),
    }
    assert not mark.exists()
    capsys.readouterr()
    assert run(["source", "add", str(tarball), str(folder)]) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("custom_7.3-rc2: already in the dataset\n  names: already indexed, ")
    assert "custom_6.1.5 is in the dataset" in printed.err
    assert "--name" in printed.err
    assert run(["source", "rm", "my%20tree", "6.1", "--yes"]) == 0
    assert (folder / "Makefile").is_file()
    assert len(Trees(tmp_path / "dataset").all()) == 2


def test_add_refuses_what_is_no_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("text\n" * 1000)
    (tmp_path / "x.deb").write_bytes(package({"x": b""}, Package="hello", Version="1", Architecture="all"))
    paths = [str(tmp_path / name) for name in ("folder", "text", "x.deb", "gone")]
    assert run(["source", "add", *paths]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert [line.split(": ")[1] for line in printed.err.splitlines()].count("error") == 4
    assert "hello has no source of a kernel" in printed.err
    assert run(["source", "add", *paths, "--name", "x"]) == 2
    assert not (tmp_path / "dataset/sources").exists()


def test_prepare_with_a_folder_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mark = tmp_path / "mark"
    folder = write(tmp_path / "linux", source_files(mark=mark))
    build = write(tmp_path / "build", headers_files("7.3.4-mine"))
    assert run(["source", "add", str(folder), "--name", "mine"]) == 0
    prepare = ["source", "prepare", "mine", "--build", str(build)]
    assert run(prepare) == 1
    assert "finding its units runs commands in Makefiles, and mine is not verified" in capsys.readouterr().err
    assert not mark.exists()
    assert run([*prepare, "--run-makefiles"]) == 0
    assert mark.exists()
    assert "  7.3.4-mine amd64: 1 units, found in " in capsys.readouterr().out
    (prepared,) = Trees(tmp_path / "dataset").named("mine").prepared()
    assert prepared.kernel.id == "custom_7.3.4-mine_amd64"
    assert prepared.config == f".config of {build}"
    mark.unlink()
    assert run([*prepare, "--run-makefiles"]) == 0
    assert not mark.exists()
    assert run([*prepare, "--run-makefiles", "--again"]) == 0
    assert mark.exists()


def test_prepare_with_a_list_of_commands_runs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mark = tmp_path / "mark"
    folder = write(tmp_path / "linux", source_files(mark=mark))
    build = write(tmp_path / "build", headers_files("7.3.4-mine"))
    command = f"gcc -nostdinc -I{folder}/include -D__KERNEL__ -c -o kernel/fork.o {folder}/kernel/fork.c"
    commands = [{"directory": str(build), "file": f"{folder}/kernel/fork.c", "command": command}]
    (build / "compile_commands.json").write_text(json.dumps(commands))
    assert run(["source", "add", str(folder), "--in-place"]) == 0
    assert run(["source", "prepare", "7.3", "--build", str(build)]) == 0
    assert not mark.exists()
    assert len(Trees(tmp_path / "dataset").named("7.3").prepared()) == 1


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (["TREE"], 2, "name a KERNEL"),
        (["TREE", "--build", "BUILD", "--config", "BUILD/.config"], 2, "--config names another"),
        (["TREE", "a", "b", "--build", "BUILD"], 2, "of one kernel"),
        (["TREE", "a", "--release", "7.3.4", "--build", "BUILD"], 2, "of one kernel"),
        (["TREE", "a", "--release", "7.3.4"], 2, "with --build or --config"),
        (["TREE", "--release", "mine", "--config", "BUILD/.config"], 1, "does not begin with a version"),
        (["other:7.3", "--build", "BUILD"], 1, "no source tree matches"),
        (["TREE", "--build", "EMPTY"], 1, "no prepared folder of a kernel"),
        (["TREE", "--build", "TEXT"], 1, "text"),
        (["TREE", "7.3-cloud-amd64", "--config", "TEXT", "--run-makefiles"], 1, "neither an option"),
    ],
)
def test_what_prepare_refuses(
    archive: ArchiveServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    reason: str,
) -> None:
    folder = write(tmp_path / "linux", source_files())
    build = write(tmp_path / "build", headers_files())
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("text\n")
    assert run(["source", "add", str(folder)]) == 0
    names = {"TREE": "custom_7.3.4", "BUILD": str(build), "EMPTY": str(tmp_path / "empty")}
    names["TEXT"] = str(tmp_path / "text")
    words = []
    for argument in arguments:
        first, slash, rest = argument.partition("/")
        words.append(names.get(first, first) + slash + rest)
    assert ask(archive, "prepare", *words) == status
    assert reason in capsys.readouterr().err


def test_remove_asks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "linux", source_files())
    run(["source", "add", str(folder)])
    assert run(["source", "rm", "custom:7.3"]) == 1
    assert "this would remove 1 source trees" in capsys.readouterr().err
    (tmp_path / "dataset/sources/custom_7.3.4/manifest.json").write_text("{")
    assert run(["source", "list"]) == 1
    assert "is damaged" in capsys.readouterr().err
    assert run(["source", "rm", "custom_7.3.4", "--yes"]) == 0
    assert run(["source", "list"]) == 0
    assert run(["source", "rm", "custom_7.3.4", "--yes"]) == 1
