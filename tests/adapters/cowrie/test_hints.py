"""A file whose events cannot be read is named for what it is."""

import json
from pathlib import Path

import pytest

from snapshots.adapters.cowrie.files.hints import hint_for
from snapshots.adapters.cowrie.files.log_file import LogContent
from snapshots.adapters.cowrie.lines.decode import LineDecoder

EVENT = {"eventid": "cowrie.session.connect", "session": "a", "timestamp": "2026-03-01T12:00:00Z", "src_ip": "8.8.8.8"}
LINE = json.dumps(EVENT)

KINDS = {
    str(EVENT): "single quotes",
    "Oct 15 10:00:00 pot1 cowrie: CEF:0|Cowrie|Cowrie|1.0|1|cowrie.login.failed|5|src=1.2.3.4": "CEF",
    "LEEF:1.0|Cowrie|Cowrie|1.0|x|src=1.2.3.4": "LEEF",
    '{"data":"eyJldmVudGlkIjoiY293cmllLnNlc3Npb24uY29ubmVjdCJ9"}': "base64",
    "timestamp,eventid,session,src_ip\n1,cowrie.session.connect,a,8.8.8.8": "a table with one column per field",
    '"eventid","session"\n"cowrie.session.connect","a"': "a table with one column per field",
    "time=1 eventid=cowrie.session.connect session=a": "key-value pairs",
    '{"eventid"=>"cowrie.session.connect", "session"=>"a"}': "key-value pairs",
    "- eventid: cowrie.session.connect\n  session: a": "key-value pairs",
    "<?xml version='1.0'?><results><field k='_raw'><v>" + LINE: "XML",
    "<event><eventid>cowrie.session.connect</eventid></event>": "XML",
    '{"fields":{"eventid":["cowrie.session.connect"],"session":["a"]}}': "export `_source`",
    '{"@timestamp":"x","eventid":"cowrie.session.connect","session":"a"}': "removed the field `timestamp`",
    f"kernel panic of pot1 => {LINE}": "a prefix of unknown form",
    json.dumps({"odd": LINE}): "jq -r",
    LINE[:-30]: "are truncated",
}


@pytest.mark.parametrize("beginning", KINDS)
def test_the_hint_names_the_probable_format_of_a_file(beginning: str) -> None:
    """And what to do."""
    assert KINDS[beginning] in hint_for(f"first line\n{beginning}\n".encode())


@pytest.mark.parametrize("beginning", ["", "hello\n", '{"a": 1}\n', "\x00\x01", "event identity\n"])
def test_an_unknown_format_has_no_hint(beginning: str) -> None:
    """A guess would mislead."""
    assert hint_for(beginning.encode()) == ""


def test_a_file_has_a_hint_only_if_it_has_no_event(tmp_path: Path) -> None:
    """A file that can be read needs none."""
    log, read = tmp_path / "odd.json", tmp_path / "cowrie.json"
    log.write_text(str(EVENT))
    read.write_text(LINE)

    assert "single quotes" in LogContent(log, LineDecoder()).hint
    assert LogContent(read, LineDecoder()).hint == ""
