"""OpenBLAS for MLX on Linux, where MLX brings a reference BLAS that is many times slower.

Debian's package has it, and so has the package scipy-openblas32 from pip, which needs no root. Each of its functions
is called `scipy_` and then the usual name, so that it can live beside another BLAS in one process. A copy without that
prefix can be preloaded in place of the BLAS of MLX. The ELF format: Tool Interface Standard, ELF Specification 1.2.
"""

from __future__ import annotations

import contextlib
import importlib.util
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from jarvisd.host import files

PREFIX = b"scipy_"
_DYNSYM, _GNU_HASH = 11, 0x6FFFFFF6  # kinds of sections
_DT_NULL, _DT_HASH, _DT_GNU_HASH = 0, 4, 0x6FFFFEF5  # tags of the dynamic section
_SECTION, _SYMBOL, _ENTRY = "<IIQQQQIIQQ", "<IBBHQQ", "<QQ"
_BUCKETS = 2048


class NotUsable(Exception):
    """Why a library cannot be copied without its prefix."""


def find() -> Path | None:
    """A BLAS to preload: Debian's, else that of pip without its prefix, made at the first call; None elsewhere."""
    if sys.platform != "linux":
        return None
    debian = sorted(Path("/usr/lib").glob("*/openblas-pthread/libblas.so.3"))
    return debian[0] if debian else from_pip()


def from_pip() -> Path | None:
    """The copy of scipy-openblas32's library, beside it; None where that package is missing or cannot be copied."""
    package = importlib.util.find_spec("scipy_openblas32")
    if package is None or package.origin is None:
        return None
    source = Path(package.origin).with_name("lib") / "libscipy_openblas.so"
    target = source.with_name("libblas-of-jarvisd.so")
    with contextlib.suppress(OSError, NotUsable, struct.error):
        if not target.is_file() or target.stat().st_mtime < source.stat().st_mtime:
            files.replace(target, without_prefix(source.read_bytes()))
            target.chmod(0o644)  # as the library itself: another user may run it
        return target
    return None


def without_prefix(library: bytes, prefix: bytes = PREFIX) -> bytes:
    """The same shared library with plain names. Raises NotUsable for one that is not of 64 bits and little-endian.

    A name's entry is moved to behind the prefix, and a System V hash table takes the place of the GNU one: that one
    would have the symbols in another order.
    """
    if library[:6] != b"\x7fELF\x02\x01":
        raise NotUsable("not a library of 64 bits")
    data = bytearray(library)
    sections = list(_sections(library))
    symbols = next((section for section in sections if section[1] == _DYNSYM), None)
    hashes = next((section for section in sections if section[1] == _GNU_HASH), None)
    if symbols is None or hashes is None:
        raise NotUsable("no dynamic symbols")
    names = list(_rename(data, symbols, sections[symbols[6]], prefix))
    table = _hash_table(names)
    if len(table) > hashes[5]:
        raise NotUsable("no room for another hash table")
    data[hashes[4] : hashes[4] + len(table)] = table
    _use_hash_table(data, sections)
    return bytes(data)


def _sections(library: bytes) -> Iterator[tuple[int, ...]]:
    """Each section's header: name, kind, flags, address, offset, size, link, info, alignment, size of an entry."""
    (offset,), (count,) = struct.unpack_from("<Q", library, 40), struct.unpack_from("<H", library, 60)
    for number in range(count):
        yield struct.unpack_from(_SECTION, library, offset + number * struct.calcsize(_SECTION))


def _rename(data: bytearray, symbols: tuple[int, ...], strings: tuple[int, ...], prefix: bytes) -> Iterator[bytes]:
    """Take the prefix off each symbol's name; yields the names in the order of the symbols."""
    step = struct.calcsize(_SYMBOL)
    for place in range(symbols[4], symbols[4] + symbols[5], step):
        (name,) = struct.unpack_from("<I", data, place)
        start = strings[4] + name
        if data.startswith(prefix, start):
            start += len(prefix)
            struct.pack_into("<I", data, place, name + len(prefix))
        yield bytes(data[start : data.index(b"\0", start)])


def _hash_table(names: list[bytes]) -> bytes:
    """The System V hash table: numbers of buckets and symbols, first symbol of each bucket, next one of each symbol."""
    buckets, chain = [0] * _BUCKETS, [0] * len(names)
    for number, name in enumerate(names[1:], start=1):
        bucket = _hash(name) % _BUCKETS
        chain[number], buckets[bucket] = buckets[bucket], number
    return struct.pack(f"<{2 + len(buckets) + len(chain)}I", len(buckets), len(chain), *buckets, *chain)


def _hash(name: bytes) -> int:
    """The hash of the ELF specification, figure 2-15."""
    value = 0
    for byte in name:
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ (high >> 24)) & ~high & 0xFFFFFFFF
    return value


def _use_hash_table(data: bytearray, sections: list[tuple[int, ...]]) -> None:
    """Name the table in the dynamic section as the System V one; an entry that is there already stays."""
    dynamic = next((section for section in sections if section[1] == 6), None)
    if dynamic is None:
        raise NotUsable("no dynamic section")
    for place in range(dynamic[4], dynamic[4] + dynamic[5], struct.calcsize(_ENTRY)):
        tag, value = struct.unpack_from(_ENTRY, data, place)
        if tag == _DT_NULL:
            return
        if tag == _DT_GNU_HASH:
            struct.pack_into(_ENTRY, data, place, _DT_HASH, value)


def blas_environment() -> dict[str, str]:
    """The environment of a job that uses MLX: OpenBLAS preloaded where Linux has it, else nothing."""
    library = find()
    return {} if library is None else {"LD_PRELOAD": str(library)}
