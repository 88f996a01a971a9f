"""The rules: what becomes of each kind of dependency on a kernel, from facts alone.

One function per kind; each says what goes wrong with it and why. Guards are no matter of theirs
(:mod:`ksurf.check.guards`).
"""

from collections.abc import Callable, Mapping

from ksurf.check.dependency import Kind
from ksurf.check.rules.bpf import (
    iter_rule,
    kfunc_rule,
    ksym_rule,
    lsm_rule,
    struct_ops_rule,
    syscall_rule,
)
from ksurf.check.rules.case import FINE, Case, Ruling
from ksurf.check.rules.function import function_rule
from ksurf.check.rules.module import config_rule, export_rule, vermagic_rule
from ksurf.check.rules.parameter import parameter_rule
from ksurf.check.rules.tracepoint import tracepoint_field_rule, tracepoint_rule
from ksurf.check.rules.types import enumerator_rule, field_rule, listed_rule, type_rule

__all__ = ["FINE", "RULES", "Case", "Ruling", "judge_case"]

RULES: Mapping[Kind, Callable[[Case], Ruling]] = {
    Kind.FUNCTION: function_rule,
    Kind.PARAMETER: parameter_rule,
    Kind.TRACEPOINT: tracepoint_rule,
    Kind.TRACEPOINT_FIELD: tracepoint_field_rule,
    Kind.SYSCALL: syscall_rule,
    Kind.LSM: lsm_rule,
    Kind.ITER: iter_rule,
    Kind.STRUCT_OPS: struct_ops_rule,
    Kind.KFUNC: kfunc_rule,
    Kind.KSYM: ksym_rule,
    Kind.STRUCT: type_rule,
    Kind.UNION: type_rule,
    Kind.ENUM: type_rule,
    Kind.TYPEDEF: type_rule,
    Kind.FIELD: field_rule,
    Kind.ENUMERATOR: enumerator_rule,
    Kind.EXPORT: export_rule,
    Kind.VERMAGIC: vermagic_rule,
    Kind.CONFIG: config_rule,
    Kind.HELPER: listed_rule,
    Kind.PROGRAM_TYPE: listed_rule,
    Kind.ATTACH_TYPE: listed_rule,
    Kind.MAP_TYPE: listed_rule,
}
"""The rule of each kind."""


def judge_case(case: Case) -> Ruling:
    """Judge a dependency on a kernel, without its guards."""
    return RULES[case.dependency.kind](case)
