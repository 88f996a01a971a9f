"""Source out of archives and folders: plain files below one folder, and nothing that an archive may try."""

from __future__ import annotations

import io
import lzma
import os
import tarfile
from pathlib import Path

import pytest

from full_disk import room_for
from ksurf.errors import DiskFullError, InputError
from ksurf.progress import Silent
from ksurf.source import unpack as unpack_module
from ksurf.source.unpack import check_room, copy_folder, source_version, unpack, unpacked_byte_size
from made_packages import package, tar, tar_of
from made_trees import kernel_files, makefile


def member(name: str, content: bytes = b"x", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    info.size = len(content) if info.isreg() else 0
    return info, content


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=kind, linkname=target)


def tree_members() -> list[tuple[tarfile.TarInfo, bytes]]:
    return [member(f"linux/{name}", content) for name, content in kernel_files().items()]


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("compression", ["xz", "gz", ""])
@pytest.mark.parametrize("prefix", ["", "./", "linux-7.3/", "usr/src/linux/"])
def test_a_tree_comes_out_as_it_was(tmp_path: Path, compression: str, prefix: str) -> None:
    archive = tmp_path / "linux.tar"
    archive.write_bytes(tar(kernel_files(), compression, prefix))
    found = unpack(archive, tmp_path / "tree", Silent())
    assert files_below(tmp_path / "tree") == kernel_files()
    assert (found.files, found.byte_size) == (4, sum(map(len, kernel_files().values())))
    assert {path.name for path in tmp_path.iterdir()} == {"linux.tar", "tree"}


def test_a_package_has_an_archive_in_it(tmp_path: Path) -> None:
    deb = tmp_path / "linux-source-7.3_1_all.deb"
    inner = tar(kernel_files(), prefix="linux-source-7.3/")
    deb.write_bytes(
        package({"usr/share/doc/x": b"x", "usr/src/linux-source-7.3.tar.xz": inner, "usr/src/z": b"z"})
    )
    unpack(deb, tmp_path / "tree", Silent())
    assert files_below(tmp_path / "tree") == kernel_files()
    assert {path.name for path in tmp_path.iterdir()} == {deb.name, "tree"}


def test_permissions_are_plain_and_links_of_the_tree_become_files(tmp_path: Path) -> None:
    archive = tmp_path / "linux.tar.xz"
    script = b"#!/bin/sh\nexit 0\n"
    members = [
        *tree_members(),
        link("linux/arch/arm64/tools/syscall.tbl", "../../../scripts/syscall.tbl"),
        link("linux/dangling", "nowhere"),
        link("linux/folder", "kernel"),
        link("linux/hard.c", "linux/kernel/fork.c", tarfile.LNKTYPE),
        member("linux/scripts/syscall.tbl", b"0 common read\n", mode=0o4777),
        member("linux/scripts/run.sh", script, mode=0o600),
    ]
    archive.write_bytes(tar_of(members))
    unpack(archive, tmp_path / "tree", Silent())
    found = files_below(tmp_path / "tree")
    assert found == {
        **kernel_files(),
        "arch/arm64/tools/syscall.tbl": b"0 common read\n",
        "hard.c": kernel_files()["kernel/fork.c"],
        "scripts/syscall.tbl": b"0 common read\n",
        "scripts/run.sh": script,
    }
    umask = os.umask(0)
    os.umask(umask)
    modes = {name: (tmp_path / "tree" / name).lstat().st_mode & 0o7777 for name in found}
    assert modes.pop("scripts/run.sh") == 0o755 & ~umask
    assert set(modes.values()) == {0o644 & ~umask}
    assert not any(path.is_symlink() for path in (tmp_path / "tree").rglob("*"))


@pytest.mark.parametrize("name", ["/etc/cron.d/x", "linux/../../x", "../x", "linux/" + "a/" * 600 + "x"])
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    archive = tmp_path / "in" / "linux.tar.xz"
    archive.parent.mkdir()
    archive.write_bytes(tar_of([*tree_members(), member(name)]))
    with pytest.raises(InputError, match="which is refused"):
        unpack(archive, tmp_path / "work", Silent())
    assert {path.name for path in tmp_path.rglob("*")} == {"in", "linux.tar.xz"}


def test_nothing_is_written_through_links_and_devices_are_left_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    archive = tmp_path / "linux.tar.xz"
    members = [
        link("linux/abs", str(outside)),
        link("linux/up", "../../outside"),
        link("linux/secret.c", "../../outside/secret"),
        link("linux/secret2.c", str(outside / "secret")),
        link("linux/hard.c", "../outside/secret", tarfile.LNKTYPE),
        *tree_members(),
        member("linux/abs/x", b"evil"),
        member("linux/up/x", b"evil"),
        member("linux/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
        member("linux/disk", type=tarfile.BLKTYPE, devmajor=8, devminor=0),
        member("linux/pipe", type=tarfile.FIFOTYPE),
    ]
    archive.write_bytes(tar_of(members))
    unpack(archive, tmp_path / "tree", Silent())
    assert files_below(tmp_path / "tree") == {**kernel_files(), "abs/x": b"evil", "up/x": b"evil"}
    assert files_below(outside) == {"secret": b"secret"}


def test_a_file_that_is_a_folder_too_is_refused(tmp_path: Path) -> None:
    for number, names in enumerate((["linux/a", "linux/a/b"], ["linux/a/b", "linux/a"])):
        archive = tmp_path / f"{number}.tar.xz"
        archive.write_bytes(tar_of([*tree_members(), *map(member, names)]))
        with pytest.raises(InputError, match="is a file and a folder in it"):
            unpack(archive, tmp_path / f"tree{number}", Silent())


def test_every_truncation_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    whole = tar(kernel_files(), prefix="linux/")
    archive = tmp_path / "linux.tar.xz"
    for end in range(0, len(whole), 7):
        archive.write_bytes(whole[:end])
        with pytest.raises(InputError) as error:
            unpack(archive, tmp_path / "tree", Silent())
        assert "linux.tar.xz" in error.value.message
    assert [path.name for path in tmp_path.iterdir()] == ["linux.tar.xz"]


def test_a_damaged_package_names_the_package(tmp_path: Path) -> None:
    deb = tmp_path / "linux-source-7.3_1_all.deb"
    inner = tar(kernel_files(), prefix="linux-source-7.3/")
    deb.write_bytes(package({"usr/src/linux-source-7.3.tar.xz": inner[:-20]}))
    with pytest.raises(InputError, match=r"linux-source-7\.3_1_all\.deb") as error:
        unpack(deb, tmp_path / "tree", Silent())
    assert "fetch it again" in str(error.value.hint)
    assert [path.name for path in tmp_path.iterdir()] == [deb.name]


def test_what_decompresses_without_end_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "bomb.tar.xz"
    monkeypatch.setattr(unpack_module, "_FILE_BYTE_LIMIT", 1 << 16)
    monkeypatch.setattr(unpack_module, "_BYTE_LIMIT", 1 << 20)
    archive.write_bytes(tar_of([*tree_members(), member("linux/large", bytes(1 << 17))]))
    assert unpack(archive, tmp_path / "one", Silent()).left_out == 1
    archive.write_bytes(tar_of([*tree_members(), *(member(f"linux/{n}", bytes(60_000)) for n in range(20))]))
    with pytest.raises(InputError, match="no kernel's source"):
        unpack(archive, tmp_path / "two", Silent())
    # A header may claim anything, and xz turns a few bytes into gigabytes.
    info = tarfile.TarInfo("linux/claims")
    info.size = 1 << 60
    archive.write_bytes(lzma.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20)))
    with pytest.raises(InputError):
        unpack(archive, tmp_path / "three", Silent())
    monkeypatch.setattr(unpack_module, "_FILES_LIMIT", 10)
    archive.write_bytes(tar_of([*tree_members(), *(member(f"linux/{n}") for n in range(20))]))
    with pytest.raises(InputError, match="no kernel's source"):
        unpack(archive, tmp_path / "four", Silent())


def test_what_is_no_source_is_refused(tmp_path: Path) -> None:
    for content, reason in (
        (tar({"a": b"", "b": b""}), "no kernel's source"),
        (tar({"Makefile": b"all:\n"}), "no kernel's source"),
        (b"text\n" * 1000, "linux.tar"),
        (b"", "linux.tar"),
        (package({"usr/bin/x": b"x"}), "no source of a kernel in it"),
        (b"!<arch>\nnothing", "linux.tar"),
    ):
        (tmp_path / "linux.tar").write_bytes(content)
        with pytest.raises(InputError, match=reason):
            unpack(tmp_path / "linux.tar", tmp_path / "tree", Silent())
    with pytest.raises(InputError, match="No such file"):
        unpack(tmp_path / "gone", tmp_path / "tree", Silent())


def test_names_of_any_bytes(tmp_path: Path) -> None:
    archive = tmp_path / "linux.tar"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT, encoding="latin-1") as made:
        for info, content in [*tree_members(), member("linux/gr\xfc\xdfe.c"), member("linux/a\nb.c")]:
            made.addfile(info, io.BytesIO(content))
    archive.write_bytes(out.getvalue())
    unpack(archive, tmp_path / "tree", Silent())
    assert {"gr��e.c", "a\nb.c"} <= files_below(tmp_path / "tree").keys()


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (makefile("7.3.4"), "7.3.4"),
        (makefile("7.3-rc7"), "7.3-rc7"),
        (makefile("6.12.0"), "6.12"),
        ("VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 0\nEXTRAVERSION = -mine\n", "7.3"),
        ("VERSION = $(shell id)\nPATCHLEVEL = 3\n", None),
        ("PATCHLEVEL = 3\n", None),
        ("", None),
        ("\0\xff" * 5000, None),
    ],
)
def test_the_makefile_says_which_version_it_is(tmp_path: Path, text: str, version: str | None) -> None:
    (tmp_path / "Makefile").write_text(text)
    assert source_version(tmp_path) == version
    assert source_version(tmp_path / "gone") is None


def test_a_folder_is_copied_without_its_history_and_what_was_built(tmp_path: Path) -> None:
    folder = tmp_path / "linux"
    built = [
        *(".git/config", ".config", "vmlinux", "kernel/fork.o", "kernel/.fork.o.cmd", "System.map"),
        *("include/config/auto.conf", "include/generated/autoconf.h", "arch/x86/include/generated/x.h"),
        *("debian/build/build_x/a.c", "fs/ext4/ext4.mod.c", "fs/ext4/ext4.ko"),
    ]
    kept = {
        **kernel_files(),
        "kernel/vmlinux.lds.S": b"x",
        "include/generated.h": b"x",
        ".clang-format": b"x",
    }
    for name, content in {**kept, **dict.fromkeys(built, b"built")}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "out.c").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to(tmp_path)
    (folder / "in.c").symlink_to("kernel/fork.c")
    os.mkfifo(folder / "pipe")
    copy_folder(folder, tmp_path / "tree", Silent())
    assert files_below(tmp_path / "tree") == {**kept, "in.c": kernel_files()["kernel/fork.c"]}


def test_room_is_looked_for_before(tmp_path: Path) -> None:
    archive = tmp_path / "linux.tar.xz"
    archive.write_bytes(tar(kernel_files()))
    size = archive.stat().st_size
    assert size * 10 < unpacked_byte_size(archive) < size * 20
    check_room(tmp_path / "not/there/yet", unpacked_byte_size(archive), "it")
    with pytest.raises(DiskFullError, match=r"linux needs about .* MB is free") as error:
        check_room(tmp_path / "not/there/yet", 1 << 60, "linux")
    assert "--dataset" in str(error.value.hint)


def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path) -> None:
    archive = tmp_path / "linux.tar.xz"
    archive.write_bytes(tar({**kernel_files(), "large.c": bytes(100_000)}))
    with room_for(50_000), pytest.raises(OSError, match="File too large"):
        unpack(archive, tmp_path / "tree", Silent())
    assert [path.name for path in tmp_path.iterdir()] == [archive.name]
