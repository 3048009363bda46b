"""Say what a file without a readable event seems to be, and what to do with it."""

import re

_HINTS = tuple(
    (re.compile(pattern, re.MULTILINE), hint)
    for pattern, hint in (
        (
            rb"^\s*\{\s*'",
            (
                "its lines are dictionaries of Python in single quotes, not JSON; load Cowrie's own JSON log, "
                "or write each line by json.dumps(ast.literal_eval(line))"
            ),
        ),
        (rb"\bCEF:\d\|", "its events are in CEF, which does not hold all of their fields; load Cowrie's JSON log"),
        (rb"\bLEEF:\d", "its events are in LEEF, which does not hold all of their fields; load Cowrie's JSON log"),
        (rb"eyJldmVudGlk|eyJzZXNzaW9u", "its events are in base64; decode them, and load what comes out"),
        (
            rb"^[^{}\n]*\beventid\b[\"']?[,;\t|][^{}\n]*$",
            "it is a table with a column for each field; export the events as JSON lines",
        ),
        (
            rb"\beventid=|\beventid\"?=>|^\s*-?\s*eventid: ",
            "its events are written as names and values, not as JSON; export them as JSON lines",
        ),
        (
            rb"^\S+ (?:stdout|stderr) P |^\{\"log\":\s*\"(?:[^\"\\\n]|\\.)*(?<!\\n)\",\s*\"stream\"",
            (
                "its lines are cut into parts by the container runtime; load what `docker logs` or `kubectl logs` "
                "prints, which joins them"
            ),
        ),
        (rb"^<\?xml|<eventid>|<field name=.eventid", "its events are in XML; export them as JSON lines"),
        (
            rb"\"eventid(?:\.keyword)?\"\s*:\s*\[",
            "its fields are lists, as in `fields` of Elasticsearch; export `_source` instead",
        ),
        (
            rb"^(?=[^\n]*\"@timestamp\"\s*:)(?![^\n]*\"timestamp\"\s*:)[^\n]*\"eventid\"\s*:\s*\"cowrie\.",
            (
                "a shipper replaced the field `timestamp`, and `@timestamp` may be when it read the line; let it keep "
                "`timestamp`"
            ),
        ),
        (
            rb"^[^{\n]+\{\s*\"eventid\"\s*:",
            (
                "its events stand behind a text of an unknown form; load what "
                "`sed 's/^[^{]*//'` makes of it, if no attacker can have typed that part of a line"
            ),
        ),
        (
            rb"\\\"eventid\\\"",
            (
                "its events are texts within other texts of an unknown form; take them out, as with `jq -r .FIELD`, "
                "if no attacker can have typed them"
            ),
        ),
        (
            rb"\"eventid\"\s*:\s*\"cowrie\.",
            "its events lack a session or a time, are cut, or lie within events of another program",
        ),
    )
)


def hint_for(beginning: bytes) -> str:
    """Return what the beginning of a content looks like, and what to do; "" if it is like nothing known."""
    return next((hint for pattern, hint in _HINTS if pattern.search(beginning)), "")
