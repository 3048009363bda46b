"""Build what loads logs, follows them, and reads stored lines again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snapshots.adapters.process import usable_cores

if TYPE_CHECKING:
    from snapshots.app.load.dead_letter_replay import DeadLetterQueue
    from snapshots.app.load.follow import DeltaLoader
    from snapshots.app.load.loader import BulkLoader
    from snapshots.app.load.session_import import SessionImport
    from snapshots.app.load.stored_events import StoredEvents
    from snapshots.composition.wiring import Container


def loader(container: Container) -> BulkLoader:
    from snapshots.adapters.telemetry.logs import warn
    from snapshots.app.load.batch import BatchSize
    from snapshots.app.load.loader import BulkLoader
    from snapshots.composition.log_readers import LogReaders

    return BulkLoader(
        container.database(),
        container.service(),
        container.completion(),
        runtime=container.runtime(),
        liveness=container.process(),
        readers=LogReaders(BatchSize(), usable_cores(), warn),
        warn=warn,
    )


def session_import(container: Container) -> SessionImport:
    from snapshots.app.load.session_import import SessionImport

    return SessionImport(container.database(), container.service(), container.loader(), runtime=container.runtime())


def follower(container: Container) -> DeltaLoader:
    from snapshots.adapters.telemetry.logs import warn
    from snapshots.app.load.follow import DeltaLoader

    return DeltaLoader(
        container.database(),
        container.loader(),
        container.service(),
        container.completion(),
        runtime=container.runtime(),
        liveness=container.process(),
        warn=warn,
    )


def dead_letters(container: Container) -> DeadLetterQueue:
    from snapshots.adapters.cowrie.lines.stored_lines import parts_of_dead_letter
    from snapshots.app.load.dead_letter_replay import DeadLetterQueue

    return DeadLetterQueue(container.database(), container.loader(), parts_of_dead_letter)


def stored_events(container: Container) -> StoredEvents:
    from snapshots.adapters.cowrie.lines.stored_lines import stored_event
    from snapshots.app.load.stored_events import StoredEvents

    return StoredEvents(container.database(), stored_event)
