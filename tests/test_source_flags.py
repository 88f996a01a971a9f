"""Compile commands, as clang wants them."""

from ksurf.source.flags import BUILD, COMPILER, TREE, is_own, split_words, translate

LINE = (
    "gcc -Wp,-MMD,kernel/.fork.o.d -nostdinc -I/src/include -I./include -isystem /usr/lib/gcc/x/include "
    "-include /src/include/linux/kconfig.h -D__KERNEL__ -Wall -fshort-wchar -fconserve-stack "
    "-O2 -mrecord-mcount -m64 -I /src/../etc -DKBUILD_BASENAME='\"fork\"' -D NAME=1 "
    "-c -o kernel/fork.o /src/kernel/fork.c"
)


def test_a_command_keeps_what_decides_which_text_is_compiled() -> None:
    command = translate(split_words(LINE)[1:], "/src", "/build")
    assert command is not None
    assert command.source == f"{TREE}/kernel/fork.c"
    assert command.object == "kernel/fork.o"
    assert command.arguments == [
        "-nostdinc",
        f"-I{TREE}/include",
        f"-I{BUILD}/include",
        *("-isystem", COMPILER),
        *("-include", f"{TREE}/include/linux/kconfig.h"),
        "-D__KERNEL__",
        "-fshort-wchar",
        "-O2",
        "-m64",
        '-DKBUILD_BASENAME="fork"',
        "-DNAME=1",
    ]
    assert [argument for argument in command.arguments if is_own(argument)] == ['-DKBUILD_BASENAME="fork"']


def test_what_does_not_compile_c_is_no_unit() -> None:
    for line in ("-o a.o a.c", "-c -o a.o a.S", "-c a.c", "-c -o", "-I", "-D", ""):
        assert translate(split_words(line), "/src", "/build") is None


def test_words_are_split_as_a_shell_does() -> None:
    assert split_words(r"""a 'b c'd "e \" $f" g\ h;i && j""") == [
        *("a", "b cd", 'e " $f', "g h", ";", "i", "&&", "j"),
    ]


def test_a_prepared_folder_in_the_tree_is_the_closer_one() -> None:
    words = split_words("-I/src/build/include -I/src/include -c -o x.o ../x.c")
    command = translate(words, "/src", "/src/build")
    assert command is not None
    assert command.arguments == [f"-I{BUILD}/include", f"-I{TREE}/include"]
    assert command.source == f"{TREE}/x.c"
