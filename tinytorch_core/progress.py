"""ProgressStore: attempts, completions and accepted sources, in one SQLite file. The only sqlite3 import.

Each call opens the file, so that threads, processes and a file put back from a backup are all safe. The rollback journal
with synchronous=EXTRA (FULL, and the folder synced after the commit) keeps an acknowledged completion through a power
failure. Nothing here ever replaces a file that can't be read; `set_aside` does, when a person asks for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from tinytorch_core import files
from tinytorch_core.errors import StoreError
from tinytorch_core.report import Report

SCHEMA_VERSION = 1
APPLICATION_ID = 0x74696E79
"""Marks the file as ours ("tiny")."""
BUSY_SECONDS = 10.0
SCHEMA = """
CREATE TABLE attempts (
    number INTEGER PRIMARY KEY,          -- order of starting
    id TEXT NOT NULL UNIQUE,
    module TEXT NOT NULL,
    running INTEGER NOT NULL,
    owner_pid INTEGER NOT NULL,          -- the process that grades it
    report TEXT NOT NULL                 -- a Report as JSON
);
CREATE INDEX attempts_of_module ON attempts (module, number);
CREATE TABLE completions (
    module TEXT PRIMARY KEY,
    attempt TEXT NOT NULL REFERENCES attempts (id),
    completed REAL NOT NULL,             -- seconds since the epoch
    source TEXT NOT NULL,
    source_sha256 TEXT NOT NULL,
    names TEXT NOT NULL,                 -- a JSON list
    notebook BLOB NOT NULL,
    notebook_sha256 TEXT NOT NULL
);
"""


class StoreChanged(StoreError):
    """Another program completed a module since the fingerprint was taken; nothing was recorded."""

    http_status = 409


class Completion(msgspec.Struct, frozen=True):
    """What was accepted of one module."""

    module: str
    attempt: str
    completed: float
    """Seconds since the epoch."""
    source: str
    """Of `tinytorch/<name>.py`."""
    names: tuple[str, ...]
    notebook: bytes
    notebook_sha256: str


class ProgressStore:
    """The record of one workspace. Every method raises StoreError, saying what to do, if the file can't be used."""

    def __init__(self, path: Path) -> None:
        """Make the file if there is none. An existing one is not looked at before the first call; `check` looks closely."""
        self.path = path
        self._cached: tuple[list[tuple[str, ...]], dict[str, Completion]] | None = None
        if not os.path.lexists(path):
            self._create()

    def start(self, report: Report, owner_pid: int) -> None:
        """An attempt begins; `owner_pid` is the process that will end it."""
        with self._writing() as database:
            _save(database, report, owner_pid)

    def finish(self, report: Report) -> None:
        """An attempt ends without completing its module."""
        with self._writing() as database:
            _save(database, report, os.getpid())

    def complete(self, report: Report, completion: Completion, against: str) -> None:
        """An attempt ends and completes its module: both are recorded, or neither.

        `against` is the fingerprint of the sources that it was graded with. Raises StoreChanged if they are others now.
        """
        if not report.passed or (report.attempt, report.module) != (completion.attempt, completion.module):
            raise ValueError("only the passed attempt of a module completes it")
        with self._writing() as database:
            if _fingerprint(_shas(database)) != against:
                raise StoreChanged(
                    "Another window or program completed a module while this one was being checked, so this result may "
                    "not fit the package any more. Nothing was recorded; complete the module once more."
                )
            _save(database, report, os.getpid())
            _accept(database, completion)

    def completions(self) -> dict[str, Completion]:
        """The accepted state of each completed module, whole; read again only when it changed."""
        with self._reading() as database:
            rows = database.execute(
                "SELECT module, attempt, source_sha256, notebook_sha256 FROM completions ORDER BY module"
            )
            state = [tuple(row) for row in rows]
            cached = self._cached
            if cached is None or cached[0] != state:
                cached = self._cached = (state, {row["module"]: self._completion(row) for row in _accepted(database)})
        return dict(cached[1])

    def completed(self) -> dict[str, str]:
        """The SHA-256 of each completed module's accepted source."""
        with self._reading() as database:
            return _shas(database)

    def fingerprint(self) -> str:
        """Changes whenever an accepted source does."""
        return _fingerprint(self.completed())

    def attempt(self, attempt: str) -> Report | None:
        with self._reading() as database:
            row = database.execute("SELECT report FROM attempts WHERE id = ?", [attempt]).fetchone()
        return self._report(row) if row else None

    def attempts(self, module: str, limit: int = 50) -> list[Report]:
        """The module's attempts, newest first."""
        query = "SELECT report FROM attempts WHERE module = ? ORDER BY number DESC LIMIT ?"
        with self._reading() as database:
            rows = database.execute(query, [module, limit]).fetchall()
        return [self._report(row) for row in rows]

    def latest(self) -> dict[str, Report]:
        """The newest finished attempt of each module that has one. A running one has nothing to tell yet."""
        newest = (  # by the index: ten thousand attempts are forty megabytes of reports
            "SELECT (SELECT number FROM attempts AS own WHERE own.module = some.module AND NOT running ORDER BY number DESC LIMIT 1) "
            "FROM (SELECT DISTINCT module FROM attempts) AS some"
        )
        query = f"SELECT module, report FROM attempts WHERE number IN ({newest})"
        with self._reading() as database:
            rows = database.execute(query).fetchall()
        return {row["module"]: self._report(row) for row in rows}

    def begun(self) -> float | None:
        """When the first attempt started, in seconds since the epoch."""
        with self._reading() as database:
            row = database.execute("SELECT report FROM attempts ORDER BY number LIMIT 1").fetchone()
        return self._report(row).started if row else None

    def interrupt_abandoned(self, alive: Callable[[int], bool]) -> int:
        """End the attempts whose process is gone, with the verdict "interrupted". Returns how many there were."""
        query = "SELECT report, owner_pid FROM attempts WHERE running"
        with self._reading() as database:  # most often there is nothing to write
            if not database.execute(query).fetchone():
                return 0
        with self._writing() as database:
            abandoned = [row for row in database.execute(query).fetchall() if not alive(row["owner_pid"])]
            for row in abandoned:
                _save(database, _interrupted(self._report(row)), row["owner_pid"])
        return len(abandoned)

    def check(self) -> None:
        """Read everything once. Raises StoreError for a file that is damaged anywhere, newer, or not ours."""
        with self._reading() as database:
            found = database.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise self._damaged(str(found))
            for row in database.execute("SELECT report FROM attempts"):
                self._report(row)
            for row in _accepted(database):
                self._completion(row)

    def set_aside(self) -> Path:
        """Keep the present file under another name and begin a new, empty one. Returns where the old one is kept."""
        kept = self.path.with_name(f"{self.path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
        number = 1
        while os.path.lexists(kept):
            number += 1
            kept = kept.with_name(f"{kept.name.partition('~')[0]}~{number}")
        try:
            for suffix in ("-journal", ""):  # the journal belongs to its file, and is of no use to another
                if os.path.lexists(f"{self.path}{suffix}"):
                    os.rename(f"{self.path}{suffix}", f"{kept}{suffix}")
            files.sync_folder(self.path.parent)
        except OSError as error:
            raise self._unusable(error) from error
        self._cached = None
        self._create()
        return kept

    def _create(self) -> None:
        """An empty store, made under another name first: a file of this name is never half made."""
        temporary = files.temporary_beside(self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(sqlite3.connect(temporary, isolation_level=None)) as database:
                numbers = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
                database.executescript(f"PRAGMA synchronous = EXTRA; BEGIN; {SCHEMA} {numbers} COMMIT;")
            with contextlib.suppress(FileExistsError):  # another process was faster; theirs is as good
                files.link_new(temporary, self.path)
            files.sync_folder(self.path.parent)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error
        finally:
            temporary.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is recorded, or nothing."""
        with self._reading() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:  # some errors have rolled back already
                    database.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection, closed afterwards. The one door where SQLite's errors become ours."""
        try:
            with contextlib.closing(self._connect()) as database:
                yield database
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from error

    def _connect(self) -> sqlite3.Connection:
        if not self.path.is_file():
            raise StoreError(
                f"{self.path} is gone, or no file: it holds which modules you completed. Put it back from the trash or a "
                "backup, or restart to begin a new record; your notebooks are untouched."
            )
        database = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=rw", BUSY_SECONDS, uri=True, isolation_level=None
        )
        try:
            database.row_factory = sqlite3.Row
            for pragma in ("journal_mode = DELETE", "synchronous = EXTRA", "fullfsync = ON", "foreign_keys = ON"):
                database.execute(f"PRAGMA {pragma}")
            self._require_ours(database)
        except BaseException:
            database.close()
            raise
        return database

    def _require_ours(self, database: sqlite3.Connection) -> None:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if database.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise self._damaged("it is empty, or was not written by TinyTorch")
        if version != SCHEMA_VERSION:
            raise StoreError(
                f"{self.path} was written by a newer TinyTorch (its format is {version}, this one reads {SCHEMA_VERSION}). "
                "Update tinytorch_core; nothing was changed."
            )

    def _completion(self, row: sqlite3.Row) -> Completion:
        fields = {field: row[field] for field in Completion.__struct_fields__}
        try:
            completion = msgspec.convert(fields | {"names": msgspec.json.decode(row["names"])}, Completion)
        except (msgspec.DecodeError, msgspec.ValidationError, TypeError) as error:
            raise self._damaged(f"what was accepted of {row['module']} can't be read: {error}") from error
        shas = (_sha256(completion.source), _sha256(completion.notebook))
        if shas != (row["source_sha256"], completion.notebook_sha256):
            raise self._damaged(f"what was accepted of {row['module']} is not what was recorded")
        return completion

    def _report(self, row: sqlite3.Row) -> Report:
        try:
            return msgspec.json.decode(row["report"], type=Report)
        except (msgspec.DecodeError, TypeError) as error:
            raise self._damaged(f"a report in it can't be read: {error}") from error

    def _unusable(self, error: Exception) -> StoreError:
        text = str(error)
        if any(
            words in text for words in ("malformed", "not a database", "no such", "decode", "encrypted", "mismatch")
        ):
            return self._damaged(text)
        reasons = {
            "readonly": "can't be written. Make the file and its folder writable",
            "Permission denied": "can't be used. Make the file and its folder readable and writable",
            "unable to open": "can't be opened. Make the file and its folder readable and writable",
            "locked": f"is in use by another program for over {BUSY_SECONDS:.0f} seconds. Wait for it or close it",
            "full": "can't be written because the disk is full. Make room",
        }
        advice = next(
            (words for key, words in reasons.items() if key in text), "can't be used. Look at the disk it is on"
        )
        return StoreError(f"{self.path} {advice}, then try again; nothing was recorded. ({text})")

    def _damaged(self, why: str) -> StoreError:
        return StoreError(
            f"{self.path} is damaged: {why}. It was left as it is. Put a good copy in its place, or begin a new record "
            "with `tito doctor --new-record`; your notebooks are untouched and can be completed again."
        )


def _save(database: sqlite3.Connection, report: Report, owner_pid: int) -> None:
    database.execute(
        "INSERT INTO attempts (id, module, running, owner_pid, report) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET running = excluded.running, report = excluded.report",
        [report.attempt, report.module, report.state != "done", owner_pid, msgspec.json.encode(report).decode()],
    )


def _accept(database: sqlite3.Connection, completion: Completion) -> None:
    values = msgspec.structs.asdict(completion) | {
        "names": msgspec.json.encode(completion.names).decode(),
        "source_sha256": _sha256(completion.source),
    }
    columns = ", ".join(values)
    database.execute(f"INSERT OR REPLACE INTO completions ({columns}) VALUES (:{', :'.join(values)})", values)


def _accepted(database: sqlite3.Connection) -> sqlite3.Cursor:
    return database.execute("SELECT * FROM completions ORDER BY module")


def _shas(database: sqlite3.Connection) -> dict[str, str]:
    rows = database.execute("SELECT module, source_sha256 FROM completions ORDER BY module")
    return {row["module"]: row["source_sha256"] for row in rows}


def _fingerprint(shas: dict[str, str]) -> str:
    return _sha256("".join(f"{module} {sha}\n" for module, sha in sorted(shas.items())))


def _sha256(data: str | bytes) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def _interrupted(report: Report) -> Report:
    message = "The program that was grading stopped before the verdict. Nothing of yours is lost; run it again."
    return msgspec.structs.replace(report, state="done", verdict="interrupted", message=message)
