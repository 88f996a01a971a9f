"""BCC's tools that cannot be read, or are meant to do harm; and what holds for any input."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ksurf.check.bcc import read_tool
from ksurf.check.bcc.guard import Atom, Choices, explore
from ksurf.check.bcc.text import Piece, Text
from ksurf.check.dependency import Consumer
from made_bcc import types


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("print 'hello'\n", "line 1: it is written for Python 2"),
        ("int main() {}\n", "line 1: it is not Python 3"),
        ("\0", ""),
        (b"\xff\xfe\x00", ""),
        ("(" * 10_000, ""),
        ("-" * 100_000 + "1", ""),
        ("x = " + "[" * 5_000 + "]" * 5_000, ""),
        ("a" * (5 << 20), "the file is longer than"),
    ],
)
def test_what_is_no_script(data: str | bytes, reason: str) -> None:
    consumer = read_tool(data, "tool")
    assert consumer.dependencies == ()
    assert consumer.incomplete[0].startswith(reason)


OPTIONS = "".join(f"if args.o{n}:\n    t = t.replace('X{n}', 'return task->f{n};')\n" for n in range(400))
HOSTILE: dict[str, str | bytes] = {
    "options": f"t = 'int kprobe__f(void *ctx) {{ X1 }}'\n{OPTIONS}BPF(text=t)\n",
    "questions": "".join(
        f"if BPF.get_kprobe_functions('f{n}'):\n    b.attach_kprobe(event='f{n}')\n" for n in range(400)
    ),
    "growing text": "t = 'ab'\n"
    + "t = t.replace('a', 'aa').replace('b', 'bb') + t * 10\n" * 60
    + "BPF(text=t)\n",
    "product": "t = 'a' * 10 ** 9 * 10 ** 9\nBPF(text=t)\n",
    "number": f"x = {'9' * 4000} * {'9' * 4000}\nBPF(text='%d' % x)\n",
    "power": "x = 9 ** 9 ** 9\nBPF(text=str(1 << 10 ** 9))\n",
    "recursion": "def f(x):\n    return f(x) + f(x)\nBPF(text=f('a'))\n",
    "loops": "".join(f"{' ' * n}for a{n} in range(200):\n" for n in range(10)) + " " * 10 + "t = 'a'\n",
    "forever": "while True:\n    pass\nBPF(text='int kprobe__f(void *c) { return 0; }')\n",
    "macros": "BPF(text='''"
    + "#define A0 x\n"
    + "".join(f"#define A{n} A{n - 1} A{n - 1} A{n - 1} A{n - 1}\n" for n in range(1, 40))
    + "int f(void) { return A39; }''')\n",
    "macro of itself": "BPF(text='#define A(x) A(x) A(x)\\nint f(void) { return A(A(A(1))); }')\n",
    "conditions": "BPF(text='" + "#ifdef A\\n#if (((((B)\\n" * 3000 + "')\n",
    "deep C": "BPF(text='int f(void) { return " + "(" * 20_000 + "1" + ")" * 20_000 + "; }')\n",
    "deep members": "BPF(text='int f(struct s *s) { return s" + "->a" * 20_000 + "; }')\n",
    "deep blocks": "BPF(text='int f(void) " + "{" * 20_000 + "}" * 20_000 + "')\n",
    "deep struct": "BPF(text='" + "struct { " * 5_000 + "int a;" + "} x;" * 5_000 + "')\n",
    "structs of themselves": "BPF(text='typedef a b; typedef b a; struct s { struct s s; }; "
    "int f(b *x, struct s *s) { return x->y + s->s.s.s; }')\n",
    "parentheses": "BPF(text='" + "BPF_HASH(" * 20_000 + "')\n",
    "comments": "BPF(text='" + "/*" * 50_000 + "')\n",
    "expression": "b.attach_kprobe(event_re='" + "(a*)*|" * 5_000 + "')\n",
    "nested calls": "x = " + "f(" * 80 + "1" + ")" * 80 + "\nBPF(text='int f(void) { return 0; }')\n",
    "many strings": "t = 'x'\n" + "t += 'y'\n" * 20_000 + "BPF(text=t)\n",
    "bytes": b"# -*- coding: latin-1 -*-\nBPF(text='int kprobe__f(void *c) { /* \xff */ return 0; }')\n",
    "text \u00fc": "BPF(text='int kprobe__\u00fc(struct pt_regs *c, struct f\u00fc *x) { return x->b; }')\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tools(name: str) -> None:
    begin = time.process_time()
    assert isinstance(read_tool(HOSTILE[name], "tool"), Consumer)
    # Far from exact: what is exponential takes years.
    assert time.process_time() - begin < 60


def test_nothing_is_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    mark = tmp_path_factory.mktemp("run") / "mark"
    script = f"open({str(mark)!r}, 'w').write('x')\n__import__('os').system('touch {mark}')\nBPF(text='')\n"
    read_tool(script, "tool")
    assert not mark.exists()


WORDS = st.sampled_from(
    "BPF(text=t) t += 'x' = replace('a','b') if args.x: BPF.support_kfunc() else: \n return def f(): ( ) { } "
    'int struct s * -> . ; # #if #ifdef #endif defined TRACEPOINT_PROBE(a,b) """ """ BPF_HASH( '
    "attach_kprobe(event='f') container_of( \\ // /* */ sizeof PT_REGS_PARM1(ctx) kprobe__f".split(" ")
)


@given(st.lists(WORDS, max_size=60).map(" ".join))
@settings(max_examples=150, deadline=None)
def test_any_words_give_a_consumer(words: str) -> None:
    assert isinstance(read_tool(words, "tool"), Consumer)
    consumer = read_tool(f"BPF(text={words!r})\n", "tool", type_of_field=types)
    assert consumer.programs is not None


@given(st.text(max_size=200) | st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_content_gives_a_consumer(content: str | bytes) -> None:
    assert isinstance(read_tool(content, "tool"), Consumer)


PIECES = st.lists(st.builds(Piece, st.text("ab\n", min_size=1, max_size=4), st.integers(1, 9)), max_size=6)


@given(
    PIECES,
    st.text("ab", min_size=1, max_size=2),
    st.text("abc", max_size=3),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_texts_are_strings(pieces: list[Piece], old: str, new: str, start: int, end: int) -> None:
    text = Text(tuple(pieces))
    assert text.replaced(old, Text.of(new)).plain == text.plain.replace(old, new)
    assert text.part(start, end).plain == text.plain[start:end]
    assert [line.plain for line in text.lines()] == text.plain.split("\n")
    for position, character in enumerate(text.plain):
        piece = text.at(position)
        assert piece is not None
        assert character in piece.text


@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=4), min_size=1, max_size=6))
def test_each_answer_at_each_place_is_tried(places: list[list[str]]) -> None:
    """A place is reached if all that stands before it is answered with yes."""
    reached: set[tuple[int, int, bool]] = set()

    def run(choices: Choices) -> None:
        for number, names in enumerate(places):
            for depth, name in enumerate(names):
                said, _ = choices.decide(Atom(name, name), (number, depth))
                reached.add((number, depth, said))
                if not said:
                    break

    ways = explore(run, 300)
    assert not ways.left_out
    for number, names in enumerate(places):
        for depth, name in enumerate(names):
            assert (number, depth, True) in reached
            # After its first place, a name's answer is known.
            assert name in names[:depth] or (number, depth, False) in reached
