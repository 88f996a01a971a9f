"""Local files: recognised by content, then by name; nothing outside of a tree is taken."""

import gzip
import lzma
import os
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ksurf.acquire.host import host_source
from ksurf.acquire.local import control_identity, local_sources
from ksurf.acquire.source import ConfigSource, FilesSource, HostSource, Identity, PackageSource
from ksurf.errors import InputError

VMLINUX, MODULE, SHARED = 2, 1, 3
REL = "6.12.1+deb13-amd64"


def elf(kind: int, big_endian: bool = False) -> bytes:
    header = b"\x7fELF\x02" + (b"\x02" if big_endian else b"\x01") + b"\x01" + bytes(9)
    return header + struct.pack(">H" if big_endian else "<H", kind) + bytes(46)


def tree(root: Path, *files: str) -> Path:
    """Write images; what ends in ``.ko`` is a module, all else a vmlinux."""
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(elf(MODULE if ".ko" in path.name else VMLINUX))
    return root


def one(root: Path) -> FilesSource:
    (source,) = local_sources(root)
    assert isinstance(source, FilesSource)
    return source


def found(source: FilesSource, root: Path) -> tuple[str, list[str]]:
    return str(source.vmlinux.relative_to(root)), [str(path.relative_to(root)) for path in source.modules]


@pytest.mark.parametrize("name", ["x.deb", "x.ddeb", "download"])
def test_a_package_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"!<arch>\ndebian-binary   ")
    assert local_sources(path) == [PackageSource(path)]


@pytest.mark.parametrize("kind", [VMLINUX, SHARED])
@pytest.mark.parametrize("big_endian", [False, True])
def test_a_vmlinux_is_known_by_its_content(tmp_path: Path, kind: int, big_endian: bool) -> None:
    path = tmp_path / "any name"
    path.write_bytes(elf(kind, big_endian))
    assert local_sources(path) == [FilesSource(path)]


def test_a_vmlinux_may_be_named_by_its_release(tmp_path: Path) -> None:
    for name in (f"vmlinux-{REL}", f"lib/modules/{REL}/vmlinux", f"{REL}/vmlinux"):
        tree(tmp_path, name)
        assert one(tmp_path / name).identity == Identity(release=REL)
    tree(tmp_path, "vmlinux-mine")
    assert one(tmp_path / "vmlinux-mine").identity == Identity()


@pytest.mark.parametrize(
    ("content", "reason", "hint"),
    [
        (b"", "not a kernel", None),
        (b"#!/bin/sh\n", "not a kernel", None),
        (b"\x7fELF", "not a kernel", None),
        (elf(4), "not a kernel", None),
        (elf(MODULE), "a module or an object file", "directory"),
        (gzip.compress(elf(VMLINUX)), "a compressed image", "vmlinux"),
        (lzma.compress(elf(VMLINUX)), "a compressed image", "vmlinux"),
        (b"MZ" + bytes(600), "a compressed image", "vmlinux"),
        (bytes(0x202) + b"HdrS", "a compressed image", "vmlinux"),
    ],
)
def test_what_is_not_a_kernel_is_refused(
    tmp_path: Path, content: bytes, reason: str, hint: str | None
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        local_sources(path)
    assert caught.value.message.startswith(f"{path}: ")
    assert reason in caught.value.message
    assert hint is None or hint in str(caught.value.hint)


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone: No such file"):
        local_sources(tmp_path / "gone")


def test_a_flat_folder(tmp_path: Path) -> None:
    tree(
        tmp_path,
        "vmlinux",
        "kvm.ko",
        "ext4.ko.xz",
        "b.ko.zst",
        "c.ko.gz",
        "d.ko.debug",
        "e.kom",
        "notes.ko.txt",
    )
    source = one(tmp_path)
    assert found(source, tmp_path) == (
        "vmlinux",
        ["b.ko.zst", "c.ko.gz", "d.ko.debug", "ext4.ko.xz", "kvm.ko"],
    )
    assert source.identity == Identity()


@pytest.mark.parametrize(
    "vmlinux", [f"usr/lib/debug/boot/vmlinux-{REL}", f"usr/lib/debug/lib/modules/{REL}/vmlinux"]
)
def test_an_unpacked_debug_package(tmp_path: Path, vmlinux: str) -> None:
    module = f"usr/lib/debug/lib/modules/{REL}/kernel/fs/ext4.ko"
    source = one(tree(tmp_path, vmlinux, module))
    assert found(source, tmp_path) == (vmlinux, [module])
    assert source.identity == Identity(release=REL)


def test_a_file_by_two_names_is_one(tmp_path: Path) -> None:
    real = f"usr/lib/debug/lib/modules/{REL}/vmlinux"
    tree(tmp_path, real)
    link = tmp_path / f"usr/lib/debug/boot/vmlinux-{REL}"
    link.parent.mkdir()
    link.symlink_to(f"../lib/modules/{REL}/vmlinux")
    (tmp_path / "usr/lib/debug/vmlinux").symlink_to(f"lib/modules/{REL}/vmlinux")
    assert found(one(tmp_path), tmp_path) == (real, [])


def test_links_do_not_lead_out_of_the_tree(tmp_path: Path) -> None:
    outside = tree(tmp_path / "outside", "vmlinux", "modules/secret.ko")
    inside = tree(tmp_path / "inside", "vmlinux", "kvm.ko")
    (inside / "modules").symlink_to(outside / "modules")
    (inside / "other.ko").symlink_to(outside / "modules/secret.ko")
    (inside / "loop").symlink_to(inside)
    (inside / "broken.ko").symlink_to("nowhere")
    assert found(one(inside), inside) == ("vmlinux", ["kvm.ko"])
    (inside / "vmlinux").unlink()
    (inside / "vmlinux").symlink_to(outside / "vmlinux")
    with pytest.raises(InputError, match="no vmlinux in it"):
        local_sources(inside)


def test_a_linked_tree_is_followed(tmp_path: Path) -> None:
    tree(tmp_path / "real", "vmlinux")
    (tmp_path / "link").symlink_to("real")
    assert one(tmp_path / "link").vmlinux == tmp_path / "link/vmlinux"


def test_a_build_tree_has_one_kernel(tmp_path: Path) -> None:
    tree(
        tmp_path,
        "vmlinux",
        "arch/x86/boot/compressed/vmlinux",
        "fs/ext4/ext4.ko",
        "staging/lib/modules/6.12.0/kernel/fs/ext4/ext4.ko",
        "staging/lib/modules/6.12.0/vmlinux",
        ".git/vmlinux",
    )
    (tmp_path / "vmlinux.o").write_bytes(elf(MODULE))
    assert found(one(tmp_path), tmp_path) == ("vmlinux", ["fs/ext4/ext4.ko"])


def test_a_vmlinux_that_is_an_object_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "vmlinux").write_bytes(elf(MODULE))
    with pytest.raises(InputError, match="no vmlinux"):
        local_sources(tmp_path)


def test_modules_with_debug_information_are_preferred(tmp_path: Path) -> None:
    tree(
        tmp_path,
        f"usr/lib/debug/boot/vmlinux-{REL}",
        f"lib/modules/{REL}/kernel/kvm-intel.ko",
        f"lib/modules/{REL}/kernel/only-here.ko",
        f"usr/lib/debug/lib/modules/{REL}/kernel/kvm_intel.ko",
    )
    assert found(one(tmp_path), tmp_path)[1] == [
        f"lib/modules/{REL}/kernel/only-here.ko",
        f"usr/lib/debug/lib/modules/{REL}/kernel/kvm_intel.ko",
    ]


def test_a_folder_per_kernel(tmp_path: Path) -> None:
    tree(tmp_path, f"{REL}/vmlinux", "6.1.0-mine/vmlinux", "6.1.0-mine/kvm.ko")
    first, second = local_sources(tmp_path)
    assert isinstance(first, FilesSource)
    assert isinstance(second, FilesSource)
    assert found(first, tmp_path) == ("6.1.0-mine/vmlinux", ["6.1.0-mine/kvm.ko"])
    assert found(second, tmp_path) == (f"{REL}/vmlinux", [])


def test_a_tree_of_several_kernels(tmp_path: Path) -> None:
    other = "6.1.0-5-amd64"
    tree(
        tmp_path,
        *(f"usr/lib/debug/boot/vmlinux-{release}" for release in (REL, other)),
        *(f"usr/lib/debug/lib/modules/{release}/kernel/kvm.ko" for release in (REL, other)),
    )
    sources = [source for source in local_sources(tmp_path) if isinstance(source, FilesSource)]
    assert [(source.identity.release, len(source.modules)) for source in sources] == [(other, 1), (REL, 1)]


def config_in(source: FilesSource | HostSource, root: Path) -> str | None:
    assert source.config is None or not source.config.is_named
    return None if source.config is None else str(source.config.path.relative_to(root))


def text(root: Path, *files: str) -> None:
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("CONFIG_A=y\n")


@pytest.mark.parametrize(
    "config",
    [
        f"boot/config-{REL}",
        f"usr/src/linux-headers-{REL}/.config",
        f"lib/modules/{REL}/config",
        f"usr/lib/modules/{REL}/config",
    ],
)
def test_the_configuration_in_a_tree_is_that_of_the_release(tmp_path: Path, config: str) -> None:
    tree(tmp_path, f"usr/lib/debug/boot/vmlinux-{REL}")
    text(
        tmp_path,
        "boot/config-6.1.0-5-amd64",
        f"etc/{config}.old",
        "usr/src/.config",
        "tools/config",
        "config",
    )
    assert config_in(one(tmp_path), tmp_path) is None
    text(tmp_path, config)
    assert config_in(one(tmp_path), tmp_path) == config


def test_the_configuration_that_was_built_with_is_preferred(tmp_path: Path) -> None:
    tree(tmp_path, f"usr/lib/debug/boot/vmlinux-{REL}")
    headers = f"usr/src/linux-headers-{REL}/.config"
    text(tmp_path, f"boot/config-{REL}", headers)
    assert config_in(one(tmp_path), tmp_path) == headers


def test_each_kernel_of_a_tree_has_its_configuration(tmp_path: Path) -> None:
    tree(tmp_path, f"{REL}/vmlinux", "6.1.0-mine/vmlinux", "6.2.0-mine/vmlinux")
    text(tmp_path, f"boot/config-{REL}", "6.1.0-mine/.config")
    sources = [source for source in local_sources(tmp_path) if isinstance(source, FilesSource)]
    found = {source.identity.release: config_in(source, tmp_path) for source in sources}
    assert found == {REL: f"boot/config-{REL}", "6.1.0-mine": "6.1.0-mine/.config", "6.2.0-mine": None}


def test_a_build_tree_has_its_configuration(tmp_path: Path) -> None:
    tree(tmp_path, "vmlinux", "arch/x86/boot/compressed/vmlinux")
    text(
        tmp_path,
        "tools/testing/selftests/bpf/config",
        "arch/x86/configs/x86.config",
        "sub/.config",
        ".config",
    )
    assert config_in(one(tmp_path), tmp_path) == ".config"
    (tmp_path / ".config").rename(tmp_path / "config-6.12.0-mine")
    assert config_in(one(tmp_path), tmp_path) == "config-6.12.0-mine"
    text(tmp_path, "config-6.12.1-mine")
    assert config_in(one(tmp_path), tmp_path) is None


def test_a_configuration_outside_of_the_tree_is_not_taken(tmp_path: Path) -> None:
    text(tmp_path, "outside/.config")
    tree(tmp_path / "inside", "vmlinux")
    (tmp_path / "inside/.config").symlink_to("../outside/.config")
    assert one(tmp_path / "inside").config is None


DEBIAN = "Maintainer: Debian Kernel Team <debian-kernel@lists.debian.org>\n"
UBUNTU = "Maintainer: Ubuntu Kernel Team <kernel-team@lists.ubuntu.com>\n"


@pytest.mark.parametrize(
    ("package", "maintainer", "release", "distro"),
    [
        (f"linux-image-{REL}-dbg", DEBIAN, REL, "debian"),
        ("linux-image-5.4.0-26-generic-dbgsym", UBUNTU, "5.4.0-26-generic", "ubuntu"),
        ("linux-image-unsigned-5.4.0-26-generic-dbgsym", UBUNTU, "5.4.0-26-generic", "ubuntu"),
        ("linux-image-6.12.0-mine-dbg", "Maintainer: me\n", "6.12.0-mine", "custom"),
    ],
)
def test_a_packages_control_tells_what_it_is(
    package: str, maintainer: str, release: str, distro: str
) -> None:
    control = f"Package: {package}\nVersion: 1:2-3\nArchitecture: arm64\n{maintainer}Description: x\n y: z\n"
    kernel = control_identity(control, "file.deb").kernel()
    assert (kernel.release, kernel.version, kernel.distro, kernel.arch) == (release, "1:2-3", distro, "arm64")


@pytest.mark.parametrize(
    ("package", "reason", "hint"),
    [
        ("hello", "hello is no kernel's package", "linux-image-*-dbg"),
        ("linux-image-amd64-dbg", "no kernel's package", "linux-image-*-dbg"),
        ("linux-image-6.12.1+deb13-amd64", "no debug information", "linux-image-6.12.1+deb13-amd64-dbg"),
        ("", "it is no kernel's package", "linux-image-*-dbg"),
    ],
)
def test_other_packages_are_refused(package: str, reason: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        control_identity(f"Package: {package}\nVersion: 1\n", "file.deb")
    assert caught.value.message.startswith("file.deb: ")
    assert reason in caught.value.message
    assert hint in str(caught.value.hint)


def uname(release: str, machine: str = "x86_64") -> Any:
    return SimpleNamespace(release=release, machine=machine)


def test_the_running_kernel(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('NAME="x"\nID="arch"\n')
    source = host_source(tmp_path, uname("6.12.1-arch1-1"))
    assert source == HostSource(Identity("6.12.1-arch1-1", distro="arch", arch="x86_64"))
    assert source.identity.kernel().id == "arch_6.12.1-arch1-1_amd64"
    # A container's distribution is not its kernel's.
    assert host_source(tmp_path, uname(REL)).identity.distro == "debian"
    assert host_source(tmp_path / "none", uname("6.12.1")).identity.kernel().distro == "custom"
    with pytest.raises(InputError, match="does not begin with a version"):
        host_source(tmp_path, uname("mine"))


def test_the_running_kernels_debug_files_are_used_where_they_are(tmp_path: Path) -> None:
    tree(
        tmp_path,
        f"usr/lib/debug/boot/vmlinux-{REL}",
        f"usr/lib/debug/lib/modules/{REL}/kernel/kvm.ko",
        f"lib/modules/{REL}/kernel/kvm.ko",
    )
    source = host_source(tmp_path, uname(REL))
    assert isinstance(source, FilesSource)
    assert found(source, tmp_path) == (
        f"usr/lib/debug/boot/vmlinux-{REL}",
        [f"usr/lib/debug/lib/modules/{REL}/kernel/kvm.ko"],
    )


def test_the_running_kernels_configuration(tmp_path: Path) -> None:
    files = [f"lib/modules/{REL}/config", f"boot/config-{REL}", "proc/config.gz"]
    assert config_in(host_source(tmp_path, uname(REL)), tmp_path) is None
    text(tmp_path, "boot/config-6.1.0-5-amd64")
    for file in files:
        text(tmp_path, file)
        assert config_in(host_source(tmp_path, uname(REL)), tmp_path) == file
    tree(tmp_path, f"usr/lib/debug/boot/vmlinux-{REL}")
    source = host_source(tmp_path, uname(REL))
    assert isinstance(source, FilesSource)
    assert source.config == ConfigSource(tmp_path / "proc/config.gz")


def test_this_machine_has_a_kernel() -> None:
    assert host_source().identity.release == os.uname().release
