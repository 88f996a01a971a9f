"""Guards as code, for each kind of consumer."""

from __future__ import annotations

import pytest

from ksurf.check.dependency import ConsumerKind, Dependency, Kind
from ksurf.check.guard_code import guard
from ksurf.check.spelling import hook_text
from ksurf.surface.attach import Mechanism

BPF, BPFTRACE, BCC = ConsumerKind.BPF_OBJECT, ConsumerKind.BPFTRACE, ConsumerKind.BCC


@pytest.mark.parametrize(
    ("consumer", "kind", "name", "mechanism", "code"),
    [
        (BPF, Kind.FIELD, "s::a", None, "if (bpf_core_field_exists(struct s, a))"),
        (BPF, Kind.STRUCT, "s", None, "if (bpf_core_type_exists(struct s))"),
        (BPF, Kind.TYPEDEF, "t", None, "if (bpf_core_type_exists(t))"),
        (BPF, Kind.ENUMERATOR, "e::A", None, "if (bpf_core_enum_value_exists(enum e, A))"),
        (
            BPF,
            Kind.HELPER,
            "bpf_loop",
            None,
            "if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_loop))",
        ),
        (
            BPF,
            Kind.KFUNC,
            "k",
            Mechanism.KFUNC_CALL,
            "extern ... k ... __ksym __weak;\n\nif (bpf_ksym_exists(k))",
        ),
        (BPF, Kind.KSYM, "v", None, "extern ... v ... __ksym __weak;\n\nif (bpf_ksym_exists(v))"),
        (BPF, Kind.CONFIG, "CONFIG_X", None, "extern ... CONFIG_X __kconfig __weak;"),
        (BPF, Kind.FUNCTION, "f", Mechanism.FENTRY, 'SEC("?fentry/f")'),
        (BPF, Kind.TRACEPOINT, "s:e", Mechanism.TRACEPOINT, 'SEC("?tp/s/e")'),
        (BPF, Kind.LSM, "h", Mechanism.LSM, 'SEC("?lsm/h")'),
        (BPFTRACE, Kind.FUNCTION, "f", Mechanism.KPROBE, 'config = { missing_probes = "warn" }'),
        (BCC, Kind.TRACEPOINT, "s:e", Mechanism.TRACEPOINT, 'if BPF.tracepoint_exists("s", "e"):'),
        (BCC, Kind.FUNCTION, "f", Mechanism.FEXIT, 'if BPF.support_kfunc() and BPF.ksymname(b"f") != -1:'),
    ],
)
def test_each_consumer_has_its_own_guard(
    consumer: ConsumerKind, kind: Kind, name: str, mechanism: Mechanism | None, code: str
) -> None:
    told = guard(consumer, Dependency(kind, name, mechanism))
    assert told is not None
    assert told.code == code
    assert told.language == {BPF: "c", BPFTRACE: "bpftrace", BCC: "python"}[consumer]


def test_a_fields_successor_is_read_where_it_is() -> None:
    told = guard(BPF, Dependency(Kind.FIELD, "s::f"), ("g", "int (*)(void)"))
    assert told is not None
    assert told.code == (
        "struct s___new {\n"
        "    int (*g)(void);\n"
        "} __attribute__((preserve_access_index));\n"
        "\n"
        "if (bpf_core_field_exists(struct s___new, g))\n"
        "    value = BPF_CORE_READ((struct s___new *)p, g);\n"
        "else\n"
        "    value = BPF_CORE_READ(p, f);"
    )


def test_some_have_no_guard() -> None:
    assert guard(ConsumerKind.LIST, Dependency(Kind.FIELD, "s::f")) is None
    assert guard(ConsumerKind.MODULE, Dependency(Kind.EXPORT, "e")) is None
    told = guard(BPFTRACE, Dependency(Kind.FIELD, "s::f"))
    assert told is not None
    assert told.code is None


@pytest.mark.parametrize(
    ("consumer", "mechanism", "name", "text"),
    [
        (BPF, Mechanism.TRACEPOINT, "s:e", 'SEC("tp/s/e")'),
        (BPF, Mechanism.TP_BTF, "e", 'SEC("tp_btf/e")'),
        (BPFTRACE, Mechanism.TRACEPOINT, "s:e", "tracepoint:s:e"),
        (BPFTRACE, Mechanism.RAW_TP, "e", "rawtracepoint:e"),
        (BPFTRACE, Mechanism.KPROBE_MULTI, "f*", "kprobe:f*"),
        (BCC, Mechanism.KRETPROBE, "f", 'b.attach_kretprobe(event="f", fn_name=...)'),
        (BCC, Mechanism.FENTRY, "f", "KFUNC_PROBE(f, ...)"),
        (ConsumerKind.LIST, Mechanism.KSYSCALL, "openat", "ksyscall:openat"),
    ],
)
def test_hooks_as_consumers_write_them(
    consumer: ConsumerKind, mechanism: Mechanism, name: str, text: str
) -> None:
    assert hook_text(consumer, mechanism, name)[0] == text
