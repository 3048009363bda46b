"""Units for systemd: what can be checked without systemd."""

import re
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest
from tools.build_docs import UNITS

from snapshots.__main__ import main
from snapshots.adapters.cli.commands.deployment.unit_files import (
    EXAMPLE,
    NAMES,
    Installation,
    this_program,
    unit_files,
)
from snapshots.app.errors import SettingRefused

SANDBOX = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "read-only",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6",
    "StateDirectory": "snapshots",
    "SystemCallArchitectures": "native",
}


def unit(text: str) -> ConfigParser:
    settings = ConfigParser(interpolation=None, strict=False)
    settings.optionxform = str  # type: ignore[assignment,method-assign]
    settings.read_string(text)
    return settings


def test_the_units_in_the_documentation_are_those_of_the_program() -> None:
    """To renew them, run tools/build_docs.py."""
    assert {file.name: file.read_text() for file in UNITS.iterdir()} == unit_files(EXAMPLE)


@pytest.mark.parametrize("name", NAMES)
def test_every_service_is_confined(name: str) -> None:
    """No service can gain rights, or write outside of its folder; each ends its timer or is started at boot."""
    files = unit_files(EXAMPLE, (name,))
    service = unit(files[f"snapshots-{name}.service"])

    assert SANDBOX.items() <= dict(service["Service"]).items()
    assert "ReadWritePaths" not in service["Service"]
    assert service["Service"]["User"] == "snapshots"
    if service["Service"].get("Type") == "oneshot":
        timer = unit(files[f"snapshots-{name}.timer"])
        assert timer["Timer"]["OnCalendar"] in {"daily", "weekly"}
        assert timer["Install"]["WantedBy"] == "timers.target"
        assert timer["Unit"]["Description"] == service["Unit"]["Description"]
    else:
        assert list(files) == [f"snapshots-{name}.service"]
        assert service["Install"]["WantedBy"] == "multi-user.target"
        assert service["Service"]["Restart"] == "on-failure"


def test_the_units_have_what_the_options_name(capsys: pytest.CaptureFixture[str]) -> None:
    """Quoted as systemd reads it: % begins a specifier there, and $ a variable."""
    folders = {"--logs": '/srv/my "logs" 100%', "--backups": "/mnt/back ups/", "--db": "/srv/data/$x.db"}
    options = [word for pair in folders.items() for word in pair]

    assert main(["systemd", "--print", *options, "--user", "honey", "--program", "/usr/bin/snapshots"]) == 0
    printed = capsys.readouterr().out
    heads = re.split(r"^# (snapshots[\w-]*\.\w+)\n", printed, flags=re.MULTILINE)
    parts = dict(zip(heads[1::2], heads[2::2], strict=True))

    follow, backup = (unit(parts[f"snapshots-{name}.service"])["Service"] for name in ("follow", "backup"))
    program = "/usr/bin/snapshots --config /etc/snapshots.toml"
    assert follow["ExecStart"] == rf'{program} load --follow -v "/srv/my \"logs\" 100%%"'
    assert backup["ExecStart"] == f'{program} backup --keep 7 "/mnt/back ups/"'
    assert follow["User"] == "honey"
    assert follow["ReadWritePaths"] == '"/srv/data"'
    assert 'ReadWritePaths="/mnt/back ups"\nReadWritePaths="/srv/data"' in parts["snapshots-backup.service"]
    assert tomllib.loads(parts["snapshots.toml"])["db"] == "/srv/data/$x.db"


def test_the_units_start_the_program_that_writes_them() -> None:
    """Wherever it is installed."""
    done = subprocess.run([*this_program(), "--version"], capture_output=True, text=True, check=False)

    assert done.stdout.startswith("snapshots")
    assert str(Path(sys.executable).parent) in this_program()[0]


def test_units_are_written_into_a_folder_and_replaced_only_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All or none."""
    folder = tmp_path / "units"
    assert main(["systemd", "--write", str(folder), "verify"]) == 0
    assert {file.name for file in folder.iterdir()} == {"snapshots-verify.service", "snapshots-verify.timer"}
    (folder / "snapshots-verify.timer").write_text("mine")
    capsys.readouterr()

    assert main(["systemd", "--write", str(folder)]) == 1
    assert "has snapshots-verify.service, snapshots-verify.timer already" in capsys.readouterr().err
    assert len(list(folder.iterdir())) == 2
    assert main(["systemd", "--write", str(folder), "--overwrite"]) == 0
    assert (folder / "snapshots-verify.timer").read_text() != "mine"
    assert "snapshots.toml to /etc" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--overwrite"], "--overwrite needs --write FOLDER"),
        (["--print", "--write", "x"], "--print cannot be combined with --write"),
        (["--logs", "log"], "--logs 'log' is not an absolute path"),
        (["--program", "snapshots"], "--program 'snapshots' is not an absolute path"),
        (["--db", "snapshots.db"], "--db 'snapshots.db' is not an absolute path"),
        (["--user", "a b"], "'a b' is not the name of a user"),
        (["--logs", "/a\nb"], "holds a character that a unit cannot hold"),
        (["--db", "postgresql://u:s3cret@host/db"], "name the database without its password"),
        (["--db", "postgresql:///db?user=u&password=s3cret"], "name the database without its password"),
        (["--db", "sqlite:///snapshots.db"], "--db 'snapshots.db' is not an absolute path"),
        (["--backups", "/var/lib/snapshots/../x"], "--backups '/var/lib/snapshots/../x' has .. in it"),
        (["nothing"], "'nothing' is not one of"),
    ],
)
def test_a_value_that_a_unit_cannot_have_is_a_usage_error(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A password is not printed."""
    assert main(["systemd", *arguments]) == 2

    printed = capsys.readouterr()
    assert words in printed.err
    assert "s3cret" not in printed.err + printed.out


def test_a_folder_that_cannot_be_created_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line."""
    assert main(["systemd", "--write", str(tmp_path / "a" / "b")]) == 1

    assert capsys.readouterr().err.count("\n") == 1


def test_the_url_of_a_file_is_like_its_path() -> None:
    """The services may write to its folder."""
    files = (unit_files(Installation(program=("/x",), db=f"{before}/srv/x.db")) for before in ("", "sqlite:///"))

    by_path, by_url = (each["snapshots-follow.service"] for each in files)
    assert by_url == by_path
    assert 'ReadWritePaths="/srv"' in by_url


def test_a_database_on_a_server_needs_no_folder() -> None:
    """The units then write only to their state folder."""
    files = unit_files(Installation(program=("/x",), db="postgresql:///cowrie"))

    assert not any("ReadWritePaths" in text for text in files.values())
    with pytest.raises(SettingRefused):
        Installation(program=("x",))
