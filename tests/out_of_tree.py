"""Modules built out of tree from packages of Debian: sources of a ``*-dkms`` package, headers of a kernel.

The compiler is called as Kbuild calls it; Kbuild itself needs programs that may be too new for the machine.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from material import Material

_MODULE = """
#define INCLUDE_VERMAGIC
#include <linux/module.h>
#include <linux/vermagic.h>
MODULE_INFO(vermagic, VERMAGIC_STRING);
MODULE_INFO(name, KBUILD_MODNAME);
__visible struct module __this_module __section(".gnu.linkonce.this_module") = {
    .name = KBUILD_MODNAME, .init = init_module, .exit = cleanup_module, .arch = MODULE_ARCH_INIT,
};
"""
"""What modpost adds. Source: scripts/mod/modpost.c."""

_FLAGS = (
    *("-g", "-O2", "-std=gnu11", "-w", "-nostdinc", "-D__KERNEL__", "-DMODULE", "-fshort-wchar"),
    *("-funsigned-char", "-fno-common", "-fno-PIE", "-fno-strict-aliasing", "-ffreestanding", "-m64"),
    *("-mno-sse", "-mno-mmx", "-mno-sse2", "-mno-avx", "-mno-80387", "-mno-red-zone", "-mcmodel=kernel"),
    *("-fno-asynchronous-unwind-tables", "-fno-delete-null-pointer-checks", "-pg", "-mfentry"),
)


@dataclass(frozen=True)
class Headers:
    """The headers of a kernel for amd64: those of its sources, and those of its build."""

    common: Path
    build: Path

    @classmethod
    def of(cls, material: Material, release: str, suite: str) -> Headers:
        """From the packages of a release such as ``6.12.94+deb13-cloud-amd64``."""
        common = re.sub(r"-cloud-amd64$", "-common", release)
        return cls(
            *(
                material.unpacked(f"linux-headers-{name}", suite).resolve() / f"usr/src/linux-headers-{name}"
                for name in (common, release)
            )
        )

    def crcs(self) -> dict[str, str]:
        """The kernel's exports and their CRCs; none if it has no modversions."""
        lines = (line.split("\t") for line in (self.build / "Module.symvers").read_text().splitlines())
        return {name: crc for crc, name, *_ in lines if int(crc, 16)}

    def compile(self, source: Path, target: Path, name: str) -> None:
        """Compile one file of a module called ``name``."""
        folders = [
            *(self.common / "arch/x86/include", Path("arch/x86/include/generated")),
            *(self.common / "include", Path("include"), self.common / "arch/x86/include/uapi"),
            *(Path("arch/x86/include/generated/uapi"), self.common / "include/uapi"),
            Path("include/generated/uapi"),
        ]
        first = [f"include/linux/{part}.h" for part in ("compiler-version", "kconfig", "compiler_types")]
        flags = [flag for folder in folders for flag in ("-I", str(folder))]
        flags += [flag for header in first for flag in ("-include", str(self.common / header))]
        flags += [
            f'-DKBUILD_MODNAME="{name}"',
            f'-DKBUILD_BASENAME="{source.stem}"',
            f"-D__KBUILD_MODNAME={name}",
        ]
        command = ["gcc", *_FLAGS, *flags, "-c", str(source.resolve()), "-o", str(target)]
        subprocess.run(command, cwd=self.build, check=True, capture_output=True)


def build(name: str, sources: list[Path], headers: Headers, folder: Path, *, crcs: bool = True) -> Path:
    """A module ``name`` of these sources; without ``crcs`` as of a kernel that has none."""
    folder.mkdir(parents=True, exist_ok=True)
    objects = [folder / source.with_suffix(".o").name for source in sources]
    for source, target in zip(sources, objects, strict=True):
        headers.compile(source, target, name)
    known = headers.crcs() if crcs else {}
    listed = subprocess.run(
        ["nm", "-u", *map(str, objects)], check=True, capture_output=True, text=True
    ).stdout
    wanted = dict.fromkeys(["module_layout", *re.findall(r"U (\w+)", listed)])
    rows = [f'{{{known[one]}, "{one}"}},' for one in wanted if one in known]
    text = _MODULE
    if rows:
        section = '__used __section("__versions")'
        text += (
            f"static const struct modversion_info versions[] {section} = {{\n" + "\n".join(rows) + "\n};\n"
        )
    source, end, module = (folder / f"{name}{suffix}" for suffix in (".mod.c", ".mod.o", ".ko"))
    source.write_text(text)
    headers.compile(source, end, name)
    subprocess.run(["ld", "-r", *map(str, objects), str(end), "-o", str(module)], check=True)
    return module


def can_build() -> bool:
    """Whether the machine has what it takes."""
    return all(shutil.which(tool) for tool in ("gcc", "ld", "nm"))
