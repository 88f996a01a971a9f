"""Debian's archive as a mirror shows it: suites, signatures, lists, and all that can be wrong with them."""

import gzip
import lzma
import re
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from archive_server import ArchiveServer, Behaviour, serving
from full_disk import room_for
from ksurf.acquire import http as http_module
from ksurf.acquire import suites as suites_module
from ksurf.acquire.apt import AptSource
from ksurf.acquire.debian import DebianArchive, Offer
from ksurf.acquire.http import Http
from ksurf.acquire.index import parse_packages
from ksurf.acquire.mirror import PUBLIC, Mirror, apt_mirrors, named_mirrors
from ksurf.acquire.suites import Suites
from ksurf.errors import DiskFullError, KsurfError, MirrorError, NotOnMirrorError, VerificationError
from ksurf.progress import Silent

DATA = Path(__file__).parent / "data/archive"


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> Iterator[ArchiveServer]:
    monkeypatch.setattr(http_module, "PAUSES", (0.0,))
    with serving() as server:
        yield server


class Asking:
    """The archive as one run of ksurf sees it."""

    def __init__(
        self, server: ArchiveServer, cache: Path, *, unsigned: bool = True, keyring: Path | None = None
    ):
        self.reporter = Silent()
        self.http = Http()
        keyrings = [str(keyring)] if keyring else []
        mirrors = named_mirrors([server.url])
        suites = Suites(mirrors, self.http, cache, self.reporter, keyrings=keyrings, unsigned=unsigned)
        self.archive = DebianArchive(suites, self.http, cache, self.reporter)

    def offers(self, arches: set[str] | None = None, suites: tuple[str, ...] = ()) -> list[Offer]:
        return self.archive.offers(arches=arches, suites=suites)

    def releases(self, arches: set[str] | None = None, suites: tuple[str, ...] = ()) -> list[str]:
        return [offer.kernel.release for offer in self.offers(arches, suites)]


def one_suite(server: ArchiveServer, *paragraphs: str, suffix: str = ".xz", **fields: str) -> None:
    some = list(paragraphs) or [server.package("6.12.1+deb13-cloud-amd64", "6.12.1-1", "amd64")]
    server.suite("stable", {"amd64": some}, suffix=suffix, **{"Codename": "trixie", **fields})


def test_all_suites_are_found_and_their_kernels_sorted(archive: ArchiveServer, tmp_path: Path) -> None:
    shared = archive.package("6.12.1+deb13-amd64", "6.12.1-1", "amd64")
    archive.suite(
        "stable",
        {
            "amd64": [shared, archive.package("6.12.1+deb13-cloud-amd64", "6.12.1-1", "amd64")],
            "arm64": [archive.package("6.12.1+deb13-arm64-16k", "6.12.1-1", "arm64")],
        },
        Codename="trixie",
    )
    archive.suite(
        "trixie-backports", {"amd64": [archive.package("7.3.4+deb13-amd64", "7.3.4-1~bpo13+1", "amd64")]}
    )
    archive.suite(
        "experimental",
        {"amd64": [archive.package("7.3-amd64", "7.3~rc7-1~exp1", "amd64")]},
        Codename="rc-buggy",
    )
    archive.suite(
        "oldstable", {"amd64": [archive.package("6.1.0-9-amd64", "6.1.9-1", "amd64")]}, Codename="bookworm"
    )
    offers = Asking(archive, tmp_path).offers()
    assert [(offer.kernel.release, offer.suites) for offer in offers] == [
        ("6.1.0-9-amd64", ("bookworm",)),
        ("6.12.1+deb13-cloud-amd64", ("trixie",)),
        ("6.12.1+deb13-amd64", ("trixie",)),
        ("6.12.1+deb13-arm64-16k", ("trixie",)),
        ("7.3-amd64", ("experimental",)),
        ("7.3.4+deb13-amd64", ("trixie-backports",)),
    ]
    first = offers[0]
    assert first.kernel.id == "debian_6.1.0-9-amd64_6.1.9-1_amd64"
    assert (first.debug.byte_size, first.debug.sha256) == (7, sha256(b"content").hexdigest())
    assert first.debug.filename == "linux-image-6.1.0-9-amd64-dbg_6.1.9-1_amd64.deb"
    assert first.debug.urls == (
        f"{archive.url}/pool/main/l/linux/linux-image-6.1.0-9-amd64-dbg_6.1.9-1_amd64.deb",
    )
    assert "%2Bdeb13" in offers[-1].debug.urls[0]


def test_security_suites_are_in_the_archive_beside_it(archive: ArchiveServer, tmp_path: Path) -> None:
    paragraph = archive.package("6.12.1+deb13-amd64", "6.12.1-1", "amd64")
    one_suite(archive, paragraph)
    archive.suite("trixie-security", {"amd64": [paragraph.replace("pool/", "pool/updates/")]})
    for path in [path for path in archive.files if "trixie-security" in path]:
        archive.files[f"/debian-security/{path}"] = archive.files.pop(path)
    (offer,) = Asking(archive, tmp_path).offers()
    assert offer.suites == ("trixie", "trixie-security")
    main, security = offer.debug.urls
    assert main.startswith(f"{archive.url}/pool/main/")
    assert security.startswith(f"{archive.url}-security/pool/updates/main/")


def test_a_package_that_differs_between_suites_is_not_mixed(archive: ArchiveServer, tmp_path: Path) -> None:
    one_suite(archive, archive.package("6.12.1+deb13-amd64", "6.12.1-1", "amd64", b"one"))
    archive.suite(
        "trixie-backports",
        {"amd64": [archive.package("6.12.1+deb13-amd64", "6.12.1-1", "amd64", b"two", "pool/other")]},
    )
    (offer,) = Asking(archive, tmp_path).offers()
    assert (offer.suites, len(offer.debug.urls), offer.debug.sha256) == (
        ("trixie",),
        1,
        sha256(b"one").hexdigest(),
    )


def test_only_kernels_debug_packages_count(archive: ArchiveServer, tmp_path: Path) -> None:
    kernel = archive.package("6.12.1+deb13-cloud-amd64", "6.12.1-1", "amd64")
    with_dependency = archive.package("7.3-cloud-amd64", "7.3-1", "amd64", Depends="linux-base-7.3 (= 7.3-1)")
    others = [
        archive.package(
            "6.12-amd64", "6.12.1-1", "amd64", Depends="linux-image-6.12.1+deb13-amd64-dbg (= 6.12.1-1)"
        ),
        archive.package("x", "6.12.1-1", "amd64", Package="linux-image-cloud-amd64-dbg"),
        archive.package("x", "6.12.1-1", "amd64", Package="linux-image-6.12.1+deb13-cloud-amd64"),
        archive.package("x", "6.12.1-1", "amd64", Package="linux-image-6.12.1+deb13-cloud-amd64-unsigned"),
        archive.package("x", "6.12.1-1", "amd64", Package="hello", Description="linux-image-6.1-dbg"),
        archive.package("6-amd64", "6.12.1-1", "amd64"),
    ]
    one_suite(archive, *others[:3], kernel, *others[3:], with_dependency)
    assert Asking(archive, tmp_path).releases() == ["6.12.1+deb13-cloud-amd64", "7.3-cloud-amd64"]


def test_the_packages_with_its_configuration_come_with_a_kernel(
    archive: ArchiveServer, tmp_path: Path
) -> None:
    release, version = "6.12.1+deb13-cloud-amd64", "6.12.1-1"

    def package(name: str, version: str = version, arch: str = "amd64", pool: str = "pool") -> str:
        return archive.package(release, version, arch, name.encode(), pool, name=name)

    headers = package(f"linux-headers-{release}")
    one_suite(
        archive,
        package("linux-config-6.12"),
        package("linux-config-6.1"),
        package("linux-headers-6.12.1+deb13-common", arch="all"),
        package(f"linux-headers-{release}", "6.12.1-2"),
        package("linux-headers-6.12.1+deb13-amd64"),
        headers,
        package(f"linux-image-{release}"),
        archive.package(release, version, "amd64"),
        archive.package("6.12.2+deb13-cloud-amd64", "6.12.2-1", "amd64"),
        Codename="trixie",
    )
    archive.suite(
        "trixie-backports",
        {"amd64": [archive.package(release, version, "amd64"), headers.replace("pool/", "x/")]},
    )
    first, second = Asking(archive, tmp_path).offers()
    assert [config.package for config in first.configs] == [
        f"linux-headers-{release}",
        "linux-config-6.12",
        f"linux-image-{release}",
    ]
    name = f"linux-headers-{release}_{version}_amd64.deb"
    assert first.configs[0].filename == name
    assert [url.partition("/debian/")[2] for url in first.configs[0].urls] == [
        f"pool/{name.replace('+', '%2B')}",
        f"x/{name.replace('+', '%2B')}",
    ]
    assert first.configs[0].sha256 == sha256(f"linux-headers-{release}".encode()).hexdigest()
    assert second.configs == ()


def test_lists_in_the_cache_of_an_older_format_are_read_anew(archive: ArchiveServer, tmp_path: Path) -> None:
    release = "6.12.1+deb13-amd64"
    headers = archive.package(release, "6.12.1-1", "amd64", name=f"linux-headers-{release}")
    one_suite(archive, archive.package(release, "6.12.1-1", "amd64"), headers)
    first = Asking(archive, tmp_path).offers()
    (cached,) = (tmp_path / "lists").iterdir()
    cached.write_text('{"format": 1, "entries": []}')
    assert Asking(archive, tmp_path).offers() == first
    assert first[0].configs


def test_only_the_lists_that_are_asked_for_are_fetched(archive: ArchiveServer, tmp_path: Path) -> None:
    archive.suite(
        "stable",
        {
            "amd64": [archive.package("6.12.1+deb13-amd64", "6.12.1-1", "amd64")],
            "arm64": [archive.package("6.12.1+deb13-arm64", "6.12.1-1", "arm64")],
        },
        Codename="trixie",
    )
    archive.suite(
        "testing", {"arm64": [archive.package("7.2+deb14-arm64", "7.2-1", "arm64")]}, Codename="forky"
    )
    assert Asking(archive, tmp_path).releases({"arm64"}, ("trixie", "stable")) == ["6.12.1+deb13-arm64"]
    assert [path for path in archive.counts() if "Packages" in path] == [
        "dists/stable/main/binary-arm64/Packages.xz"
    ]
    assert "dists/testing/InRelease" not in archive.counts()


def test_a_mirror_with_code_names_only(archive: ArchiveServer, tmp_path: Path) -> None:
    archive.suite(
        "trixie", {"amd64": [archive.package("6.12.1+deb13-amd64", "6.12.1-1", "amd64")]}, Suite="stable"
    )
    assert Asking(archive, tmp_path).releases() == ["6.12.1+deb13-amd64"]


def test_the_second_time_nothing_is_asked(archive: ArchiveServer, tmp_path: Path) -> None:
    one_suite(archive)
    first = Asking(archive, tmp_path).offers()
    archive.requests.clear()
    assert Asking(archive, tmp_path).offers() == first
    assert not archive.requests


def test_later_only_changes_are_fetched(
    archive: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_suite(archive)
    Asking(archive, tmp_path).offers()
    archive.requests.clear()
    monkeypatch.setattr(suites_module, "_MAX_AGE_SECONDS", -1)
    Asking(archive, tmp_path).offers()
    asked = dict(archive.requests)
    assert "if-none-match" in asked["dists/stable/InRelease"]
    assert not any("Packages" in path for path in asked)

    one_suite(archive, archive.package("6.12.2+deb13-amd64", "6.12.2-1", "amd64"))
    assert Asking(archive, tmp_path).releases() == ["6.12.2+deb13-amd64"]


def test_a_mirror_that_was_renewed_meanwhile(archive: ArchiveServer, tmp_path: Path) -> None:
    one_suite(archive)
    Asking(archive, tmp_path).archive._suites.find()
    one_suite(archive, archive.package("6.12.2+deb13-amd64", "6.12.2-1", "amd64"))
    assert Asking(archive, tmp_path).releases() == ["6.12.2+deb13-amd64"]


def test_damage_in_the_cache_is_repaired(archive: ArchiveServer, tmp_path: Path) -> None:
    one_suite(archive)
    first = Asking(archive, tmp_path).offers()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            path.write_bytes(b"{damaged")
    assert Asking(archive, tmp_path).offers() == first


def test_lists_are_fetched_by_hash_where_the_mirror_has_them(archive: ArchiveServer, tmp_path: Path) -> None:
    one_suite(archive, Acquire_By_Hash="yes")
    archive.files["dists/stable/main/binary-amd64/Packages.xz"] = b"already renewed"
    assert Asking(archive, tmp_path / "1").releases() == ["6.12.1+deb13-cloud-amd64"]

    one_suite(archive, Acquire_By_Hash="yes")
    for path in [path for path in archive.files if "by-hash" in path]:
        del archive.files[path]
    assert Asking(archive, tmp_path / "2").releases() == ["6.12.1+deb13-cloud-amd64"]


def test_the_smallest_form_of_a_list_is_fetched(archive: ArchiveServer, tmp_path: Path) -> None:
    one_suite(archive, suffix="")
    plain = archive.files["dists/stable/InRelease"]
    one_suite(archive)
    archive.files["dists/stable/InRelease"] += plain.partition(b"SHA256:\n")[2]
    Asking(archive, tmp_path).offers()
    assert archive.counts()["dists/stable/main/binary-amd64/Packages.xz"] == 1
    assert archive.counts()["dists/stable/main/binary-amd64/Packages"] == 0


@pytest.mark.parametrize(
    "filename",
    [
        "/etc/passwd.deb",
        "../../etc/passwd.deb",
        "pool/../../x.deb",
        "pool//x.deb",
        "http://evil.invalid/x.deb",
        "pool/\\x.deb",
        "pool/x y.deb",
        "pool/x\x07.deb",
        "pool/x.deb?y.deb",
        "pool/x#y.deb",
        "pool/é.deb",
        "pool/x.sh",
        ".deb/..",
        "",
    ],
)
def test_a_hostile_path_is_refused_by_name(archive: ArchiveServer, tmp_path: Path, filename: str) -> None:
    one_suite(archive, archive.package("6.12.1+deb13-amd64", "6.12.1-1", "amd64", Filename=filename))
    with pytest.raises(VerificationError) as caught:
        Asking(archive, tmp_path).offers()
    assert "linux-image-6.12.1+deb13-amd64-dbg has the Filename" in caught.value.message
    assert repr(filename) in caught.value.message
    assert f"{archive.url}/dists/stable/main/binary-amd64/Packages.xz" in caught.value.message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Size", "-1"),
        ("Size", "0"),
        ("Size", "many"),
        ("SHA256", "abc"),
        ("SHA256", "../" * 21 + "x"),
        ("Version", "1/../2"),
        ("Architecture", "../amd64"),
        ("Package", "linux-image-6.12/../../x-dbg"),
    ],
)
def test_other_hostile_fields_are_refused_by_name(
    archive: ArchiveServer, tmp_path: Path, field: str, value: str
) -> None:
    one_suite(archive, archive.package("6.12.1+deb13-amd64", "6.12.1-1", "amd64", fields={field: value}))
    with pytest.raises(VerificationError, match="is refused") as caught:
        Asking(archive, tmp_path).offers()
    assert repr(value) in caught.value.message


def test_a_list_with_the_wrong_hash_is_refused(archive: ArchiveServer, tmp_path: Path) -> None:
    one_suite(archive)
    path = "dists/stable/main/binary-amd64/Packages.xz"
    archive.files[path] = archive.files[path][:-1] + b"?"
    with pytest.raises(VerificationError, match=r"its SHA256 is .*, the suite's index says"):
        Asking(archive, tmp_path).offers()


def test_a_mirror_that_is_renewed_piece_by_piece(archive: ArchiveServer, tmp_path: Path) -> None:
    old = archive.package("6.12.1+deb13-arm64", "6.12.1-1", "arm64")
    archive.suite(
        "stable",
        {
            "amd64": [archive.package("6.12.1+deb13-amd64", "6.12.1-1", "amd64")],
            "arm64": [old],
            "s390x": [old],
        },
        Codename="trixie",
    )
    archive.files["dists/stable/main/binary-arm64/Packages.xz"] = lzma.compress(b"")
    del archive.files["dists/stable/main/binary-s390x/Packages.xz"]
    asking = Asking(archive, tmp_path)
    assert asking.releases() == ["6.12.1+deb13-amd64"]
    assert asking.reporter.warnings == [
        "the mirror is out of step with its indexes; left out are its lists of trixie (arm64, s390x)"
    ]


@pytest.mark.parametrize(
    ("behaviour", "error", "reason"),
    [
        (Behaviour(status=404), NotOnMirrorError, "the mirror lacks it"),
        (Behaviour(body=b""), NotOnMirrorError, "the mirror lacks it"),
        (Behaviour(body=b"x" * 1_000_000), VerificationError, "longer than"),
        (Behaviour(status=500), MirrorError, "answered 500"),
        (Behaviour(status=418), MirrorError, "answered 418"),
        (Behaviour(cut_after=10), MirrorError, "incomplete|complete message"),
    ],
)
def test_a_list_that_cannot_be_had(
    archive: ArchiveServer, tmp_path: Path, behaviour: Behaviour, error: type[KsurfError], reason: str
) -> None:
    one_suite(archive)
    archive.behaviour["dists/stable/main/binary-amd64/Packages.xz"] = behaviour
    with pytest.raises(error, match=reason):
        Asking(archive, tmp_path).offers()


def test_a_dead_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "PAUSES", (0.0,))
    with serving() as server:
        pass
    with pytest.raises(MirrorError, match="refused") as caught:
        Asking(server, tmp_path).offers()
    assert caught.value.message.startswith(f"{server.url}/dists/")
    assert "--mirror" in str(caught.value.hint)


def test_a_mirror_of_something_else(archive: ArchiveServer, tmp_path: Path) -> None:
    with pytest.raises(MirrorError, match="no usable suite there") as caught:
        Asking(archive, tmp_path / "1").offers()
    assert "dists and pool" in str(caught.value.hint)
    archive.files["dists/stable/InRelease"] = b"<html>Log in to the network</html>"
    with pytest.raises(VerificationError, match="not the index of a suite"):
        Asking(archive, tmp_path / "2").offers()


def test_a_suite_that_is_not_there(archive: ArchiveServer, tmp_path: Path) -> None:
    one_suite(archive)
    with pytest.raises(MirrorError, match="potato"):
        Asking(archive, tmp_path).offers(suites=("potato",))


@pytest.mark.parametrize(
    ("path", "data", "reason"),
    [
        ("Packages.xz", lzma.compress(b"Package: x\n" * 100)[:-40], "damaged"),
        ("Packages.xz", b"not xz at all", "damaged"),
        ("Packages.gz", gzip.compress(b"Package: x\n" * 100)[:-20], "damaged"),
        ("Packages.gz", b"not gzip at all", "damaged"),
    ],
)
def test_a_damaged_list(path: str, data: bytes, reason: str) -> None:
    with pytest.raises(VerificationError, match=reason):
        parse_packages(data, path)


def test_kernels_are_found_wherever_the_text_is_cut(
    archive: ArchiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "\n".join(
        archive.package(f"6.12.{number}+deb13-amd64", f"6.12.{number}-1", "amd64", Description="x" * number)
        for number in range(50)
    ).encode()
    whole = parse_packages(text, "Packages")
    assert len(whole) == 50
    for chunk in (1, 7, 100, 1000):
        monkeypatch.setattr("ksurf.acquire.index._CHUNK", chunk)
        assert parse_packages(lzma.compress(text), "Packages.xz") == whole
        assert parse_packages(gzip.compress(text), "Packages.gz") == whole


needs_gpgv = pytest.mark.skipif(
    not (shutil.which("gpgv") or shutil.which("sqv")),
    reason="neither gpgv nor sqv is installed",
)


@pytest.fixture
def signed(archive: ArchiveServer) -> ArchiveServer:
    archive.files["dists/stable/InRelease"] = (DATA / "InRelease").read_bytes()
    archive.files["dists/stable/main/binary-amd64/Packages"] = (DATA / "Packages").read_bytes()
    return archive


@needs_gpgv
def test_a_signed_archive(signed: ArchiveServer, tmp_path: Path) -> None:
    asking = Asking(signed, tmp_path, unsigned=False, keyring=DATA / "archive-key.asc")
    assert asking.releases() == ["6.12.1+deb13-cloud-amd64"]
    assert asking.reporter.warnings == []


@needs_gpgv
@pytest.mark.parametrize("byte_size", [0, 1, 100, 250, 400, 541])
def test_a_full_disk_names_the_cache(signed: ArchiveServer, tmp_path: Path, byte_size: int) -> None:
    asking = Asking(signed, tmp_path, unsigned=False, keyring=DATA / "archive-key.asc")
    with room_for(byte_size), pytest.raises(DiskFullError, match=re.escape(str(tmp_path))) as caught:
        asking.offers()
    assert "KSURF_CACHE" in str(caught.value.hint)
    assert asking.releases() == ["6.12.1+deb13-cloud-amd64"]


@needs_gpgv
def test_a_forged_index_is_an_error_and_not_kept(signed: ArchiveServer, tmp_path: Path) -> None:
    path = "dists/stable/InRelease"
    signed.behaviour[path] = Behaviour(body=signed.files[path].replace(b"trixie", b"forged"), times=1)
    with pytest.raises(VerificationError, match="InRelease: the signature is wrong"):
        Asking(signed, tmp_path, unsigned=False, keyring=DATA / "archive-key.asc").offers()
    asking = Asking(signed, tmp_path, unsigned=False, keyring=DATA / "archive-key.asc")
    assert asking.releases() == ["6.12.1+deb13-cloud-amd64"]


@needs_gpgv
def test_a_forged_index_in_the_cache_is_fetched_again(signed: ArchiveServer, tmp_path: Path) -> None:
    Asking(signed, tmp_path, unsigned=False, keyring=DATA / "archive-key.asc").offers()
    (cached,) = tmp_path.rglob("stable.InRelease")
    cached.write_bytes(cached.read_bytes().replace(b"trixie", b"forged"))
    (offer,) = Asking(signed, tmp_path, unsigned=False, keyring=DATA / "archive-key.asc").offers()
    assert offer.suites == ("trixie",)


@needs_gpgv
def test_a_suite_signed_by_somebody_else_is_left_out(signed: ArchiveServer, tmp_path: Path) -> None:
    asking = Asking(signed, tmp_path, unsigned=False, keyring=DATA / "other-key.gpg")
    with pytest.raises(MirrorError, match="no usable suite"):
        asking.offers()
    (warning,) = asking.reporter.warnings
    assert warning.startswith("the suite trixie is left out: signed by no valid key")
    assert "--keyring" in warning


def test_an_unsigned_archive_is_refused_unless_that_is_wanted(archive: ArchiveServer, tmp_path: Path) -> None:
    one_suite(archive)
    with pytest.raises(VerificationError, match="it is not signed") as caught:
        Asking(archive, tmp_path, unsigned=False, keyring=DATA / "archive-key.asc").offers()
    assert "--unsigned" in str(caught.value.hint)
    assert Asking(archive, tmp_path, unsigned=True).releases() == ["6.12.1+deb13-cloud-amd64"]


def test_without_gpgv_there_is_one_warning(
    signed: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    signed.files["dists/testing/InRelease"] = signed.files["dists/stable/InRelease"]
    asking = Asking(signed, tmp_path, unsigned=False)
    assert asking.releases() == ["6.12.1+deb13-cloud-amd64"]
    assert asking.reporter.warnings == [
        "the archive's signatures are not checked: neither gpgv nor sqv is installed"
    ]


def test_an_old_mirror_is_told(archive: ArchiveServer, tmp_path: Path) -> None:
    one_suite(archive, Valid_Until="Fri, 06 Nov 2020 08:08:01 UTC")
    asking = Asking(archive, tmp_path)
    asking.offers()
    assert asking.reporter.warnings == [
        "the mirror is out of date: its index of trixie was to be renewed by 2020-11-06"
    ]


def test_an_archive_of_somebody_else_with_debians_names_is_passed_over(
    archive: ArchiveServer, tmp_path: Path
) -> None:
    with serving() as other:
        one_suite(other, Origin="Somebody")
        one_suite(archive)
        sources = [AptSource(server.url, ("trixie",), ("main",), ()) for server in (other, archive)]
        http = Http()
        suites = Suites([apt_mirrors(sources)[0]], http, tmp_path, Silent(), unsigned=True)
        (release,) = suites.find()
        assert release.mirror == Mirror(archive.url, optional=True)
        assert release.mirror not in PUBLIC


@pytest.mark.network
def test_debians_own_archive(network_cache: Path) -> None:
    reporter, http = Silent(), Http()
    mirrors = [[PUBLIC[0]], [PUBLIC[1]]]
    archive = DebianArchive(Suites(mirrors, http, network_cache, reporter), http, network_cache, reporter)
    offers = archive.offers(arches={"amd64"}, suites=("stable", "stable-security"))
    assert {"generic", "cloud", "rt"} <= {offer.kernel.flavor for offer in offers}
    assert all(offer.debug.byte_size > 100_000_000 for offer in offers)
    assert not any("not checked" in warning for warning in reporter.warnings)
    assert any(map(http.exists, offers[-1].debug.urls))
