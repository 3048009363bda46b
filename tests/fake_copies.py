"""Copies of a database in memory, in JSON files."""

import json
from pathlib import Path

from snapshots.app.admin.backup import ByteProgress, CheckedCopy, Contents, SealCheck
from snapshots.app.errors import BackupFailed, SettingRefused
from tests.fakes import InMemoryDatabase

OWN_FILE = Path("own.db")


class InMemoryCopies:
    """
    Copies the number of runs and of sessions.

    Attributes:
        lost: Rows of each table that the next check does not find.
    """

    name = "memory"
    suffix = ".json"

    def __init__(self, database: InMemoryDatabase) -> None:
        self._database = database
        self.version = "0001"
        self.lost: dict[str, int] = {}

    def refuse(self, file: Path) -> None:
        if file == OWN_FILE:
            raise SettingRefused(f"{file} is a file of the database itself")

    def write(self, file: Path, on_progress: ByteProgress) -> Contents:
        memory = self._database.memory
        contents = Contents(version="0001", rows={"runs": len(memory.runs), "sessions": len(memory.sessions)})
        text = json.dumps({"version": contents.version, "rows": dict(contents.rows)})
        file.write_text(text)
        on_progress(len(text))
        return contents

    def check(self, file: Path, *, full: bool) -> CheckedCopy:
        try:
            stored = json.loads(file.read_text())
        except ValueError as exc:
            raise BackupFailed("the copy is damaged") from exc
        rows = {table: count - self.lost[table] for table, count in stored["rows"].items() if table in self.lost}
        contents = Contents(version=self.version, rows=stored["rows"] | rows)
        seals = SealCheck(sealed=1, of=1, violations=0) if full else None
        return CheckedCopy(contents=contents, seals=seals, checked=["the number of rows"], not_checked=[])
