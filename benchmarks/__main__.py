"""``make bench``: each figure that ksurf promises, beside the peer's, both from this run on this machine.

Nothing here passes or fails: a busy machine measures badly, and a person reads the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.kernels import KSURF, data_archive, package, source_dataset, tools, vmlinux
from benchmarks.measure import Contestant, Result, compete

CLOUD = "debian:6.12-cloud-amd64"
FULL = "debian:6.12-amd64"
SIX = (
    "debian:5.10-cloud-amd64",
    "debian:6.1-cloud-amd64",
    "debian:6.12-cloud-amd64",
    "debian:7.3-cloud-amd64",
    "debian:6.1-cloud-arm64",
    "debian:6.12-cloud-arm64",
)
FUNCTIONS = ("images", "units", "functions", "instances", "call_sites", "symbols")
EIGHT = (*SIX, "debian:6.12-ppc64el", "debian:6.12-riscv64")


def main() -> None:
    """Run what the options choose, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, help="just this; may be repeated")
    parser.add_argument("--runs", type=int, default=5, help="how often each contestant runs (default: 5)")
    parser.add_argument("--full", action="store_true", help="also the full amd64 package, about 1 GB")
    parser.add_argument("--folder", type=Path, default=Path(".bench"), help="where to work (default: .bench)")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    print(f"{os.cpu_count()} cores; every time is a whole process, of {options.runs} runs in turns")
    for part in options.only or PARTS:
        PARTS[part](options)


def function_pass(options: argparse.Namespace) -> None:
    """The function pass over vmlinux, against pahole making BTF of the same file."""
    image = vmlinux(package(CLOUD), options.folder)
    command: list[str | Path] = [sys.executable, "-m", "benchmarks.function_pass", image]
    contestants = [Contestant("ksurf: functions, calls and symbols of vmlinux", command)]
    if peer("pahole", "dwarves"):
        btf = options.folder / "pahole.btf"
        contestants.append(
            Contestant("pahole --btf_encode_detached", ["pahole", f"--btf_encode_detached={btf}", image])
        )
    results = compete(f"Function pass over {image.name}", contestants, options.runs)
    ratio(results, 0.4)


def btf(options: argparse.Namespace) -> None:
    """All types of vmlinux's BTF in memory, against bpftool printing it; and as tables for Python."""
    image = vmlinux(package(CLOUD), options.folder)
    contestants = [Contestant("ksurf: read_btf vmlinux", [example("read_btf"), image])]
    if peer("bpftool", "bpftool"):
        dump: list[str | Path] = ["bpftool", "btf", "dump", "file", image, "format", "raw"]
        contestants.append(Contestant("bpftool btf dump file vmlinux format raw", dump))
    tables: list[str | Path] = [sys.executable, "-m", "benchmarks.btf", image]
    contestants.append(Contestant("ksurf: the same as tables, with Python's start", tables))
    results = compete(f"BTF of {image.name}", contestants, 2 * options.runs)
    ratio(results[:-1], 1)


def package_to_dataset(options: argparse.Namespace) -> None:
    """A package to a finished dataset, against xz alone decompressing it."""
    for selector, peak_gib in ((CLOUD, 1.5), (FULL, 2.5)) if options.full else ((CLOUD, 1.5),):
        deb = package(selector)
        data = data_archive(deb, options.folder)
        dataset = options.folder / "fresh"

        def clear(dataset: Path = dataset) -> None:
            shutil.rmtree(dataset, ignore_errors=True)

        add = [KSURF, "add", deb, "--dataset", dataset]
        contestants = [Contestant("ksurf add: package to finished dataset", add, before=clear)]
        if peer("xz", "xz-utils"):
            contestants.append(Contestant("xz -T0 -dc data.tar.xz", ["xz", "-T0", "-dc", data]))
        results = compete(f"Package to dataset, {deb.name}", contestants, options.runs)
        ratio(results, 1.6)
        figure("peak memory", results[0].peak_bytes / 2**30, "GiB", peak_gib)
        size = sum(file.stat().st_size for file in dataset.rglob("*") if file.is_file())
        figure("size of a dataset of this kernel alone", size / 1e6, "MB", None)
        functions = sum(
            file.stat().st_size for name in FUNCTIONS for file in dataset.rglob(f"{name}.parquet")
        )
        figure("of that its tables of functions", functions / 1e6, "MB", 12 if selector == CLOUD else None)


def reports(options: argparse.Namespace) -> None:
    """What people ask for, over several kernels, the whole process; and what these kernels take on disk."""
    dataset = options.folder / "eight"
    shutil.rmtree(dataset, ignore_errors=True)  # this version of ksurf may write another one
    sizes = [0]
    for selector in EIGHT:
        add: list[str | Path] = [KSURF, "add", package(selector), "--dataset", dataset]
        if subprocess.run(add).returncode:
            sys.exit(f"{selector} could not be read")
        sizes.append(sum(file.stat().st_size for file in dataset.rglob("*") if file.is_file()))
    grown = {
        selector: after - before for selector, before, after in zip(EIGHT, sizes, sizes[1:], strict=False)
    }
    print("\nWhat each kernel adds to the dataset")
    for selector, size in grown.items():
        figure(selector, size / 1e6, "MB", None)
    cloud = [size for selector, size in grown.items() if "cloud" in selector]
    figure("a cloud kernel, on average", sum(cloud) / len(cloud) / 1e6, "MB", 16)

    on = [word for selector in SIX for word in ("--on", selector)]
    questions: list[tuple[list[str], float]] = [
        (["show", "function", "vfs_read", *on], 0.5),
        (["show", "struct", "task_struct"], 0.6),
        (["diff", "6.12-cloud-amd64", "7.3-cloud-amd64"], 2),
    ]
    for arguments, limit in questions:
        command: list[str | Path] = [KSURF, *arguments, "--dataset", dataset]
        title = f"ksurf {' '.join(arguments[:3])}"
        kernels = 2 if arguments[0] == "diff" else len(SIX) if on[0] in arguments else len(EIGHT)
        results = compete(f"{title}, {kernels} kernels", [Contestant(title, command)], 2 * options.runs)
        figure("median", results[0].median, "s", limit)


def check(options: argparse.Namespace) -> None:
    """Programs that are checked against eight kernels, the whole process."""
    dataset = options.folder / "eight"
    for selector in EIGHT:  # nothing, where the reports have made it
        if subprocess.run([KSURF, "add", package(selector), "--dataset", dataset]).returncode:
            sys.exit(f"{selector} could not be read")
    folder = tools("libbpf-tools", options.folder)
    for title, path, limit in (
        ("ksurf check of one object", folder / "biolatency", 1),
        ("ksurf check of all objects of libbpf-tools", folder, 5),
    ):
        command: list[str | Path] = [KSURF, "check", path, "--dataset", dataset]
        contestants = [Contestant(title, command, statuses=(0, 1))]
        results = compete(f"{title}, {len(EIGHT)} kernels", contestants, options.runs)
        figure("median", results[0].median, "s", limit)
        figure("peak memory", results[0].peak_bytes / 2**30, "GiB", 1)


def names(options: argparse.Namespace) -> None:
    """The index of a whole kernel's source, against ctags over the same tree; then what is asked of it."""
    (tree,) = source_dataset(options.folder).glob("sources/*/tree")
    index, tags = options.folder / "names", options.folder / "tags"
    module: list[str | Path] = [sys.executable, "-m", "benchmarks.names"]
    contestants = [Contestant("ksurf: names, references and text", [*module, "build", tree, index])]
    if peer("ctags", "universal-ctags"):
        contestants.append(Contestant("ctags -R", ["ctags", "-R", "-f", tags, tree]))
    results = compete(f"Names of {tree.parent.name}", contestants, options.runs)
    ratio(results, 1.5)
    figure("peak memory", results[0].peak_bytes / 2**30, "GiB", 2)
    size = sum(file.stat().st_size for file in index.iterdir())
    figure("size of the index", size / 1e9, "GB", 1.2)
    print("\nAsking it, warm", flush=True)
    subprocess.run([*module, "ask", index], check=True)


def example(name: str) -> Path:
    """Build an example of the reader, a program without Python, and return its path."""
    build = [
        "cargo",
        "build",
        "--quiet",
        "--release",
        "--locked",
        "--package=ksurf-read",
        f"--example={name}",
    ]
    if subprocess.run(build).returncode:
        sys.exit(f"{name} could not be built")
    return Path(os.environ.get("CARGO_TARGET_DIR", "target"), "release", "examples", name)


def peer(program: str, debian_package: str) -> bool:
    """Tell whether a peer is there, and if not, how to get it."""
    if shutil.which(program):
        return True
    print(f"\n{program} is not there to compare with: apt install {debian_package}")
    return False


def ratio(results: list[Result], limit: float) -> None:
    """Print how the first contestant stands to the second."""
    if len(results) > 1:
        figure("ratio of the medians", results[0].median / results[1].median, "", limit)


def figure(what: str, value: float, unit: str, limit: float | None) -> None:
    """Print a figure, and whether it is where it must be."""
    promised = "" if limit is None else f"   at most {limit:g}: {'yes' if value <= limit else 'NO'}"
    print(f"  {what:<46} {value:7.2f} {unit}{promised}", flush=True)


def pages(options: argparse.Namespace) -> None:
    """A file of source: opened for the first time, the whole process; and its page once the unit was read."""
    dataset = source_dataset(options.folder)

    def clear() -> None:
        for folder in dataset.glob("sources/*/semantic"):
            shutil.rmtree(folder)

    file = "arch/arm64/kvm/vgic/vgic-v4.c"
    show: list[str | Path] = [KSURF, "source", "show", file, "--format", "md", "--dataset", dataset]
    first = Contestant("ksurf source show, the unit was not read", show, before=clear)
    results = compete(f"{file} is opened for the first time", [first], options.runs)
    figure("median", results[0].median, "s", 1.5)
    compete(f"{file} is opened again", [Contestant("ksurf source show", show)], 2 * options.runs)
    files = [file, "virt/kvm/kvm_main.c"]
    command = [sys.executable, "-m", "benchmarks.pages", str(dataset), *files]
    measured = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    for name, times in measured.items():
        print(f"\nA page of {name}, {times.pop('lines'):,} lines, in a process that has made one before")
        for what, milliseconds in times.items():
            figure(what, milliseconds, "ms", 50 if what == "page" and name == file else None)


def semantic(options: argparse.Namespace) -> None:
    """One unit read, against clang checking its syntax; a sweep of KVM; and a result that was kept."""
    dataset = source_dataset(options.folder)
    work = options.folder / "semantic"
    part: list[str | Path] = [sys.executable, "-m", "benchmarks.semantic", dataset, work]

    def clear() -> None:
        shutil.rmtree(work, ignore_errors=True)

    results = compete(
        "A sweep of arch/arm64/kvm and virt/kvm", [Contestant("ksurf", [*part, "sweep"], before=clear)], 1
    )
    figure("wall", results[0].median, "s", 60)
    file = "arch/arm64/kvm/vgic/vgic-v4.c"

    def forget() -> None:
        shutil.rmtree(work / "results", ignore_errors=True)

    contestants = [Contestant("ksurf: first time, headers precompiled", [*part, "read", file], before=forget)]
    if peer("clang", "clang"):
        plain = subprocess.run([*part, "clang", file], check=True, capture_output=True, text=True)
        contestants.append(Contestant("clang -fsyntax-only", json.loads(plain.stdout)))
    results = compete(f"{file}, the whole process", contestants, options.runs)
    figure("median", results[0].median, "s", 1.5)
    kept = subprocess.run([*part, "kept", file], check=True, capture_output=True, text=True)
    figure(f"{file} from what was kept", float(kept.stdout), "ms", 20)


def lookups(options: argparse.Namespace) -> None:
    """What a server asks: reports on symbols and searches, in one process, over kernels that are unpacked."""
    dataset = options.folder / "eight"
    for selector in EIGHT:  # nothing, where the reports have made it
        if subprocess.run([KSURF, "add", package(selector), "--dataset", dataset]).returncode:
            sys.exit(f"{selector} could not be read")
    print(f"\nReports and searches, {len(EIGHT)} kernels", flush=True)
    module: list[str | Path] = [sys.executable, "-m", "benchmarks.lookups"]
    subprocess.run([*module, dataset, options.folder / "unpacked"], check=True)


def web(options: argparse.Namespace) -> None:
    """The explorer with its kernels and a tree of source, under load on loopback."""
    dataset = options.folder / "eight"
    for selector in EIGHT:  # nothing, where the reports have made it
        if subprocess.run([KSURF, "add", package(selector), "--dataset", dataset]).returncode:
            sys.exit(f"{selector} could not be read")
    source = source_dataset(options.folder)
    command = [sys.executable, "-m", "benchmarks.web", dataset, source, options.folder / "web"]
    subprocess.run(command, check=True)


PARTS = {
    "function-pass": function_pass,
    "btf": btf,
    "package": package_to_dataset,
    "reports": reports,
    "check": check,
    "lookups": lookups,
    "pages": pages,
    "semantic": semantic,
    "names": names,
    "web": web,
}

if __name__ == "__main__":
    main()
