"""Building a kernel: what it is called, never twice, stoppable, and with errors that a person can read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from fake_core import Extraction, FakeCore, FakeStore, Progress, ReadError
from ksurf.acquire.source import ConfigSource, FilesSource, HostSource, Identity, PackageSource, Source
from ksurf.dataset.store import RefusedKernel
from ksurf.errors import DatasetError, InputError, KsurfError
from ksurf.extract import Built, build, config_table
from ksurf.progress import Silent, Task

CONTROL = (
    "Package: linux-image-6.12.1+deb13-cloud-amd64-dbg\nVersion: 6.12.1-1\nArchitecture: amd64\n"
    "Maintainer: Debian Kernel Team\n"
)
ID = "debian_6.12.1+deb13-cloud-amd64_6.12.1-1_amd64"


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> FakeCore:
    core = FakeCore.install(monkeypatch)
    core.control = CONTROL
    return core


@pytest.fixture
def package(tmp_path: Path) -> PackageSource:
    path = tmp_path / "x.deb"
    path.write_bytes(b"a package")
    return PackageSource(path)


def make(source: Source, store: FakeStore, **options: Any) -> Built:
    return build(source, store, reporter=options.pop("reporter", Silent()), **options)  # type: ignore[arg-type]


def test_a_package(core: FakeCore, package: PackageSource) -> None:
    store = FakeStore()
    built = make(package, store, threads=3)
    assert built.kernel.id == ID
    assert built.manifest is not None
    assert store.events == [f"lock {ID}", f"write {ID}", f"unlock {ID}"]
    assert store.kernels[ID] == {
        "kind": "package",
        "file": "x.deb",
        "byte_size": 9,
        "sha256": sha256(b"a package").hexdigest(),
        "config": None,
    }
    assert store.configs[ID] == {}
    assert core.calls == [("package", "x.deb", 3)]


def test_a_package_from_the_archive_keeps_what_was_checked(core: FakeCore, package: PackageSource) -> None:
    identity = Identity("6.12.1+deb13-cloud-amd64", "6.12.1-1", "debian", "amd64")
    store = FakeStore()
    make(PackageSource(package.path, identity, "the hash", "http://m.invalid/x.deb"), store)
    assert store.kernels[ID]["sha256"] == "the hash"
    assert store.kernels[ID]["url"] == "http://m.invalid/x.deb"


def test_a_kernel_that_is_there_is_not_read(core: FakeCore, package: PackageSource) -> None:
    store = FakeStore()
    store.kernels[ID] = {}
    assert make(package, store).manifest is None
    assert (core.calls, store.events) == ([], [])


def test_a_kernel_that_another_process_makes_is_waited_for(core: FakeCore, package: PackageSource) -> None:
    store = FakeStore()
    store.while_waiting = lambda: store.kernels.update({ID: {}})
    assert make(package, store).manifest is None
    assert (core.calls, store.events) == ([], [f"lock {ID}", f"unlock {ID}"])


def test_a_kernel_that_is_there_but_cannot_be_used_is_an_error(
    core: FakeCore, package: PackageSource
) -> None:
    store = FakeStore()
    store.kernels[ID] = {}
    store.unusable = [RefusedKernel(ID, Path("x"), "made by a newer ksurf")]
    with pytest.raises(DatasetError, match="made by a newer ksurf") as caught:
        make(package, store)
    assert caught.value.hint == f"ksurf rm {ID} removes it"


def test_a_kernel_of_an_older_format_is_read_again(core: FakeCore, package: PackageSource) -> None:
    store = FakeStore()
    store.kernels[ID] = {}
    store.unusable = [RefusedKernel(ID, Path("x"), "made by an older ksurf", outdated=True)]
    make(package, store)
    assert f"write {ID}" in store.events


def test_loose_files_are_called_what_they_say(core: FakeCore) -> None:
    core.extract = lambda progress: Extraction(release="6.12.0-mine", machine="x86_64")
    store = FakeStore()
    source = FilesSource(Path("vmlinux"), (Path("kvm.ko"),), Identity(release="6.12.0"))
    assert make(source, store).kernel.id == "custom_6.12.0-mine_amd64"
    assert store.events[:2] == ["lock custom_6.12.0-mine_amd64", "write custom_6.12.0-mine_amd64"]
    assert core.calls == [("files", "vmlinux", ["kvm.ko"], 0)]


def test_never_two_locks_at_once(core: FakeCore) -> None:
    core.extract = lambda progress: Extraction(release="6.12.0-mine", machine="x86_64")
    store = FakeStore()
    make(FilesSource(Path("vmlinux"), identity=Identity("6.12.0-other", arch="amd64")), store)
    assert store.events == [
        "lock custom_6.12.0-other_amd64",
        "unlock custom_6.12.0-other_amd64",
        "lock custom_6.12.0-mine_amd64",
        "write custom_6.12.0-mine_amd64",
        "unlock custom_6.12.0-mine_amd64",
    ]


def test_what_the_user_names_wins(core: FakeCore, package: PackageSource) -> None:
    core.extract = lambda progress: Extraction(release="6.1.0-x", machine="aarch64")
    named = Identity(release="6.13.0-y", distro="mine", arch="riscv64", flavor="debug")
    for source in (package, FilesSource(Path("vmlinux"))):
        kernel = make(source, FakeStore(), named=named).kernel
        assert (kernel.distro, kernel.release, kernel.arch, kernel.flavor) == (
            "mine",
            "6.13.0-y",
            "riscv64",
            "debug",
        )


def test_a_kernel_of_unknown_release_asks_for_it(core: FakeCore) -> None:
    with pytest.raises(InputError, match="nothing tells the kernel's release") as caught:
        make(FilesSource(Path("vmlinux")), FakeStore())
    assert "--release" in str(caught.value.hint)
    core.extract = lambda progress: Extraction(release="6.12.0-mine")
    with pytest.raises(InputError, match="does not tell the architecture") as caught:
        make(FilesSource(Path("vmlinux")), FakeStore())
    assert "--arch" in str(caught.value.hint)


def test_a_package_whose_kernel_says_otherwise_is_told(core: FakeCore, package: PackageSource) -> None:
    core.extract = lambda progress: Extraction(release="6.12.2")
    reporter = Silent()
    assert make(package, FakeStore(), reporter=reporter).kernel.id == ID
    assert reporter.warnings == [
        "x.deb: its name says 6.12.1+deb13-cloud-amd64, the kernel in it 6.12.2",
    ]


def test_the_running_kernel(core: FakeCore) -> None:
    store = FakeStore()
    built = make(HostSource(Identity("6.12.1-amd64", distro="debian", arch="x86_64")), store)
    assert built.kernel.id == "debian_6.12.1-amd64_amd64"
    assert store.kernels[built.kernel.id] == {"kind": "host", "config": None}


def test_a_package_that_is_none(core: FakeCore, package: PackageSource) -> None:
    core.control = ""
    with pytest.raises(InputError, match=r"x\.deb: not a package"):
        make(package, FakeStore())


def raising(error: Exception) -> Callable[[Progress], Extraction]:
    def extract(progress: Progress) -> Extraction:
        raise error

    return extract


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ReadError("x.deb: truncated at 17"), InputError, "x.deb: truncated at 17"),
        (FileNotFoundError(2, "No such file", "/gone"), KsurfError, "/gone: No such file"),
        (TimeoutError("nfs"), KsurfError, "x.deb: nfs"),
    ],
)
def test_a_failure_leaves_the_dataset_alone(
    core: FakeCore, package: PackageSource, error: Exception, kind: type[KsurfError], message: str
) -> None:
    core.extract = raising(error)
    store = FakeStore()
    with pytest.raises(kind) as caught:
        make(package, store)
    assert caught.value.message == message
    assert store.events == [f"lock {ID}", f"unlock {ID}"]


def test_an_interrupt_stops_the_reading(core: FakeCore, package: PackageSource) -> None:
    stopped = []

    class Interrupting(Silent):
        """Ctrl-C arrives while the main thread shows how far the reading is."""

        @contextmanager
        def task(self, label: str, total: int | None = None, unit: str = "bytes") -> Iterator[Task]:
            yield self

        def update(self, done: int, total: int | None = None, label: str | None = None) -> None:
            raise KeyboardInterrupt

    def extract(progress: Progress) -> Extraction:
        stopped.append(progress.cancelled.wait(timeout=10))
        raise InterruptedError

    core.extract = extract
    store = FakeStore()
    with pytest.raises(KeyboardInterrupt):
        make(package, store, reporter=Interrupting())
    assert stopped == [True]
    assert store.events == [f"lock {ID}", f"unlock {ID}"]


def test_the_configuration_goes_with_the_kernel(core: FakeCore, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(b"CONFIG_Z=y\n# CONFIG_A is not set\n")
    config = ConfigSource(path)
    facts = {"kind": "file", "file": "config", "sha256": sha256(path.read_bytes()).hexdigest()}
    identity = Identity("6.12.1-x", arch="amd64")
    for source in (FilesSource(Path("vmlinux"), (), identity, config), HostSource(identity, config)):
        store = FakeStore()
        made = make(source, store).kernel.id
        assert list(store.configs[made].items()) == [("CONFIG_A", "n"), ("CONFIG_Z", "y")]
        assert store.kernels[made]["config"] == facts


def test_a_configuration_of_no_use_is_left_out_unless_it_was_named(
    core: FakeCore, package: PackageSource, tmp_path: Path
) -> None:
    path = tmp_path / "config"
    path.write_bytes(b"what")
    store, reporter = FakeStore(), Silent()
    make(replace(package, config=ConfigSource(path)), store, reporter=reporter)
    assert (store.configs[ID], store.kernels[ID]["config"]) == ({}, None)
    (warning,) = reporter.warnings
    assert warning.startswith(f"x.deb: its configuration is left out: {path}: line 1: neither")
    store = FakeStore()
    with pytest.raises(InputError, match="line 1: neither"):
        make(replace(package, config=ConfigSource(path, is_named=True)), store)
    assert store.events == [f"lock {ID}", f"unlock {ID}"]


def test_the_table_of_a_configuration_is_sorted_and_may_be_empty() -> None:
    rows = config_table([("CONFIG_B", "m"), ("CONFIG_64BIT", "y"), ("CONFIG_A", "")]).to_pylist()
    assert [(row["name"], row["value"]) for row in rows] == [
        ("CONFIG_64BIT", "y"),
        ("CONFIG_A", ""),
        ("CONFIG_B", "m"),
    ]
    assert config_table([]).schema == config_table([("CONFIG_A", "y")]).schema


def test_a_configuration_in_the_image_is_taken_where_there_is_no_other(
    core: FakeCore, package: PackageSource
) -> None:
    text = b"CONFIG_BPF_SYSCALL=y\n"
    core.extract = lambda progress: Extraction(config=text)
    store = FakeStore()
    make(package, store)
    assert store.configs[ID] == {"CONFIG_BPF_SYSCALL": "y"}
    assert store.kernels[ID]["config"] == {"kind": "image", "sha256": sha256(text).hexdigest()}


def test_a_damaged_configuration_in_the_image_does_not_cost_the_kernel(
    core: FakeCore, package: PackageSource
) -> None:
    core.extract = lambda progress: Extraction(config=b"what")
    store, reporter = FakeStore(), Silent()
    make(package, store, reporter=reporter)
    assert store.kernels[ID]["config"] is None
    assert "line 1: neither" in reporter.warnings[0]
