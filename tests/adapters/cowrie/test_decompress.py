"""Damaged archives are read as far as zcat and bzcat read them, whichever library decompresses."""

import bz2
import gzip
import json
import lzma
import shutil
import subprocess
import zlib
from collections.abc import Callable
from functools import partial
from io import BufferedIOBase, BufferedReader, BytesIO
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from isal import isal_zlib

from snapshots.adapters.cowrie.files import decompress
from snapshots.adapters.cowrie.files.decompress import BZIP2, CHUNK, GZIP, XZ, Decompressed
from snapshots.adapters.cowrie.files.log_file import LogContent
from snapshots.adapters.cowrie.lines.byte_streams import DamagedData
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.app.ports.log_source import BadLine, LogEvent, Reason


class Pipe(BytesIO):
    """Bytes that can be read once."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise OSError("a pipe has no places")

    tell = seek


def read(stream: BufferedIOBase, magic: bytes, fast: Any = None, size: int = CHUNK) -> tuple[bytes, str]:
    """Return what a stream holds and what is damaged in it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(decompress, "FAST", fast)
        found, reader = b"", Decompressed(stream, magic)
        assert reader.readable()
        try:
            while piece := reader.read1(size):
                assert len(piece) <= size
                found += piece
        except DamagedData as error:
            with pytest.raises(DamagedData):
                reader.read1(1)
            return found, str(error)
        return found, ""


READERS: dict[str, Callable[[bytes], tuple[bytes, str]]] = {
    "zlib": lambda data: read(BytesIO(data), GZIP),
    "isal": lambda data: read(BufferedReader(BytesIO(data)), GZIP, isal_zlib),
    "isal, some bytes at a time": lambda data: read(BytesIO(data), GZIP, isal_zlib, 97),
    "a pipe": lambda data: read(Pipe(data), GZIP, isal_zlib),
}


def by_hand(data: bytes) -> bytes:
    """Return what zlib finds, byte by byte, in the members of an archive up to the damage."""
    found = b""
    while data.startswith(GZIP):
        member = zlib.decompressobj(31)
        while data and not member.eof:
            try:
                found += member.decompress(data[:1])
            except zlib.error:
                return found
            data = data[1:]
        data = data.lstrip(b"\0")
    return found


texts = st.one_of(
    st.binary(max_size=80), st.sampled_from([b"ab" * 5000, b"", bytes(range(256)) * 3, Random(1).randbytes(17_000)])
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw one or several members with a truncated, changed or added part."""
    data = b"".join(gzip.compress(text, mtime=0) for text in draw(st.lists(texts, min_size=1, max_size=3)))
    if draw(st.booleans()):
        at = draw(st.integers(2, len(data) - 1))
        data = data[:at] + bytes([data[at] ^ draw(st.integers(1, 255))]) + data[at + 1 :]
    data = data[: draw(st.integers(2, len(data)))] if draw(st.booleans()) else data
    return data + draw(st.sampled_from([b"", b"\0" * 700, b"junk", b"\0\0junk", GZIP, b"\x1f"]))


@given(damaged())
@example(gzip.compress(b"") + gzip.compress(b"x"))
@example(gzip.compress(b"x") + b"\0" * 40_000 + gzip.compress(b"y"))
def test_every_reader_yields_the_same_as_plain_zlib(data: bytes) -> None:
    """Up to the last byte before the damage, with the same message; isal may return some bytes more."""
    found = {name: reader(data) for name, reader in READERS.items()}

    expected = by_hand(data)
    assert found["zlib"] == found["a pipe"]
    assert found["zlib"][0] == expected
    assert {text.startswith(expected) for text, _ in found.values()} == {True}
    assert len({damage for _, damage in found.values()}) == 1


TEXT = b"".join(b'{"number":%d,"noise":"%s"}\n' % (n, Random(n).randbytes(20).hex().encode()) for n in range(4000))


def flipped(at: int, data: bytes) -> bytes:
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 0x80]) + data[at + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "zeros behind it": lambda data: data + b"\0" * 5000,
    "junk behind it": lambda data: data + b"junk",
    "cut by 20 bytes": lambda data: data[:-20],
    "cut in half": lambda data: data[: len(data) // 2],
    "a wrong checksum": partial(flipped, -6),
    "a wrong length": partial(flipped, -1),
    "a wrong byte in the middle": lambda data: flipped(len(data) // 2, data),
    "two members": lambda data: data + data,
    "an empty member": lambda data: gzip.compress(b"") + data,
    "a second member that is cut": lambda data: data + data[:-20],
    "a second member of another kind": lambda data: data + b"\x1f\x8b\x07" + data[3:],
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.skipif(shutil.which("zcat") is None, reason="there is no zcat")
def test_all_that_zcat_yields_is_read(reader: str, damage: str, tmp_path: Path) -> None:
    """Where zcat succeeds, no damage is reported."""
    path = tmp_path / "log.gz"
    path.write_bytes(DAMAGES[damage](gzip.compress(TEXT)))
    zcat = subprocess.run(["zcat", path], capture_output=True, check=False)

    found, message = READERS[reader](path.read_bytes())

    assert found.startswith(zcat.stdout)
    assert bool(message) == bool(zcat.returncode)


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name != "an empty member"])
@pytest.mark.skipif(shutil.which("bzcat") is None, reason="there is no bzcat")
def test_all_that_bzcat_yields_is_read(damage: str, tmp_path: Path) -> None:
    """Zeros after the data are not damage, although bzcat warns about them."""
    path = tmp_path / "log.bz2"
    path.write_bytes(DAMAGES[damage](bz2.compress(TEXT, 1)))
    bzcat = subprocess.run(["bzcat", path], capture_output=True, check=False)

    found, message = read(BytesIO(path.read_bytes()), BZIP2, size=7000)

    assert found.startswith(bzcat.stdout)
    assert bool(message) == (damage not in {"none", "zeros behind it", "two members"})


def flipped_at(share: float, data: bytes) -> bytes:
    return flipped(int(len(data) * share), data)


LONGEST_REPETITION = 273
"""Bytes that one symbol of LZMA may stand for."""

DAMAGES_OF_XZ: dict[str, Callable[[bytes], bytes]] = {
    **{name: DAMAGES[name] for name in ("none", "junk behind it", "cut by 20 bytes", "cut in half", "two members")},
    "zeros behind it": lambda data: data + b"\0" * 400,
    "a second member that is cut": lambda data: data + data[:-2000],
    "an empty member": lambda data: lzma.compress(b"") + data,
    "a wrong check": partial(flipped, -24),
    "a wrong byte at the end": partial(flipped, -60),
    **{f"a wrong byte at {tenth} tenths": partial(flipped_at, tenth / 10) for tenth in range(1, 10)},
}


@pytest.mark.parametrize("damage", DAMAGES_OF_XZ)
@pytest.mark.skipif(shutil.which("xz") is None, reason="there is no xz")
def test_all_that_xz_yields_is_read(damage: str, tmp_path: Path) -> None:
    """
    But for the last repetition, of at most 273 bytes, if decoding it found the damage: it is not what was compressed.

    Of a pipe, some bytes more may be missing. Where xz reports no damage, none is reported.
    """
    path = tmp_path / "log.xz"
    path.write_bytes(DAMAGES_OF_XZ[damage](lzma.compress(TEXT)))
    xz = subprocess.run(["xz", "-dc", path], capture_output=True, check=False)

    found, message = read(BytesIO(path.read_bytes()), XZ, size=7000)
    from_pipe, message_from_pipe = read(Pipe(path.read_bytes()), XZ)

    assert xz.stdout.startswith(found)
    assert len(xz.stdout) - len(found) <= LONGEST_REPETITION * (" at " in damage)
    assert bool(message) == bool(xz.returncode)
    assert message_from_pipe == message
    assert len(found) - decompress.OUTPUT_OF_XZ - LONGEST_REPETITION < len(from_pipe) <= len(found)
    assert found.startswith(from_pipe)


def test_xz_data_that_needs_very_much_memory_is_not_decompressed() -> None:
    """The largest dictionary of xz's own levels is decompressed; a file may demand 4 GiB."""

    def packed(dictionary: int) -> bytes:
        return lzma.compress(TEXT[:99], filters=[{"id": lzma.FILTER_LZMA2, "dict_size": dictionary, "preset": 0}])

    assert read(BytesIO(packed(64 * 1024**2)), XZ) == (TEXT[:99], "")
    found, message = read(BytesIO(packed(128 * 1024**2)), XZ)
    assert (found, message) == (
        b"",
        "the compressed data needs more than 72 MiB of memory; decompress it first with xz -dk",
    )


@pytest.mark.parametrize(("magic", "compress"), [(GZIP, gzip.compress), (BZIP2, bz2.compress), (XZ, lzma.compress)])
def test_a_decompression_bomb_is_read_in_chunks(magic: bytes, compress: Callable[[bytes], bytes]) -> None:
    """A few kilobytes can expand to gigabytes."""
    stream = Decompressed(BytesIO(compress(b"\0" * 20 * CHUNK)), magic)
    sizes = []
    while piece := stream.peek():
        sizes.append(len(stream.read1()))
        assert sizes[-1] == len(piece)

    assert sum(sizes) == 20 * CHUNK
    assert max(sizes) <= CHUNK


def test_a_disk_error_is_reported_as_a_disk_error() -> None:
    """It is not reported as a damaged archive."""

    class Failing(BytesIO):
        def read1(self, _size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        Decompressed(Failing(), GZIP).read1()


@pytest.mark.parametrize("damage", ["junk behind it", "a wrong checksum"])
@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("fast", [None, isal_zlib])
def test_no_event_before_the_damage_is_lost(
    fast: Any, compress: Callable[[bytes], bytes], damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4,000 lines went down to 42."""
    monkeypatch.setattr(decompress, "FAST", fast)
    lines = [{"eventid": "cowrie.x", "session": f"{n:x}", "timestamp": "2026-03-01T12:00:00Z"} for n in range(4000)]
    path = tmp_path / "cowrie.json.gz"
    path.write_bytes(DAMAGES[damage](compress("".join(json.dumps(line) + "\n" for line in lines).encode())))

    found = list(LogContent(path, LineDecoder()).lines())

    lost = 20 if damage == "a wrong checksum" and compress is bz2.compress else 0  # 1,000 bytes; bzcat loses 5,000
    assert sum(isinstance(line, LogEvent) for line in found) >= 4000 - lost
    assert isinstance(found[-1], BadLine)
    assert found[-1].reason is Reason.DAMAGED_FILE
    assert b"compressed data" in found[-1].payload
