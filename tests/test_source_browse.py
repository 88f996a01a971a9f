"""From what a person names to a page: tree, kernel, file, layer, and what is said where one is missing."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ksurf.errors import InputError, NoSuchKernelError
from ksurf.source.browse import Browser, View, arches_of
from ksurf.source.page import Layer, Page
from ksurf.source.semantic.model import SymbolKind
from made_kernel import MadeKernel
from made_source import FILES, kernel, prepare, source_dataset
from made_trees import put_tree

ARM, AMD = kernel("arm64"), kernel("amd64")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    source_dataset(tmp_path)
    return tmp_path


def page(dataset: Path, file: str, selector: str | None = None) -> Page:
    browser = Browser(dataset)
    return browser.page(browser.view(selector, file), file)


def test_a_file_that_the_kernel_compiles_is_shown_in_the_semantic_layer(dataset: Path) -> None:
    found = page(dataset, "kernel/timer.c", "arm64")
    assert (found.layer.layer, found.layer.unit) == (Layer.SEMANTIC, "kernel/timer.o")
    assert found.layer.problems == ()
    assert (found.tree, found.kernel) == ("debian_7.3.4-1", ARM)
    call = next(line for line in found.lines if "3 | 4" in line.text)
    assert [(call.text[hint.start :], hint.name) for hint in call.hints] == [
        ("3 | 4, timer_due(t));", "delay"),
        ("timer_due(t));", "flags"),
        ("t));", "timer"),
    ]
    assert [d.name for d in found.definitions] == ["timer_start", "timer_test"]
    assert [line.number for line in found.lines if line.is_inactive] == [10, 11, 12, 13]


def test_the_configuration_is_that_of_the_kernel(dataset: Path) -> None:
    found = page(dataset, "kernel/timer.c", "amd64")
    assert found.kernel == AMD
    assert [d.name for d in found.definitions] == ["timer_start", "timer_slow", "timer_test"]
    assert not any(line.is_inactive for line in found.lines)


def test_a_header_is_seen_through_a_unit_that_includes_it(dataset: Path) -> None:
    found = page(dataset, "include/linux/timer.h", "arm64")
    assert (found.layer.layer, found.layer.unit) == (Layer.SEMANTIC, "kernel/timer.o")
    assert [(d.name, d.kind) for d in found.definitions] == [
        ("timer", SymbolKind.STRUCT),
        ("timer_due", SymbolKind.FUNCTION),
    ]


@pytest.mark.parametrize(
    ("file", "selector", "reason", "remedy"),
    [
        (
            "kernel/extra.c",
            "arm64",
            f"{ARM.release} does not compile it: kernel/Makefile asks for CONFIG_EXTRA, which is not set",
            f"{AMD.release} does: --kernel {AMD.release}",
        ),
        ("arch/x86/kernel/only.c", "arm64", f"{ARM.release} is for arm64", None),
        (
            "arch/arm64/kernel/only.c",
            "amd64",
            f"{AMD.release} is for amd64",
            f"{ARM.release} does: --kernel {ARM.release}",
        ),
        ("include/linux/unused.h", "arm64", f"nothing that {ARM.release} compiles includes it", None),
        ("arch/arm64/kernel/entry.S", "arm64", "it is assembly, which the front end does not read", None),
        ("Makefile", "arm64", "it is no C", None),
    ],
)
def test_the_page_says_why_it_is_not_the_semantic_layer(
    dataset: Path, file: str, selector: str, reason: str, remedy: str | None
) -> None:
    found = page(dataset, file, selector)
    assert found.layer.layer is Layer.TEXT
    assert found.layer.reason is not None
    assert found.layer.reason.removesuffix("; the tree's names are not indexed") == reason
    if file != "Makefile":
        assert found.layer.remedy is not None
        assert found.layer.remedy.endswith("ksurf source index debian_7.3.4-1")
        assert found.layer.remedy.startswith(remedy or "ksurf source index")
    assert b"\n".join(line.text.encode() for line in found.lines) + b"\n" == FILES[file]


def test_errors_of_the_code_stand_on_the_page(dataset: Path) -> None:
    found = page(dataset, "kernel/broken.c", "arm64")
    assert found.is_semantic
    assert len(found.layer.problems) == 2
    assert found.layer.problems[1].startswith("kernel/broken.c:2: use of undeclared identifier")


def test_a_file_of_one_architecture_says_so(dataset: Path) -> None:
    found = page(dataset, "arch/arm64/kernel/only.c")
    assert found.kernel == ARM
    assert found.is_semantic
    assert found.notes == ("only.c is for arm64 only",)
    assert page(dataset, "arch/x86/kernel/only.c", "arm64").notes == ("only.c is for amd64 and i386 only",)
    assert page(dataset, "kernel/extra.c").notes == (f"compiled by {AMD.release}, not by {ARM.release}",)
    assert page(dataset, "kernel/timer.c").notes == ()
    assert arches_of("arch/Kconfig") == arches_of("arch/alpha/kernel/time.c") == set()


def test_a_kernel_that_compiles_the_file_is_taken(dataset: Path) -> None:
    assert page(dataset, "kernel/extra.c").kernel == AMD
    assert page(dataset, "kernel/timer.c").kernel == AMD  # the usual one
    assert page(dataset, "kernel/extra.c", "7.3").kernel == AMD
    assert page(dataset, "arch/arm64/kernel/only.c", "7.3").kernel == ARM


def view(dataset: Path, selector: str | None = None) -> View:
    return Browser(dataset).view(selector)


def test_without_trees_it_is_said_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no source trees") as error:
        view(tmp_path)
    assert "ksurf source pull" in str(error.value.hint)


def test_a_selector_may_mean_a_tree_or_a_kernel_that_is_not_prepared(dataset: Path) -> None:
    old = put_tree(dataset, "6.12.94-1", "6.12.94")
    found = view(dataset, "6.12")
    assert (found.tree, found.kernel) == (old, None)
    assert found.missing == "no kernel that '6.12' means is prepared"
    assert found.remedy == "ksurf source prepare debian_6.12.94-1 6.12"
    MadeKernel().write(dataset, kernel("amd64", "6.12.94"))
    found = view(dataset, "6.12-amd64")
    assert found.tree == old
    assert found.missing == f"{kernel('amd64', '6.12.94').release} (amd64) is not prepared"
    assert view(dataset).tree.id == "debian_7.3.4-1"
    assert view(dataset, "debian_6.12.94-1").tree == old
    with pytest.raises(NoSuchKernelError, match=r"no kernel and no source tree matches '5\.10'") as error:
        view(dataset, "5.10")
    assert error.value.hint == f"prepared are {AMD.release}, {ARM.release}"


def test_a_kernel_that_was_made_of_other_source_is_told(dataset: Path) -> None:
    tree = put_tree(dataset, "6.12.94-1", "6.12.94", files=FILES)
    other = kernel("arm64", "6.12.90")
    prepare(tree, other, ["kernel/timer.c"])
    found = view(dataset, "6.12")
    assert found.kernel == other
    assert len(found.notes) == 1
    assert "6.12.94-1" in found.notes[0]


def test_a_file_that_the_build_made_is_shown(dataset: Path) -> None:
    with Browser(dataset) as browser:
        view = browser.view("arm64")
        build = browser.units(view.tree, ARM).build
        (build / "include/generated").mkdir(parents=True)
        (build / "include/generated/autoconf.h").write_text("#define CONFIG_MADE 1\n")
        found = browser.locate(view, "include/generated/autoconf.h")
        assert found.is_generated
        page = browser.page(view, found.file, is_generated=True)
        assert page.notes == (f"made by the build of {ARM.release}",)
        assert [line.text for line in page.lines] == ["#define CONFIG_MADE 1"]
        assert not browser.locate(view, "timer.h").is_generated
        for name in ("../units.json", str(build / ".config"), "include/generated"):
            with pytest.raises(InputError):
                browser.locate(view, name)


def test_names_that_are_no_utf_8_are_shown(dataset: Path) -> None:
    root = Browser(dataset).trees.all()[0].root
    (root / os.fsdecode(b"kernel/\xff.c")).write_bytes(b"int a;\n")
    found = page(dataset, os.fsdecode(b"kernel/\xff.c"))
    assert found.file == "kernel/\ufffd.c"


def test_kernels_of_the_dataset_say_what_they_made_of_it(dataset: Path) -> None:
    made = MadeKernel()
    made.image()
    unit = made.unit("kernel/timer.c")
    caller = made.instance(made.function("timer_test", "kernel/timer.c", external=True), unit, address=64)
    callee = made.function("timer_start", "kernel/timer.c", external=True)
    made.instance(callee, unit, address=16)
    made.call(caller, callee, line=18)
    made.write(dataset, ARM)
    browser = Browser(dataset)
    view = browser.view("arm64")
    kernels = [(ARM, dataset / "kernels" / f"kernel={ARM.id}")]
    facts = browser.page(view, "kernel/timer.c", kernels).facts
    assert [one.kernel for one in facts.functions["timer_start"].kernels] == [ARM]
    assert [(call.callee, call.outcome.value) for call in facts.marks[18].calls] == [
        ("timer_start", "called"),
        ("timer_due", "absent"),
    ]
    assert browser.page(view, "kernel/timer.c").facts.functions == {}


def test_what_kernels_say_is_read_again_when_one_is_replaced(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(function: str) -> None:
        made = MadeKernel()
        made.image()
        made.instance(made.function(function, "kernel/timer.c"), made.unit("kernel/timer.c"), address=16)
        made.write(dataset, ARM)

    opened: list[str] = []
    parquet = pq.ParquetFile

    def noted(path: Path, **options: Any) -> pq.ParquetFile:
        opened.append(path.stem)
        return parquet(path, **options)

    monkeypatch.setattr(pq, "ParquetFile", noted)
    place = dataset / "kernels" / f"kernel={ARM.id}"
    write("timer_start")
    with Browser(dataset) as browser:
        view = browser.view("arm64")

        def compiled(file: str) -> list[str]:
            functions = browser.page(view, file, [(ARM, place)]).facts.functions
            return [name for name, facts in functions.items() if facts.kernels[0].is_compiled]

        assert compiled("kernel/timer.c") == ["timer_start"]
        assert "functions" in opened
        opened.clear()
        assert compiled("kernel/timer.c") == ["timer_start"]
        assert compiled("kernel/extra.c") == []
        assert opened == []
        shutil.rmtree(place)
        write("timer_test")
        assert compiled("kernel/timer.c") == ["timer_test"]


def test_a_page_is_kept_until_something_behind_it_changes(dataset: Path) -> None:
    file, header = "kernel/timer.c", "include/linux/timer.h"
    with Browser(dataset) as browser:
        view = browser.view("arm64", file)
        first = browser.page(view, file)
        assert browser.page(view, file) is first
        path = view.tree.root / header
        path.write_bytes(path.read_bytes() + b"\nstrange;\n")
        assert not first.layer.problems
        assert header in browser.page(view, file).layer.problems[0]
        path = view.tree.root / file
        path.write_bytes(b"int timer_other;\n" + path.read_bytes())
        assert next(d.name for d in browser.page(view, file).definitions) == "timer_other"


def test_a_page_of_names_is_kept_until_its_text_changes(dataset: Path) -> None:
    with Browser(dataset) as browser:
        view = browser.view("arm64", "MAINTAINERS")
        (view.tree.root / "NEW").write_bytes(b"one\n")
        first = browser.page(view, "NEW")
        assert browser.page(view, "NEW") is first
        (view.tree.root / "NEW").write_bytes(b"two\n")
        assert [line.text for line in browser.page(view, "NEW").lines] == ["two"]


def test_threads_share_a_browser(dataset: Path) -> None:
    files = [file for file in FILES if file.endswith((".c", ".h"))]
    with Browser(dataset) as browser, ThreadPoolExecutor(4) as pool:
        view = browser.view("arm64")
        found = [*pool.map(lambda file: browser.page(view, file), files * 4)]
    for file, made in zip(files * 4, found, strict=True):
        assert made == page(dataset, file, "arm64")
