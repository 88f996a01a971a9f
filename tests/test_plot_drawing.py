"""Figures as pictures."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

import made_check
from ksurf import plot
from ksurf.check.verdict import Outcome
from ksurf.errors import InputError
from ksurf.kernel import Kernel
from ksurf.plot.drawing import sheet, theme
from ksurf.plot.model.availability import Cell, Program, Row
from ksurf.plot.model.churn import Count, Step
from ksurf.plot.model.inlining import Shares
from ksurf.plot.model.struct_growth import Growth, Size
from made_kernel import kernel

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script>&\"'$\\frac{1}{0}$]]>\x00\x1b[31m\n\ud800\ufffe" + "x" * 10_000


def columns(count: int = 4, groups: Sequence[str] = ("Regular",)) -> tuple[plot.Column, ...]:
    made = []
    for group in groups:
        arch = "amd64" if group == "Regular" else "arm64"
        for number in range(count):
            one = kernel(f"6.{number}.1", arch=arch)
            made.append(
                plot.Column(group, f"6.{number}" if group == "Regular" else f"{arch} 6.{number}", one)
            )
    return tuple(made)


def churn(steps: int = 3, kinds: Sequence[str] = ("function", "struct", "config")) -> plot.Churn:
    own = columns(steps + 1)
    made = tuple(
        Step(
            own[number],
            own[number + 1],
            tuple(Count(kind, 10_000 * number + 1, number, 7) for kind in kinds),
        )
        for number in range(steps)
    )
    return plot.Churn(own, tuple(kinds), made)


def inlining(count: int = 3, suffixes: int = 2) -> plot.Inlining:
    own = columns(count, ("Regular", "Arch"))
    some = tuple((f"s{number}", 5) for number in range(suffixes))
    return plot.Inlining(own, tuple(Shares(one, 1000, 500, 100, 380, 20, 30, some) for one in own))


def growth(*names: str, count: int = 4) -> plot.StructGrowth:
    sizes = (None, *(Size(1000 + 64 * number, number, 1, "vmlinux") for number in range(count - 1)))
    return plot.StructGrowth(columns(count), tuple(Growth(name, sizes) for name in names))


def availability(*titles: str, programs: Sequence[str] = ("biotop",), count: int = 3) -> plot.Availability:
    own = columns(count, ("Regular", "Arch", "Flavor"))
    outcomes = list(Outcome)
    cells = tuple(
        None if number == 7 else Cell(outcomes[number % len(outcomes)], number % 4 == 3)
        for number in range(len(own))
    )
    rows = tuple(Row(title, cells) for title in titles)
    return plot.Availability(own, tuple(Program(name, name, len(rows), rows) for name in programs), 0, 0)


FIGURES = {
    "churn": churn(),
    "inlining": inlining(),
    "struct-growth": growth("task_struct", "kvm"),
    "availability": availability("field task_struct::pid", "kprobe vfs_read"),
}


def texts(svg: bytes) -> list[str]:
    """What is written in a picture."""
    return ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def png_size(data: bytes) -> tuple[int, int]:
    """The size of a PNG all of whose chunks are in order."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    at, kinds = 8, []
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        body = data[at + 4 : at + 8 + length]
        assert zlib.crc32(body) == struct.unpack_from(">I", data, at + 8 + length)[0]
        kinds.append(body[:4])
        at += 12 + length
    assert (kinds[0], kinds[-1]) == (b"IHDR", b"IEND")
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("dark", [False, True])
def test_svg_has_its_words_and_its_size(name: str, dark: bool) -> None:
    figure = FIGURES[name]
    svg = plot.draw(figure, dark=dark)
    root = ElementTree.fromstring(svg)
    assert (root.tag, root.get("width"), root.get("role")) == (f"{SVG}svg", "1280", "img")
    assert figure.title in (root.get("aria-label") or "")
    written = texts(svg)
    assert figure.title in written
    assert " ".join(written).find(figure.facts[:40]) >= 0
    ground = (theme.DARK if dark else theme.LIGHT).ground
    assert f"fill: {ground}".encode() in svg
    assert b"Verdana, sans-serif" in svg
    # Nothing is asked of anybody, and nothing runs.
    assert b"<!DOCTYPE" not in svg and b"<script" not in svg and b"<image" not in svg
    for element in root.iter():
        for key, value in element.attrib.items():
            assert not key.endswith("href") or value.startswith("#")


def test_what_is_drawn_is_written_too() -> None:
    written = texts(plot.draw(FIGURES["churn"]))
    assert {"Functions", "Structs", "Config options", "symbols", "20k", "7"} <= set(written)
    assert {"+ added", "− removed", "~ changed"} <= set(written)
    written = texts(plot.draw(FIGURES["inlining"]))
    assert {"50.0", "10.0", "38.0", ".s0", "fully inlined", "not told", "% of functions"} <= set(written)
    assert {"amd64 cloud, by version", "other architectures"} <= set(written)
    written = texts(plot.draw(FIGURES["struct-growth"]))
    assert {"struct kvm", "absent", "1,128", "+6.0%", "holes 2", "bytes"} <= set(written)
    assert "(✘)" in texts(plot.draw(availability("kprobe x", count=14)))
    written = texts(plot.draw(FIGURES["availability"]))
    assert {"field task_struct::pid", "✔", "◇", "◐", "≠", "✘", "(≠)", "Flavors"} <= set(written)


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("width", [320, 1921])
def test_a_png_is_as_wide_as_asked_for(name: str, width: int) -> None:
    got, height = png_size(plot.draw(FIGURES[name], "png", width=width))
    assert got == width
    root = ElementTree.fromstring(plot.draw(FIGURES[name], width=width))
    assert root.get("width") == str(width)
    assert abs(int(root.get("height") or 0) - height) <= 1


def test_pictures_are_the_same_each_time_and_in_every_thread() -> None:
    wanted = [(figure, form) for figure in FIGURES.values() for form in plot.FORMS]
    alone = {(id(figure), form): plot.draw(figure, form) for figure, form in wanted}
    with ThreadPoolExecutor(4) as pool:
        for (figure, form), picture in zip(wanted, pool.map(lambda w: plot.draw(*w), wanted), strict=True):
            assert picture == alone[id(figure), form]


def test_another_process_draws_the_same(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("font.family: monospace\nsvg.fonttype: path\nfigure.dpi: 7\n")
    script = (
        "import sys; import test_plot_drawing as t; from ksurf import plot\n"
        "sys.stdout.buffer.write(plot.draw(t.churn()))\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'tkinter' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        env={
            "PYTHONPATH": ":".join(sys.path),
            "KSURF_CACHE": str(tmp_path / "cache"),
            "PYTHONHASHSEED": "7",
            "MPLBACKEND": "tkagg",
        },
    )
    assert done.stderr == b""
    assert done.stdout == plot.draw(churn())
    assert not (tmp_path / ".config").exists()


def test_matplotlib_is_loaded_by_pictures_only() -> None:
    script = (
        "import sys; from ksurf import plot; import test_plot_drawing as t\n"
        "plot.numbers_csv(t.churn()); assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env={"PYTHONPATH": ":".join(sys.path)})


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize(
    "figure",
    [
        growth(HOSTILE, "fine"),
        availability(HOSTILE, programs=(HOSTILE, "other")),
        availability(HOSTILE, programs=(HOSTILE,)),
        replace(inlining(), shares=inlining(suffixes=0).shares),
        plot.Inlining(
            columns(1), (Shares(columns(1)[0], 10, 10, 0, 0, 0, 10, ((HOSTILE, 10), ("日本", 3))),)
        ),
    ],
    ids=["struct", "programs", "program", "nothing", "suffix"],
)
def test_hostile_names_are_only_names(figure: plot.Figure) -> None:
    svg = plot.draw(figure)
    root = ElementTree.fromstring(svg)
    assert not list(root.iter(f"{SVG}script"))
    assert b"\x00" not in svg and b"\x1b" not in svg
    # No line leaves the picture.
    assert all(len(text) < 400 for text in texts(svg))
    assert png_size(plot.draw(figure, "png"))[0] == 1280


def test_hostile_kernels_are_only_kernels() -> None:
    hostile = HOSTILE[:500]
    one = Kernel("debian", hostile, None, "6.1", hostile, "amd64")
    own = tuple(plot.Column("Regular", hostile, one) for _ in range(2))
    step = Step(own[0], own[1], (Count("function", 1, 2, 3),))
    shares = tuple(Shares(column, 9, 3, 3, 3, 0, 1, (("isra", 1),)) for column in own)
    row = Row("x", (Cell(Outcome.OK), Cell(Outcome.BROKEN)))
    for figure in (
        plot.Churn(own, ("function",), (step,)),
        plot.Inlining(own, shares),
        plot.StructGrowth(own, (Growth("s", (Size(8, None, 1, "vmlinux"), None)),)),
        plot.Availability(own, (Program("p", "p", 1, (row,)),), 0, 0),
    ):
        short = replace(own[0].kernel, release="x", flavor="<b>")
        ElementTree.fromstring(plot.draw(figure))
        ElementTree.fromstring(
            plot.draw(replace(figure, columns=tuple(c._replace(kernel=short) for c in own)))
        )


def test_many_kernels_and_many_rows_still_fit() -> None:
    for figure in (
        churn(60),
        churn(1, ("syscall",)),
        inlining(30, 9),
        growth(*(f"s{number}" for number in range(5)), count=40),
        availability(*(f"field s::f{number}" for number in range(12)), count=30),
        availability(),
        plot.availability(made_check.page()),
    ):
        root = ElementTree.fromstring(plot.draw(figure))
        assert root.get("width") == "1280"


def test_what_is_too_large_is_refused() -> None:
    tall = availability(*(f"field s::f{number}" for number in range(400)), count=1)
    with pytest.raises(InputError, match="PNG of 7680"):
        plot.draw(tall, "png", width=7680)
    for width in (-1, 0, 319, 100_000):
        with pytest.raises(InputError, match="pixels wide cannot be drawn"):
            plot.draw(tall, width=width)
    with pytest.raises(ValueError, match="pdf"):
        plot.draw(tall, "pdf")


def test_what_is_not_known_is_said() -> None:
    figure = churn(1, ("config",))
    unknown = replace(figure.steps[0], counts=(Count("config", None, None, None, ("x",)),))
    assert "not known" in texts(plot.draw(replace(figure, steps=(unknown,))))


def test_numbers_are_short() -> None:
    numbers = (0, 9, 999, 1000, 1049, 1500, 9949, 9951, 31_999, 999_499, 999_600, 1_400_000)
    assert [sheet.compact(number) for number in numbers] == [
        *("0", "9", "999", "1.0k", "1.0k", "1.5k", "9.9k", "10k", "32k", "999k", "1.0M", "1.4M"),
    ]


def test_lines_are_cut_and_wrapped_to_a_width() -> None:
    assert sheet.cut("short", 100, 12) == "short"
    for text in ("a_very_long_name_of_a_function" * 9, "$" * 300):
        cut = sheet.cut(text, 150, 12)
        assert "…" in cut
        assert 100 < sheet.text_width(cut, 12) <= 150
        assert all(sheet.text_width(line, 12) <= 150 for line in sheet.wrapped(f"one two {text}", 150, 12))
    assert sheet.wrapped("one two three", 1000, 12) == ["one two three"]


def test_text_on_a_colour_can_be_read() -> None:
    assert theme.contrasting("#ffffff") == theme.contrasting("#f0e442") == "#000000"
    assert theme.contrasting("#000000") == theme.contrasting("#0072b2") == "#ffffff"
