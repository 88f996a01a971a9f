"""The machine's apt configuration, in its two formats, and the mirrors that follow from it."""

from pathlib import Path

import pytest

from ksurf.acquire import apt
from ksurf.acquire.apt import AptSource, read_sources
from ksurf.acquire.mirror import PUBLIC, Mirror, apt_mirrors, named_mirrors

KEY = """-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEZZIA
=abcd
-----END PGP PUBLIC KEY BLOCK-----
"""


def write(folder: Path, **files: str) -> Path:
    (folder / "sources.list.d").mkdir()
    for name, text in files.items():
        path = folder / name if name == "sources.list" else folder / "sources.list.d" / name
        path.write_text(text)
    return folder


def test_one_line_sources(tmp_path: Path) -> None:
    write(
        tmp_path,
        **{
            "sources.list": (
                "# deb http://commented.invalid/debian trixie main\n"
                "deb http://one.invalid/debian/ trixie main contrib # a comment\n"
                "deb-src http://one.invalid/debian trixie main\n"
                "deb [arch=amd64 signed-by=/a.gpg,/b.gpg] https://two.invalid/debian trixie-security main\n"
                "deb [signed-by=0123456789ABCDEF] http://three.invalid/debian sid main\n"
                "deb cdrom:[Debian]/ trixie main\n"
                "deb file:/srv/debian trixie main\n"
            ),
            "more.list": "deb\thttp://four.invalid/flat ./\n",
            "ignored.list.save": "deb http://five.invalid/debian trixie main\n",
        },
    )
    assert read_sources(tmp_path) == [
        AptSource("http://one.invalid/debian", ("trixie",), ("main", "contrib"), ()),
        AptSource("https://two.invalid/debian", ("trixie-security",), ("main",), ("/a.gpg", "/b.gpg")),
        AptSource("http://three.invalid/debian", ("sid",), ("main",), ()),
        AptSource("http://four.invalid/flat", ("./",), (), ()),
    ]


def test_deb822_sources(tmp_path: Path) -> None:
    embedded = "\n".join(f" {line or '.'}" for line in KEY.splitlines())
    mirrors = tmp_path / "mirrors"
    mirrors.write_text("# ours\nhttp://five.invalid/debian\tpriority:1\nhttp://six.invalid/debian/\n")
    write(
        tmp_path,
        **{
            "debian.sources": (
                "# what the installer wrote\n"
                "Types: deb deb-src\n"
                "URIs: http://one.invalid/debian http://two.invalid/debian\n"
                "Suites: trixie trixie-updates\n"
                "Components: main non-free\n"
                "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
                "\n"
                "Types: deb-src\nURIs: http://source.invalid/debian\nSuites: trixie\nComponents: main\n"
                "\n"
                "Enabled: no\n"
                "Types: deb\nURIs: http://off.invalid/debian\nSuites: trixie\nComponents: main\n"
                "\n"
                "Types: deb\nURIs: http://three.invalid/x\nSuites: x\nComponents: main\n"
                f"Signed-By:\n{embedded}\n"
                "\n"
                f"Types: deb\nURIs: mirror+file:{mirrors}\nSuites: sid\nComponents: main\n"
            ),
        },
    )
    keyring = ("/usr/share/keyrings/debian-archive-keyring.gpg",)
    sources = read_sources(tmp_path)
    assert sources[:2] == [
        AptSource(
            f"http://{name}.invalid/debian", ("trixie", "trixie-updates"), ("main", "non-free"), keyring
        )
        for name in ("one", "two")
    ]
    assert sources[2] == AptSource("http://three.invalid/x", ("x",), ("main",), (KEY,))
    assert [source.url for source in sources[3:]] == [
        "http://five.invalid/debian",
        "http://six.invalid/debian",
    ]


def test_a_machine_without_apt_has_no_sources(tmp_path: Path) -> None:
    assert read_sources(tmp_path / "none") == []


def test_mirrors_of_debian_are_told_from_others() -> None:
    keyring = ("/k.gpg",)
    sources = [
        AptSource("http://docker.invalid/debian", ("trixie",), ("stable",), ()),
        AptSource("http://pgdg.invalid/apt", ("trixie-pgdg",), ("main",), ()),
        AptSource("http://ubuntu.invalid/ubuntu", ("noble", "noble-security"), ("main",), ()),
        AptSource("http://one.invalid/debian", ("trixie", "trixie-updates"), ("main",), keyring),
        AptSource("http://two.invalid/debian", ("sid",), ("main",), ()),
        AptSource("http://one.invalid/debian-security", ("trixie-security",), ("main",), keyring),
        AptSource("http://old.invalid/security", ("bullseye/updates",), ("main",), ()),
    ]
    main, security = apt_mirrors(sources)
    assert main == [
        Mirror("http://one.invalid/debian", signed_by=keyring, optional=True),
        Mirror("http://two.invalid/debian", optional=True),
        PUBLIC[0],
    ]
    assert security == [
        Mirror("http://one.invalid/debian-security", security=True, signed_by=keyring, optional=True),
        Mirror("http://old.invalid/security", security=True, optional=True),
        PUBLIC[1],
    ]


def test_a_machine_of_another_distribution_asks_the_public_mirrors() -> None:
    ubuntu = AptSource("http://ubuntu.invalid/ubuntu", ("noble",), ("main",), ())
    assert apt_mirrors([ubuntu]) == [[mirror] for mirror in PUBLIC]


def test_a_named_mirror_brings_its_security_sibling_and_nothing_else() -> None:
    assert named_mirrors(["http://m.invalid/debian/"]) == [
        [Mirror("http://m.invalid/debian")],
        [Mirror("http://m.invalid/debian-security", security=True, optional=True)],
    ]
    assert named_mirrors(["http://m.invalid/debian", "http://n.invalid/debian-security"]) == [
        [Mirror("http://m.invalid/debian")],
        [Mirror("http://n.invalid/debian-security", security=True)],
    ]
    assert named_mirrors(["http://n.invalid/debian-security"]) == [
        [Mirror("http://n.invalid/debian-security", security=True)],
    ]


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("proxy='http://cache.invalid:3142'\n", "http://cache.invalid:3142"),
        ("proxy='DIRECT'\n", None),
        ("", None),
    ],
)
def test_apts_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, expected: str | None
) -> None:
    tool = tmp_path / "apt-config"
    tool.write_text(f"#!/bin/sh\ncat <<'END'\n{output}END\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert apt.proxy() == expected


def test_without_apt_there_is_no_proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert apt.proxy() is None
