"""A text of C, read with tree-sitter: which functions it has, and what each needs of the kernel."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import tree_sitter_c
from tree_sitter import Language, Node, Parser

from ksurf.check.bcc.c_types import CType, Declared, Structs, declarators, parse_type
from ksurf.check.bcc.guard import Guards, within
from ksurf.check.bcc.macros import Map, rewritten
from ksurf.check.bcc.tables import CONVERSIONS, HELPER_RESULTS, MACRO_FIELDS, MAP_METHODS, NO_HELPERS
from ksurf.check.bcc.text import CHOSEN, UNKNOWN, Text
from ksurf.check.dependency import Kind

__all__ = ["CFacts", "Function", "Need", "Place", "TypeOfField", "read_c"]

TypeOfField = Callable[[str, str], str | None]
"""The C type of a kernel struct's field (``"sock"``, ``"__sk_common.skc_daddr"``), if some kernel has it."""

_LANGUAGE = Language(tree_sitter_c.language())
_DEPTH = 150
_ERRORS = 5
_REGISTER = re.compile(r"PT_REGS_(?:PARM([1-6])|RC)(?:_CORE|_SYSCALL|_CORE_SYSCALL)?\Z")
_EVENT_STRUCT = re.compile(r"struct tracepoint__(\w+?)__(\w+)\Z")
_LOCATED = {"TP_DATA_LOC_READ", "TP_DATA_LOC_READ_CONST", "TP_DATA_LOC_READ_STR", "TP_DATA_LOC"}
_COMPOUND = ("struct ", "union ")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands."""

    line: int | None
    guards: Guards


@dataclass(frozen=True, slots=True)
class Need:
    """Something of the kernel that a function of the C needs."""

    kind: Kind
    name: str
    program: str | None
    place: Place
    expected: str | None = None


@dataclass(slots=True)
class Function:
    """A function of the C, and what it takes from where it is attached."""

    name: str
    place: Place
    parameters: list[Declared]
    places: list[Place]
    """Of the parameters."""
    calls: set[str] = field(default_factory=set)
    registers: list[tuple[int | None, str | None, Place]] = field(default_factory=list)
    """``PT_REGS_PARMn``, counted from 0, or ``None`` for ``PT_REGS_RC``; and the type it is taken for."""
    used: set[int] = field(default_factory=set)
    """The parameters that it uses."""
    context: list[tuple[str, Place]] = field(default_factory=list)
    """Fields of its first parameter."""
    raw: list[tuple[int, Place]] = field(default_factory=list)
    """Of a raw tracepoint's: ``ctx->args[n]``."""


@dataclass(slots=True)
class CFacts:
    """What a text of C needs."""

    functions: dict[str, Function] = field(default_factory=dict)
    needs: list[Need] = field(default_factory=list)
    not_followed: dict[tuple[str, str], Place] = field(default_factory=dict)
    """Members behind fields whose type only a dataset knows: ``("request::q", "disk")``."""
    unclear: list[tuple[int | None, str]] = field(default_factory=list)
    """What is not understood, with its line."""


@dataclass(frozen=True, slots=True)
class _Member:
    """A member of a struct, or of one inside it."""

    struct: str
    path: str
    node: Node


def read_c(text: Text, type_of_field: TypeOfField | None) -> CFacts:
    """Read C without directives."""
    text, maps, containers = rewritten(text)
    return _Reader(text, maps, type_of_field).read(containers)


class _Reader:
    def __init__(self, text: Text, maps: dict[str, Map], type_of_field: TypeOfField | None) -> None:
        self._text = text
        # One byte for each character, so that offsets are the same.
        self._bytes = text.plain.encode("ascii", "replace")
        self._maps = maps
        self._type_of_field = type_of_field
        self._structs = Structs()
        self._facts = CFacts()
        self._function: Function | None = None
        self._variables: dict[str, CType] = {}
        self._globals: dict[str, CType] = {}
        self._contexts: set[str] = set()
        self._copies: dict[str, bool] = {}
        self._depth = 0

    def read(self, containers: list[tuple[str, str, int]]) -> CFacts:
        root = Parser(_LANGUAGE).parse(self._bytes).root_node
        if root.has_error:
            self._errors(root)
        for one in self._maps.values():
            for written in (one.key, one.leaf):
                if written is not None and (type := parse_type(written)) is not None and not type.pointers:
                    self._structs.objects.add(type.base)
            if one.type is not None:
                self._facts.needs.append(Need(Kind.MAP_TYPE, one.type, None, self._place_at(one.position)))
        definitions = list(self._definitions(root))
        self._find_objects(root)
        for function, node in definitions:
            self._enter(function, node)
        for struct, member, position in containers:
            self._need(Kind.FIELD, f"{struct}::{member}", self._place_at(position))
        return self._facts

    # Places

    def _written(self, node: Node) -> str:
        return self._bytes[node.start_byte : node.end_byte].decode("ascii")

    def _place(self, node: Node) -> Place:
        return self._place_at(node.start_byte)

    def _place_at(self, position: int) -> Place:
        piece = self._text.at(position)
        if piece is None:
            return Place(None, ())
        if self._function is None:
            return Place(piece.line, piece.guards)
        # What is put into a function is there only where the function is.
        return Place(piece.line, within(self._function.place.guards, piece.guards))

    def _need(self, kind: Kind, name: str, place: Place, expected: str | None = None) -> None:
        if CHOSEN in name:
            return
        program = self._function.name if self._function else None
        self._facts.needs.append(Need(kind, name, program, place, expected))

    def _errors(self, root: Node) -> None:
        waiting, found = [root], 0
        while waiting and found < _ERRORS:
            node = waiting.pop()
            if node.is_error:
                written = " ".join(self._written(node).split())
                if any(sign in written for sign in ("->", "(", "PROBE")) and CHOSEN not in written:
                    shown = written if len(written) <= 60 else f"{written[:57]}..."
                    self._facts.unclear.append((self._place(node).line, f"C that is not understood: {shown}"))
                    found += 1
            elif node.has_error:
                waiting += reversed(node.children)

    # Declarations

    def _definitions(self, root: Node) -> Iterator[tuple[Function, Node]]:
        """All functions, wherever a mistake in the text has put them; definitions of types are noted."""
        waiting = [(root, 0)]
        while waiting:
            node, depth = waiting.pop()
            match node.type:
                case "function_definition":
                    base = self._structs.base_of(node.child_by_field_name("type"), self._written) or "int"
                    for one in declarators(node.child_by_field_name("declarator"), base, self._written):
                        yield self._function_of(one), node
                        break
                case "declaration" if depth < 3:
                    self._declare(node, self._globals)
                case "type_definition":
                    self._typedef(node)
                case "struct_specifier" | "union_specifier":
                    self._structs.base_of(node, self._written)
                case _ if depth < _DEPTH:
                    waiting += [(one, depth + 1) for one in reversed(node.named_children)]

    def _function_of(self, declared: Declared) -> Function:
        parameters = []
        for node in declared.parameters.named_children if declared.parameters is not None else ():
            if node.type == "parameter_declaration":
                base = self._structs.base_of(node.child_by_field_name("type"), self._written)
                one = next(
                    declarators(node.child_by_field_name("declarator"), base or "int", self._written), None
                )
                parameters.append(one or Declared("", CType(base or "int"), node))
        places = [self._place(one.node) for one in parameters]
        function = Function(declared.name, self._place(declared.node), parameters, places)
        self._facts.functions[declared.name] = function
        if len(parameters) == 1 and parameters[0].type.pointers == 1:
            # What a program is given, if the tool has written down what that is; else it is a helper's.
            self._contexts |= {parameters[0].type.base} & self._structs.members.keys()
        return function

    def _typedef(self, node: Node) -> None:
        base = self._structs.base_of(node.child_by_field_name("type"), self._written)
        for one in node.children_by_field_name("declarator"):
            for declared in declarators(one, base or "int", self._written):
                self._structs.typedefs[declared.name] = declared.type

    def _declare(self, node: Node, variables: dict[str, CType]) -> None:
        base = self._structs.base_of(node.child_by_field_name("type"), self._written)
        for one in node.children_by_field_name("declarator"):
            for declared in declarators(one, base or "int", self._written):
                variables[declared.name] = declared.type

    def _find_objects(self, root: Node) -> None:
        """Which structs the tool makes itself: variables of them, and what it takes the size of."""
        waiting = [(root, 0)]
        while waiting:
            node, depth = waiting.pop()
            if node.type == "declaration":
                found: dict[str, CType] = {}
                self._declare(node, found)
                self._structs.objects.update(one.base for one in found.values() if not one.pointers)
            elif node.type == "sizeof_expression":
                named = node.child_by_field_name("type")
                if named is not None and (type := parse_type(self._written(named))) is not None:
                    self._structs.objects.add(type.base)
            if depth < _DEPTH:
                waiting += [(one, depth + 1) for one in node.named_children]

    def _of_kernel(self, base: str) -> bool:
        """Whether a struct is the kernel's: it is not the tool's own, or a copy of the kernel's."""
        own = self._structs.members.get(base)
        if own is None:
            return base not in _NOT_OF_KERNEL and (base.startswith(_COMPOUND) or base.isidentifier())
        if base not in self._copies:
            made = base in self._structs.objects or base in self._contexts or "(unnamed" in base
            known = self._type_of_field
            struct = base.partition(" ")[2]
            self._copies[base] = not made and (
                known is None or any(known(struct, member) is not None for member in own)
            )
        return self._copies[base]

    # Functions

    def _enter(self, function: Function, node: Node) -> None:
        self._function = function
        self._variables = {**self._globals, **{one.name: one.type for one in function.parameters}}
        body = node.child_by_field_name("body")
        if body is not None:
            self._walk(body)
        self._function = None

    def _walk(self, node: Node) -> None:
        """A statement, and all in it."""
        self._depth += 1
        try:
            if self._depth > _DEPTH:
                return
            if node.type == "declaration":
                self._local(node)
            elif node.type in _EXPRESSIONS:
                self._value(node)
            else:
                for one in node.named_children:
                    self._walk(one)
        finally:
            self._depth -= 1

    def _local(self, node: Node) -> None:
        declared: dict[str, CType] = {}
        self._declare(node, declared)
        self._variables.update(declared)
        for one in node.children_by_field_name("declarator"):
            if one.type == "init_declarator":
                name = next(declarators(one, "int", self._written), None)
                wanted = declared.get(name.name) if name else None
                if (value := one.child_by_field_name("value")) is not None:
                    self._value(value, wanted)

    # Expressions

    def _value(self, node: Node, wanted: CType | None = None) -> CType | None:
        """Note what an expression needs, and return its type. ``wanted`` is what it becomes."""
        self._depth += 1
        try:
            if self._depth > _DEPTH:
                return None
            return self._structs.resolved(self._value_of(node, wanted))
        finally:
            self._depth -= 1

    def _value_of(self, node: Node, wanted: CType | None) -> CType | None:
        match node.type:
            case "identifier":
                return self._variable(node)
            case "parenthesized_expression":
                inner = node.named_children
                if len(inner) == 1 and inner[0].type != "compound_statement":
                    return self._value(inner[0], wanted)
            case "field_expression":
                member = self._member(node)
                if member is None:
                    return None
                self._emit(member)
                return self._type_at(member)
            case "subscript_expression":
                return self._subscript(node)
            case "pointer_expression":
                return self._pointer(node)
            case "cast_expression":
                return self._cast(node)
            case "call_expression":
                return self._call(node, wanted)
            case "assignment_expression":
                left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
                type = self._value(left) if left is not None else None
                if right is not None:
                    self._value(right, type)
                return type
            case "binary_expression":
                left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
                types = [self._value(one) for one in (left, right) if one is not None]
                return next((one for one in types if one is not None and (one.pointers or one.arrays)), None)
            case "conditional_expression":
                types = [self._value(one, wanted) for one in node.named_children]
                return types[1] if len(types) > 1 else None
            case "offsetof_expression":
                self._offset(node)
                return None
        for one in node.named_children:
            self._walk(one)
        return None

    def _variable(self, node: Node) -> CType | None:
        name = self._written(node)
        function = self._function
        if function is not None:
            for position, one in enumerate(function.parameters):
                if one.name == name:
                    function.used.add(position)
        return self._variables.get(name)

    def _pointer(self, node: Node) -> CType | None:
        inner = node.child_by_field_name("argument")
        type = self._value(inner) if inner is not None else None
        if type is None:
            return None
        return type.address() if self._bytes[node.start_byte : node.start_byte + 1] == b"&" else type.behind()

    def _subscript(self, node: Node) -> CType | None:
        base, index = node.child_by_field_name("argument"), node.child_by_field_name("index")
        if index is not None:
            self._value(index)
        if base is None:
            return None
        if index is not None and self._raw_argument(base, index):
            return None
        type = self._value(base)
        return type.behind() if type is not None else None

    def _raw_argument(self, base: Node, index: Node) -> bool:
        """``ctx->args[n]``, or ``ctx[n]``, of a raw tracepoint."""
        function = self._function
        if function is None or base.type != "field_expression" or not function.parameters:
            return False
        first = function.parameters[0]
        number = self._written(index)
        if first.type.base != "struct bpf_raw_tracepoint_args" or len(number) > 2 or not number.isdecimal():
            return False
        if self._written(base) != f"{first.name}->args":
            return False
        function.raw.append((int(number), self._place(base)))
        return True

    def _cast(self, node: Node) -> CType | None:
        named, value = node.child_by_field_name("type"), node.child_by_field_name("value")
        type = self._named_type(named)
        if value is not None:
            self._value(value, type)
        return type

    def _named_type(self, node: Node | None) -> CType | None:
        if node is None:
            return None
        return self._structs.resolved(parse_type(self._written(node)))

    def _offset(self, node: Node) -> None:
        type = self._named_type(node.child_by_field_name("type"))
        member = node.child_by_field_name("member")
        if type is not None and member is not None and self._of_kernel(type.base):
            self._need(Kind.FIELD, f"{_struct(type.base)}::{self._written(member)}", self._place(member))

    # Members

    def _member(self, node: Node) -> _Member | None:
        """What a member access names, from the last struct that a pointer leads to."""
        base, name = node.child_by_field_name("argument"), node.child_by_field_name("field")
        if base is None or name is None:
            return None
        written = self._written(name)
        arrow = any(one.type == "->" for one in node.children)
        while base.type == "parenthesized_expression" and len(base.named_children) == 1:
            base = base.named_children[0]
        outer = None
        if base.type == "field_expression":
            self._depth += 1
            try:
                outer = self._member(base) if self._depth < _DEPTH else None
            finally:
                self._depth -= 1
            if outer is not None and not arrow:
                return self._inside(outer, written, name)
            if outer is not None:
                self._emit(outer)
            type = self._structs.resolved(self._type_at(outer)) if outer is not None else None
        else:
            type = self._value(base)
        if type is None:
            self._unknown_type(base, outer, written, name)
            return None
        if base.type == "identifier" and self._is_context(base):
            assert self._function is not None
            self._function.context.append((written, self._place(name)))
        return _Member(type.base, written, name)

    def _is_context(self, node: Node) -> bool:
        function = self._function
        return (
            function is not None
            and bool(function.parameters)
            and function.parameters[0].name == self._written(node)
        )

    def _inside(self, outer: _Member, name: str, node: Node) -> _Member:
        """A member of a member: of the kernel's as a path, of the tool's own as the type it is."""
        type = self._structs.resolved(self._own_type(outer))
        if type is not None and not self._of_kernel(outer.struct):
            return _Member(type.base, name, node)
        return _Member(outer.struct, f"{outer.path}.{name}", node)

    def _unknown_type(self, base: Node, outer: _Member | None, name: str, node: Node) -> None:
        place = self._place(node)
        if outer is not None:
            # What no kernel has is listed as missing, and hides nothing more.
            if self._type_of_field is None and self._of_kernel(outer.struct):
                self._facts.not_followed.setdefault((_member_name(outer), name), place)
            return
        written = " ".join(self._written(base).split())
        if base.type == "field_expression" or CHOSEN in written or written in self._maps:
            # What leads there is not followed, or not known, and that is said.
            return
        self._facts.unclear.append(
            (place.line, f"the type of {written} is not known, of which {name} is used")
        )

    def _emit(self, member: _Member) -> None:
        """Note a field that is used."""
        place = self._place(member.node)
        event = _EVENT_STRUCT.match(member.struct)
        if event is not None:
            field = member.path.partition(".")[0].removeprefix("data_loc_")
            self._need(Kind.TRACEPOINT_FIELD, f"{event[1]}:{event[2]}::{field}", place)
        elif self._of_kernel(member.struct) and member.struct not in self._contexts:
            self._need(Kind.FIELD, _member_name(member), place)

    def _own_type(self, member: _Member) -> CType | None:
        return self._structs.members.get(member.struct, {}).get(member.path)

    def _type_at(self, member: _Member) -> CType | None:
        own = self._own_type(member)
        if own is not None:
            return own
        known = self._type_of_field
        if known is None or not self._of_kernel(member.struct):
            return None
        struct, _, path = _member_name(member).partition("::")
        written = known(struct, path)
        return parse_type(written) if written is not None else None

    # Calls

    def _call(self, node: Node, wanted: CType | None) -> CType | None:
        called, arguments = node.child_by_field_name("function"), node.child_by_field_name("arguments")
        given = arguments.named_children if arguments is not None else []
        if called is None:
            return None
        if called.type == "field_expression":
            base, method = called.child_by_field_name("argument"), called.child_by_field_name("field")
            if base is not None and method is not None and self._written(base) in self._maps:
                return self._map_call(self._maps[self._written(base)], self._written(method), method, given)
        name = self._written(called)
        if match := _REGISTER.match(name):
            return self._register(match, node, given, wanted)
        if name in _LOCATED and len(given) >= 2:
            self._located(given)
            return None
        for one in given:
            self._value(one)
        if called.type != "identifier":
            self._value(called)
            return None
        if name in self._facts.functions:
            if self._function is not None:
                self._function.calls.add(name)
            return None
        if name.startswith("bpf_") and name not in NO_HELPERS and UNKNOWN not in name:
            self._need(Kind.HELPER, name, self._place(called))
        result = HELPER_RESULTS.get(name) or CONVERSIONS.get(name)
        return parse_type(result) if result else wanted

    def _map_call(self, map: Map, method: str, node: Node, given: list[Node]) -> CType | None:
        for helper in MAP_METHODS.get(method, ()):
            self._need(Kind.HELPER, helper, self._place(node))
        for one in given:
            self._value(one)
        leaf = self._structs.resolved(parse_type(map.leaf)) if map.leaf else None
        return (
            leaf.address()
            if leaf is not None and method.startswith(("lookup", "sk_", "task_", "inode_"))
            else None
        )

    def _register(
        self, match: re.Match[str], node: Node, given: list[Node], wanted: CType | None
    ) -> CType | None:
        if self._function is not None and given and given[0].type == "identifier":
            number = int(match[1]) - 1 if match[1] else None
            text = wanted.text if wanted is not None else None
            self._function.registers.append((number, text, self._place(node)))
        return wanted

    def _located(self, given: list[Node]) -> None:
        """``TP_DATA_LOC_READ(&to, field)``: a field of the event that ``args`` is of."""
        function = self._function
        self._value(given[0])
        if function is None or not function.parameters:
            return
        name = self._written(given[1])
        if event := _EVENT_STRUCT.match(function.parameters[0].type.base):
            self._need(Kind.TRACEPOINT_FIELD, f"{event[1]}:{event[2]}::{name}", self._place(given[1]))
        else:
            function.context.append((name, self._place(given[1])))


_NOT_OF_KERNEL = frozenset(
    f"struct {name}"
    for name in (
        # Of bcc/proto.h.
        *("ethernet_t", "dot1q_t", "arp_t", "ip_t", "ip6_t", "icmp_t", "icmp6_t", "udp_t", "tcp_t"),
        *("vxlan_t", "vxlan_gpe_t", "ip6_opt_t"),
        # What the verifier makes of registers and never changes (uapi/linux/bpf.h).
        *("bpf_raw_tracepoint_args", "bpf_sock_ops", "bpf_sock_addr", "bpf_sock", "sk_msg_md"),
        *("sk_reuseport_md", "bpf_cgroup_dev_ctx", "bpf_sysctl", "bpf_sockopt", "bpf_sk_lookup"),
    )
)
"""Structs that a tool does not define, and the kernel does not either, or never otherwise."""
_EXPRESSIONS = frozenset(
    "identifier parenthesized_expression field_expression subscript_expression pointer_expression "
    "cast_expression call_expression assignment_expression binary_expression conditional_expression "
    "offsetof_expression".split()
)


def _struct(base: str) -> str:
    return base.removeprefix("struct ").removeprefix("union ")


def _member_name(member: _Member) -> str:
    """``struct::field``, by the name that the kernel's types have for it."""
    struct = _struct(member.struct)
    first, dot, rest = member.path.partition(".")
    first = MACRO_FIELDS.get((struct, first), first)
    return f"{struct}::{first}{dot}{rest}"
