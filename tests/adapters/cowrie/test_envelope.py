"""Events are found in what shippers of logs wrap around them, and are the same as in Cowrie's log."""

import base64
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.adapters.cowrie.files.log_file import LogContent
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.adapters.cowrie.lines.envelope import DEEPEST
from snapshots.adapters.cowrie.lines.salvage import CowrieLineParser
from snapshots.app.ports.log_source import BadLine, LineOptions, LogEvent

EVENTS: list[dict[str, Any]] = [
    {
        "eventid": f"cowrie.{name}",
        "src_ip": "45.133.1.7",
        "session": f"{number:012x}",
        "timestamp": f"2026-10-15T10:00:0{number}.000000Z",
        "message": text,
        "sensor": "pot1",
        **more,
    }
    for number, (name, text, more) in enumerate[tuple[str, str, dict[str, Any]]](
        [
            ("session.connect", "New connection", {"src_port": 40000}),
            ("command.input", 'CMD: {"a": "b\\"}\n', {"input": "é | x,y;z"}),
            ("client.kex", "SSH", {"kexAlgs": ["a{", "b"], "lang": [""]}),
            ("session.closed", "Connection lost", {"duration_ms": 1.5, "ok": None}),
        ]
    )
]
LINES = [json.dumps(event, separators=(",", ":")) for event in EVENTS]
AT = "2026-10-15T10:00:00.5Z"


def rows(cells: Callable[[str], list[str]], **options: Any) -> str:
    to = io.StringIO()
    csv.writer(to, **options).writerows(cells(line) for line in LINES)
    return to.getvalue()


def each(wrap: Callable[[str], object]) -> str:
    """Wrap every line, as text or as JSON."""
    wrapped = [wrap(line) for line in LINES]
    return "\n".join(text if isinstance(text, str) else json.dumps(text) for text in wrapped) + "\n"


def whole(wrap: Callable[[list[dict[str, Any]]], object]) -> str:
    """Wrap all events in one object."""
    return json.dumps(wrap(EVENTS))


def gelf(line: str) -> dict[str, object]:
    return {f"_{name}": value for name, value in json.loads(line).items()}


WRAPPINGS: dict[str, str] = {
    "docker": each(lambda line: {"log": line + "\n", "stream": "stdout", "time": AT}),
    "containerd": each(lambda line: f"{AT} stdout F {line}"),
    "docker compose": each(lambda line: f"cowrie-1  | {line}"),
    "docker compose with times": each(lambda line: f"cowrie-1  | {AT} {line}"),
    "docker swarm": each(lambda line: f"cowrie.1.x7@node-1    | {line}"),
    "kubectl": each(lambda line: f"[pod/cowrie-7f/cowrie] {line}"),
    "syslog": each(lambda line: f"Oct 15 10:00:00 pot1 cowrie[99]: {line}"),
    "syslog with a priority": each(lambda line: f"<134>Oct  5 10:00:00 pot1 cowrie: {line}"),
    "syslog with ISO times": each(lambda line: f"2026-10-15T10:00:00.123456+02:00 pot1 cowrie[99]: {line}"),
    "syslog, RFC 5424": each(lambda line: f'<134>1 {AT} pot1 cowrie 99 - [x@1 a="b"] \ufeff{line}'),
    "syslog, RFC 5424, without data": each(lambda line: f"<134>1 {AT} pot1 cowrie 99 ID47 - {line}"),
    "syslog, counted": "".join(f"{len(x) + 46} <134>1 {AT} pot1 cowrie 99 - - {x}" for x in LINES),
    "journalctl -o short-full": each(lambda line: f"Thu 2026-10-15 10:00:00 UTC pot1 cowrie[99]: {line}"),
    "syslog with a cookie": each(lambda line: f"Oct 15 10:00:00 pot1 cowrie[99]: @cee: {line}"),
    "syslog of docker": each(lambda line: f"Oct 15 10:00:00 pot1 docker/4f[9]: {json.dumps({'log': line})}"),
    "journalctl -o json": each(lambda line: {"MESSAGE": line, "_HOSTNAME": "pot1", "PRIORITY": "6"}),
    "journalctl, not text": each(lambda line: {"MESSAGE": list(line.encode()), "_HOSTNAME": "pot1"}),
    "journalctl -o json-pretty": "\n".join(json.dumps({"MESSAGE": line, "_PID": "9"}, indent=8) for line in LINES),
    "journalctl -o export": each(lambda line: f"__CURSOR=s=1\nMESSAGE={line}\n_PID=9\n"),
    "grep": each(lambda line: f"log/cowrie.json.2026-10-15:12:{line}"),
    "CloudWatch, tailed": each(lambda line: f"{AT} pot1/i-0a {line}"),
    "CloudWatch, exported": each(lambda line: f"{AT} {line}"),
    "CloudWatch, asked": whole(lambda _: {"events": [{"timestamp": 1, "message": line} for line in LINES]}),
    "Fluentd": each(lambda line: f"{AT}\tcowrie.events\t{line}"),
    "Fluent Bit": each(lambda line: {"date": 1.5, "log": line}),
    "Filebeat": each(lambda line: {"@timestamp": AT, "host": {"name": "a", "ip": ["10.0.0.1"]}, "message": line}),
    "Filebeat, decoded": each(lambda line: {"@timestamp": AT, "cowrie": json.loads(line)}),
    "Filebeat, both": each(lambda line: {"@timestamp": AT, "json": json.loads(line) | {"x": 1}, "message": line}),
    "ECS": each(lambda line: {"@timestamp": AT, "event": {"original": line, "dataset": "cowrie"}}),
    "Logstash": each(lambda line: {"@version": "1", "event.original": line, "tags": ["x"]}),
    "Elasticsearch, dumped": each(lambda line: {"_index": "c", "_source": json.loads(line)}),
    "Elasticsearch, asked": whole(lambda events: {"took": 1, "hits": {"hits": [{"_source": e} for e in events]}}),
    "Elasticsearch, to be loaded": each(lambda line: f'{{"index": {{"_index": "c", "_id": "1"}}}}\n{line}'),
    "Heroku": each(lambda line: f"2026-10-15T10:00:00.1+00:00 app[worker.1]: {line}"),
    "Loki, for people": each(lambda line: f'{AT} {{job="cowrie", host="a b"}} {line}'),
    "Loki": each(lambda line: {"labels": {"job": "cowrie"}, "line": line, "timestamp": AT}),
    "Loki, asked": whole(
        lambda _: {"data": {"result": [{"stream": {"job": "c"}, "values": [["179", line] for line in LINES]}]}}
    ),
    "Splunk, exported": each(lambda line: {"preview": False, "result": {"_raw": line, "_time": AT}}),
    "Splunk, sent": each(lambda line: {"time": 1.5, "sourcetype": "cowrie", "event": json.loads(line)}),
    "Splunk, a table": "_time,_raw\n" + rows(lambda line: [AT, line]),
    "Splunk, all quoted": rows(lambda line: [line, AT, "pot1"], quoting=csv.QUOTE_ALL),
    "a table with semicolons": rows(lambda line: ["pot1", line], delimiter=";"),
    "Graylog": each(lambda line: {"version": "1.1", "host": "pot1", "timestamp": 1.5} | gelf(line)),
    "flat names": each(lambda line: {"@timestamp": AT} | {f"cowrie.{k}": v for k, v in json.loads(line).items()}),
    "Vector": each(lambda line: {"file": "/x", "message": line, "source_type": "file", "timestamp": AT}),
    "OpenTelemetry": each(lambda line: {"resourceLogs": [{"logRecords": [{"body": {"stringValue": line}}]}]}),
    "Google Cloud": each(lambda line: {"jsonPayload": json.loads(line), "logName": "x", "timestamp": AT}),
    "Azure": each(lambda line: {"TimeGenerated": AT, "LogEntry": line}),
    "Kafka": each(lambda line: {"topic": "cowrie", "partition": 0, "key": None, "value": line}),
    "hpfeeds": each(lambda line: {"ident": "x", "channel": "cowrie.sessions", "payload": line}),
    "several in a text": json.dumps({"message": "\n".join(LINES)}),
    "an envelope in an envelope": each(lambda line: {"message": json.dumps({"log": f"{AT} stdout F {line}"})}),
}


def read(path: Path) -> list[LogEvent | BadLine]:
    return list(LogContent(path, LineDecoder()).lines())


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_every_envelope_yields_the_events_of_the_log(wrapping: str, tmp_path: Path) -> None:
    """The fingerprints are equal, so loading both counts every event once."""
    log, wrapped = tmp_path / "cowrie.json", tmp_path / "wrapped"
    log.write_text("\n".join(LINES) + "\n")
    wrapped.write_text(WRAPPINGS[wrapping])

    found = [line for line in read(wrapped) if isinstance(line, LogEvent)]

    assert found == read(log)
    assert LogContent(wrapped, LineDecoder()).head


def test_workers_read_envelopes_too() -> None:
    """By the same rules as a load."""
    lines = CowrieLineParser(LineOptions(keeps_lines=True))
    wrapped = json.dumps({"log": LINES[1]}).encode()

    assert [part.line for part in lines.parse(wrapped, 9) if isinstance(part, LogEvent)] == [LINES[1].encode()]


def forged(**fields: object) -> str:
    return json.dumps(EVENTS[0] | {"session": "forged"} | fields)


ATTACKS: dict[str, object] = {
    "a command": EVENTS[1] | {"input": forged(), "message": forged()},
    "a command without its session": {k: v for k, v in EVENTS[1].items() if k != "session"} | {"input": forged()},
    "an event of Cowrie without its time": {"eventid": "cowrie.x", "session": "a", "message": forged()},
    "another honeypot": {"eventid": "adbhoney.command.input", "timestamp": AT, "message": forged()},
    "another honeypot in an envelope": {"_source": {"type": "Adbhoney", "src_ip": "1.2.3.4", "message": forged()}},
    "another honeypot's text": {"message": json.dumps({"src_ip": "1.2.3.4", "payload": forged()})},
    "another honeypot's event": {"_source": EVENTS[0] | {"eventid": "adbhoney.session.connect"}},
    "Suricata": {"event_type": "http", "http": {"http_user_agent": forged()}, "payload": forged()},
    "Suricata, decoded": {"suricata": {"eve": {"src_ip": "1.2.3.4", "payload": json.loads(forged())}}},
    "Tanner": {"method": "POST", "peer": {"ip": "1.2.3.4"}, "post_data": json.loads(forged())},
    "ECS": {"@timestamp": AT, "source": {"ip": "1.2.3.4"}, "message": forged()},
    "a proxy": {"ClientHost": "1.2.3.4", "request_User-Agent": forged(), "RequestPath": forged()},
    "a web server": {"request_body": forged(), "user_agent_original": forged()},
    "a text with something before it": {"message": f"CMD: {forged()}"},
    "a text with something behind it": {"message": f"Oct 15 10:00:00 a b[1]: {forged()} from 1.2.3.4"},
    "an event that is too deep": json.loads('{"a":' * (DEEPEST + 1) + forged() + "}" * (DEEPEST + 1)),
    "a list that is too deep": json.loads('{"log":' + "[" * 40 + json.dumps(forged()) + "]" * 40 + "}"),
    "a list of lists that is too deep": json.loads('{"x":' + "[" * 40 + forged() + "]" * 40 + "}"),
    "a row of another program": "2026-10-15,1.2.3.4,22,root," + '"' + forged().replace('"', '""') + '"',
    "an object without a session": {"cowrie": {"eventid": "cowrie.x", "timestamp": AT}},
    "a name that is a number": {"log": {"eventid": 5, "session": "a", "timestamp": AT}},
    "no object": {"log": "{", "line": [], "message": [300, 1], "text": {}, "1": 2, "eventid_": "x"},
    "a time that is none": {"log": EVENTS[0] | {"timestamp": "yesterday"}},
    "a flat event's text": {f"cowrie.{k}": v for k, v in EVENTS[1].items()} | {"cowrie.data": forged()},
    "Graylog's text": {"version": "1.1", "short_message": "x", "_data": forged()} | gelf(LINES[1]),
    "Graylog's text without a time": {"_eventid": "cowrie.x", "_session": "a", "_data": forged()},
    "another honeypot in Graylog": {"short_message": "x", "_src_ip": "1.2.3.4", "_payload": forged()},
    "names with dots": {"@timestamp": AT, "honeypot.src_ip": "1.2.3.4", "honeypot.data": forged()},
    "ECS with dots": {"@timestamp": AT, "source.ip": "1.2.3.4", "message": forged()},
    "Beelzebub": {"event": {"RemoteAddr": "1.2.3.4:5", "Body": forged(), "Msg": forged()}, "level": "info"},
    "Galah": {"eventTime": AT, "httpRequest": {"body": forged()}, "srcIP": "1.2.3.4", "msg": "x"},
    "a request": {"httpRequest": {"body": forged()}},
    "a request, decoded": {"request": {"body": json.loads(forged())}},
    "Glastopf": {"channel": "glastopf.events", "payload": json.dumps({"source": ["1.2.3.4", 5], "data": forged()})},
    "Zeek": {"ts": 1.5, "id.orig_h": "1.2.3.4", "msg": forged()},
    "nginx": {"remote_addr": "1.2.3.4", "body": forged()},
    "base64": {"data": base64.b64encode(forged().encode()).decode()},
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_input_of_an_attacker_is_never_unwrapped_as_an_event(attack: str) -> None:
    """Only the envelope of a log shipper is unwrapped, never text inside an event."""
    text = ATTACKS[attack]
    line = text.encode() if isinstance(text, str) else json.dumps(text).encode()

    found = CowrieLineParser(LineOptions()).parse(line, 9)

    assert not [part for part in found if isinstance(part, LogEvent) and part.logged_id == "forged"]
    assert len(found) == 1


names = st.sampled_from(["message", "log", "x", "_source", "data", "values", "a.b", "hits"])
wrappers = st.sampled_from(
    [
        lambda name, value: {name: value},
        lambda _, value: [value],
        lambda _, value: {"message": json.dumps(value)},
        lambda name, value: {"@timestamp": AT, name: value, "host": "pot1"},
        lambda _, value: {"log": f"{AT} stdout F {json.dumps(value)}"},
    ]
)


@given(st.lists(st.tuples(wrappers, names), min_size=1, max_size=4), st.sampled_from(range(len(EVENTS))))
def test_an_event_is_found_in_any_envelope(layers: list[tuple[Any, str]], number: int) -> None:
    """Objects, lists and texts in each other."""
    wrapped: Any = EVENTS[number]
    for wrap, name in layers:
        wrapped = wrap(name, wrapped)
    wrapped = wrapped if isinstance(wrapped, dict) else {"x": wrapped}
    lines = CowrieLineParser(LineOptions(keeps_lines=True))

    found = [part.event for part in lines.parse(json.dumps(wrapped).encode(), 9) if isinstance(part, LogEvent)]

    assert found == [part.event for part in lines.parse(LINES[number].encode(), 9) if isinstance(part, LogEvent)]
