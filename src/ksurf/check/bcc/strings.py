"""What Python does with texts, lists and answers: the operations that tools put their C together with."""

from __future__ import annotations

import ast
import re

from ksurf.check.bcc.guard import Atom, Choices, Formula, Not
from ksurf.check.bcc.text import CHOSEN, LIMIT, UNKNOWN, Text, TooLong
from ksurf.check.bcc.values import Unknown, Value, is_formula, shown

__all__ = ["binary", "builtin", "compared", "containers", "item", "method", "same", "sliced"]

_NUMBER_LIMIT = 1 << 64
_CONVERSION = re.compile(r"%(?:\((\w+)\))?[-#0 +]*(?:\*|\d+)?(?:\.(?:\*|\d+))?[hlL]?([a-zA-Z%])")
_FIELD = re.compile(r"\{\{|\}\}|\{(\w*)(?:[^{}]*)\}")

# What bcc's ``containers.py`` adds for ``--cgroupmap`` and ``--mntnsmap``, as far as it needs the kernel.
_NO_CONTAINERS = "static int container_should_be_filtered(void) { return 0; }\n"
_CGROUP = (
    'BPF_TABLE_PINNED("hash", u64, u64, cgroupset, 1024, "");\n'
    "static int _cgroup(void) {\n"
    "u64 id = bpf_get_current_cgroup_id(); return cgroupset.lookup(&id) == NULL;\n"
    "}\n"
)
_NAMESPACE = (
    'BPF_TABLE_PINNED("hash", u64, u32, mount_ns_set, 1024, "");\n'
    "struct mnt_namespace { struct ns_common ns; };\n"
    "#define MNT_NAMESPACE_DEFINED\n"
    "static int _namespace(void) {\n"
    "struct task_struct *task = (struct task_struct *)bpf_get_current_task();\n"
    "struct nsproxy *proxy; struct mnt_namespace *mounts; u64 id = 0;\n"
    "bpf_probe_read_kernel(&proxy, sizeof(proxy), &task->nsproxy);\n"
    "bpf_probe_read_kernel(&mounts, sizeof(mounts), &proxy->mnt_ns);\n"
    "bpf_probe_read_kernel(&id, sizeof(id), &mounts->ns.inum);\n"
    "return mount_ns_set.lookup(&id) == NULL;\n"
    "}\n"
)


def containers(line: int, choices: Choices) -> Text:
    """What ``filter_by_containers(args)`` puts before a text."""
    parts = [Text.of(_NO_CONTAINERS, line)]
    for option, text in (("cgroupmap", _CGROUP), ("mntnsmap", _NAMESPACE)):
        atom = Atom(f"option args.{option}", option, guards=False)
        if choices.decide(atom, ("containers", option))[0]:
            parts.append(Text.of(text, line))
    return Text.joined(parts)


def binary(left: Value, op: ast.operator, right: Value) -> Value:
    """``left + right``, ``left % right`` and so on."""
    if isinstance(left, Text):
        if isinstance(op, ast.Mod):
            return _formatted(left, right)
        if isinstance(op, ast.Add):
            return Text.joined([left, shown(right)])
        if isinstance(op, ast.Mult) and isinstance(right, int):
            if len(left.plain) * right > LIMIT:
                raise TooLong
            return Text.joined([left] * max(right, 0)) if len(left.plain) else left
    if isinstance(right, Text):
        if isinstance(op, ast.Add):
            return Text.joined([shown(left), right])
        if isinstance(op, ast.Mult) and isinstance(left, int):
            return binary(right, op, left)
    if isinstance(op, ast.Add):
        if isinstance(left, list) and isinstance(right, list) and len(left) + len(right) < LIMIT:
            return [*left, *right]
        if isinstance(left, tuple) and isinstance(right, tuple) and len(left) + len(right) < LIMIT:
            return (*left, *right)
    if isinstance(left, int | float) and isinstance(right, int | float):
        return _arithmetic(left, op, right)
    return _of(left, right)


def _arithmetic(left: float, op: ast.operator, right: float) -> Value:
    if abs(left) > _NUMBER_LIMIT or abs(right) > _NUMBER_LIMIT:
        return Unknown()
    try:
        match op:
            case ast.Add():
                return left + right
            case ast.Sub():
                return left - right
            case ast.Mult():
                return left * right
            case ast.FloorDiv():
                return left // right
            case ast.LShift() if isinstance(left, int) and isinstance(right, int) and 0 <= right < 64:
                return left << right
            case ast.BitOr() if isinstance(left, int) and isinstance(right, int):
                return left | right
    except (ArithmeticError, ValueError):
        return Unknown()
    return Unknown()


def _of(*values: Value) -> Unknown:
    """Unknown, chosen by the user or from a file if one of these is."""
    unknown = [one for one in values if isinstance(one, Unknown)]
    chosen = any(one.chosen for one in unknown)
    chosen = chosen or any(CHOSEN in one.plain for one in values if isinstance(one, Text))
    return Unknown(chosen, next((one.path for one in unknown if one.path), None))


def _formatted(template: Text, value: Value) -> Text:
    """``template % value``."""
    given = list(value) if isinstance(value, tuple) else [value]
    changes = []
    position = 0
    for match in _CONVERSION.finditer(template.plain):
        kind = match[2]
        if kind == "%":
            new = Text.of("%")
        elif match[1] is not None:
            new = shown(value.get(match[1], Unknown()) if isinstance(value, dict) else _of(value))
        elif position < len(given):
            new = shown(given[position])
            position += 1
        else:
            new = shown(_of(value))
        changes.append((match.start(), match.end(), new))
    return template.spliced(changes)


def _format(template: Text, arguments: list[Value], named: dict[str, Value]) -> Text:
    """``template.format(...)``."""
    changes = []
    counted = 0
    for match in _FIELD.finditer(template.plain):
        if match[0] in {"{{", "}}"}:
            new = Text.of(match[0][0])
        elif match[1].isdecimal() or not match[1]:
            # A number of four thousand digits is no place in a list either.
            at = int(match[1]) if 0 < len(match[1]) < 9 else counted
            counted += 1
            new = shown(arguments[at] if at < len(arguments) else Unknown())
        else:
            new = shown(named.get(match[1], Unknown()))
        changes.append((match.start(), match.end(), new))
    return template.spliced(changes)


def compared(left: Value, op: ast.cmpop, right: Value) -> Formula | None:
    """A comparison with an answer of the kernel: ``== 1``, ``!= -1``, ``> 0``, ``is not None``."""
    if not is_formula(left):
        return None
    no = right is None or right is False or (isinstance(right, int) and right <= 0)
    match op:
        case ast.Eq() | ast.Is():
            return Not(left) if no else left
        case ast.NotEq() | ast.IsNot():
            return left if no else Not(left)
        case ast.Gt() | ast.GtE():
            return left
        case ast.Lt() | ast.LtE():
            return Not(left)
    return None


def same(left: Value, op: ast.cmpop, right: Value) -> bool | None:
    """A comparison of values; ``None`` if it depends on what is not known."""
    a, b = _plain(left), _plain(right)
    if isinstance(op, ast.In | ast.NotIn):
        inside = _inside(left, right)
        return None if inside is None else inside == isinstance(op, ast.In)
    if a is _NOTHING or b is _NOTHING:
        return None
    match op:
        case ast.Eq() | ast.Is():
            return a == b
        case ast.NotEq() | ast.IsNot():
            return a != b
    if isinstance(a, int | float) and isinstance(b, int | float):
        match op:
            case ast.Lt():
                return a < b
            case ast.LtE():
                return a <= b
            case ast.Gt():
                return a > b
            case ast.GtE():
                return a >= b
    return None


_NOTHING = object()


def _plain(value: Value) -> object:
    if isinstance(value, Text):
        return _NOTHING if CHOSEN in value.plain or UNKNOWN in value.plain else value.plain
    if value is None or isinstance(value, bool | int | float):
        return value
    return _NOTHING


def _inside(left: Value, right: Value) -> bool | None:
    wanted = _plain(left)
    if wanted is _NOTHING:
        return None
    if isinstance(right, Text) and isinstance(wanted, str):
        return wanted in right.plain
    if isinstance(right, dict):
        return wanted in right
    if isinstance(right, list | tuple):
        known = [_plain(one) for one in right]
        return True if wanted in known else None if _NOTHING in known else False
    return None


def sliced(holder: Value, bounds: list[Value]) -> Value:
    """``holder[start:end]``."""
    start, end, step = bounds
    plain = all(one is None or isinstance(one, int) for one in bounds) and step in {None, 1}
    if not plain or not isinstance(holder, Text | list | tuple):
        return _of(holder)
    assert start is None or isinstance(start, int)
    assert end is None or isinstance(end, int)
    if isinstance(holder, Text):
        first, last, _ = slice(start, end).indices(len(holder.plain))
        return holder.part(first, last)
    return holder[start:end]


def item(holder: Value, key: str | int | None, chosen: bool) -> Value:
    """``holder[key]``."""
    if isinstance(holder, dict) and key is not None:
        return holder.get(key, Unknown())
    if isinstance(holder, list | tuple) and isinstance(key, int) and -len(holder) <= key < len(holder):
        return holder[key]
    if isinstance(holder, Text) and isinstance(key, int) and -len(holder.plain) <= key < len(holder.plain):
        at = key % len(holder.plain)
        return holder.part(at, at + 1)
    return Unknown(chosen or (isinstance(holder, Unknown) and holder.chosen))


def builtin(name: str, arguments: list[Value]) -> Value:
    """A function that the script does not define."""
    first = arguments[0] if arguments else None
    match name:
        case "str" | "bytes" | "repr" | "ArgString" if arguments:
            return shown(first)
        case "len":
            if isinstance(first, Text):
                return len(first.plain)
            if isinstance(first, list | tuple | dict):
                return len(first)
            if is_formula(first):
                return first
        case "bool" | "int" if is_formula(first) or isinstance(first, bool | int):
            return first
        case "list" | "sorted" | "tuple" | "set" if isinstance(first, list | tuple):
            return list(first)
        case "list" | "dict" | "set" if not arguments:
            return {} if name == "dict" else []
        case "range" if all(isinstance(one, int) and 0 <= one <= 256 for one in arguments) and arguments:
            return [*range(*(one for one in arguments if isinstance(one, int)))] if _steps(arguments) else []
        case "enumerate" if isinstance(first, list | tuple):
            return [(position, one) for position, one in enumerate(first)]
        case "input" | "raw_input":
            return Unknown(chosen=True)
    return _of(*arguments)


def _steps(arguments: list[Value]) -> bool:
    return len(arguments) < 4 and not (len(arguments) == 3 and arguments[2] == 0)


def method(holder: Value, name: str, arguments: list[Value], named: dict[str, Value]) -> Value:
    """A method of a value that is no object of the script."""
    if isinstance(holder, Text):
        return _text_method(holder, name, arguments, named)
    if isinstance(holder, list):
        if name == "append" and len(arguments) == 1 and len(holder) < LIMIT:
            holder.append(arguments[0])
            return None
        if name == "extend" and arguments and isinstance(arguments[0], list | tuple):
            if len(holder) + len(arguments[0]) < LIMIT:
                holder.extend([*arguments[0]])
            return None
    if isinstance(holder, dict):
        return _dict_method(holder, name, arguments)
    return _of(holder, *arguments)


def _dict_method(holder: dict[str | int, Value], name: str, arguments: list[Value]) -> Value:
    keys: list[Value] = [Text.of(key) if isinstance(key, str) else key for key in holder]
    match name:
        case "keys":
            return keys
        case "values":
            return [*holder.values()]
        case "items":
            return [*zip(keys, holder.values(), strict=True)]
        case "get" if arguments:
            key = arguments[0]
            fallback = arguments[1] if len(arguments) > 1 else None
            if isinstance(key, Text | int):
                return holder.get(key.plain if isinstance(key, Text) else key, fallback)
    return _of(*arguments)


def _text_method(text: Text, name: str, arguments: list[Value], named: dict[str, Value]) -> Value:
    given = [one if isinstance(one, Text) else None for one in arguments]
    first = given[0] if given else None
    match name:
        case "encode" | "decode":
            return text
        case "replace" if len(given) >= 2:
            if first is None:
                return text
            count = arguments[2] if len(arguments) > 2 else -1
            return text.replaced(first.plain, shown(arguments[1]), count if isinstance(count, int) else -1)
        case "format":
            return _format(text, arguments, named)
        case "join" if arguments:
            return _join(text, arguments[0])
        case "split" if first is not None and first.plain == "\n":
            return [*text.lines()]
        case "split" if len(text.plain) < 1 << 12:
            return _split(text, first)
        case "splitlines":
            return [*text.lines()]
        case "strip" | "lstrip" | "rstrip":
            return _strip(text, name, first)
        case "startswith" if first is not None:
            return None if CHOSEN in text.plain else text.plain.startswith(first.plain)
        case "endswith" if first is not None:
            return None if CHOSEN in text.plain else text.plain.endswith(first.plain)
        case "find" | "index" if first is not None:
            return text.plain.find(first.plain)
        case "upper" | "lower" | "title" if CHOSEN not in text.plain and UNKNOWN not in text.plain:
            changed = getattr(text.plain, name)()
            return Text.of(changed, text.pieces[0].line if text.pieces else None, text.guards)
    return _of(*arguments) if CHOSEN not in text.plain else Unknown(chosen=True)


def _join(separator: Text, items: Value) -> Value:
    if not isinstance(items, list | tuple):
        return shown(_of(items))
    parts: list[Text] = []
    for position, one in enumerate(items):
        if position:
            parts.append(separator)
        parts.append(shown(one))
    return Text.joined(parts)


def _split(text: Text, separator: Text | None) -> Value:
    if CHOSEN in text.plain or UNKNOWN in text.plain:
        return Unknown(CHOSEN in text.plain)
    line = text.pieces[0].line if text.pieces else None
    parts = text.plain.split(separator.plain or None if separator else None)
    return [Text.of(part, line, text.guards) for part in parts]


def _strip(text: Text, name: str, characters: Text | None) -> Text:
    what = characters.plain if characters else None
    start = len(text.plain) - len(text.plain.lstrip(what)) if name != "rstrip" else 0
    end = len(text.plain.rstrip(what)) if name != "lstrip" else len(text.plain)
    return text.part(start, end)
