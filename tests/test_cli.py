"""The command line: its errors, its exit statuses, and the commands that make kernels."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import click
import pytest

import ksurf.cli
from archive_server import ArchiveServer, Behaviour, serving
from fake_core import Extraction, FakeCore, FakeStore, Progress, ReadError
from ksurf.acquire import http as http_module
from ksurf.cli import group, run
from ksurf.dataset.schema import TABLES
from ksurf.errors import KsurfError


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BaseException]]:
    """A command ``ls`` that raises what is in the list."""
    raised: list[BaseException] = []

    @click.command
    def command() -> None:
        raise raised[0]

    monkeypatch.setattr(type(group), "get_command", lambda self, context, name: command)
    yield raised


@pytest.mark.parametrize(
    ("error", "status", "printed"),
    [
        (
            KsurfError("a file: it is bad", "mend it"),
            1,
            "ksurf: error: a file: it is bad\nksurf: hint: mend it\n",
        ),
        (KsurfError("two\nlines \x1b[2J"), 1, "ksurf: error: two lines \\x1b[2J\n"),
        (FileNotFoundError(2, "No such file", "x"), 1, "ksurf: error: x: No such file\n"),
        (
            OSError(28, "No space left on device"),
            1,
            "ksurf: error: the output: no room left to write (No space left on device)\n"
            "ksurf: hint: write it somewhere else\n",
        ),
        (KeyboardInterrupt(), 130, "\nksurf: error: interrupted\n"),
        (click.ClickException("from click"), 1, "ksurf: error: from click\n"),
    ],
)
def test_errors_are_one_line(
    failing: list[BaseException],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    printed: str,
) -> None:
    failing.append(error)
    assert run(["ls"]) == status
    assert capsys.readouterr() == ("", printed)


def test_a_bug_is_called_one_and_shown_on_demand(
    failing: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing.append(ZeroDivisionError("x"))
    assert run(["ls"]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("ksurf: error: this is a bug in ksurf: ZeroDivisionError: x\nksurf: hint: ")
    with pytest.raises(ZeroDivisionError):
        run(["--debug", "ls"])


@pytest.mark.parametrize("arguments", [["nothing"], ["--nothing"], ["pull"], ["kernels", "--format", "x"]])
def test_a_wrong_command_line_is_exit_status_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("ksurf: error: ")
    assert "--help" in hint


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"ksurf {ksurf.__version__}\n"


def test_the_package_runs_as_the_command() -> None:
    command = [sys.executable, "-m", "ksurf", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"ksurf {ksurf.__version__}\n"


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_the_start_loads_only_what_every_command_needs(option: str) -> None:
    # Help names all commands, and loads their modules.
    heavy = {"debian", "duckdb", "httpx", "ksurf._core", "ksurf.check", "ksurf.source", "pyarrow", "rich"}
    code = (
        "import sys; from ksurf.cli import run; from ksurf.cli.options import dataset_option;"
        f"import ksurf.selector, ksurf.series; run(['{option}']);"
        f"print(*sorted({heavy} & {{*sys.modules}}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""


def test_arrow_does_not_load_numpy() -> None:
    code = (
        "import atexit, sys; sys.argv = ['ksurf', '--version']; from ksurf.cli import main;"
        "atexit.register(lambda: print(__import__('pyarrow.parquet') and sys.modules['numpy'])); main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1:] == ["None"]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    store = FakeStore()
    monkeypatch.setattr("ksurf.dataset.store.Store", lambda path: store)
    return store


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> FakeCore:
    return FakeCore.install(monkeypatch)


CLOUD = {
    f"6.12.{number}": f"debian_6.12.{number}+deb13-cloud-amd64_6.12.{number}-1_amd64" for number in (1, 2, 3)
}


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> Iterator[ArchiveServer]:
    monkeypatch.setattr(http_module, "PAUSES", ())
    with serving() as server:
        amd64 = [
            server.package(f"{version}+deb13-cloud-amd64", f"{version}-1", "amd64", version.encode())
            for version in CLOUD
        ]
        amd64.append(server.package("6.12.3+deb13-amd64", "6.12.3-1", "amd64"))
        arm64 = [server.package("6.1.0-9-arm64", "6.1.9-1", "arm64")]
        server.suite("stable", {"amd64": amd64, "arm64": arm64}, Codename="trixie")
        yield server


def ask(archive: ArchiveServer, *arguments: str) -> int:
    return run([*arguments, "--mirror", archive.url, "--unsigned"])


def test_kernels_as_a_table(
    archive: ArchiveServer, store: FakeStore, capsys: pytest.CaptureFixture[str]
) -> None:
    store.kernels[CLOUD["6.12.3"]] = {}
    assert ask(archive, "kernels") == 0
    assert capsys.readouterr().out == (
        "RELEASE                   PACKAGE   FLAVOR   ARCH   SUITES    SIZE  IN DATASET\n"
        "6.1.0-9-arm64             6.1.9-1   generic  arm64  trixie  0.0 MB\n"
        "6.12.1+deb13-cloud-amd64  6.12.1-1  cloud    amd64  trixie  0.0 MB\n"
        "6.12.2+deb13-cloud-amd64  6.12.2-1  cloud    amd64  trixie  0.0 MB\n"
        "6.12.3+deb13-cloud-amd64  6.12.3-1  cloud    amd64  trixie  0.0 MB  yes\n"
        "6.12.3+deb13-amd64        6.12.3-1  generic  amd64  trixie  0.0 MB\n"
    )


@pytest.mark.parametrize(
    ("options", "releases"),
    [
        (["--arch", "aarch64"], ["6.1.0-9-arm64"]),
        (["--version", "6.1"], ["6.1.0-9-arm64"]),
        (["--flavor", "generic", "--version", "6.12"], ["6.12.3+deb13-amd64"]),
        (["--flavor", "cloud", "--newest"], ["6.12.3+deb13-cloud-amd64"]),
        (
            ["--version", "6.12.1", "--version", "6.12.2", "--suite", "stable"],
            ["6.12.1+deb13-cloud-amd64", "6.12.2+deb13-cloud-amd64"],
        ),
    ],
)
def test_kernels_narrowed_down(
    archive: ArchiveServer,
    store: FakeStore,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    releases: list[str],
) -> None:
    assert ask(archive, "kernels", "--format", "json", *options) == 0
    assert [row["release"] for row in json.loads(capsys.readouterr().out)] == releases


def test_kernels_for_programs(
    archive: ArchiveServer, store: FakeStore, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(archive, "kernels", "--format", "json", "--arch", "arm64")
    (row,) = json.loads(capsys.readouterr().out)
    assert row | {"sha256": "", "urls": []} == {
        "id": "debian_6.1.0-9-arm64_6.1.9-1_arm64",
        "distro": "debian",
        "release": "6.1.0-9-arm64",
        "version": "6.1.9-1",
        "base_version": "6.1",
        "flavor": "generic",
        "arch": "arm64",
        "suites": ["trixie"],
        "byte_size": 7,
        "sha256": "",
        "urls": [],
        "in_dataset": False,
    }
    ask(archive, "kernels", "--format", "csv", "--arch", "arm64")
    (line,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert list(line) == list(row)
    assert line["suites"] == "trixie"
    assert line["in_dataset"] == "false"
    assert [line["urls"]] == row["urls"]


def test_no_such_kernel(archive: ArchiveServer, store: FakeStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(archive, "kernels", "--version", "5.10") == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "versions: 6.1, 6.12; flavors: cloud, generic; architectures: amd64, arm64" in printed.err


def test_a_mirror_that_is_no_address(store: FakeStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["kernels", "--mirror", "ftp://m.invalid"]) == 1
    assert "'ftp://m.invalid' is not an http or https address" in capsys.readouterr().err


def test_pull_takes_the_newest(
    archive: ArchiveServer,
    store: FakeStore,
    core: FakeCore,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    core.extract = lambda progress: Extraction(
        unreadable=[(f"m{n}", f"m{n}.ko", "bad") for n in range(12)],
        incomplete=[("half", "half.ko", "types: truncated")],
    )
    assert ask(archive, "pull", "debian:6.12-cloud-amd64", "6.12.1-cloud-amd64", "6.12.3-cloud-amd64") == 0
    assert list(store.kernels) == [CLOUD["6.12.3"], CLOUD["6.12.1"]]
    source = store.kernels[CLOUD["6.12.3"]]
    assert source["kind"] == "package"
    assert str(source["url"]).endswith("linux-image-6.12.3%2Bdeb13-cloud-amd64-dbg_6.12.3-1_amd64.deb")
    printed = capsys.readouterr().out
    assert f"{CLOUD['6.12.3']}: 1,234 images, 1,234 functions, " in printed
    assert f"  {len(TABLES)}.0 MB in " in printed
    assert "  1 image could be read only in part:\n    half: types: truncated (half.ko)\n" in printed
    assert "12 images could not be read:\n    m0: bad (m0.ko)\n" in printed
    assert "and 2 more, in the kernel's manifest.json" in printed
    assert f"the package stays in {tmp_path / 'cache/packages'}" in printed
    lists = [path for path in archive.counts() if "Packages" in path]
    assert lists == ["dists/stable/main/binary-amd64/Packages.xz"]


def test_a_second_pull_does_nothing(
    archive: ArchiveServer, store: FakeStore, core: FakeCore, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(archive, "pull", "6.12-cloud-amd64")
    archive.requests.clear()
    core.calls.clear()
    capsys.readouterr()
    assert ask(archive, "pull", "6.12-cloud-amd64", "6.12.3+deb13-cloud-amd64") == 0
    assert capsys.readouterr().out == f"{CLOUD['6.12.3']}: already in the dataset\n"
    assert (archive.requests, core.calls) == ([], [])


def test_one_that_fails_does_not_stop_the_others(
    archive: ArchiveServer, store: FakeStore, core: FakeCore, capsys: pytest.CaptureFixture[str]
) -> None:
    def extract(progress: Progress) -> Extraction:
        if "6.12.1" in core.calls[-1][1]:
            raise ReadError("6.12.1: damaged")
        return Extraction()

    core.extract = extract
    assert ask(archive, "pull", "6.12.1-cloud-amd64", "6.11-amd64", "6.12.2-cloud-amd64") == 1
    assert list(store.kernels) == [CLOUD["6.12.2"]]
    errors = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert errors == [
        "ksurf: error: 6.12.1-cloud-amd64: 6.12.1: damaged",
        "ksurf: error: no kernel matches '6.11-amd64'",
    ]


def without(archive: ArchiveServer, *versions: str) -> None:
    for path in archive.files:
        if any(f"_{version}-1_" in path and "cloud" in path for version in versions):
            archive.behaviour[path] = Behaviour(status=404)


def test_what_the_mirror_lacks_is_an_error_that_names_what_it_has(
    archive: ArchiveServer, store: FakeStore, core: FakeCore, capsys: pytest.CaptureFixture[str]
) -> None:
    without(archive, "6.12.3", "6.12.2")
    assert ask(archive, "pull", "6.12-cloud-amd64", "--no-fallback") == 1
    printed = capsys.readouterr().err
    assert "the archive lists it, the mirror answers 404" in printed
    assert "the newest match that it has is 6.12.1+deb13-cloud-amd64: name that, or use --fallback" in printed
    assert store.kernels == {}


def test_a_mirror_that_fails_while_a_stand_in_is_sought(
    archive: ArchiveServer, store: FakeStore, core: FakeCore, capsys: pytest.CaptureFixture[str]
) -> None:
    without(archive, "6.12.3")
    for path in archive.files:
        if "_6.12.2-1_" in path:
            archive.behaviour[path] = Behaviour(status=503)
    assert ask(archive, "pull", "6.12-cloud-amd64") == 1
    assert "the server answered 503" in capsys.readouterr().err


def test_the_newest_that_the_mirror_has_is_taken(
    archive: ArchiveServer, store: FakeStore, core: FakeCore, capsys: pytest.CaptureFixture[str]
) -> None:
    without(archive, "6.12.3", "6.12.2")
    assert ask(archive, "pull", "6.12-cloud-amd64") == 0
    assert list(store.kernels) == [CLOUD["6.12.1"]]
    assert "taking 6.12.1+deb13-cloud-amd64" in capsys.readouterr().err


def test_an_exact_name_has_no_stand_in(
    archive: ArchiveServer, store: FakeStore, core: FakeCore, capsys: pytest.CaptureFixture[str]
) -> None:
    without(archive, "6.12.3")
    assert ask(archive, "pull", CLOUD["6.12.3"]) == 1
    assert store.kernels == {}
    assert "out of step" in capsys.readouterr().err


def test_download_only(
    archive: ArchiveServer,
    store: FakeStore,
    core: FakeCore,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    assert ask(archive, "pull", "6.12-cloud-amd64", "--download-only") == 0
    path = tmp_path / "cache/packages/linux-image-6.12.3+deb13-cloud-amd64-dbg_6.12.3-1_amd64.deb"
    assert capsys.readouterr().out == f"{path}\n"
    assert path.read_bytes() == b"6.12.3"
    assert (core.calls, store.kernels) == ([], {})


def test_no_keep(
    archive: ArchiveServer,
    store: FakeStore,
    core: FakeCore,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    assert ask(archive, "pull", "6.12-cloud-amd64", "--no-keep") == 0
    assert list(store.kernels) == [CLOUD["6.12.3"]]
    assert [path for path in (tmp_path / "cache/packages").iterdir() if path.suffix != ".lock"] == []
    assert "stays in" not in capsys.readouterr().out


def with_config(archive: ArchiveServer, core: FakeCore, *names: str) -> list[str]:
    """Have the archive list packages with the configuration of 6.12.3; return where they are."""
    release, version = "6.12.3+deb13-cloud-amd64", "6.12.3-1"
    packages = [
        archive.package(release, version, "amd64", b"!<arch>\n" + name.encode(), name=name) for name in names
    ]
    debug = archive.package(release, version, "amd64", b"6.12.3")
    archive.suite("stable", {"amd64": [debug, *packages]}, Codename="trixie")
    core.control = f"Package: {names[0]}\nArchitecture: amd64\n"
    core.members = {f"usr/src/linux-headers-{release}/.config": b"CONFIG_BPF_SYSCALL=y\n"}
    return [f"pool/main/l/linux/{name}_{version}_amd64.deb" for name in names]


HEADERS = "linux-headers-6.12.3+deb13-cloud-amd64"


@pytest.mark.parametrize("keep", [True, False])
def test_pull_fetches_the_configuration_too(
    archive: ArchiveServer,
    store: FakeStore,
    core: FakeCore,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    keep: bool,
) -> None:
    (path,) = with_config(archive, core, HEADERS)
    assert ask(archive, "pull", "6.12-cloud-amd64", *([] if keep else ["--no-keep"])) == 0
    assert store.configs[CLOUD["6.12.3"]] == {"CONFIG_BPF_SYSCALL": "y"}
    assert store.kernels[CLOUD["6.12.3"]]["config"] == {
        "kind": "package",
        "file": Path(path).name,
        "sha256": sha256(archive.files[path]).hexdigest(),
    }
    printed = capsys.readouterr()
    assert "warning" not in printed.err
    left = list((tmp_path / "cache/packages").glob("linux*"))
    assert len(left) == (4 if keep else 0)
    assert ("the packages stay in" in printed.out) == keep


def test_download_only_fetches_the_configuration_too(
    archive: ArchiveServer, store: FakeStore, core: FakeCore, capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = with_config(archive, core, HEADERS)
    assert ask(archive, "pull", "6.12-cloud-amd64", "--download-only") == 0
    debug, headers = map(Path, capsys.readouterr().out.splitlines())
    assert (debug.read_bytes(), headers.read_bytes()) == (b"6.12.3", archive.files[path])


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (Behaviour(status=404), "the mirror answers 404"),
        (Behaviour(body=b"?" * (len(HEADERS) + 8)), "its SHA256 is"),
        (Behaviour(status=500), "the server answered 500"),
    ],
)
def test_a_configuration_that_cannot_be_had(
    archive: ArchiveServer,
    store: FakeStore,
    core: FakeCore,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    behaviour: Behaviour,
    reason: str,
) -> None:
    (path,) = with_config(archive, core, HEADERS)
    archive.behaviour[path] = behaviour
    assert ask(archive, "pull", "6.12-cloud-amd64") == 0
    assert (store.configs[CLOUD["6.12.3"]], store.kernels[CLOUD["6.12.3"]]["config"]) == ({}, None)
    printed = capsys.readouterr()
    assert "warning: 6.12.3+deb13-cloud-amd64: its configuration cannot be had: " in printed.err
    assert reason in printed.err
    assert "the package stays in" in printed.out
    assert len(list((tmp_path / "cache/packages").glob("linux*.deb"))) == 1


def test_another_package_with_the_configuration_stands_in(
    archive: ArchiveServer, store: FakeStore, core: FakeCore, capsys: pytest.CaptureFixture[str]
) -> None:
    headers, _ = with_config(archive, core, HEADERS, "linux-config-6.12")
    archive.behaviour[headers] = Behaviour(status=404)
    core.control = "Package: linux-config-6.12\nArchitecture: amd64\n"
    core.members = {"config.amd64_none_cloud-amd64.xz": b"CONFIG_KVM=m\n"}
    assert ask(archive, "pull", "6.12-cloud-amd64") == 0
    assert store.configs[CLOUD["6.12.3"]] == {"CONFIG_KVM": "m"}
    assert "warning" not in capsys.readouterr().err


def test_no_package_with_the_configuration_is_a_warning(
    archive: ArchiveServer, store: FakeStore, core: FakeCore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(archive, "pull", "6.12.1-cloud-amd64") == 0
    assert "cannot be had: the archive lists no package that has it" in capsys.readouterr().err


def test_pull_knows_debian_only(store: FakeStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pull", "ubuntu:6.8"]) == 1
    assert "ksurf add" in capsys.readouterr().err


def test_add_several(
    tmp_path: Path, store: FakeStore, core: FakeCore, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "a.deb"
    package.write_bytes(b"!<arch>\n")
    core.control = "Package: linux-image-6.12.1+deb13-amd64-dbg\nVersion: 6.12.1-1\nArchitecture: amd64\n"
    assert run(["add", str(tmp_path / "gone"), str(package), "--distro", "mine", "--threads", "2"]) == 1
    assert list(store.kernels) == ["mine_6.12.1+deb13-amd64_6.12.1-1_amd64"]
    assert core.calls == [("package", "a.deb", 2)]
    assert f"ksurf: error: {tmp_path}/gone: No such file" in capsys.readouterr().err


def test_add_with_a_configuration(
    tmp_path: Path, store: FakeStore, core: FakeCore, capsys: pytest.CaptureFixture[str]
) -> None:
    package, config = tmp_path / "a.deb", tmp_path / "config"
    package.write_bytes(b"!<arch>\n")
    config.write_text("CONFIG_KVM=m\n")
    core.control = "Package: linux-image-6.12.1+deb13-amd64-dbg\nVersion: 6.12.1-1\nArchitecture: amd64\n"
    assert run(["add", str(package), "--config", str(tmp_path / "gone")]) == 1
    assert f"ksurf: error: {tmp_path}/gone: No such file" in capsys.readouterr().err
    assert store.kernels == {}
    assert run(["add", str(package), "--config", str(config)]) == 0
    assert list(store.configs.values()) == [{"CONFIG_KVM": "m"}]


def test_add_with_a_configuration_of_one_of_several(
    tmp_path: Path, store: FakeStore, core: FakeCore, capsys: pytest.CaptureFixture[str]
) -> None:
    for release in ("6.1.0-a", "6.2.0-a"):
        (tmp_path / release).mkdir()
        (tmp_path / release / "vmlinux").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\2\0")
    assert run(["add", str(tmp_path), "--config", "x"]) == 1
    assert "x: of which of the 2 kernels?" in capsys.readouterr().err


def test_add_the_running_kernel(store: FakeStore, core: FakeCore) -> None:
    assert run(["add", "--host", "--release", "6.12.1-x", "--distro", "mine", "--arch", "arm64"]) == 0
    assert list(store.kernels) == ["mine_6.12.1-x_arm64"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["a", "b", "--release", "6.12"],
        ["a", "--host", "--release", "6.12"],
        ["a", "b", "--config", "c"],
    ],
)
def test_add_what(arguments: list[str], store: FakeStore) -> None:
    assert run(["add", *arguments]) == 2
