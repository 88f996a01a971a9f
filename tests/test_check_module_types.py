"""The kernel's types and prototypes in modules: of one that gcc makes on the spot, and of real ones."""

from __future__ import annotations

import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from ksurf.check.cause import Cause
from ksurf.check.dependency import Consumer, ConsumerKind, Dependency, Kind
from ksurf.check.facts import MODULE_LAYOUT
from ksurf.check.judge import judge
from ksurf.check.module import read_module
from ksurf.check.module_types import module_types
from ksurf.check.rules import Case, Ruling, judge_case
from ksurf.check.rules.layout import prototype_changes
from ksurf.check.verdict import ConsumerReport, Outcome
from ksurf.dataset.rows import Definition, Export
from ksurf.dataset.store import Store
from ksurf.kernel import Kernel
from made_facts import NEW, OLD, facts, types, with_export
from made_types import enum, struct, typedef
from material import Material
from out_of_tree import Headers, build, can_build
from real_kernels import RealKernels

HEADERS = {
    "kernel/include/linux/types.h": "struct list_head { struct list_head *next, *prev; };\n"
    "typedef struct { int counter; } atomic_t;\ntypedef struct lock { int owner; } lock_t;\n",
    "kernel/include/linux/module.h": "struct module { char name[56]; struct list_head list; };\n",
    "kernel/include/linux/far.h": "struct far { long secret; };\n",
    "kernel/include/linux/thing.h": """
enum mode { MODE_A, MODE_B = 4 };
struct inner { lock_t lock; };
struct thing { long id; struct inner inner; struct far *far; enum mode mode; unsigned small:3; };
struct held { int x; };
struct pointed { struct held held; };
struct unused { int y; };
struct seen_inline { int z; };
static inline int peek(void *p) { struct seen_inline *s = p; return s->z; }
""",
    "kernel/arch/x86/include/asm/regs.h": "struct regs { long ip; };\n",
    "kernel/include/generated/made.h": "struct made { int m; };\n",
    "module/include/own.h": "struct own { struct held held; struct pointed *pointed; atomic_t count; };\n",
}
SOURCE = """
#include <linux/types.h>
#include <linux/module.h>
#include <linux/far.h>
#include <linux/thing.h>
#include <asm/regs.h>
#include <generated/made.h>
#include "own.h"
struct opaque;
extern int thing_add(struct thing *thing, unsigned long flags);
extern void say(const char *format, ...);
struct module __this_module __attribute__((section(".gnu.linkonce.this_module"))) = { "my" };
struct own all[2];
static const char license[] __attribute__((section(".modinfo"), used)) = "license=GPL";
int init_module(struct regs *regs, struct opaque *opaque, struct made *made) {
    struct thing thing = { .id = regs->ip + made->m };
    say("%p %d", opaque, peek(opaque));
    return thing_add(&thing, 1);
}
"""


def compiled(folder: Path, *flags: str) -> Path:
    for name, text in HEADERS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    source, image = folder / "module" / "my.c", folder / "module" / "my.ko"
    source.write_text(SOURCE)
    folders = ("kernel/include", "kernel/arch/x86/include", "module/include")
    includes = [f"-I{folder / name}" for name in folders]
    command = ["gcc", "-O2", "-ffreestanding", *flags, *includes, "-c", str(source), "-o", str(image)]
    subprocess.run(command, check=True, cwd=folder / "module")
    return image


def layouts(consumer: Consumer) -> dict[str, Dependency]:
    return {f"{one.kind.value} {one.name}": one for one in consumer.dependencies if one.layout}


@pytest.mark.parametrize(
    "flags", [("-gdwarf-5",), ("-gdwarf-4", "-gz"), ("-gdwarf-5", "-fdebug-prefix-map={}=.")]
)
def test_types_that_the_code_knows_are_the_kernels(tmp_path: Path, flags: tuple[str, ...]) -> None:
    consumer = read_module(str(compiled(tmp_path, *(flag.format(tmp_path) for flag in flags))))
    assert consumer.incomplete == ()
    found = layouts(consumer)
    # Neither the module's own types, nor what is only pointed to or not used at all, nor what has no layout.
    assert sorted(found) == [
        *("struct held", "struct made", "struct module", "struct pointed", "struct regs"),
        *("struct seen_inline", "struct thing", "typedef atomic_t"),
    ]
    inside = [definition.name for definition in found["struct thing"].layout]
    assert inside == ["thing", "inner", "lock", "mode"]
    assert [one.name for one in found["struct pointed"].layout] == ["pointed", "held"]


def test_prototypes_of_what_it_calls(tmp_path: Path) -> None:
    consumer = read_module(str(compiled(tmp_path, "-g")))
    expected = {one.name: one.expected for one in consumer.dependencies if one.kind is Kind.EXPORT}
    assert expected == {
        "thing_add": "int thing_add(struct thing *, long unsigned int);",
        "say": "void say(const char *, ...);",
    }


def test_without_debug_information_nothing_is_known(tmp_path: Path) -> None:
    image = compiled(tmp_path)
    assert module_types(str(image)) is None
    consumer = read_module(str(image))
    assert (layouts(consumer), consumer.incomplete) == ({}, ())
    assert {one.expected for one in consumer.dependencies} == {None}


def test_types_without_a_kernel_are_nobodys(tmp_path: Path) -> None:
    source, image = tmp_path / "m.c", tmp_path / "m.ko"
    source.write_text("struct s { int a; } s;\n")
    subprocess.run(["gcc", "-g", "-c", str(source), "-o", str(image)], check=True)
    consumer = read_module(str(image))
    assert layouts(consumer) == {}
    assert "no struct module" in consumer.incomplete[0]


def test_a_damaged_module_tells_what_is_missing(tmp_path: Path) -> None:
    image = compiled(tmp_path, "-g")
    data = image.read_bytes()
    for at in range(64, len(data), len(data) // 97):
        image.write_bytes(data[:at] + bytes(byte ^ 0xFF for byte in data[at : at + 9]) + data[at + 9 :])
        assert read_module(str(image)).kind is ConsumerKind.MODULE
        image.write_bytes(data[:at])
        assert read_module(str(image)).incomplete


# The rules


def ruled(built: tuple[Definition, ...], *here: Definition, before: tuple[Definition, ...] = ()) -> Ruling:
    dependency = Dependency(Kind(built[0].kind), built[0].name, layout=built)
    old = facts(OLD, types=types(*before)) if before else None
    return judge_case(Case(dependency, ConsumerKind.MODULE, facts(types=types(*here)), old))


def test_the_same_layout_is_fine_and_another_is_not() -> None:
    built = struct("s", "int a", "int b", size=8)
    assert ruled((built,), built) == Ruling(Outcome.OK)
    # The same under another key, as of another reader.
    assert ruled((built,), replace(built, key=99)) == Ruling(Outcome.OK)
    other = ruled((built,), struct("s", "int a", "int b", "int c", size=12))
    assert other.outcome is Outcome.CHANGED
    assert "built with another layout of struct s" in other.consequence
    assert other.evidence == ("Size changed: 8 bytes -> 12 bytes", "Field added: int c")
    # One of several types of that name is the one.
    assert ruled((built,), struct("s", "char x"), built).outcome is Outcome.OK


def test_what_is_inside_of_a_type_counts() -> None:
    outer, inner = struct("s", "struct t t", size=8), struct("t", "int a", "int b", size=8)
    assert ruled((outer, inner), outer, inner).outcome is Outcome.OK
    changed = ruled((outer, inner), outer, struct("t", "long a", size=8))
    assert (changed.outcome, "struct t, which is in struct s" in changed.consequence) == (
        Outcome.CHANGED,
        True,
    )


def test_an_enum_may_grow() -> None:
    built = enum("e", A=0, B=1)
    assert ruled((built,), enum("e", A=0, B=1, C=2)).outcome is Outcome.OK
    other = ruled((built,), enum("e", A=0, B=2))
    assert (other.outcome, other.evidence) == (Outcome.CHANGED, ("Enum value changed: B = 1 -> B = 2",))


def test_a_type_that_is_not_there_is_compared_with_the_baseline() -> None:
    built = struct("s", "int a")
    assert ruled((built,)).outcome is Outcome.OK
    assert "no struct s to compare with" in ruled((built,)).evidence[0]
    assert ruled((built,), before=(built,)).outcome is Outcome.CHANGED


def export(prototype: str | None, *here: str, crc: int | None = None, theirs: int | None = None) -> Ruling:
    row = Export(name="f", image="vmlinux", gpl=False, namespace=None, crc=theirs)
    known = with_export("f", row, on=NEW, prototypes={"f": here})
    return judge_case(
        Case(Dependency(Kind.EXPORT, "f", crc=crc, expected=prototype), ConsumerKind.MODULE, known)
    )


@pytest.mark.parametrize(
    ("built", "here", "evidence"),
    [
        ("int f(struct s *, u32);", "int f(struct s *s, u32 flags);", ()),
        ("int f(const char *);", "int f(char *text);", ()),
        ("void f(int);", "int f(int x);", ()),
        ("int f(unsigned int);", "int f(u32 x);", ()),
        ("int f(long unsigned int);", "int f(size_t count);", ()),
        ("int f(struct s * restrict, int);", "int f(struct s * restrict s, int b);", ()),
        ("int f(struct s *);", "int f(struct s *s, int more);", ("Param added: int more",)),
        ("int f(int, long);", "int f(int a);", ("Param removed: long",)),
        ("int f(int);", "void f(int a);", ("Return type changed: int -> void",)),
    ],
)
def test_prototypes_stand_in_for_checksums(built: str, here: str, evidence: tuple[str, ...]) -> None:
    for crc, theirs in ((None, None), (None, 1), (2, None)):
        ruling = export(built, here, crc=crc, theirs=theirs)
        assert ruling.outcome is (Outcome.CHANGED if evidence else Outcome.OK)
        assert ruling.evidence == evidence
    # Where there are checksums these decide, and the prototype tells why.
    assert export(built, here, crc=1, theirs=1) == Ruling(Outcome.OK)
    refused = export(built, here, crc=2, theirs=1)
    assert (refused.outcome, refused.evidence[1:]) == (Outcome.BROKEN, evidence)


def test_a_typedef_is_what_it_stands_for() -> None:
    """As ``rcu_callback_t`` is in kernels that write ``void (*)(struct rcu_head *)``, and the other way."""
    names = types(
        typedef("callback_t", "void (*)(struct head *)"),
        typedef("entry_t", "struct entry"),
        typedef("other_t", "struct other"),
    )
    for built, here, count in (
        ("void f(struct head *, callback_t);", "void f(struct head *, void (*)(struct head *));", 0),
        ("entry_t *f(struct entry *);", "struct entry *f(const entry_t *entry);", 0),
        ("void f(entry_t *);", "void f(other_t *entry);", 1),
        ("void f(callback_t *);", "void f(void (*)(struct head *));", 1),
    ):
        changes = prototype_changes("f", built, facts(types=names, prototypes={"f": (here,)}))
        assert changes is not None and len(changes) == count, (built, changes)


@pytest.mark.parametrize(
    ("magic", "crc", "kernel_crcs", "evidence"),
    [
        (f"{NEW.release} SMP mod_unload modversions", 1, True, None),
        ("5.0-other SMP mod_unload modversions", 1, True, None),
        ("5.0-other SMP mod_unload modversions", None, True, "the module has no CRCs"),
        (f"{NEW.release} SMP mod_unload modversions", None, True, None),
        (f"{NEW.release} SMP mod_unload", None, True, "the kernel has CONFIG_MODVERSIONS"),
        (f"{NEW.release} SMP mod_unload", None, False, None),
        ("5.0-other SMP mod_unload", None, False, f"the kernel is {NEW.release}"),
        (f"{NEW.release} SMP modversions", 1, False, "the kernel does not have CONFIG_MODVERSIONS"),
    ],
)
def test_version_magic(magic: str, crc: int | None, kernel_crcs: bool, evidence: str | None) -> None:
    row = Export(name=MODULE_LAYOUT, image="vmlinux", gpl=False, namespace=None, crc=7)
    here = with_export(MODULE_LAYOUT, *([row] if kernel_crcs else []), on=NEW)
    ruling = judge_case(Case(Dependency(Kind.VERMAGIC, magic, crc=crc), ConsumerKind.MODULE, here))
    if evidence is None:
        assert ruling == Ruling(Outcome.OK)
    else:
        assert (ruling.outcome, ruling.cause) == (Outcome.BROKEN, Cause.MODULE_VERMAGIC)
        assert evidence in ruling.evidence[1]


def test_without_prototype_and_checksum_the_finding_says_so() -> None:
    assert "the module tells no prototype" in export(None, "int f(int a);").evidence[0]
    for here in ((), ("void f(void);",)):
        assert "the kernel tells no prototype" in export("int f(int);", *here).evidence[0]
    assert export("int f(int);", "int f(int a);").evidence == ()


# Real modules

DKMS = {
    "vpoll": ("vpoll-dkms", "usr/src/vpoll-0.1.1"),
    "dm_writeboost": ("dm-writeboost-dkms", "usr/src/dm-writeboost-2.2.18"),
}
SUITE = "trixie"


@pytest.fixture(scope="module")
def kernels(real_kernels: RealKernels) -> dict[str, Kernel]:
    wanted = ("6.1", "6.12", "7.3")
    return {version: real_kernels.pull(f"debian:{version}-cloud-amd64").kernel for version in wanted}


@pytest.fixture(scope="module")
def headers(material: Material, kernels: dict[str, Kernel]) -> Headers:
    if not can_build():
        pytest.skip("there is no gcc with binutils")
    for suite in (SUITE, f"{SUITE}-security", f"{SUITE}-updates"):
        try:
            return Headers.of(material, kernels["6.12"].release, suite)
        except AssertionError:
            continue
    pytest.skip(f"no suite has the headers of {kernels['6.12'].release}")


def built(name: str, material: Material, headers: Headers, folder: Path, *, crcs: bool) -> Path:
    package, path = DKMS[name]
    sources = sorted((material.unpacked(package, SUITE) / path).glob("*.c"))
    try:
        return build(name, sources, headers, folder, crcs=crcs)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"{package} does not build with this compiler: {error.stderr[-300:]!r}")


def checked(module: Path, kernels: dict[str, Kernel], store: Store) -> ConsumerReport:
    consumer = read_module(str(module))
    assert consumer.incomplete == ()
    return judge([consumer], list(kernels.values()), None, store, suggest=False).consumers[0]


def module_dependencies(report: ConsumerReport) -> set[Dependency]:
    return {finding.dependency for finding in report.findings}


@pytest.mark.network
@pytest.mark.parametrize("crcs", [True, False])
@pytest.mark.parametrize("name", DKMS)
def test_a_module_built_out_of_tree(
    real_kernels: RealKernels,
    material: Material,
    kernels: dict[str, Kernel],
    headers: Headers,
    tmp_path: Path,
    name: str,
    crcs: bool,
) -> None:
    """All is ok on the kernel that it was built for, whatever compiler built it, and on others it is not."""
    module = built(name, material, headers, tmp_path, crcs=crcs)
    report = checked(module, kernels, Store(real_kernels.dataset))
    outcomes = {label: Counter[Outcome]() for label in kernels}
    bad: dict[str, dict[str, str]] = {label: {} for label in kernels}
    for finding in report.findings:
        label = next(label for label, kernel in kernels.items() if kernel == finding.kernel)
        outcomes[label][finding.outcome] += 1
        if finding.outcome is not Outcome.OK:
            bad[label][finding.dependency.name] = finding.outcome.value
    assert bad["6.12"] == {}
    for label in ("6.1", "7.3"):
        assert bad[label]["module"] == "changed"
    magic = next(one.name for one in module_dependencies(report) if one.kind is Kind.VERMAGIC)
    assert (bad["6.1"].get(magic), bad["7.3"][magic]) == (None if crcs else "broken", "broken")
    assert bad["6.1"]["__kmalloc_cache_noprof"] == "broken"
    if name == "vpoll":
        assert {"file", "inode", "file_operations", "device", "class"} <= set(bad["6.1"])
        assert bad["6.1"]["class_create"] == "broken"
        assert bad["6.1"].get("cdev_add") == ("broken" if crcs else None)
        # 7.3 has no checksums, and the prototypes are the same.
        assert outcomes["7.3"][Outcome.BROKEN] == 1
    else:
        assert {"bio", "page", "task_struct", "block_device"} <= set(bad["6.1"]) & set(bad["7.3"])
        assert bad["7.3"]["crc32c"] == "changed"
        assert bad["7.3"]["rb_first"] == "broken"
        assert bad["6.1"]["dm_table_get_mode"] == ("broken" if crcs else "changed")
        told = {one.dependency.name: one.evidence for one in report.findings if one.kernel == kernels["7.3"]}
        assert told["crc32c"] == ("Param type changed: unsigned int -> long unsigned int len",)
