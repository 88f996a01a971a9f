"""A kernel's configuration: every form of it, from files and packages, and what is none."""

import gzip
import io
import lzma
import subprocess
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ksurf.acquire.config import config_packages, parse_config, read_config
from ksurf.acquire.source import ConfigSource
from ksurf.errors import InputError
from small_kernel import FLAGS, SOURCES

TEXT = b"""\
#
# Automatically generated file; DO NOT EDIT.
# Linux/x86 6.12.117 Kernel Configuration
#
CONFIG_CC_VERSION_TEXT="gcc-14 (Debian 14.2.0-19) 14.2.0"
CONFIG_64BIT=y
CONFIG_KVM=m
# CONFIG_KCOV is not set

# end of General setup
CONFIG_LOG_BUF_SHIFT=17
CONFIG_PANIC_TIMEOUT=-1
CONFIG_PHYSICAL_START=0x1000000
CONFIG_DEFAULT_INIT=""
CONFIG_CMDLINE="a=\\"b c\\" \\\\ d"
"""
OPTIONS = [
    ("CONFIG_CC_VERSION_TEXT", "gcc-14 (Debian 14.2.0-19) 14.2.0"),
    ("CONFIG_64BIT", "y"),
    ("CONFIG_KVM", "m"),
    ("CONFIG_KCOV", "n"),
    ("CONFIG_LOG_BUF_SHIFT", "17"),
    ("CONFIG_PANIC_TIMEOUT", "-1"),
    ("CONFIG_PHYSICAL_START", "0x1000000"),
    ("CONFIG_DEFAULT_INIT", ""),
    ("CONFIG_CMDLINE", 'a="b c" \\ d'),
]
REL = "6.12.117+deb13-cloud-amd64"


def deb(path: Path, package: str, files: dict[str, bytes], arch: str = "amd64") -> Path:
    """Write a Debian package."""

    def tar(members: dict[str, bytes]) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:xz") as archive:
            for name, content in members.items():
                info = tarfile.TarInfo(f"./{name}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return out.getvalue()

    control = f"Package: {package}\nVersion: 1\nArchitecture: {arch}\n".encode()
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.xz": tar({"control": control}),
        "data.tar.xz": tar(files),
    }
    out = b"!<arch>\n"
    for name, content in members.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content
        out += b"\n" * (len(content) % 2)
    path.write_bytes(out)
    return path


def test_every_kind_of_line() -> None:
    assert parse_config(TEXT, "x") == OPTIONS
    assert parse_config(TEXT.replace(b"\n", b"\r\n"), "x") == OPTIONS
    assert parse_config(b"CONFIG_LAST=y", "x") == [("CONFIG_LAST", "y")]
    assert parse_config(b"CONFIG_INT=\nCONFIG_HEX=1f\nCONFIG_OFF=n\n", "x") == [
        ("CONFIG_INT", ""),
        ("CONFIG_HEX", "1f"),
        ("CONFIG_OFF", "n"),
    ]


def test_the_last_of_two_counts() -> None:
    text = b"CONFIG_A=y\nCONFIG_B=m\n# CONFIG_A is not set\nCONFIG_B=y\n"
    assert parse_config(text, "x") == [("CONFIG_A", "n"), ("CONFIG_B", "y")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "it sets no option"),
        (b"# nothing\n", "it sets no option"),
        (b"CONFIG_A=y\nwhat\n", "line 2: neither an option nor a comment: 'what'"),
        (b"CONFIG_A=y\n CONFIG_B=y\n", "line 2: neither"),
        (b"CONFIG_A-B=y\n", "line 1: neither"),
        (b"CONFIG_A=yes\n", "line 1: the value of CONFIG_A: 'yes'"),
        (b'CONFIG_A="x\n', "line 1: the value of CONFIG_A: '\"x'"),
        (b'CONFIG_A="x\\"\n', "line 1: the value"),
        (b'CONFIG_A="x" y\n', "line 1: the value"),
        (b'CONFIG_A="\x1b[2J"\n', "line 1: the value"),
        (b"\x7fELF\x02\x01\x01" + bytes(range(256)), "line 1: neither"),
        (b"CONFIG_A=y\n" + b"#" * 5_000_000, "line 2 has 5000000 characters"),
        (b'CONFIG_A="' + b"\\" * 50_000, "line 1: the value"),
    ],
)
def test_what_is_no_configuration_is_one_clear_error(text: bytes, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_config(text, "boot/config")
    assert caught.value.message.startswith(f"boot/config: {reason}")
    assert len(caught.value.message) < 200
    assert "\n" not in caught.value.message


NAMES = st.from_regex(r"CONFIG_[A-Za-z0-9_]{1,20}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")))
NUMBERS = st.integers().map(str) | st.integers(0).map(hex)


@settings(deadline=None)  # a busy machine is no failure
@given(st.dictionaries(NAMES, st.sampled_from("ymn") | NUMBERS | TEXTS.map(lambda text: (text,)), min_size=1))
def test_what_kconfig_writes_is_read_as_it_was(options: dict[str, str | tuple[str]]) -> None:
    lines = []
    for name, value in options.items():
        if isinstance(value, tuple):
            escaped = value[0].replace("\\", "\\\\").replace('"', '\\"')
            lines.append(f'{name}="{escaped}"')
        else:
            lines.append(f"# {name} is not set" if value == "n" else f"{name}={value}")
    read = parse_config("\n".join(lines).encode(), "x")
    assert read == [(name, value if isinstance(value, str) else value[0]) for name, value in options.items()]


@settings(deadline=None)  # a busy machine is no failure
@given(st.binary() | st.text('CONFIG_AB=#ymn"\\ \n0x1 is not set').map(str.encode))
def test_anything_is_read_or_refused(text: bytes) -> None:
    try:
        options = parse_config(text, "x")
    except InputError as error:
        assert error.message.startswith("x: ")
    else:
        assert len(dict(options)) == len(options) > 0


def zst(text: bytes) -> bytes:
    """A zstd frame that holds the text as it is: a header, and one raw block. Source: RFC 8878."""
    block = (len(text) << 3 | 1).to_bytes(3, "little")
    return b"\x28\xb5\x2f\xfd\xa0" + len(text).to_bytes(4, "little") + block + text


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, zst])
def test_a_file_compressed_or_not(tmp_path: Path, pack: type[bytes]) -> None:
    path = tmp_path / "any name"
    path.write_bytes(pack(TEXT))
    config = read_config(ConfigSource(path), None)
    assert config.options == OPTIONS
    digest = sha256(path.read_bytes()).hexdigest()
    assert config.facts == {"kind": "file", "file": "any name", "sha256": digest}


@pytest.mark.parametrize(
    ("package", "member"),
    [
        (f"linux-headers-{REL}", f"usr/src/linux-headers-{REL}/.config"),
        (f"linux-base-{REL}", f"usr/lib/modules/{REL}/config"),
        (f"linux-modules-{REL}", f"boot/config-{REL}"),
        (f"linux-image-{REL}", f"boot/config-{REL}"),
        (f"linux-image-{REL}-unsigned", f"boot/config-{REL}"),
        (f"linux-image-unsigned-{REL}", f"boot/config-{REL}"),
    ],
)
def test_a_package_of_the_release(tmp_path: Path, package: str, member: str) -> None:
    path = deb(tmp_path / "x.deb", package, {"a/.config": b"other", "a/config": b"other", member: TEXT})
    for release in (REL, None):
        assert read_config(ConfigSource(path), release).options == OPTIONS
    facts = read_config(ConfigSource(path), None).facts
    assert facts == {"kind": "package", "file": "x.deb", "sha256": sha256(path.read_bytes()).hexdigest()}
    assert read_config(ConfigSource(path, "checked"), REL).facts["sha256"] == "checked"
    with pytest.raises(
        InputError, match=r"x\.deb: it is of .*cloud-amd64, and the kernel is 6\.1\.0-5-amd64"
    ):
        read_config(ConfigSource(path), "6.1.0-5-amd64")


@pytest.mark.parametrize(
    ("release", "name"),
    [
        (REL, "amd64_none_cloud-amd64"),
        ("6.12.117+deb13-amd64", "amd64_none_amd64"),
        ("6.12.117+deb13-rt-amd64", "amd64_rt_amd64"),
        ("7.3.4+deb13-rt-amd64", "amd64_none_rt-amd64"),
        ("7.3-rc7-amd64", "amd64_none_amd64"),
        ("5.10.0-46-cloud-amd64", "amd64_none_cloud-amd64"),
        ("6.1.0-0.deb11.52-amd64", "amd64_none_amd64"),
        ("6.12.107+deb13-powerpc64le-64k", "amd64_none_powerpc64le-64k"),
        ("6.1.0-50-686-pae", "amd64_none_686-pae"),
    ],
)
def test_a_package_of_all_flavours(tmp_path: Path, release: str, name: str) -> None:
    folder = "usr/src/linux-config-6.12"
    others = ["none_686", "none_amd64", "none_cloud-amd64", "none_rt-amd64", "rt_amd64", "none_64k"]
    files = {f"{folder}/config.amd64_{other}.xz": lzma.compress(b"CONFIG_OTHER=y\n") for other in others}
    own = f"{folder}/config.{name}.xz"
    files = {path: content for path, content in files.items() if path != own}
    if "rt" in name:
        files = {path: content for path, content in files.items() if "rt" not in path}
    path = deb(tmp_path / "x.deb", "linux-config-6.12", {**files, own: lzma.compress(TEXT)})
    assert read_config(ConfigSource(path), release).options == OPTIONS
    with pytest.raises(InputError, match=r"x\.deb: which of its configurations") as caught:
        read_config(ConfigSource(path), None)
    assert "--release" in str(caught.value.hint)
    with pytest.raises(InputError, match=r"x\.deb: no configuration of 6\.12\.1-mine in it"):
        read_config(ConfigSource(path), "6.12.1-mine")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    def message(path: Path) -> str:
        with pytest.raises(InputError) as caught:
            read_config(ConfigSource(path), REL)
        assert "\n" not in caught.value.message
        return caught.value.message

    assert message(tmp_path / "gone") == f"{tmp_path}/gone: No such file or directory"
    assert message(tmp_path) == f"{tmp_path}: Is a directory"
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(TEXT)[:-9])
    assert message(path).startswith(f"{path}: truncated: gzip stream")
    path.write_bytes(lzma.compress(bytes(17 << 20)))
    assert message(path).startswith(f"{path}: too large: ")
    path.write_bytes(bytes(17 << 20))
    assert message(path) == f"{path}: longer than the 16777216 bytes that a configuration may have"
    path.write_bytes(b"!<arch>\nnot a package")
    assert message(path).startswith(f"{path}: ")
    whole = deb(path, f"linux-headers-{REL}", {f"usr/src/linux-headers-{REL}/.config": TEXT}).read_bytes()
    path.write_bytes(whole[:-200])
    assert message(path).startswith(f"{path}: data.tar.xz: ")
    deb(path, f"linux-headers-{REL}", {f"usr/src/linux-headers-{REL}/.config": b"what"})
    assert message(path).startswith(f"{path}: line 1: neither")
    deb(path, f"linux-headers-{REL}", {})
    assert message(path) == f"{path}: no configuration of {REL} in it"


def test_the_packages_to_ask_for() -> None:
    assert config_packages(REL, "6.12")[:3] == (
        f"linux-headers-{REL}",
        f"linux-base-{REL}",
        "linux-config-6.12",
    )


def test_an_image_that_carries_its_configuration(tmp_path: Path) -> None:
    from ksurf import _core

    (tmp_path / "config.gz").write_bytes(gzip.compress(TEXT))
    source = tmp_path / "config.S"
    source.write_text('.section .rodata\n.ascii "IKCFG_ST"\n.incbin "config.gz"\n.ascii "IKCFG_ED"\n')
    image = tmp_path / "vmlinux"
    sources = [*(SOURCES / name for name in ("core.c", "driver.c")), source]
    subprocess.run(["gcc", *FLAGS, *sources, "-o", image], cwd=tmp_path, check=True)
    assert _core.extract_files(str(image), []).config == TEXT
