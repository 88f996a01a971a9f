"""Source trees in the dataset: whole or not at all, named, listed, and the one that belongs to a kernel."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from full_disk import room_for
from ksurf.errors import DatasetError, DiskFullError, InputError
from ksurf.kernel import Kernel
from ksurf.progress import Silent, Task
from ksurf.source.index import index_tree
from ksurf.source.tree import FILES, Prepared, Trees
from made_trees import put_tree


def kernel(version: str | None, release: str = "7.3.4+deb13-cloud-arm64", distro: str = "debian") -> Kernel:
    return Kernel.from_release(release, version=version, distro=distro, arch="arm64")


def test_a_tree_lies_where_the_design_says(tmp_path: Path) -> None:
    tree = put_tree(tmp_path, "7.3.4-1~bpo13+1")
    folder = tmp_path / "sources/debian_7.3.4-1~bpo13+1"
    assert (tree.id, tree.path, tree.root, tree.names) == (
        "debian_7.3.4-1~bpo13+1",
        folder,
        folder / "tree",
        folder / "names",
    )
    assert (tree.upstream, tree.base_version) == ("7.3.4", "7.3")
    assert tree.units_folder(kernel("7.3.4-1")) == folder / "units" / kernel("7.3.4-1").id
    assert (tree.root / "Makefile").is_file()
    assert Trees(tmp_path).all() == [tree]
    assert Trees(tmp_path).find(tree.id) == tree
    assert list((tmp_path / "tmp").iterdir()) == []


def test_an_empty_dataset_has_none(tmp_path: Path) -> None:
    trees = Trees(tmp_path / "dataset")
    assert trees.all() == []
    assert trees.find("x") is None
    assert trees.fitting(kernel("7.3.4-1")) is None
    with pytest.raises(InputError, match="no source trees") as error:
        trees.named("7.3")
    assert "ksurf source pull" in str(error.value.hint)
    with pytest.raises(InputError, match=r"no source tree of 7\.3"):
        trees.for_kernel(kernel("7.3.4-1"))
    assert not (tmp_path / "dataset").exists()


def test_trees_are_named_by_id_version_and_release(tmp_path: Path) -> None:
    for version, upstream in (("6.12.94-1", "6.12.94"), ("6.12.117-1", "6.12.117"), ("7.3.4-1", "7.3.4")):
        put_tree(tmp_path, version, upstream)
    put_tree(tmp_path, None, "7.3-rc7", distro="custom")
    trees = Trees(tmp_path)
    assert [tree.id for tree in trees.all()] == [
        "debian_6.12.94-1",
        "debian_6.12.117-1",
        "custom_7.3-rc7",
        "debian_7.3.4-1",
    ]
    assert trees.named("debian_6.12.94-1").version == "6.12.94-1"
    assert trees.named("6.12").version == "6.12.117-1"
    assert trees.named("6.12.94").version == "6.12.94-1"
    assert trees.named("debian:6.12-cloud-arm64").version == "6.12.117-1"
    assert trees.named("custom:7.3").id == "custom_7.3-rc7"
    assert trees.named("custom:arm64").id == "custom_7.3-rc7"
    assert trees.named("7.3.4+deb13-cloud-arm64").version == "7.3.4-1"
    assert trees.named(kernel("6.12.94-1", "6.12.94+deb13-arm64").id).version == "6.12.94-1"
    assert [tree.version for tree in trees.matching("debian:6.12")] == ["6.12.94-1", "6.12.117-1"]
    for text in ("6.1", "arm64", "custom:6.12", "5.4_x"):
        with pytest.raises(InputError, match="no source tree matches"):
            trees.named(text)


def test_a_kernel_has_its_own_source_or_the_nearest_and_is_told(tmp_path: Path) -> None:
    for version, upstream in (("7.3~rc7-1", "7.3-rc7"), ("7.3.2-1", "7.3.2"), ("7.3.9-1", "7.3.9")):
        put_tree(tmp_path, version, upstream)
    put_tree(tmp_path, None, "7.3.4", distro="custom")
    trees = Trees(tmp_path)
    own = trees.for_kernel(kernel("7.3.9-1", "7.3.9+deb13-arm64"))
    assert (own.tree.version, own.note) == ("7.3.9-1", None)
    near = trees.for_kernel(kernel("7.3.4-1"))
    assert (near.tree.id, near.note) == (
        "custom_7.3.4",
        "the source is 7.3.4 of custom, the kernel 7.3.4+deb13-cloud-arm64 is 7.3.4-1",
    )
    assert trees.for_kernel(kernel("7.3~rc6-1", "7.3-arm64")).tree.version == "7.3~rc7-1"
    assert trees.for_kernel(kernel(None, "7.3.1-mine", "custom")).tree.version == "7.3.2-1"
    assert trees.fitting(kernel("7.4.1-1", "7.4.1-arm64")) is None


def test_what_is_known_of_kernels_is_kept(tmp_path: Path) -> None:
    tree, one = put_tree(tmp_path), kernel("7.3.4-1")
    folder = tree.units_folder(one)
    folder.mkdir(parents=True)
    assert (tree.is_prepared(one), tree.prepared()) == (False, [])
    prepared = Prepared(one, ".config of linux-headers-7.3.4+deb13-cloud-arm64", 5640)
    tree.note_prepared(prepared)
    assert tree.prepared() == []
    (folder / "units.json").write_text("{}")
    assert (tree.is_prepared(one), tree.prepared()) == (True, [prepared])
    (folder / "kernel.json").write_text("[]")
    assert tree.prepared() == []


def test_a_tree_comes_once_and_goes_whole(tmp_path: Path) -> None:
    tree = put_tree(tmp_path)
    with pytest.raises(DatasetError, match="already") as error:
        put_tree(tmp_path)
    assert "ksurf source rm" in str(error.value.hint)
    Trees(tmp_path).remove(tree.id)
    assert Trees(tmp_path).all() == []
    assert list((tmp_path / "tmp").iterdir()) == []
    with pytest.raises(DatasetError, match="no source tree"):
        Trees(tmp_path).remove(tree.id)


def test_a_tree_whose_removal_is_interrupted_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    tree = put_tree(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("ksurf.dataset.workspace.shutil.rmtree", interrupted)
        Trees(tmp_path).remove(tree.id)
    assert Trees(tmp_path).load() == ([], [])
    put_tree(tmp_path)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_progress_names_the_tree(tmp_path: Path) -> None:
    class Labels(Silent):
        def __init__(self) -> None:
            super().__init__()
            self.labels: list[str] = []

        def task(self, label: str, *shown: object, **more: object) -> AbstractContextManager[Task]:
            self.labels.append(label)
            return super().task(label)

    tree, reporter = put_tree(tmp_path), Labels()
    assert index_tree(tree, reporter) is not None
    assert reporter.labels == ["Indexing debian_7.3.4-1"]


def test_an_interrupted_writer_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Trees(tmp_path).workspace("x") as folder:
        (folder / FILES).mkdir()
        raise KeyboardInterrupt
    dead = tmp_path / "tmp/source.killed.12345678"
    (dead / FILES).mkdir(parents=True)
    put_tree(tmp_path)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    with room_for(50), pytest.raises(DiskFullError, match="no room for the source"):
        put_tree(tmp_path)
    assert Trees(tmp_path).all() == []


def test_what_cannot_be_used_is_refused_with_the_reason(tmp_path: Path) -> None:
    folder = put_tree(tmp_path).path
    document = json.loads((folder / "manifest.json").read_text())
    for text, reason in (
        (json.dumps({**document, "format_version": 99}), "made by a newer ksurf"),
        (json.dumps({**document, "id": "other"}), "damaged: it describes other"),
        (json.dumps({**document, "more": 1}), "damaged"),
        ("{", "damaged"),
        ("[]", "damaged"),
        (
            json.dumps({**document, "origin": {"kind": "folder", "path": "/nowhere/x", "in_place": True}}),
            "the folder /nowhere/x is gone",
        ),
    ):
        (folder / "manifest.json").write_text(text)
        usable, (refused,) = Trees(tmp_path).load()
        assert usable == []
        assert reason in refused.reason
        with pytest.raises(DatasetError) as error:
            Trees(tmp_path).find(folder.name)
        assert "ksurf source rm" in str(error.value.hint)
    (folder / "manifest.json").unlink()
    assert "has no manifest.json" in Trees(tmp_path).load()[1][0].reason
    Trees(tmp_path).remove(folder.name)
