"""Recognize the format of a file without readable events, and say what to do with it."""

import re

_HINTS = tuple(
    (re.compile(pattern, re.MULTILINE), hint)
    for pattern, hint in (
        (
            rb"^\s*\{\s*'",
            (
                "its lines are Python dicts in single quotes, not JSON; load Cowrie's own JSON log, "
                "or convert each line with json.dumps(ast.literal_eval(line))"
            ),
        ),
        (rb"\bCEF:\d\|", "its events are in CEF, which lacks some of their fields; load Cowrie's JSON log"),
        (rb"\bLEEF:\d", "its events are in LEEF, which lacks some of their fields; load Cowrie's JSON log"),
        (rb"eyJldmVudGlk|eyJzZXNzaW9u", "its events are base64-encoded; decode them and load the result"),
        (
            rb"^[^{}\n]*\beventid\b[\"']?[,;\t|][^{}\n]*$",
            "it is a table with one column per field; export the events as JSON lines",
        ),
        (
            rb"\beventid=|\beventid\"?=>|^\s*-?\s*eventid: ",
            "its events are key-value pairs, not JSON; export them as JSON lines",
        ),
        (rb"^<\?xml|<eventid>|<field name=.eventid", "its events are XML; export them as JSON lines"),
        (
            rb"\"eventid(?:\.keyword)?\"\s*:\s*\[",
            "its fields are lists, as in `fields` of Elasticsearch; export `_source` instead",
        ),
        (
            rb"^(?=[^\n]*\"@timestamp\"\s*:)(?![^\n]*\"timestamp\"\s*:)[^\n]*\"eventid\"\s*:\s*\"cowrie\.",
            (
                "a log shipper removed the field `timestamp`, and `@timestamp` may be the time when it read the line; "
                "configure it to keep `timestamp`"
            ),
        ),
        (
            rb"^[^{\n]+\{\s*\"eventid\"\s*:",
            (
                "its events follow a prefix of unknown form; if that prefix cannot contain text typed by an attacker, "
                "remove it with `sed 's/^[^{]*//'` and load the result"
            ),
        ),
        (
            rb"\\\"eventid\\\"",
            (
                "its events are JSON strings in a field of unknown meaning; if that field cannot contain text typed by "
                "an attacker, extract it, for example with `jq -r .FIELD`"
            ),
        ),
        (
            rb"\"eventid\"\s*:\s*\"cowrie\.",
            "its events lack a session or a time, are truncated, or are nested in events of another program",
        ),
    )
)


def hint_for(beginning: bytes) -> str:
    """Return the likely format of a content, and what to do; "" if it is unknown."""
    return next((hint for pattern, hint in _HINTS if pattern.search(beginning)), "")
