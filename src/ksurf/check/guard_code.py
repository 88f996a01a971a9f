"""Guards as code: what a consumer writes so that it copes where something is absent."""

from __future__ import annotations

import re

from ksurf.check.dependency import ConsumerKind, Dependency, Kind
from ksurf.check.hook import is_pattern
from ksurf.check.spelling import hook_text
from ksurf.check.verdict import Suggestion
from ksurf.kernel import Kernel
from ksurf.surface.attach import Mechanism
from ksurf.surface.declaration import declaration

__all__ = ["guard", "version_guard"]


def guard(
    consumer: ConsumerKind, dependency: Dependency, successor: tuple[str, str] | None = None
) -> Suggestion | None:
    """The guard for a dependency that is not there.

    ``successor`` is a field's new path and type, or of another thing its new name, twice.
    """
    match consumer:
        case ConsumerKind.BPF_OBJECT:
            return _libbpf(dependency, successor)
        case ConsumerKind.BPFTRACE:
            return _bpftrace(dependency, successor)
        case ConsumerKind.BCC:
            return _bcc(dependency, successor)
        case ConsumerKind.MODULE | ConsumerKind.LIST:
            return None


def version_guard(consumer: ConsumerKind, last: Kernel, first: Kernel) -> Suggestion | None:
    """A branch on the kernel's version, for what is another thing under the same name since then.

    ``last`` is the newest kernel known to have it as it was, ``first`` the oldest known to have it otherwise.
    """
    between = f"it changed after {last.base_version} and not later than {first.base_version}"
    text = f"{between}: tell the two apart by the kernel's version, or by something else that changed with it"
    numbers = [*(int(word) for word in re.findall(r"\d+", first.base_version)), 0, 0]
    since = f"KERNEL_VERSION({numbers[0]}, {numbers[1]}, 0)"
    match consumer:
        case ConsumerKind.BPF_OBJECT:
            declared = "extern int LINUX_KERNEL_VERSION __kconfig;"
            return Suggestion(text, f"{declared}\n\nif (LINUX_KERNEL_VERSION >= {since})", "c")
        case ConsumerKind.BCC | ConsumerKind.MODULE:
            return Suggestion(text, f"#if LINUX_VERSION_CODE >= {since}", "c")
        case ConsumerKind.BPFTRACE:
            return Suggestion(f"{between}: ship a script for each form, as bpftrace's own tools do")
        case ConsumerKind.LIST:
            return None


def _libbpf(dependency: Dependency, successor: tuple[str, str] | None) -> Suggestion | None:
    name = dependency.name
    owner, _, member = name.partition("::")
    match dependency.kind:
        case Kind.FIELD if successor is not None and "." not in successor[0]:
            path, type_text = successor
            code = (
                f"struct {owner}___new {{\n"
                f"    {declaration(type_text, path)};\n"
                "} __attribute__((preserve_access_index));\n\n"
                f"if (bpf_core_field_exists(struct {owner}___new, {path}))\n"
                f"    value = BPF_CORE_READ((struct {owner}___new *)p, {path});\n"
                "else\n"
                f"    value = BPF_CORE_READ(p, {', '.join(member.split('.'))});"
            )
            return Suggestion("read the one that the kernel has", code, "c")
        case Kind.FIELD if owner == "pt_regs":
            return None
        case Kind.FIELD:
            return Suggestion(
                "read it only where it exists", f"if (bpf_core_field_exists(struct {owner}, {member}))", "c"
            )
        case Kind.STRUCT | Kind.UNION | Kind.ENUM:
            test = f"if (bpf_core_type_exists({dependency.kind.value} {name}))"
            return Suggestion("use it only where it exists", test, "c")
        case Kind.TYPEDEF:
            return Suggestion("use it only where it exists", f"if (bpf_core_type_exists({name}))", "c")
        case Kind.ENUMERATOR:
            owner, _, member = name.rpartition("::")
            test = f"if (bpf_core_enum_value_exists(enum {owner}, {member}))"
            return Suggestion("use it only where it exists", test, "c")
        case Kind.HELPER:
            member = f"BPF_FUNC_{name.removeprefix('bpf_')}"
            test = f"if (bpf_core_enum_value_exists(enum bpf_func_id, {member}))"
            return Suggestion("call it only where it exists", test, "c")
        case Kind.KFUNC | Kind.KSYM:
            what = "call" if dependency.kind is Kind.KFUNC else "use"
            code = f"extern ... {name} ... __ksym __weak;\n\nif (bpf_ksym_exists({name}))"
            return Suggestion(f"declare it weak, and {what} it only where it exists", code, "c")
        case Kind.CONFIG:
            code = f"extern ... {name} __kconfig __weak;"
            return Suggestion("declare it weak: it is 0 where it is not set", code, "c")
        case Kind.FUNCTION | Kind.TRACEPOINT | Kind.LSM | Kind.SYSCALL:
            section, _ = hook_text(ConsumerKind.BPF_OBJECT, dependency.mechanism or Mechanism.KPROBE, name)
            code = section.replace('SEC("', 'SEC("?', 1)
            text = "make the program optional, and load it where it can be (bpf_program__set_autoload)"
            return Suggestion(text, code, "c")
        case _:
            return None


def _bpftrace(dependency: Dependency, successor: tuple[str, str] | None) -> Suggestion | None:
    match dependency.kind:
        case Kind.FUNCTION | Kind.TRACEPOINT | Kind.SYSCALL if dependency.mechanism is not None:
            probe, language = hook_text(ConsumerKind.BPFTRACE, dependency.mechanism, dependency.name)
            code = 'config = { missing_probes = "warn" }'
            if successor is not None:
                other, _ = hook_text(ConsumerKind.BPFTRACE, dependency.mechanism, successor[0])
                code += f"\n\n{probe},\n{other}\n{{ ... }}"
            text = (
                "leave out the attach points that the kernel has not "
                "(bpftrace 0.24 and later; of probes with several, 0.21 and later)"
            )
            return Suggestion(text, code, language)
        case Kind.FIELD | Kind.STRUCT | Kind.UNION | Kind.TRACEPOINT_FIELD | Kind.ENUMERATOR:
            return Suggestion(
                "bpftrace has no test for what a kernel has: ship a script for each form, as its own tools do"
            )
        case _:
            return None


def _bcc(dependency: Dependency, successor: tuple[str, str] | None) -> Suggestion | None:
    name = dependency.name
    owner, _, member = name.partition("::")
    match dependency.kind:
        case Kind.FIELD:
            test = f'if BPF.kernel_struct_has_field(b"{owner}", b"{member}") == 1:'
            code = f'{test}\n    cflags.append("-DHAS_FIELD")'
            return Suggestion("compile what reads it only where it exists", code, "python")
        case Kind.FUNCTION if not is_pattern(name):
            attach = hook_text(ConsumerKind.BCC, dependency.mechanism or Mechanism.KPROBE, name)
            if attach[1] != "python":
                code = f'if BPF.support_kfunc() and BPF.ksymname(b"{name}") != -1:'
                return Suggestion("ask before it is compiled in", code, "python")
            code = f'if BPF.get_kprobe_functions(b"^{name}$"):'
            code += f"\n    {attach[0]}"
            if successor is not None:
                other = hook_text(ConsumerKind.BCC, dependency.mechanism or Mechanism.KPROBE, successor[0])
                code += f"\nelse:\n    {other[0]}"
            return Suggestion("ask before it is attached", code, "python")
        case Kind.TRACEPOINT if ":" in name:
            system, _, event = name.partition(":")
            code = f'if BPF.tracepoint_exists("{system}", "{event}"):'
            return Suggestion("ask before it is attached", code, "python")
        case _:
            return None
