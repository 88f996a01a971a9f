"""The explorer under load: ``python -m benchmarks.web DATASET SOURCES FOLDER``.

``DATASET`` is asked for symbols and comparisons, ``SOURCES`` for source. A server is started for each, as
people start it, and asked over loopback by this process, at moments that are drawn at random around the rate:
as many people do, who know nothing of each other. What waits for another request counts, at the client.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from benchmarks.kernels import KSURF
from ksurf.dataset.store import Store
from ksurf.dataset.unpacked.cache import Unpacked
from ksurf.series import default_baseline
from ksurf.surface.history import neighbours
from ksurf.web.addresses import compare_path, source_path, symbol_path

RATE = 50
"""Requests in a second."""
SECONDS = 20
_LIMITS = {"symbol": 30.0, "search": 20.0, "source": 60.0, "compare": 500.0}
"""Milliseconds that 95 of 100 answers may take the server."""
_PAGE_LIMIT = 300.0
"""Kilobytes of a page, compressed."""
_MEMORY_LIMIT = 1024.0
"""Mebibytes of all processes of the server."""
_START_LIMIT = 2.0
_READY_SECONDS = 600
_WELL_KNOWN = (
    "/function/memcpy",
    "/function/kfree",
    "/function/mutex_lock",
    "/function/vfs_read",
    "/function/kvm_vcpu_kick",
    "/struct/task_struct",
    "/struct/net_device",
    "/struct/kvm",
    "/enum/bpf_func_id",
    "/calls/kfree?way=callers",
    "/calls/start_kernel?way=callees",
    "/search?q=a",
    "/kernels",
)
"""Pages with much on them."""
_NAMES = {
    "function": (12, "SELECT DISTINCT function FROM instances"),
    "struct": (5, "SELECT DISTINCT name FROM types WHERE kind = 'struct'"),
    "field": (
        4,
        "SELECT DISTINCT definition_name || '::' || name FROM members "
        "WHERE kind = 'struct' AND depth = 0 AND definition_name != '' AND name != ''",
    ),
    "union": (1, "SELECT DISTINCT name FROM types WHERE kind = 'union'"),
    "enum": (1, "SELECT DISTINCT name FROM types WHERE kind = 'enum'"),
    "typedef": (1, "SELECT DISTINCT name FROM types WHERE kind = 'typedef'"),
    "tracepoint": (2, "SELECT DISTINCT system || ':' || name FROM tracepoints WHERE system != ''"),
    "syscall": (1, "SELECT DISTINCT name FROM syscalls"),
    "export": (2, "SELECT DISTINCT name FROM exports"),
    "config": (1, "SELECT DISTINCT name FROM config"),
}
"""How often each kind is asked for, in thirtieths, and where its names are."""


# ---- the server


class Server:
    """``ksurf serve``, with the processes that it starts."""

    def __init__(self, process: subprocess.Popen[str], address: str, started: float) -> None:
        self.process = process
        self.port = int(address.rstrip("/").rpartition(":")[2])
        self.started = started
        """The moment at which the command was given."""

    def processes(self) -> list[int]:
        """All of them; some come and go."""
        parents: dict[int, int] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
        found = [self.process.pid]
        for process in found:
            found += [child for child, parent in parents.items() if parent == process]
        return found

    def processor_seconds(self) -> float:
        """What all of them have used until now, and those that have ended."""
        ticks = 0
        for process in self.processes():
            try:
                fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            ticks += sum(map(int, fields[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self) -> dict[str, float]:
        """Mebibytes, summed over the processes: resident; what they share counted once; files in that."""
        totals: Counter[str] = Counter()
        for process in self.processes():
            try:
                lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            except OSError:
                continue
            for line in lines:
                name, _, value = line.partition(":")
                if name in {"Rss", "Pss", "Pss_File"}:
                    totals[name] += int(value.split()[0])
        return {name: kibibytes / 1024 for name, kibibytes in totals.items()}


@contextmanager
def serving(dataset: Path, cache: Path) -> Iterator[Server]:
    """A server of the dataset, as it is when it was just started."""
    command: list[str | Path] = [KSURF, "serve", "--port", "0", "--dataset", dataset, "--cache", cache]
    started = time.perf_counter()
    environment = {**os.environ, "KSURF_CACHE": str(cache), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            yield Server(process, process.stdout.readline().split()[0], started)
        finally:
            process.terminate()


def until_ready(dataset: Path, cache: Path) -> None:
    """Wait until the server has made what it makes beside its first answers."""
    unpacked, store = Unpacked(dataset, cache), Store(dataset)
    kernels = [store.directory(manifest.kernel.id) for manifest in store.kernels()]
    until = time.monotonic() + _READY_SECONDS
    while unpacked.missing(kernels):
        if time.monotonic() > until:
            raise SystemExit(f"tables of {dataset} were not unpacked in {_READY_SECONDS} s")
        time.sleep(0.2)


# ---- the client


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    path: str
    status: int
    byte_size: int
    """Of the body, compressed."""
    server_ms: float
    client_ms: float
    """From the moment at which it was to be asked for, until all of it was there."""


class Client:
    """Connections that stay open, like those of browsers."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()
        self.opened = 0

    async def get(self, path: str, due: float | None = None) -> Answer:
        """Ask for a path; ``due`` is when that was to be."""
        due = time.perf_counter() if due is None else due
        if self._idle:
            reader, writer = self._idle.popleft()
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
            self.opened += 1
        lines = (f"GET {path} HTTP/1.1", "host: 127.0.0.1", "accept-encoding: gzip", "accept: text/html")
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        size = 0
        if "content-length" in headers:
            size = int(headers["content-length"])
            await reader.readexactly(size)
        elif headers.get("transfer-encoding") == "chunked":
            while part := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
                await reader.readexactly(part + 2)
                size += part
            await reader.readuntil(b"\r\n")
        done = time.perf_counter()
        self._idle.append((reader, writer))
        server = float(headers["server-timing"].rpartition("dur=")[2])
        return Answer(path, int(head[0].split()[1]), size, server, (done - due) * 1000)

    def close(self) -> None:
        """Close what is open."""
        for _, writer in self._idle:
            writer.close()


async def load(port: int, paths: Sequence[str], rate: float, seed: int) -> list[Answer]:
    """Ask for all of these, one after the other, whether those before are answered or not."""
    client = Client(port)
    moments = random.Random(seed)
    begin = due = time.perf_counter()
    tasks = []
    for path in paths:
        due += moments.expovariate(rate)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(client.get(path, due)))
    answers = await asyncio.gather(*tasks)
    took = time.perf_counter() - begin
    print(f"  {len(paths)} requests in {took:.1f} s, over {client.opened} connections", flush=True)
    client.close()
    return answers


def asked(port: int, paths: Sequence[str]) -> list[Answer]:
    """Ask for these one at a time."""

    async def each() -> list[Answer]:
        client = Client(port)
        found = [await client.get(path) for path in paths]
        client.close()
        return found

    return asyncio.run(each())


# ---- what is asked for


def names(dataset: Path, kind: str, count: int) -> list[str]:
    """Random names of a kind, of those that the dataset has; the same in each run."""
    statement = f"SELECT * FROM ({_NAMES[kind][1]}) AS found(name) ORDER BY hash(name) LIMIT {count}"
    command: list[str | Path] = [KSURF, "sql", statement, "--format", "json", "--dataset", dataset]
    rows = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return [row["name"] for row in rows if row["name"]]


def drawn_symbols(dataset: Path, chosen: random.Random, count: int) -> list[tuple[str, str]]:
    """Kinds and names; none is there twice unless a kind has no more."""
    parts = sum(share for share, _ in _NAMES.values())
    found = []
    for kind, (share, _) in _NAMES.items():
        wanted = -(-count * share // parts)
        own = names(dataset, kind, wanted)
        found += [(kind, own[index % len(own)]) for index in range(wanted)]
    chosen.shuffle(found)
    return found[:count]


def typed(symbols: Sequence[tuple[str, str]], chosen: random.Random, count: int) -> list[str]:
    """What a few people type at once, letter by letter, until the name stands there or they see it."""
    people: list[Iterator[str]] = []
    waiting = iter(symbols)
    found: list[str] = []
    while len(found) < count:
        while len(people) < 5:
            kind, name = next(waiting)
            letters = name[: chosen.randint(3, 14)]
            prefix = chosen.choice(["", "", "", f"{kind}:"])
            people.append(iter([prefix + letters[:end] for end in range(1, len(letters) + 1)]))
        person = chosen.choice(people)
        if (text := next(person, None)) is None:
            people.remove(person)
        else:
            found.append(f"/search.json?q={quote(text)}")
    return found


def drawn_comparisons(dataset: Path, symbols: Sequence[tuple[str, str]], count: int) -> list[list[str]]:
    """Pages of comparisons; first those that have to be there before others are quick."""
    kernels = [manifest.kernel for manifest in Store(dataset).kernels()]
    baseline = default_baseline(kernels)
    pairs = [(old.id, new.id) for old, new in neighbours(kernels) if new.arch == baseline.arch]
    first = [compare_path(old, new) for old, new in pairs]
    chosen = random.Random(6)
    found: list[str] = []
    while len(found) < count:
        path = chosen.choice(first)
        kind = chosen.choice(["", "function", "struct", "tracepoint", "export", "config"])
        match chosen.randrange(4):
            case 0:
                found.append(path)
            case 1:
                page = chosen.choice(["", "&page=2"])
                found.append(
                    f"{path}?kind={kind}&what={chosen.choice(['', 'added', 'removed', 'changed'])}{page}"
                )
            case 2:
                text = chosen.choice(symbols)[1][:4]
                found.append(f"{path}?text={quote(text)}&sort={chosen.choice(['', 'name', '-changes'])}")
            case _:
                found.append(
                    f"{path}/{chosen.choice(['struct/task_struct', 'struct/kvm', 'function/vfs_read'])}"
                )
    return [first, found]


def drawn_sources(dataset: Path, chosen: random.Random, count: int) -> list[str]:
    """Files of which units were read, as the newest tree's kernel compiled them."""
    from ksurf.source.tree import Trees

    tree = max(Trees(dataset).load()[0], key=lambda tree: tree.id)
    files = [
        path.relative_to(tree.root).as_posix()
        for folder in ("virt/kvm", "arch/arm64/kvm", "arch/arm64/kvm/vgic")
        for path in sorted((tree.root / folder).glob("*.c"))
    ]
    return [source_path(tree.id, chosen.choice(files)) for _ in range(count)]


# ---- what is told


def figure(what: str, value: float, unit: str, limit: float | None = None) -> None:
    """Print a figure, and whether it is where it must be."""
    promised = "" if limit is None else f"   at most {limit:g}: {'yes' if value <= limit else 'NO'}"
    print(f"  {what:<46} {value:9.2f} {unit}{promised}", flush=True)


def percentile(values: Sequence[float], part: int) -> float:
    """The value that so many of a hundred do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, -(-len(ordered) * part // 100) - 1)]


def measured(title: str, server: Server, paths: Sequence[str], limit: float, rate: float, seed: int) -> None:
    """Load the server with these, and print what that was like."""
    print(f"\n{title}, {rate:g} requests/s", flush=True)
    before, own = server.processor_seconds(), time.process_time()
    answers = asyncio.run(load(server.port, paths, rate, seed))
    own, spent = time.process_time() - own, server.processor_seconds() - before
    failed = Counter(answer.status for answer in answers if answer.status not in {200, 404})
    sides = {
        "on the server": [answer.server_ms for answer in answers],
        "at the client": [answer.client_ms for answer in answers],
    }
    for side, times in sides.items():
        for part in (50, 95, 99):
            promised = limit if part == 95 and side == "on the server" else None
            figure(f"p{part} {side}", percentile(times, part), "ms", promised)
    figure("processor time of the server, a request", spent / len(answers) * 1000, "ms")
    figure("processor time of the load itself, a request", own / len(answers) * 1000, "ms")
    missing = sum(answer.status == 404 for answer in answers)
    if missing or failed:
        print(f"  not found: {missing}; failed: {dict(failed)}", flush=True)
    slowest = sorted(answers, key=lambda answer: -answer.server_ms)[:3]
    print("  slowest: " + ", ".join(f"{answer.path} {answer.server_ms:.0f} ms" for answer in slowest))
    sized(answers)
    memory = server.memory()
    figure("memory, resident, summed over processes", memory["Rss"], "MiB")
    figure("memory, what is shared counted once", memory["Pss"], "MiB", _MEMORY_LIMIT)
    figure("  of that files that are mapped", memory["Pss_File"], "MiB")


def sized(answers: Sequence[Answer]) -> None:
    """Print the largest page."""
    largest = max(answers, key=lambda answer: answer.byte_size)
    figure("largest page, compressed", largest.byte_size / 1000, "kB", _PAGE_LIMIT)
    print(f"  that is {largest.path}", flush=True)


def started(dataset: Path, cache: Path, path: str, state: str) -> None:
    """Measure how long it takes from the command to the first page."""
    with serving(dataset, cache) as server:
        asked(server.port, [path])
        figure(
            f"start to first page {path}, {state}", time.perf_counter() - server.started, "s", _START_LIMIT
        )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.web", description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("sources", type=Path)
    parser.add_argument("folder", type=Path, help="takes the server's cache")
    parser.add_argument("--only", action="append", choices=_LIMITS, help="just this; may be repeated")
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args()
    parts = options.only or list(_LIMITS)
    count = int(options.rate * options.seconds)
    chosen = random.Random(6)
    cache = options.folder / "cache"
    symbols = drawn_symbols(options.dataset, chosen, count)

    def run(title: str, part: str, server: Server, paths: Sequence[str]) -> None:
        measured(title, server, paths, _LIMITS[part], options.rate, seed=len(part))

    print("\nStart", flush=True)
    started(options.dataset, cache, "/", "as things are")
    if {"symbol", "search", "compare"}.intersection(parts):
        with serving(options.dataset, cache) as server:
            until_ready(options.dataset, cache)
            print("\nPages with much on them, one at a time", flush=True)
            sized(asked(server.port, _WELL_KNOWN))
            if "symbol" in parts:
                run("Pages of symbols", "symbol", server, [symbol_path(*one) for one in symbols])
            if "search" in parts:
                run("Search as you type", "search", server, typed(symbols, chosen, count))
            if "compare" in parts:
                first, paths = drawn_comparisons(options.dataset, symbols, count)
                begin = time.perf_counter()
                for path in first:
                    while asked(server.port, [path])[0].status == 202:  # it is being computed
                        time.sleep(0.2)
                figure(
                    "comparing them for the first time, a pair",
                    (time.perf_counter() - begin) / len(first),
                    "s",
                )
                run("Comparisons that were made before", "compare", server, paths)
        started(options.dataset, cache, "/", "tables unpacked")
        started(options.dataset, cache, "/function/vfs_read", "tables unpacked")
    if "source" in parts:
        with serving(options.sources, cache) as server:
            until_ready(options.sources, cache)
            paths = drawn_sources(options.sources, chosen, count)
            asked(server.port, sorted(set(paths)))  # units are read, the first time
            run("Source, units that were read before", "source", server, paths)


if __name__ == "__main__":
    main()
