"""How ``scripts/truth`` reads what the kernel's source offers to BPF programs."""

from __future__ import annotations

import pytest

from bpf import Hook, Kfunc, StructOps, compiled, hooks, kfuncs, struct_ops, wanted_bpf_sources
from ksurf.errors import KsurfError

HOOKS = "include/linux/lsm_hook_defs.h"
HEADERS = {
    "include/linux/kconfig.h": "#include <generated/autoconf.h>\n"
    "#define IS_MODULE(option) defined(option##_MODULE)\n",
    "include/linux/btf.h": "#define KF_ACQUIRE\t(1 << 0) /* acquires */\n#define KF_RCU (1 << 7)\n",
    "include/net/xdp.h": "#define XDP_xxx \\\n\tXDP(bpf_a) \\\n\tXDP(bpf_b)\n\nint other;\n",
}
SET = """#include <linux/bpf.h>
BTF_KFUNCS_START(ids)
BTF_ID_FLAGS(func, bpf_get,
\t     KF_RCU | KF_ACQUIRE)
#ifdef CONFIG_OFF
BTF_ID_FLAGS(func, bpf_off)
#endif
#if IS_MODULE(CONFIG_HID) || defined(MODULE)
BTF_ID_FLAGS(func, bpf_on, 0);
#endif
BTF_KFUNCS_END(ids)
static const struct btf_kfunc_id_set kset = {
\t.owner = THIS_MODULE,
\t.set = &ids,
};
int init(void)
{
\treturn register_btf_kfunc_id_set(BPF_PROG_TYPE_XDP,
\t\t\t\t\t &kset) ?: register_btf_kfunc_id_set(BPF_PROG_TYPE_LSM, &kset);
}
"""


def read(files: dict[str, str], config: dict[str, str], units: dict[str, bool]) -> list[Kfunc]:
    sources = wanted_bpf_sources((path, text.encode()) for path, text in {**HEADERS, **files}.items())
    return kfuncs(sources, compiled(sources, config, units))


def test_conditions_of_hooks_are_decided() -> None:
    text = """/* LSM_HOOK(<return_type>, args...) */
LSM_HOOK(int, 0, file_open, struct file *file)
#if defined(CONFIG_A) && defined(CONFIG_B)
LSM_HOOK(void, LSM_RET_VOID, path_rename, const struct path *a,
\t struct dentry *b)
#endif
LSM_HOOK(int, 0, sqpoll, void)
"""
    sources = {**HEADERS, HOOKS: text}
    rename = Hook("path_rename", "void", "const struct path *a, struct dentry *b")
    others = [Hook("file_open", "int", "struct file *file"), Hook("sqpoll", "int", "void")]
    assert hooks(sources, {"CONFIG_A": "y", "CONFIG_B": "n"}) == others
    assert hooks(sources, {"CONFIG_A": "y", "CONFIG_B": "y"}) == sorted([*others, rename])


def test_entries_have_flags_conditions_and_registrations() -> None:
    path = "net/core/filter.c"
    get = Kfunc(path, "BTF_KFUNCS_START", "ids", "LSM XDP", "bpf_get", "KF_ACQUIRE KF_RCU", 129)
    on = get._replace(name="bpf_on", flags="", flags_value=0)
    assert read({path: SET}, {}, {path: False}) == [get]
    assert read({path: SET}, {"CONFIG_HID": "m"}, {path: False}) == [get, on]
    assert read({path: SET}, {}, {path: True}) == [get, on]
    assert read({path: SET}, {}, {"net/core/other.c": False}) == []
    assert read({"tools/a.c": SET}, {}, {"tools/a.c": False}) == []


def test_a_file_may_be_included_by_another() -> None:
    outer = '#ifdef CONFIG_EXT\n# include "ext/ext.c"\n#endif\n'
    files = {"kernel/policy.c": outer, "kernel/ext/ext.c": SET, "kernel/fair.c": '#include "pelt.c"\n'}
    units = {"kernel/policy.c": False, "kernel/fair.c": False}
    assert [kfunc.file for kfunc in read(files, {"CONFIG_EXT": "y"}, units)] == ["kernel/ext/ext.c"]
    assert read(files, {}, units) == []


def test_macros_that_list_entries_are_expanded() -> None:
    text = """BTF_SET8_START(xdp)
#define XDP(name) BTF_ID_FLAGS(func, name, KF_RCU)
XDP_xxx
#undef XDP
BTF_SET8_END(xdp)
static const struct btf_kfunc_id_set kset = { .set = &xdp };
int init(void) { return register_btf_fmodret_id_set(&kset); }
"""
    found = read({"a.c": text}, {}, {"a.c": False})
    assert [(one.macro, one.registered, one.name, one.flags) for one in found] == [
        ("BTF_SET8_START", "fmodret", "bpf_a", "KF_RCU"),
        ("BTF_SET8_START", "fmodret", "bpf_b", "KF_RCU"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("BTF_ID_FLAGS(func, bpf_get", "BTF_ID_FLAGS(struct, bpf_get", "entry"),
        ("BPF_PROG_TYPE_XDP,", "type,", "registered in another way"),
        ("BTF_KFUNCS_START(ids)", "BTF_KFUNCS_START(others)", "sets that are not there: ids"),
        ("int init(void)", "#if f(CONFIG_X)\n#endif\nint init(void)", "preprocessor failed"),
    ],
)
def test_what_is_not_understood_is_no_list(old: str, new: str, why: str) -> None:
    with pytest.raises(KsurfError, match=f"a.c: .*{why}"):
        read({"a.c": SET.replace(old, new)}, {}, {"a.c": False})


def test_struct_ops_are_named_by_their_registration_or_by_themselves() -> None:
    files = {
        "a.c": 'static struct bpf_struct_ops bpf_a = {\n\t.name = "hid_\\0",\n};\n'
        "int init(void) { return register_bpf_struct_ops(&bpf_a, a_ops); }\n",
        "b.c": 'struct bpf_struct_ops bpf_b = {\n\t.init = b,\n\t.name\t= "b_ops",\n};\n',
    }
    sources = wanted_bpf_sources((path, text.encode()) for path, text in {**HEADERS, **files}.items())
    texts = compiled(sources, {}, {"a.c": False, "b.c": False})
    assert struct_ops(texts) == [StructOps("a.c", "bpf_a", "a_ops"), StructOps("b.c", "bpf_b", "b_ops")]
