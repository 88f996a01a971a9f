"""``ksurf site``: pages of symbols as files."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import httpx
import pytest

from ksurf.cli import run
from ksurf.web.views import kernels
from made_web import web_dataset
from test_web import NAMES, Checked


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return web_dataset(tmp_path_factory.mktemp("site") / "dataset")


@pytest.fixture(scope="module")
def site(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("site") / "public"
    symbols = [part for kind, name in NAMES.items() for part in ("--symbol", f"{kind}:{name}")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "_IMAGES", 1)  # there is more than a page of them
        assert run(["site", str(folder), *symbols, "--match", "kvm", "--dataset", str(dataset)]) == 0
    yield folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """A plain server of files, of a folder above the site."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site.parent)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{site.name}/"
    server.shutdown()


def test_its_links_are_whole(address: str, site: Path) -> None:
    waiting, seen = [f"{address}index.html"], set()
    with httpx.Client() as client:
        while waiting:
            url = waiting.pop()
            if url in seen:
                continue
            seen.add(url)
            answer = client.get(url)
            assert answer.status_code == 200, url
            if url.endswith(".html"):
                page = Checked(answer.text)
                assert not page.bad, url
                waiting += [urldefrag(urljoin(url, link)).url for link in page.links]
    # Pages that nothing links are found by the site's own search.
    listed = {urljoin(address, one["href"]) for one in json.loads((site / "symbols.json").read_text())}
    assert len(listed) > 10
    for url in listed - seen:
        assert httpx.get(url).status_code == 200
    assert f"{address}kernels.html" in seen


def test_its_pages_are_those_of_the_server_and_the_command(
    site: Path, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for form in ("md", "json"):
        assert run(["show", "struct", "kvm", "--format", form, "--dataset", str(dataset)]) == 0
        assert (site / f"struct/kvm.{form}").read_text() == capsys.readouterr().out
    (page_of_kernel, *_) = (site / "kernels").iterdir()
    assert "vmlinux" in page_of_kernel.read_text() and "page 1 of" not in page_of_kernel.read_text()
    page = (site / "function/kvm_vcpu_kick.html").read_text()
    assert "Content-Security-Policy" in page and "?kernel=" not in page and "/calls/" not in page
    assert 'href="kvm_vcpu_wake_up.html"' in page


def test_a_folder_that_is_no_site_is_left_alone(
    tmp_path: Path, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "mine"
    kept.write_text("mine")
    assert run(["site", str(tmp_path), "--symbol", "struct:kvm", "--dataset", str(dataset)]) == 1
    assert "no site of ksurf" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [kept]


def test_a_site_is_replaced_by_the_next_one_and_kept_if_that_fails(
    tmp_path: Path, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "public"
    assert run(["site", str(folder), "--symbol", "struct:kvm", "--dataset", str(dataset)]) == 0
    assert run(["site", str(folder), "--symbol", "struct:kvmm", "--dataset", str(dataset)]) == 1
    assert "no struct kvmm" in capsys.readouterr().err
    assert (folder / "struct/kvm.html").exists() and [p.name for p in tmp_path.iterdir()] == ["public"]
    assert run(["site", str(folder), "--symbol", "enum:pid_type", "--dataset", str(dataset)]) == 0
    assert not (folder / "struct").exists() and (folder / "enum/pid_type.html").exists()


@pytest.mark.parametrize("symbol", ["kvm", "nothing:kvm", "struct:", ":kvm"])
def test_what_is_no_symbol_is_told(
    tmp_path: Path, dataset: Path, symbol: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["site", str(tmp_path / "x"), "--symbol", symbol, "--dataset", str(dataset)]) == 1
    assert "is no symbol" in capsys.readouterr().err


def test_symbols_may_stand_in_a_file(tmp_path: Path, dataset: Path) -> None:
    listed = tmp_path / "watched.txt"
    listed.write_text("# what we watch\nstruct:kvm\n\nenum:pid_type  # of pids\n")
    folder = tmp_path / "public"
    assert run(["site", str(folder), "--symbols", str(listed), "--dataset", str(dataset)]) == 0
    assert {one["name"] for one in json.loads((folder / "symbols.json").read_text())} == {"kvm", "pid_type"}
