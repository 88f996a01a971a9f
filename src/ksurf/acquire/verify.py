"""Signatures of an archive's indexes, checked by ``gpgv`` or ``sqv`` with the system's keyrings.

Sources: RFC 9580 sections 6 and 7 (armor, cleartext signatures), gpgv(1) and GnuPG's doc/DETAILS, sqv(1).
"""

import base64
import binascii
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from enum import Enum
from pathlib import Path

from ksurf.acquire.files import room
from ksurf.errors import VerificationError

__all__ = ["Verdict", "keyring_contents", "split_clearsigned", "system_keyrings", "verify"]

_KEYRINGS = ("debian-archive-keyring.gpg", "debian-archive-keyring.pgp")


class Verdict(Enum):
    """What could be found out about a signature that is not wrong."""

    GOOD = "signed by a key of the keyrings"
    UNKNOWN_KEY = "signed by no valid key of the keyrings"
    NO_TOOL = "neither gpgv nor sqv is installed"
    NO_KEYRING = "no keyring of Debian's archive is installed"


def system_keyrings(root: Path = Path("/")) -> list[Path]:
    """Return the keyrings that the machine trusts for archives, Debian's own first."""
    apt = root / "etc/apt"
    candidates = [
        *(root / "usr/share/keyrings" / name for name in _KEYRINGS),
        apt / "trusted.gpg",
        *sorted((apt / "trusted.gpg.d").glob("*.[ga][ps][gc]")),
    ]
    return [path for path in candidates if path.is_file()]


def keyring_contents(named: Iterable[str | Path]) -> list[bytes]:
    """Return keyrings as binary OpenPGP data; each is a file, armored or not, or an armored key itself."""
    contents = []
    for one in named:
        if isinstance(one, str) and one.startswith("-----BEGIN"):
            contents.append(_dearmored(one.encode()))
            continue
        try:
            data = Path(one).read_bytes()
        except OSError as error:
            raise VerificationError(f"{one}: the keyring cannot be read: {error.strerror}") from error
        contents.append(_dearmored(data) if data.lstrip().startswith(b"-----BEGIN PGP") else data)
    return contents


def _dearmored(armored: bytes) -> bytes:
    # Armor headers, an empty line, base64, a checksum that begins with "=". A file may hold several blocks.
    blocks = re.findall(
        rb"-----BEGIN PGP [A-Z ]+-----\r?\n(?:[A-Za-z]+: .*\n)*\s*\n([^=-]*={0,2})", armored, re.MULTILINE
    )
    try:
        return b"".join(base64.b64decode(block) for block in blocks)
    except binascii.Error as error:
        raise VerificationError(f"a keyring's armor is damaged: {error}") from error


def split_clearsigned(text: bytes) -> tuple[bytes, bytes] | None:
    """Return the signed text and the armored signature of a cleartext-signed file; ``None`` if it is not one.

    Only what the signature covers is returned: anything before or after it is not part of the file.
    """
    found = re.fullmatch(
        rb"-----BEGIN PGP SIGNED MESSAGE-----\r?\n(?:Hash: .*\n)*\r?\n"
        rb"((?s:.*?))\r?\n(-----BEGIN PGP SIGNATURE-----\r?\n(?s:.*?)-----END PGP SIGNATURE-----)\s*",
        text,
    )
    if found is None:
        return None
    lines = found[1].split(b"\n")
    return b"\n".join(line.removeprefix(b"- ").rstrip(b" \t\r") for line in lines), found[2] + b"\n"


def verify(data: bytes, signature: bytes, keyrings: Sequence[bytes], scratch: Path) -> Verdict:
    """Check a detached signature; a wrong one raises :class:`~ksurf.errors.VerificationError`.

    The tools want files: they lie in a folder of their own in ``scratch`` meanwhile.
    """
    tool = shutil.which("gpgv") or shutil.which("sqv")
    if tool is None:
        return Verdict.NO_TOOL
    if not any(keyrings):
        return Verdict.NO_KEYRING
    contents = {"data": data, "signature": signature, **{str(n): ring for n, ring in enumerate(keyrings)}}
    with _temporary_files(contents, scratch) as folder:
        data_path, signature_path, *keyring_paths = (str(folder / name) for name in contents)
        options = [option for path in keyring_paths for option in ("--keyring", path)]
        if Path(tool).name == "gpgv":
            return _gpgv(
                [tool, "--homedir", str(folder), *options, "--status-fd", "1", signature_path, data_path]
            )
        return _sqv([tool, *options, signature_path, data_path])


@contextmanager
def _temporary_files(contents: Mapping[str, bytes], scratch: Path) -> Iterator[Path]:
    with ExitStack() as stack:
        with room(scratch):
            scratch.mkdir(parents=True, exist_ok=True)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".verify-", dir=scratch)))
            for name, content in contents.items():
                (folder / name).write_bytes(content)
        yield folder


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)


def _gpgv(command: list[str]) -> Verdict:
    # Debian signs with several keys; where only one of them is known, gpgv's exit status is a failure.
    status = set(re.findall(r"^\[GNUPG:\] ([A-Z]+)", _run(command).stdout, re.MULTILINE))
    if "BADSIG" in status:
        raise VerificationError("the signature is wrong")
    return Verdict.GOOD if "GOODSIG" in status else Verdict.UNKNOWN_KEY


def _sqv(command: list[str]) -> Verdict:
    done = _run(command)
    if done.returncode == 0 and done.stdout.strip():
        return Verdict.GOOD
    if re.search(r"manipulated|bad signature", done.stderr, re.IGNORECASE):
        raise VerificationError("the signature is wrong")
    return Verdict.UNKNOWN_KEY
