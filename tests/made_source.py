"""A dataset with a small source tree, and kernels that compile some of it, for the front end to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ksurf.kernel import Kernel
from ksurf.progress import Silent
from ksurf.source.flags import TREE, Command
from ksurf.source.includes import write_includes
from ksurf.source.tree import Prepared, SourceTree
from ksurf.source.units import BUILD_FOLDER, Units, group_commands
from made_trees import makefile, put_tree

__all__ = ["FILES", "kernel", "prepare", "source_dataset"]

FILES: Mapping[str, bytes] = {
    "Makefile": makefile("7.3.4").encode(),
    "include/linux/timer.h": (
        b"struct timer { int due; };\n"
        b"int timer_start(struct timer *timer, int delay, int flags);\n"
        b"static inline int timer_due(struct timer *timer)\n{\n\treturn timer->due;\n}\n"
    ),
    "include/linux/unused.h": b"int unused;\n",
    "kernel/timer.c": (
        b"#include <linux/timer.h>\n\nint timer_start(struct timer *t, int delay, int flags)\n{\n"
        b"\tt->due = delay;\n\treturn flags;\n}\n\n"
        b"#ifdef CONFIG_TIMER_SLOW\nint timer_slow(void)\n{\n\treturn 1;\n}\n#endif\n\n"
        b"int timer_test(struct timer *t)\n{\n\treturn timer_start(t, 3 | 4, timer_due(t));\n}\n"
    ),
    "kernel/Makefile": b"obj-y += timer.o\nobj-$(CONFIG_EXTRA) += extra.o\n",
    "kernel/extra.c": b"int extra(void)\n{\n\treturn 2;\n}\n",
    "arch/arm64/kernel/only.c": b"int only_arm(void)\n{\n\treturn 64;\n}\n",
    "arch/arm64/kernel/entry.S": b"entry:\n\tret\n",
    "arch/x86/kernel/only.c": b"int only_x86(void)\n{\n\treturn 86;\n}\n",
    "kernel/broken.c": b"#error no\nint broken(void) { return nothing_there; }\n",
}


def kernel(arch: str = "arm64", upstream: str = "7.3.4", version: str | None = None) -> Kernel:
    release = f"{upstream}+deb13-{'' if arch == 'amd64' else 'cloud-'}{arch}"
    return Kernel.from_release(release, version=version or f"{upstream}-1", distro="debian", arch=arch)


def prepare(tree: SourceTree, one: Kernel, files: Sequence[str], defines: Sequence[str] = ()) -> None:
    """Make a kernel of a tree prepared: it compiles these files, with these names set."""
    folder = tree.units_folder(one)
    (folder / BUILD_FOLDER).mkdir(parents=True)
    (folder / BUILD_FOLDER / ".config").write_text("".join(f"{name}=y\n" for name in defines))
    arguments = ["-nostdinc", f"-I{TREE}/include", *(f"-D{name}=1" for name in defines)]
    commands = [Command(f"{TREE}/{file}", f"{file.removesuffix('.c')}.o", list(arguments)) for file in files]
    units = Units(tree.root, folder, one.arch, group_commands(commands, one.arch), folder / BUILD_FOLDER)
    write_includes(units, Silent())
    units.save()
    tree.note_prepared(Prepared(one, "made", len(units)))


def source_dataset(dataset: Path) -> SourceTree:
    """One tree, and an arm64 and an amd64 kernel of it; the latter has ``CONFIG_TIMER_SLOW``."""
    tree = put_tree(dataset, files=FILES)
    common = ["kernel/timer.c", "kernel/broken.c"]
    prepare(tree, kernel("arm64"), [*common, "arch/arm64/kernel/only.c"])
    prepare(tree, kernel("amd64"), [*common, "kernel/extra.c"], ["CONFIG_TIMER_SLOW", "CONFIG_EXTRA"])
    return tree
