"""``/kernels``: what is in the dataset, and one kernel whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from ksurf.dataset.store import Store
from ksurf.web.addresses import compare_path, kernel_path
from made_kernel import MadeKernel, bpf_kernel, kernel, kvm_kernel
from web_page import Page, TestClient, client

OLD, NEW, ARM = kernel("6.1.5"), kernel("6.12.1"), kernel("6.12.1", arch="arm64")
BANNER = "Linux version 6.12.1 (a@b) (gcc-14 (Debian 14.2.0-19) 14.2.0, GNU ld (GNU Binutils) 2.44) #1 SMP"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    folder = tmp_path_factory.mktemp("web")
    dataset = folder / "dataset"
    bpf_kernel().write(dataset, OLD)
    Store(dataset).write(
        NEW,
        bpf_kernel(1).tables(),
        source={"kind": "package", "file": "<b>x</b>.deb", "sha256": "ab" * 32, "config": {"kind": "file"}},
        banner=BANNER,
        unreadable=[("bad", "lib/bad.ko", "truncated <i>")],
        incomplete=[("half", "lib/half.ko", "no types")],
    )
    kvm_kernel().write(dataset, ARM)
    return client(dataset, folder)


def get(web: TestClient, address: str, status: int = 200) -> Page:
    answer = web.get(address)
    assert answer.status_code == status, answer.text
    page = Page(answer.text, address)
    assert page.styles == []
    assert len(set(page.ids)) == len(page.ids)
    return page


def test_all_kernels_with_what_was_read_of_them(web: TestClient) -> None:
    page = get(web, "/kernels")
    assert {kernel_path(one.id) for one in (OLD, NEW, ARM)} <= page.paths()
    (row,) = (row for row in page.rows if row.startswith(f"{NEW.release} {NEW.version}"))
    assert "amd64 cloud 2" in row
    assert "bad all truncated <i> lib/bad.ko" in page.rows
    assert "half part no types lib/half.ko" in page.rows


def test_all_kernels_as_json(web: TestClient) -> None:
    document = web.get("/kernels.json").json()
    assert (document["schema"], document["version"], document["refused"]) == ("ksurf.kernels", 1, [])
    held = {one["id"]: one for one in document["kernels"]}
    assert list(held) == [OLD.id, NEW.id, ARM.id]
    new = held[NEW.id]
    assert new["compiler"] == "gcc-14 (Debian 14.2.0-19) 14.2.0"
    assert new["unreadable"] == [{"image": "bad", "path": "lib/bad.ko", "reason": "truncated <i>"}]
    assert new["tables"]["images"] == sum(new["evidence"].values()) == 2
    assert new["features"]["btf"] is True


def test_one_kernel_whole(web: TestClient) -> None:
    page = get(web, kernel_path(NEW.id))
    for text in (
        NEW.id,
        BANNER,
        "gcc-14 (Debian 14.2.0-19) 14.2.0",
        "GNU ld (GNU Binutils) 2.44",
        "<b>x</b>.deb",
        "ab" * 32,
    ):
        assert text in page.text
    assert "vmlinux ships BTF ✔ yes" in page.rows
    assert "BPF trampolines, for fentry, fexit, fmod_ret and LSM programs ✘ no" in page.rows
    assert "bad all truncated <i> lib/bad.ko" in page.rows
    assert "kvm dwarf 0 0 0" in page.rows
    assert {compare_path(OLD.id, NEW.id), compare_path(NEW.id, ARM.id)} <= page.paths()
    assert "kvm dwarf 0 0 0" not in get(web, f"{kernel_path(NEW.id)}?image=VMLINUX").rows
    document = web.get(kernel_path(NEW.id, "json")).json()
    assert (document["schema"], document["id"], document["banner"]) == ("ksurf.kernel", NEW.id, BANNER)
    assert [image["name"] for image in document["images"]] == ["vmlinux", "kvm"]
    assert document["source"]["sha256"] == "ab" * 32


def test_a_selector_leads_to_the_newest_that_it_matches(web: TestClient) -> None:
    answer = web.get("/kernels/6.12-amd64?image=x", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{kernel_path(NEW.id)}?image=x")
    answer = web.get("/kernels/6.1.json", follow_redirects=False)
    assert answer.headers["location"] == kernel_path(OLD.id, "json")


@pytest.mark.parametrize("name", ["nope", "%00", "..", "%3Cscript%3E", "x" * 10_000, ":", "nope.json"])
def test_a_kernel_that_does_not_exist_is_answered_with_others(web: TestClient, name: str) -> None:
    answer = web.get(f"/kernels/{name.replace('..', '%2E%2E')}")
    assert answer.status_code == 404
    assert NEW.id in answer.text
    assert "<script>" not in answer.text


def test_near_kernels_come_first(web: TestClient) -> None:
    page = get(web, f"/kernels/{NEW.id.replace('6.12.1', '6.12.3')}", 404)
    assert kernel_path(NEW.id) in page.paths()


def test_many_images_are_paged(tmp_path: Path) -> None:
    made = MadeKernel()
    made.image()
    for number in range(700):
        made.image(f"module{number}")
    made.write(tmp_path / "d", OLD)
    web = client(tmp_path / "d", tmp_path)
    shown = [
        [row for row in get(web, f"{kernel_path(OLD.id)}?page={number}").rows if row.startswith("module")]
        for number in (1, 2, 3)
    ]
    assert [len(rows) for rows in shown] == [299, 300, 101]
    assert len({row for rows in shown for row in rows}) == 700
    for odd in ("0", "-1", "x", "9999999999999", "4"):
        get(web, f"{kernel_path(OLD.id)}?page={odd}")


def test_an_empty_dataset_says_what_to_do(tmp_path: Path) -> None:
    web = client(tmp_path / "none", tmp_path)
    assert "ksurf pull" in get(web, "/kernels").text
    assert web.get("/kernels.json").json()["kernels"] == []
    assert web.get("/kernels/x").status_code == 404


def test_a_kernel_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    bpf_kernel().write(tmp_path / "d", OLD)
    bpf_kernel().write(tmp_path / "d", NEW)
    (Store(tmp_path / "d").directory(NEW.id) / "manifest.json").write_text("{}")
    web = client(tmp_path / "d", tmp_path)
    assert f"ksurf rm {NEW.id}" in get(web, "/kernels").text
    (refused,) = web.get("/kernels.json").json()["refused"]
    assert refused["id"] == NEW.id
