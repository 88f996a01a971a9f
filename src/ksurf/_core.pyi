"""The whole Rust surface: paths in, Arrow streams out. Formats are decoded here; judgements are Python's.

Every function releases the GIL, never calls back into Python, and raises :class:`ReadError` (or ``OSError``)
whose message names the file, the member or offset, and the reason.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, final

from typing_extensions import Buffer

__version__: str
__all__ = [
    "Archive",
    "ArrowStream",
    "BpfObject",
    "Extraction",
    "ModuleNeeds",
    "NamesProgress",
    "NamesReader",
    "Progress",
    "ReadError",
    "SymbolCatalog",
    "__version__",
    "bpf_object",
    "bpf_objects",
    "build_names",
    "core_relocations",
    "core_resolve",
    "core_walk",
    "deb_control",
    "deb_member",
    "decompress",
    "dwarf_types",
    "extract_btf",
    "extract_files",
    "extract_host",
    "extract_package",
    "file_stamps",
    "head",
    "module_needs",
    "module_types",
]

class ReadError(Exception):
    """Input that cannot be read: truncated, corrupt, not what it should be. One line, ready to show."""

@final
class Progress:
    """Counters that a running extraction fills and another thread polls; also the way to stop it."""

    def __init__(self) -> None: ...
    @property
    def bytes_done(self) -> int:
        """Compressed bytes of the package read so far."""
    @property
    def bytes_total(self) -> int:
        """Compressed bytes to read; 0 until known."""
    @property
    def images_done(self) -> int:
        """Images (vmlinux and modules) decoded so far."""
    @property
    def stage(self) -> str:
        """What is going on, for a person: ``"reading"``, ``"decoding vmlinux"``, ``"joining"``."""
    def cancel(self) -> None:
        """Make the extraction stop soon; it then raises :class:`InterruptedError`."""

@final
class ArrowStream:
    """One table, to be taken once by anything that speaks the Arrow PyCapsule interface."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> Any: ...

@final
class Extraction:
    """What one kernel held: its tables, and what could not be read.

    ``tables`` maps a table's name (``docs/tables/``) to its stream. ``release`` is ``uname -r`` from the
    image itself (``linux_banner``, module ``vermagic``), ``machine`` the ELF machine as ``uname -m`` spells
    it (``x86_64``, ``aarch64``, ``ppc64le``, ``riscv64``, ``s390x``, ``armv7l``); ``None`` where the image
    does not tell. ``banner`` is the kernel's ``linux_banner`` (compiler, linker, build), ``config`` its
    configuration as text if it carries it (``CONFIG_IKCONFIG``). ``unreadable`` lists
    ``(image name, path in the package, reason)``; ``incomplete`` the same for images of which only a part,
    named in the reason, is missing from the tables.
    """

    @property
    def tables(self) -> dict[str, ArrowStream]: ...
    @property
    def release(self) -> str | None: ...
    @property
    def machine(self) -> str | None: ...
    @property
    def banner(self) -> str | None: ...
    @property
    def config(self) -> bytes | None: ...
    @property
    def unreadable(self) -> list[tuple[str, str, str]]: ...
    @property
    def incomplete(self) -> list[tuple[str, str, str]]: ...

def extract_package(path: str, *, threads: int = 0, progress: Progress | None = None) -> Extraction:
    """Read a kernel's debug package (``.deb`` or ``.ddeb``) as a stream, never unpacked to disk.

    ``threads`` 0 means one per core. Source: deb(5), ar(5), the .xz and zstd formats, tar(5).
    """

def extract_files(
    vmlinux: str | None,
    modules: list[str],
    *,
    threads: int = 0,
    progress: Progress | None = None,
) -> Extraction:
    """Read image files: a ``vmlinux`` and any number of modules, plain or compressed (xz, zstd, gzip)."""

def extract_host(btf_dir: str = "/sys/kernel/btf", kallsyms: str = "/proc/kallsyms") -> Extraction:
    """Read the running kernel: BTF of vmlinux and of each module, and the kallsyms list."""

def extract_btf(path: str, base: str | None = None) -> Extraction:
    """Read the types of one BTF: an image's ``.BTF``, or a file of nothing else (in ``/sys/kernel/btf``).

    ``base`` is the same of the vmlinux that a module was built for. Of the tables only those of types say
    anything. Source: Documentation/bpf/btf.rst.
    """

def dwarf_types(path: str) -> Extraction:
    """Read the types of one image file from its DWARF, even if it has BTF, to compare the two.

    Of the tables only ``types``, ``definitions`` and ``members`` have rows.
    """

@final
class Archive:
    """The files of a Debian package or of a tar archive (plain, gzip, xz, zstd), as a stream.

    Nothing is unpacked to disk. Links and devices are no files. Source: deb(5), ar(5), tar(5).
    """

    def __new__(cls, path: str) -> Archive:
        """Open the archive and read it up to its files."""
    def next_file(self, limit: int) -> tuple[str, bytes | None, int] | None:
        """The next regular file: its path in the archive, its bytes, and its size; ``None`` at the end.

        The path may be anything. A file of more than ``limit`` bytes has ``None`` instead of them, and is
        only gone past by the next call, however large it claims to be: sum up the sizes before.
        """
    def links(self) -> list[tuple[str, str]]:
        """The links gone past by now: their paths, and what they lead to, counted from the archive's root.

        Those that lead out of the archive are left out.
        """

def core_relocations(data: Buffer) -> ArrowStream:
    """What the CO-RE relocations of an eBPF object are about, in the order in which libbpf applies them.

    ``number`` (int32) counts them from 0. ``section`` and ``offset`` (uint32, bytes) say where the
    instruction is; ``function`` (str?) and ``instruction`` (int32?, counted from 0 in it) the same; ``file``,
    ``line``, ``column`` (int32?) and ``text`` (str?) which source line it comes from. ``kind`` is the kind in
    the kernel's words (``BPF_CORE_FIELD_BYTE_OFFSET``), or a number. ``root_kind`` (``struct``, ``union``,
    ``enum``, ``typedef``...), ``root`` (``task_struct``) and ``flavor`` (``old`` of ``task_struct___old``)
    name the type, ``path`` what of it (``se.vruntime``, an enumerator; null: the type itself), ``type`` a
    field's type in the object, as C, ``value`` (int64?) an enumerator's. ``reason`` says why one makes no
    sense; these are then null. Source: Documentation/bpf/btf.rst, include/uapi/linux/bpf.h.
    """

def core_resolve(
    objects: Sequence[Buffer],
    vmlinux_btf: Buffer,
    module_btfs: Sequence[tuple[str, Buffer]],
) -> ArrowStream:
    """What becomes of the relocations of eBPF objects on the kernel with that BTF: what libbpf would do.

    A row is a relocation: ``object`` (int32, counted from 0) and ``relocation`` (int32, as in
    :func:`core_relocations`). ``status``: ``resolved``; ``missing`` (the kernel does not have it) and
    ``unsuitable`` (in a size that the instruction cannot take), where the instruction is ``poisoned``
    (bool) and the verifier refuses the program only if it can be reached; ``ambiguous`` and ``refused``,
    where libbpf refuses the object. ``value`` (uint64?) is the number in the kernel's types (0 if something
    only is asked for, and not there), ``original`` (uint64?) in the object's; ``instruction`` (binary?) the
    one or two that are loaded. ``image`` and ``type`` (str?) name the kernel's type, ``reason`` (str?) says
    why it is none, or why the answer is no. Modules are searched, in their order, for types that vmlinux
    does not have. Source: libbpf's relo_core.c.
    """

def core_walk(
    objects: Sequence[Buffer],
    vmlinux_btf: Buffer,
    module_btfs: Sequence[tuple[str, Buffer]],
    *,
    kconfig: Mapping[str, str | None] | None = None,
    symbols: dict[str, bool] | None = None,
) -> ArrowStream:
    """What of eBPF objects the verifier of the kernel with that BTF reaches, program by program.

    A row is one use of a relocation, an extern, a helper or the context in one program that is loaded:
    ``object``, ``program``, ``function`` (the program or the function that it calls which holds the
    instruction) and ``instruction`` (counted there), all int32 and as in :class:`BpfObject`. What is used is
    one of ``relocation`` (as in :func:`core_relocations`), ``extern`` (a row of ``externs``), ``helper``
    (``enum bpf_func_id``) and ``load`` (a row of ``context_loads``). ``reached`` is true unless no verifier
    since v5.10 gets there, as long as the program is loaded with ``CAP_PERFMON``; ``used`` says that it is
    reached and that something may depend on what the instruction gives to a register; ``refused`` says that
    it is reached and the program is refused for it: a relocation that is poisoned, a call of a weak function
    that is not there. Whether the kernel has a helper is not asked.

    ``guard_function`` and ``guard_instruction`` (int32?) are the nearest branch that keeps it from being
    reached, ``guard_relocations`` and ``guard_externs`` (lists of int32) what decides that branch; of what
    is refused, the last such branch on a way there, and what decides all of that way.

    ``kconfig`` has the values of options, without quotes, and of ``LINUX_KERNEL_VERSION`` and its like, as
    numbers; ``None`` of those that are not known. Options that it lacks are absent; without it none is
    known. ``symbols`` says of externs whether the kernel has them; of others nobody knows, and both ways are
    reached. Source: kernel/bpf/verifier.c, libbpf.
    """

@final
class ModuleNeeds:
    """What a kernel module needs of the kernel that loads it.

    ``imports`` has ``name`` (str), ``weak`` (bool: it is loaded without it, too) and ``crc`` (uint32?, with
    ``CONFIG_MODVERSIONS``). ``modinfo`` has the keys and values of ``.modinfo`` in their order: ``license``,
    ``import_ns`` (once for each namespace), ``depends``, ``vermagic``, ``name``. ``btf``, ``btf_base`` and
    ``dwarf`` say which types are there; those of the kernel are whole in DWARF only.
    """

    @property
    def imports(self) -> ArrowStream: ...
    @property
    def modinfo(self) -> list[tuple[str, str]]: ...
    @property
    def btf(self) -> bool: ...
    @property
    def btf_base(self) -> bool: ...
    @property
    def dwarf(self) -> bool: ...

def module_needs(path: str) -> ModuleNeeds:
    """Read a module (``.ko``), plain or compressed (xz, zstd, gzip).

    Source: kernel/module/, include/linux/module.h.
    """

def module_types(path: str) -> tuple[dict[str, ArrowStream], str | None] | None:
    """What a module was compiled with, by its DWARF; ``None`` if it has none.

    ``definitions`` and ``members`` are as in datasets, with equal keys: the types that it defines, its own
    and the kernel's, its functions, and those that it declares and calls, whose parameters have no names.
    ``files`` has ``key`` (of a definition) and ``file``, which declares it: relative to the folder that the
    module was compiled in, or absolute. ``named`` has ``kind`` (``struct``, ``union``, ``enum``, ``typedef``)
    and ``name`` of what variables, parameters and results in its code are, or point to; functions that were
    inlined into it count. The text says what could not be read, if something.
    """

def deb_control(path: str) -> str:
    """The ``control`` paragraph of a Debian package, as text. Source: deb(5), deb-control(5)."""

def deb_member(path: str, names: list[str]) -> bytes | None:
    """The first file of a Debian package whose path is, or ends in, one of ``names``; ``None`` if none does.

    The bytes are as they are in the package, at most 16 MiB; it is read no further than that file.
    """

def decompress(data: bytes, limit: int = 16777216) -> bytes:
    """The content of a whole file that may be compressed (xz, zstd, gzip); not more than ``limit`` bytes.

    Its errors name no file. Source: the .xz and zstd formats, RFC 1952.
    """

def head(data: bytes, size: int) -> bytes:
    """The first ``size`` bytes of the content of a file that may be compressed; ``data`` is its beginning.

    Fewer, if there are no more; an error only where ``data`` gives not one (zstd's first block may be 128
    KiB). Its errors name no file.
    """

@final
class BpfObject:
    """One eBPF object: where it was found, its bytes, and what is in it.

    ``section`` is the section of the file that holds it and ``offset`` where it starts in the file, in
    bytes; a file that is an object itself has ``None`` and 0. ``incomplete`` lists ``(place in the
    object, reason)`` of what could not be read. ``license`` and ``kernel_version`` are what its sections
    of these names say.

    ``tables`` maps names to streams. ``program`` and ``callee`` are ids of ``programs``, ``instruction``
    counts from the start of that program, and a wide instruction twice.

    - ``programs``: ``id``, ``name``, ``section`` as written, ``byte_offset`` there, ``byte_size``;
      ``subprogram``: only called by others; ``context``: the struct that its first parameter points to;
      and what libbpf makes of the section: ``optional`` (``?``), ``definition`` (``kprobe.multi``; null
      if it knows none), ``program_type``, ``attach_type``, ``sleepable``, ``mechanism``
      (:class:`ksurf.surface.attach.Mechanism`), ``target``
    - ``calls``: ``program``, ``instruction``, ``callee``, ``address`` (it is not called but handed to a
      helper)
    - ``helper_calls``: ``program``, ``instruction``, ``helper`` (``enum bpf_func_id``), ``name``
    - ``maps``: ``id``, ``name``, ``declared`` (``btf``, ``old``, ``data``: the variables of a section,
      ``inner``), ``type`` (``enum bpf_map_type``), ``type_name``, ``key_size``, ``value_size``,
      ``max_entries``, ``flags``, ``pinning``, ``inner`` (the id of the map that describes those in it);
      null is left to the loader
    - ``externs``: ``id``, ``name``, ``sort`` (``kconfig``, ``variable``, ``function``, ``unknown``),
      ``type`` (C: a type or a prototype; null of a variable of which only the address is known), ``weak``
    - ``relocations``: ``program``, ``instruction``, ``to`` (``map``, ``extern``, ``program``), ``target``
      (an id of that table), ``byte_offset`` (in the data of a map)
    - ``struct_ops``: ``id``, ``name``, ``type`` (the struct), ``section``, ``link``, ``optional``;
      ``struct_ops_members``, those that are set: ``struct_ops``, ``name``, ``program`` (null for a value)
    - ``context_loads``, what programs read of their context, as far as that can be followed: ``program``
      (whose context it is), ``function`` (that has the instruction: the program, or one that it calls),
      ``instruction``, ``byte_offset``, ``byte_size``, ``field`` of the struct ``context`` (as the object has
      it: ``regs[0]``; null where it is none), ``field_type`` (C), ``relocated`` (CO-RE replaces the offset)
    - ``lines``: ``program``, ``instruction``, ``file``, ``line``, ``text``: where this instruction and
      those up to the next row come from; in the order of programs and instructions
    """

    @property
    def section(self) -> str | None: ...
    @property
    def offset(self) -> int: ...
    @property
    def data(self) -> bytes: ...
    @property
    def tables(self) -> dict[str, ArrowStream]: ...
    @property
    def license(self) -> str | None: ...
    @property
    def kernel_version(self) -> int | None: ...
    @property
    def incomplete(self) -> list[tuple[str, str]]: ...

def bpf_objects(path: str) -> list[BpfObject]:
    """Find the eBPF objects of any file: the file itself, or those that a program carries.

    They are told by their ELF headers. One that cannot be read is in the list too, without rows;
    ``incomplete`` says why.
    """

def bpf_object(data: bytes) -> BpfObject:
    """Read the bytes of one eBPF object. Errors name no file."""

_DefinitionRow: TypeAlias = tuple[
    tuple[str, str, str],
    tuple[int, int, int, int],
    tuple[bool, bool],
    tuple[str | None, str | None, str | None, str | None, str | None],
]
"""A definition: ``(name, kind, path)``, ``(line, column, start line, end line)``, ``(is static, is only a
declaration)``, ``(the owner's kind, its name, the member's path, the macro that makes it, parameters)``."""

@final
class NamesProgress:
    """Counters that a running :func:`build_names` fills and another thread polls; also the way to stop it."""

    def __init__(self) -> None: ...
    @property
    def bytes_done(self) -> int:
        """Bytes of source read so far."""
    @property
    def bytes_total(self) -> int:
        """Bytes of source to read; 0 until known."""
    @property
    def files_done(self) -> int:
        """Files read so far."""
    @property
    def stage(self) -> str:
        """What is going on: ``"listing"``, ``"reading"``, ``"joining"``, ``"done"``."""
    def cancel(self) -> None:
        """Make the building stop soon; it then raises :class:`InterruptedError`."""

def file_stamps(paths: list[str]) -> list[tuple[int, int] | None]:
    """The times, in nanoseconds, and the sizes of files; ``None`` for what cannot be asked."""

def build_names(tree: str, target: str, *, threads: int = 0, progress: NamesProgress | None = None) -> None:
    """Make the index of the files below ``tree`` in the folder ``target``, replacing one that is there.

    Links are not followed. ``threads`` 0 means one per core, 8 at most. Failing, it leaves nothing behind.
    Format: ``docs/formats/names-index.md``.
    """

@final
class SymbolCatalog:
    """The catalog of a dataset's symbols, mapped. Format: ``docs/formats/symbol-catalog.md``."""

    def __new__(cls, path: str) -> SymbolCatalog:
        """Open a catalog; :class:`ReadError` if it is damaged, or of another version."""
    def about(self) -> bytes:
        """What it says of itself."""
    def names(self, kind: int) -> tuple[bytes, bytes] | None:
        """The names of a kind: where each starts and the last ends, 32 bits each, and all of them."""
    def find(
        self, text: str, owner: str, path: str, kinds: Sequence[int], limit: int
    ) -> list[tuple[int, str, int, int]]:
        """The best of those that have a text in their names: kind, name, set of kernels, rank.

        All is in one case. Of members, the owner's name has ``owner`` in it, and the path ``path``.
        """

@final
class NamesReader:
    """An index of names and text, open. A name that it does not have is no error: nothing is said of it.

    Paths are relative to the tree; what is no UTF-8 in them is escaped, as :func:`os.fsdecode` does it.
    """

    def __new__(cls, folder: str, tree: str | None = None) -> NamesReader:
        """Open an index; ``tree`` is where its files are, if not where they were from the index."""
    @property
    def tree(self) -> str:
        """The folder of the tree."""
    @property
    def file_count(self) -> int:
        """How many files the tree had."""
    @property
    def name_count(self) -> int:
        """How many different names there are."""
    def check(self) -> None:
        """Read all of it; :class:`ReadError` names the file that is not what was written."""
    def definitions(self, name: str) -> list[_DefinitionRow]:
        """Where a name is defined or declared."""
    def references(self, name: str, limit: int) -> tuple[list[tuple[str, int]], int]:
        """The first lines that mention a name, as ``(path, line)``, and how many there are."""
    def complete(self, prefix: str, limit: int) -> list[tuple[str, int, int]]:
        """Defined names with a prefix, the most mentioned first: ``(name, definitions, lines)``."""
    def file(self, path: str) -> tuple[int, list[_DefinitionRow], list[tuple[str, int, int]]]:
        """A file, read now: how many lines, its definitions, and its identifiers as ``(name, line, column)``.

        :class:`FileNotFoundError` if the tree had no such file.
        """
    def files(self) -> list[tuple[str, int, int, bool]]:
        """All files: ``(path, bytes, lines, whether it is text)``."""
    def search(
        self, pattern: str, *, path_glob: str | None = None, limit: int
    ) -> tuple[list[tuple[str, int, int, str]], bool]:
        """The first lines that match, as ``(path, line, column, text)``, and whether these are all."""
    def documentation(
        self,
        path: str,
        name: str,
        kind: str,
        *,
        start_line: int,
        line: int,
        owner: str | None = None,
        member_path: str | None = None,
        via: str | None = None,
    ) -> tuple[tuple[int, int, str, str], list[tuple[str, str]], list[tuple[str, str]]] | None:
        """The kernel-doc in a file about one of its definitions, whose facts are given.

        ``(first line, last line, name, brief)``, what it says of parameters or members, and its paragraphs by
        their headings. A member has its part of its owner's, as the brief.
        Source: Documentation/doc-guide/kernel-doc.rst.
        """
