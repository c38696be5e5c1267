"""What is known of every request of the archive: a small database, in a file that is kept or in one that is not.

The truth is in the topics: the database is filled from them, and knows up to which offsets. Losing it costs the time
to read them again. Kept in a file it also remembers what the topics have deleted meanwhile.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from service.backfill.errors import StateRefused
from service.backfill.records import Ended, Read, Refused, Sent

Place = tuple[str, int]
"""A topic and a partition."""

_FORMAT = "1"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS position (
    topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY (topic, partition)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS request (
    id TEXT PRIMARY KEY, uri TEXT NOT NULL DEFAULT '', size INTEGER, listed INTEGER,
    run INTEGER NOT NULL DEFAULT 0, partition INTEGER, place INTEGER, sent_ms INTEGER,
    end_run INTEGER NOT NULL DEFAULT 0, status TEXT, code TEXT, minutes REAL, cost REAL, seconds REAL
);
CREATE INDEX IF NOT EXISTS request_place ON request (partition, place);
CREATE INDEX IF NOT EXISTS request_open ON request (id) WHERE listed IS NOT NULL AND run > end_run;
CREATE INDEX IF NOT EXISTS request_listed ON request (listed) WHERE listed IS NOT NULL;
CREATE TABLE IF NOT EXISTS refused (
    partition INTEGER NOT NULL, place INTEGER NOT NULL, code TEXT NOT NULL, PRIMARY KEY (partition, place)
) WITHOUT ROWID;
"""

_ABOUT_COLUMNS = "PRAGMA table_info(about)"


@dataclass(frozen=True, slots=True)
class Known:
    """A request that is in the topic: the highest run that was sent, and how the highest run that has ended did."""

    run: int
    end_run: int
    status: str | None
    code: str | None

    @property
    def failed(self) -> bool:
        """Whether its last run has ended without a result, and not because somebody canceled it."""
        return self.end_run >= self.run and self.status in ("failed", "dead_letter")


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers over the objects that were listed. Minutes, cost and bytes are of those that completed."""

    listed: int = 0
    sent: int = 0
    open: int = 0
    completed: int = 0
    failed: int = 0
    canceled: int = 0
    unknown: int = 0
    """Sent before the time for which completions are kept: theirs were deleted unread."""
    minutes: float = 0.0
    cost: float = 0.0
    measured: int = 0
    """Completions that say how many minutes were billed; `measured_bytes` and `minutes` are theirs."""
    measured_bytes: int = 0
    priced: int = 0
    """Completions that have a cost; `priced_bytes` and `cost` are theirs."""
    priced_bytes: int = 0
    ended_bytes: int = 0
    """Of all that need nothing more."""

    @property
    def ended(self) -> int:
        """Those that need nothing more."""
        return self.completed + self.failed + self.canceled + self.unknown


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the report."""

    uri: str
    request_id: str
    status: str
    code: str | None
    minutes: float | None
    cost: float | None
    seconds: float | None


class State:
    """Not for several tasks at a time between awaits; each call is short, and durable when it returns."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._listed = 0

    @classmethod
    def open(cls, file: Path | None, name: str) -> Self:
        """The state of a backfill (archive, work and topics): in a file, or without one while the process lives.

        Raises `StateRefused` for a file that another backfill uses, that belongs to another one, or that is none.
        """
        database: sqlite3.Connection | None = None
        try:
            database = sqlite3.connect("" if file is None else file, timeout=1.0, isolation_level=None)
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute("BEGIN IMMEDIATE")
            why = _misfit(database, name)
            if why is not None:
                raise StateRefused(f"{file} {why}; give another file with --state")
            for statement in _SCHEMA.split(";\n"):
                database.execute(statement)
            database.execute("INSERT OR IGNORE INTO about VALUES ('format', ?), ('job', ?)", (_FORMAT, name))
            database.execute("UPDATE request SET listed = NULL WHERE listed IS NOT NULL")
            database.execute("COMMIT")
        except BaseException as error:
            if database is not None:
                database.close()  # nothing of it was changed
            if isinstance(error, sqlite3.Error):
                raise StateRefused(trouble(error, file)) from None
            raise
        return cls(database)

    def close(self) -> None:
        """Nothing is lost by not calling it."""
        self._database.close()

    def positions(self) -> Mapping[Place, int]:
        """The next offset to read of each partition that was read."""
        return {(topic, partition): at for topic, partition, at in self._database.execute("SELECT * FROM position")}

    def take(self, read: Iterable[Read]) -> None:
        """Remember what records say, and up to where they were read."""
        places: dict[Place, int] = {}
        with self._transaction():
            for one in read:
                places[one.topic, one.partition] = one.offset + 1
                match one.said:
                    case Sent():
                        self._sent(one.said)
                    case Ended():
                        self._ended(one.said)
                    case Refused(partition, offset, code):
                        self._database.execute(
                            "INSERT OR REPLACE INTO refused VALUES (?, ?, ?)", (partition, offset, code)
                        )
                        self._settle(partition, offset)
            self._database.executemany(
                "INSERT OR REPLACE INTO position VALUES (?, ?, ?)", [(*place, at) for place, at in places.items()]
            )

    def _sent(self, said: Sent) -> None:
        self._database.execute(
            "INSERT INTO request (id, uri, run, partition, place, sent_ms) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) "
            "DO UPDATE SET uri = excluded.uri, run = excluded.run, partition = excluded.partition, "
            "place = excluded.place, sent_ms = excluded.sent_ms WHERE excluded.run > run",
            (said.request_id, said.uri, said.run, said.partition, said.offset, said.at_ms),
        )
        self._settle(said.partition, said.offset)

    def _settle(self, partition: int, offset: int) -> None:
        self._database.execute(
            "UPDATE request SET status = 'dead_letter', end_run = run, minutes = NULL, cost = NULL, seconds = NULL, "
            "code = (SELECT code FROM refused WHERE partition = ?1 AND place = ?2) WHERE partition = ?1 AND place = ?2 "
            "AND EXISTS (SELECT 1 FROM refused WHERE partition = ?1 AND place = ?2)",
            (partition, offset),
        )

    def _ended(self, said: Ended) -> None:
        self._database.execute(
            "INSERT INTO request (id, end_run, status, code, minutes, cost, seconds) VALUES (?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET end_run = excluded.end_run, status = excluded.status, "
            "code = excluded.code, minutes = excluded.minutes, cost = excluded.cost, seconds = excluded.seconds "
            "WHERE excluded.end_run >= end_run",
            (said.request_id, said.run, said.status, said.code, said.minutes, said.cost, said.seconds),
        )

    def sent(self, requests: Iterable[Sent]) -> None:
        """Remember what was committed just now, before it is read back: nothing is sent beyond the limits meanwhile."""
        with self._transaction():
            for one in requests:
                self._sent(one)

    def forget_before(self, ms: int) -> None:
        """Requests that were sent before this time and have no end yet: their completions are deleted by now."""
        self._database.execute(
            "UPDATE request SET status = 'unknown', end_run = run WHERE run > end_run AND sent_ms < ?", (ms,)
        )

    def known(self, request_id: str) -> Known | None:
        """What is known of a request; None when it was never sent. A completion alone tells that it was."""
        row = self._database.execute(
            "SELECT run, end_run, status, code FROM request WHERE id = ?", (request_id,)
        ).fetchone()
        if row is None or max(row[0], row[1]) == 0:
            return None
        return Known(max(row[0], row[1]), row[1], row[2], row[3])

    def take_listed(self, objects: Iterable[tuple[str, str, int]]) -> None:
        """Objects that the archive holds: request id, name, bytes. Only they count and are reported, in this order."""
        with self._transaction():
            for request_id, uri, size in objects:
                self._listed += 1
                self._database.execute(
                    "INSERT INTO request (id, uri, size, listed) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
                    "uri = excluded.uri, size = excluded.size, listed = excluded.listed",
                    (request_id, uri, size, self._listed),
                )

    def refuse(self, request_id: str, code: str) -> None:
        """An object for which no request can be made; it was listed."""
        self._database.execute("UPDATE request SET status = 'not_sent', code = ? WHERE id = ?", (code, request_id))

    def last_sent_ms(self) -> int | None:
        """When the newest request was sent, by the broker's record of it."""
        newest: int | None = self._database.execute("SELECT max(sent_ms) FROM request").fetchone()[0]
        return newest

    def waiting(self) -> int:
        """How many of the listed objects wait for their end."""
        query = "SELECT count(*) FROM request WHERE listed IS NOT NULL AND run > end_run"
        count: int = self._database.execute(query).fetchone()[0]
        return count

    def counts(self) -> Counts:
        """Reads every listed object: at most as often as a person looks at it."""
        row = self._database.execute(
            "SELECT count(*), sum(max(run, end_run) > 0), sum(run > end_run), "
            "sum(run <= end_run AND status = 'completed'), "
            "sum(run <= end_run AND status IN ('failed', 'dead_letter', 'not_sent')), "
            "sum(run <= end_run AND status = 'canceled'), sum(run <= end_run AND status = 'unknown'), "
            "sum(minutes), sum(cost), count(minutes), sum(iif(minutes IS NULL, 0, size)), "
            "count(cost), sum(iif(cost IS NULL, 0, size)), "
            "sum(iif(run <= end_run AND status IS NOT NULL, size, 0)) FROM request WHERE listed IS NOT NULL"
        ).fetchone()
        return Counts(*(value or 0 for value in row))

    def failures(self) -> Mapping[str, int]:
        """How many of the listed objects have failed, by code, the most frequent first.

        `not_sent` is of those for which no request can be made.
        """
        return dict(
            self._database.execute(
                "SELECT iif(status = 'not_sent', status, coalesce(code, status)), count(*) FROM request "
                "WHERE listed IS NOT NULL AND run <= end_run AND status IN ('failed', 'dead_letter', 'not_sent') "
                "GROUP BY 1 ORDER BY 2 DESC, 1"
            )
        )

    def rows(self) -> Iterator[Row]:
        """Every listed object, in the order of the archive."""
        for row in self._database.execute(
            "SELECT uri, id, CASE WHEN run > end_run THEN 'open' ELSE coalesce(status, 'not_sent') END, code, minutes, "
            "cost, seconds FROM request WHERE listed IS NOT NULL ORDER BY listed"
        ):
            yield Row(*row)

    def bind(self, cluster: str | None) -> None:
        """Remember which cluster the topics are in. Raises `StateRefused` when it was another one before.

        What was sent to one cluster is not in another, though the topics have the same names.
        """
        if cluster is None:
            return
        self._database.execute("INSERT OR IGNORE INTO about VALUES ('cluster', ?)", (cluster,))
        (before,) = self._database.execute("SELECT value FROM about WHERE name = 'cluster'").fetchone()
        if before != cluster:
            raise StateRefused(
                f"the state file is about the topics of another Kafka cluster ({before}, and this is {cluster}); give "
                "another file with --state"
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:  # a full disk has rolled it back already
                self._database.execute("ROLLBACK")
            raise


def _misfit(database: sqlite3.Connection, name: str) -> str | None:
    """Why the file is none of this backfill; None for its own, and for an empty one. Changes nothing."""
    tables = {table for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return None
    if "about" not in tables or not {"name", "value"} <= {column[1] for column in database.execute(_ABOUT_COLUMNS)}:
        return "is a database, and no state file of a backfill"
    about = dict(database.execute("SELECT name, value FROM about"))
    if about.get("format", _FORMAT) != _FORMAT:
        return f"is of another version (format {about['format']}, and this is {_FORMAT})"
    if about.get("job", name) != name:
        return f"belongs to a backfill of another archive or with other work: {about['job']}"
    return None


def trouble(error: sqlite3.Error, file: Path | None) -> str:
    """What an error of the database means, and what to do."""
    where = "the temporary file of what was sent" if file is None else f"the state file {file}"
    other = "give a file on a larger disk with --state" if file is None else "or give another file with --state"
    code = getattr(error, "sqlite_errorcode", None)
    match None if code is None else code & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"{file} is in use by another backfill; wait for its end, or give another file with --state"
        case sqlite3.SQLITE_FULL:
            return (
                f"{where} can't grow: the disk is full; make room, {other}; nothing is lost, the same command goes on"
            )
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return (
                f"{where} is damaged, or is none; move it away, {other}: what is in the topics is read from them again"
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return f"{where} can't be opened or written; check its folder and the rights, {other}"
    return f"{where} can't be read or written; check the disk, {other}; nothing is lost: the same command goes on"
