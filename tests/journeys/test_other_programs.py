"""A host with several honeypots, and files that are not logs."""

import gzip
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from snapshots.app.load.dead_letters import MOST_BYTES
from tests.journeys.conftest import NEW, Run

AT = "2026-11-02T10:00:{:02}.000000Z"
OTHERS: dict[str, dict[str, object]] = {
    "suricata/log/eve.json": {"event_type": "alert", "flow_id": 7, "alert": {"severity": 1}},
    "dionaea/log/dionaea.json": {"connection": {"protocol": "smbd", "type": "accept"}, "session": "a1"},
    "heralding/log/log_session.json": {"session_id": "6e1c", "protocol": "ftp", "auth_attempts": []},
    "adbhoney/log/adbhoney.json": {"eventid": "adbhoney.session.connect", "session": "a2", "sensor": "tpot"},
    "elasticpot/log/elasticpot.json": {"eventid": "elasticpot.recon", "session": "a3", "sensor": "tpot"},
    "honeytrap/log/honeytrap.json": {"category": "ssh", "ssh.sessionid": "a4", "session": "a4"},
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with the logs of many honeypots, one of them Cowrie."""
    folder = tmp_path / "data"
    for name, event in OTHERS.items():
        path = folder / name
        path.parent.mkdir(parents=True)
        lines = [json.dumps(event | {"timestamp": AT.format(n), "src_ip": "8.8.8.8"}) for n in range(60)]
        path.write_text("\n".join(lines) + "\n")
        path.with_name(path.name + ".1.gz").write_bytes(gzip.compress(path.read_bytes()))
    log = folder / "cowrie" / "log"
    log.mkdir(parents=True)
    (log / "cowrie.json").write_bytes(gzip.decompress(NEW.read_bytes()))
    (log / "cowrie-textual.log").write_text("2026-11-02T10:00:00+0000 [HoneyPotSSHTransport,1,8.8.8.8] login attempt\n")
    (folder / "cowrie" / "downloads").mkdir()
    (folder / "cowrie" / "downloads" / "evil.json").write_bytes(gzip.decompress(NEW.read_bytes())[:5000])
    with tarfile.open(folder / "backup.tar.gz", "w:gz") as archive:
        archive.add(log / "cowrie.json")
    (folder / "\x1b[31mred\n.json").write_text("nothing\n")
    (folder / "again").symlink_to(folder)
    os.mkfifo(folder / "pipe.json")
    return folder


def counts(tmp_path: Path) -> tuple[int, int]:
    with sqlite3.connect(tmp_path / "test.db") as connection:
        (events,) = connection.execute("SELECT sum(event_count) FROM session_summaries").fetchone()
        (dead_letters,) = connection.execute("SELECT count(*) FROM dead_letters").fetchone()
    connection.close()
    return events, dead_letters


def test_of_a_folder_of_many_honeypots_only_cowrie_is_loaded(run: Run, data: Path, tmp_path: Path) -> None:
    """The other files are listed on stderr, and their lines become neither sessions nor dead letters."""
    code, out, err = run("load", data)

    assert (code, "509 new events" in out) == (0, True)
    assert counts(tmp_path) == (509, 0)
    assert err.startswith("Skipped 15 files without Cowrie events: ")
    assert ", and 10 more\n" in err
    assert "\nSkipped 1 file (Cowrie's text log; load its JSON log): cowrie-textual.log\n" in err
    assert "\nSkipped 1 file (a tar archive; extract it and load the files): backup.tar.gz\n" in err
    assert "\x1b" not in err


def test_named_files_are_loaded_or_reported(run: Run, data: Path, tmp_path: Path) -> None:
    """As when a shell expands a pattern: each file that is not a log is an error, and the log is loaded."""
    names = [data / name for name in OTHERS]
    lost = tmp_path / "lost\x1b[2J.json"

    code, out, err = run("load", *names, data / "backup.tar.gz", lost, data / "cowrie" / "log" / "cowrie.json")

    assert (code, "509 new events" in out) == (1, True)
    assert counts(tmp_path)[0] == 509
    errors = err.splitlines()
    assert len(errors) == len(OTHERS) + 2
    assert any(
        "eve.json contains no Cowrie events; rejected lines: 60 without a Cowrie eventid" in error for error in errors
    )
    assert any("backup.tar.gz is a tar archive; extract it" in error for error in errors)
    assert any("there is no file or folder" in error for error in errors)
    assert "\x1b" not in err
    assert run("load", data / "cowrie" / "log" / "cowrie.json")[0] == 0


def test_very_many_files_that_cannot_be_loaded_are_counted(run: Run, tmp_path: Path) -> None:
    """A pattern of a shell may name thousands."""
    code, out, err = run("load", *(tmp_path / f"gone{n}.json" for n in range(50)))

    assert (code, out, len(err.splitlines())) == (1, "", 21)
    assert err.endswith("Error: 30 more files could not be loaded\n")


def test_a_large_log_of_another_program_leaves_a_bounded_number_of_dead_letters(run: Run, tmp_path: Path) -> None:
    """If it is named, it is an error; the database does not grow with it, and the number of omitted lines is shown."""
    log = tmp_path / "eve.json"
    event = '{"event_type":"flow","flow_id":%d,"timestamp":"2026-11-02T10:00:00Z","pad":"' + "x" * 900 + '"}\n'
    log.write_text("".join(event % n for n in range(4_000)))

    code, out, err = run("load", log)

    assert (code, "counted but not stored" in out) == (1, True)
    assert "eve.json contains no Cowrie events; rejected lines: 4,000 without a Cowrie eventid" in err
    with sqlite3.connect(tmp_path / "test.db") as connection:
        (size,) = connection.execute("SELECT sum(length(payload)) FROM dead_letters").fetchone()
        query = "SELECT CAST(payload AS TEXT) FROM dead_letters WHERE reason = 'not_kept'"
        ((rest,),) = connection.execute(query).fetchall()
    connection.close()
    assert size < MOST_BYTES
    assert "more lines are not valid events and were not kept" in rest


@pytest.mark.parametrize("content", ["/dev/zero", "a line without end"])
def test_endless_input_does_not_exhaust_memory(tmp_path: Path, content: str) -> None:
    """A device is refused, and a line longer than the limit is skipped."""
    path = Path(content)
    if content != "/dev/zero":
        path = tmp_path / "cowrie.json"
        with path.open("wb") as file:
            file.write(b"x")
            file.truncate(2**27)
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from snapshots.__main__ import main\n"
        "code = main(sys.argv[1:])\n"
        "status = Path('/proc/self/status').read_text().splitlines()\n"
        "print(code, next(line.split()[1] for line in status if line.startswith('VmHWM')))\n"
    )
    command = [sys.executable, "-c", program, "load", str(path), "--db", f"sqlite:///{tmp_path}/test.db"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)

    code, kilobytes = map(int, done.stdout.splitlines()[-1].split())
    assert (code, kilobytes < 150_000, "Error: " in done.stderr) == (1, True, True), done
