"""Signatures: only what they cover is read, and only keys of the keyrings count."""

import re
import shutil
from pathlib import Path

import pytest

from full_disk import room_for
from ksurf.acquire.verify import Verdict, keyring_contents, split_clearsigned, system_keyrings, verify
from ksurf.errors import DiskFullError, VerificationError

DATA = Path(__file__).parent / "data/archive"
IN_RELEASE = (DATA / "InRelease").read_bytes()
KEY = DATA / "archive-key.asc"
OTHER_KEY = DATA / "other-key.gpg"

tools = [
    pytest.param(
        tool, marks=pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")
    )
    for tool in ("gpgv", "sqv")
]


@pytest.fixture(params=tools)
def tool(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    path = shutil.which(request.param)
    monkeypatch.setattr(shutil, "which", lambda name: path if name == request.param else None)
    return str(request.param)


def split() -> tuple[bytes, bytes]:
    parts = split_clearsigned(IN_RELEASE)
    assert parts is not None
    return parts


def test_the_signed_text_is_unescaped() -> None:
    data, signature = split()
    assert b"Codename: trixie\n" in data
    assert b"\n- dashed\n" in data
    assert b"leave alone\n" in data  # a cleartext signature does not cover spaces at the end of lines
    assert data.startswith(b"Origin: Debian")
    assert data.endswith(b"main/binary-amd64/Packages")
    assert signature.startswith(b"-----BEGIN PGP SIGNATURE-----\n")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"Origin: Debian\n",
        b"Codename: unsigned\n" + IN_RELEASE,
        IN_RELEASE + b"Codename: unsigned\n",
        IN_RELEASE.replace(b"\nOrigin", b"Origin", 1),
        IN_RELEASE.partition(b"-----END")[0],
    ],
)
def test_what_is_not_wholly_signed_is_not_taken(text: bytes) -> None:
    assert split_clearsigned(text) is None


def test_a_good_signature(tool: str, tmp_path: Path) -> None:
    assert verify(*split(), keyring_contents([KEY]), tmp_path) is Verdict.GOOD
    assert verify(*split(), keyring_contents([OTHER_KEY, KEY]), tmp_path) is Verdict.GOOD


def test_an_armored_key_of_apts_configuration(tool: str, tmp_path: Path) -> None:
    assert verify(*split(), keyring_contents([KEY.read_text()]), tmp_path) is Verdict.GOOD


def test_a_key_that_is_not_known(tool: str, tmp_path: Path) -> None:
    assert verify(*split(), keyring_contents([OTHER_KEY]), tmp_path) is Verdict.UNKNOWN_KEY


@pytest.mark.parametrize("change", [(b"trixie", b"evil"), (b"Packages", b"Packages ")])
def test_a_changed_text(tool: str, change: tuple[bytes, bytes], tmp_path: Path) -> None:
    data, signature = split()
    with pytest.raises(VerificationError, match="the signature is wrong"):
        verify(data.replace(*change) + b"!", signature, keyring_contents([KEY]), tmp_path)


@pytest.mark.parametrize("keyrings", [[], [b""]])
def test_without_a_keyring(keyrings: list[bytes], tmp_path: Path) -> None:
    if shutil.which("gpgv") or shutil.which("sqv"):
        assert verify(*split(), keyrings, tmp_path) is Verdict.NO_KEYRING


@pytest.mark.parametrize("byte_size", [0, 10, 100])
def test_a_full_disk(tool: str, byte_size: int, tmp_path: Path) -> None:
    with room_for(byte_size), pytest.raises(DiskFullError, match=re.escape(f"{tmp_path}: no room")):
        verify(*split(), keyring_contents([KEY]), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_a_tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert verify(*split(), keyring_contents([KEY]), tmp_path) is Verdict.NO_TOOL


def test_a_keyring_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="gone"):
        keyring_contents([tmp_path / "gone"])
    damaged = tmp_path / "damaged.asc"
    damaged.write_bytes(KEY.read_bytes().replace(b"\n\n", b"\n\nA", 1))
    with pytest.raises(VerificationError, match="armor is damaged"):
        keyring_contents([damaged])


def test_the_systems_keyrings(tmp_path: Path) -> None:
    names = [
        "usr/share/keyrings/debian-archive-keyring.gpg",
        "etc/apt/trusted.gpg.d/a.asc",
        "etc/apt/trusted.gpg.d/b.gpg",
        "etc/apt/trusted.gpg.d/c.bak",
        "usr/share/keyrings/somebody.gpg",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert system_keyrings(tmp_path) == [tmp_path / name for name in names[:3]]
