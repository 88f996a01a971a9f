"""The machine's own apt configuration: its mirrors, the keyrings they are signed by, and its proxy.

Sources: sources.list(5), apt-transport-mirror(1), apt.conf(5).
"""

import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

__all__ = ["AptSource", "proxy", "read_sources"]


class AptSource(NamedTuple):
    """One archive that apt is told to use."""

    url: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: tuple[str, ...]
    """Paths of keyrings, or armored keys as they stand in the file; empty if any trusted key will do."""


def read_sources(folder: Path = Path("/etc/apt")) -> list[AptSource]:
    """Read ``sources.list`` and all of ``sources.list.d``, in apt's order; what is not HTTP is left out."""
    sources: list[AptSource] = []
    parts = sorted((folder / "sources.list.d").glob("*"))
    for path in (folder / "sources.list", *parts):
        read = {".list": _one_line, ".sources": _deb822}.get(path.suffix)
        if read is None or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # apt itself warns about a file that it may not read
        sources += read(text)
    return [source._replace(url=url) for source in sources for url in _http_urls(source.url)]


def _one_line(text: str) -> Iterator[AptSource]:
    for line in text.splitlines():
        entry = re.match(r"\s*deb\s+(?:\[([^]]*)\]\s*)?(\S+)\s+(\S+)\s*(.*)", line.partition("#")[0])
        if entry:
            options = dict(word.partition("=")[::2] for word in (entry[1] or "").split())
            keyrings = _paths(options.get("signed-by", "").split(","))
            yield AptSource(entry[2], (entry[3],), tuple(entry[4].split()), keyrings)


def _deb822(text: str) -> Iterator[AptSource]:
    from debian.deb822 import Deb822

    for paragraph in Deb822.iter_paragraphs(text):
        if "deb" not in paragraph.get("Types", "").split() or _is_off(paragraph.get("Enabled", "yes")):
            continue
        suites, components = (tuple(paragraph.get(field, "").split()) for field in ("Suites", "Components"))
        signed_by = paragraph.get("Signed-By", "").strip()
        if "-----BEGIN PGP" in signed_by:
            # A blank line of the key is written as " ." in a field.
            keys: tuple[str, ...] = (re.sub(r"(?m)^ ?(\.$)?", "", signed_by) + "\n",)
        else:
            keys = _paths(signed_by.split())
        for url in paragraph.get("URIs", "").split():
            yield AptSource(url, suites, components, keys)


def _paths(names: Iterable[str]) -> tuple[str, ...]:
    # Signed-By may also name a key by its fingerprint; that is then one of the system's keyrings.
    return tuple(name for name in names if name.startswith("/"))


def _is_off(value: str) -> bool:
    return value.strip().lower() in {"no", "false", "without", "off", "disable"}


def _http_urls(url: str) -> Iterator[str]:
    if url.startswith("mirror+file:"):
        try:
            listed = Path(unquote(urlsplit(url).path)).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return
        urls = [line.split()[0] for line in listed.splitlines() if line.strip() and not line.startswith("#")]
    else:
        urls = [url]
    yield from (one.rstrip("/") for one in urls if one.startswith(("http://", "https://")))


def proxy() -> str | None:
    """Return the HTTP proxy that apt uses, if it is told to use one."""
    try:
        asked = subprocess.run(
            ["apt-config", "shell", "proxy", "Acquire::http::Proxy"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"proxy='(https?://[^']+)'", asked.stdout)
    return found[1] if found else None
