"""What a log may be wrapped in, and which files hold no log."""

import bz2
import gzip
import io
import lzma
import os
import socket
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snapshots.adapters.cowrie.files import layers
from snapshots.adapters.cowrie.files.layers import MOST_LAYERS, ForeignFile
from snapshots.adapters.cowrie.files.log_file import LogContent
from snapshots.adapters.cowrie.files.watch import FolderWatch
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.app.errors import SettingRefused
from snapshots.app.ports.log_source import LogEvent
from tests.adapters.cowrie.test_log_file import line, read

LINES = b"".join(line(n) + b"\n" for n in range(9))
EVENTS = [f"s{n}" for n in range(9)]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "cowrie.json"


def tar(layout: int) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=layout) as archive:
        for name in ("log/cowrie.json", "log/cowrie.json.1"):
            member = tarfile.TarInfo(name)
            member.size = len(LINES)
            archive.addfile(member, io.BytesIO(LINES))
    return packed.getvalue()


def without_magic(packed: bytes) -> bytes:
    """Return an archive in the format of the first tar, which only the checksum of its header identifies."""
    header = bytearray(packed[:512])
    header[257:265] = bytes(8)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + packed[512:]


TARS = {
    "ustar": tar(tarfile.USTAR_FORMAT),
    "gnu": tar(tarfile.GNU_FORMAT),
    "pax": tar(tarfile.PAX_FORMAT),
    "v7": without_magic(tar(tarfile.USTAR_FORMAT)),
}


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("kind", TARS)
def test_a_tar_archive_is_refused(log: Path, kind: str, compress: Callable[[bytes], bytes]) -> None:
    """Its headers would be read as text, and its first and last events lost with them."""
    log.write_bytes(compress(TARS[kind]))

    with pytest.raises(ForeignFile, match=r"cowrie\.json is a tar archive; extract it"):
        read(log)


def test_a_tar_archive_in_a_pipe_is_refused(tmp_path: Path) -> None:
    """However few bytes arrive at once."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("wb", buffering=0) as to:
            for at in range(0, 600, 100):  # what is refused is not read on
                to.write(TARS["gnu"][at : at + 100])

    writer = Thread(target=write)
    writer.start()
    with pytest.raises(ForeignFile, match="tar archive"):
        read(pipe)
    writer.join()


@pytest.mark.parametrize("magic", layers.FOREIGN)
def test_another_kind_of_file_is_refused_by_its_first_bytes(log: Path, magic: bytes) -> None:
    """Also if it is compressed; the message has the kind of file, and what to do."""
    for content in (magic + os.urandom(99), gzip.compress(magic + b"\0" * 99)):
        log.write_bytes(content)
        with pytest.raises(ForeignFile, match=r"cowrie\.json is .*; .* "):
            read(log)


@pytest.mark.parametrize("times", range(2, MOST_LAYERS + 1))
@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_log_that_was_compressed_again_is_read(log: Path, times: int, compress: Callable[[bytes], bytes]) -> None:
    """A script that rotates may meet its own archives."""
    content = LINES
    for _ in range(times):
        content = compress(content)
    log.write_bytes(content)

    assert read(log) == EVENTS


def test_too_many_nested_archives_are_refused(log: Path) -> None:
    """Each layer needs memory."""
    content = LINES
    for _ in range(MOST_LAYERS + 1):
        content = gzip.compress(content)
    log.write_bytes(content)

    with pytest.raises(ForeignFile, match="compressed more than 3 times; decompress it first"):
        read(log)


UNICODE = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]


@pytest.mark.parametrize("encoding", UNICODE)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_log_in_another_encoding_is_read(
    log: Path, encoding: str, mark: str, compress: Callable[[bytes], bytes]
) -> None:
    """As Windows redirects an output; with a byte order mark or without. It is the same content as in UTF-8."""
    log.write_bytes(LINES)
    plain = LogContent(log, LineDecoder())
    events = [part.event for part in plain.lines() if isinstance(part, LogEvent)]
    middle = plain.mark()

    text = mark * encoding.endswith("e") + LINES.decode() + line(9, input="\U0001f600").decode()
    log.write_bytes(compress(text.encode(encoding)))
    content = LogContent(log, LineDecoder())
    found = list(content.lines())

    assert [part.event for part in found if isinstance(part, LogEvent)][:-1] == events
    assert len(found) == 10
    assert content.head == plain.head
    again = LogContent(log, LineDecoder())
    assert (again.resume([middle]), len(list(again.lines()))) == (middle.offset, 1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(UNICODE), st.binary(max_size=40))
def test_invalid_characters_in_another_encoding_do_not_end_the_reading(encoding: str, noise: bytes) -> None:
    """They are read as a line that is not an event."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cowrie.json"
        path.write_bytes(LINES.decode().encode(encoding) + noise)
        assert [found for found in read(path) if isinstance(found, str)][:9] == EVENTS


@pytest.mark.parametrize(
    "noise", [b"\xff\xfe\n", b"\xfe\xff\n", b"\0\0\0", b"\0", b"\xff\xfe\0\0\n", b"\n\r\r\n", b"\0\0\0\0\n"]
)
def test_noise_before_the_first_line_is_not_taken_for_an_encoding(log: Path, noise: bytes) -> None:
    """Remains of a power failure may look like a byte order mark, or like the beginning of UTF-32."""
    log.write_bytes(noise + LINES)

    assert [found for found in read(log) if isinstance(found, str)] == EVENTS


def test_a_log_in_another_encoding_is_followed(log: Path) -> None:
    """When it grows, it is read again up to its last complete line."""
    watch = FolderWatch([str(log.parent)], LineDecoder(), pytest.fail)
    text = ("\ufeff" + LINES.decode()).encode("utf-16-le")
    sessions = set()
    for end in (1, 5, 400, 901, len(text)):
        log.write_bytes(text[:end])
        for content in watch.changed():
            content.resume([])
            for part in content.lines():
                assert isinstance(part, LogEvent)
                sessions.add(part.logged_id)
    watch.close()

    assert sessions == set(EVENTS)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_follower_reads_an_existing_archive(log: Path, compress: Callable[[bytes], bytes]) -> None:
    """It is complete, because it exists before the follower starts."""
    log.write_bytes(compress(LINES))
    watch = FolderWatch([str(log.parent)], LineDecoder(), pytest.fail)

    (content,) = watch.changed()
    content.resume([])
    assert [part.logged_id for part in content.lines() if isinstance(part, LogEvent)] == EVENTS
    watch.close()


def special_files(folder: Path) -> dict[str, str]:
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "socket"))
    return {str(folder / "pipe"): "named pipe", str(folder / "socket"): "socket", "/dev/zero": "character device"}


def test_a_pipe_a_device_or_a_socket_is_not_followed(tmp_path: Path) -> None:
    """It was passed over without a word, and following waited for ever."""
    for path, kind in special_files(tmp_path).items():
        with pytest.raises(SettingRefused, match=rf"{path} is a {kind}, which --follow cannot read"):
            FolderWatch([str(tmp_path), path], LineDecoder(), pytest.fail)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/null", "/dev/full"])
def test_a_device_is_refused(device: str) -> None:
    """Most have no end."""
    with pytest.raises(
        ForeignFile, match=rf"{device} is a character device; only files, folders and pipes can be loaded"
    ):
        read(Path(device))


def test_a_socket_is_refused(tmp_path: Path) -> None:
    """It cannot be opened as a file."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s"))
        with pytest.raises(ForeignFile, match="is a socket"):
            read(tmp_path / "s")


def test_a_log_of_dockers_local_driver_is_refused(log: Path) -> None:
    """Its records have lengths, which may look like ends of lines: only some events would be found."""
    record = b"\n\x06stdout\x10\x80\x80\x80\x17\x1a\x50" + LINES
    log.write_bytes((len(record).to_bytes(4, "big") + record + len(record).to_bytes(4, "big")) * 2)

    with pytest.raises(ForeignFile, match="is a log of Docker's driver `local`; load the output of `docker logs"):
        read(log)


def test_a_log_for_people_is_refused(log: Path) -> None:
    """Cowrie writes what an attacker types as it is, and a line break in it begins a line of its own."""
    at = b"2026-10-15T10:00:00.000000Z [HoneyPotSSHTransport,0,45.133.1.7] "
    log.write_bytes(at + b"CMD: x\n\t" + LINES + at + b"Connection lost\n")

    with pytest.raises(ForeignFile, match="is Cowrie's text log; load its JSON log"):
        read(log)
