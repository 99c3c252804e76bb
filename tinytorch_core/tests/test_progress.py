import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tinytorch_core import progress
from tinytorch_core.errors import StoreError
from tinytorch_core.progress import Completion, ProgressStore, StoreChanged
from tinytorch_core.report import Report

Solved = Callable[..., tuple[Report, Completion]]


def running(attempt: str, module: str = "01_counting") -> Report:
    return Report(attempt=attempt, module=module, state="running")


def ended(attempt: str, module: str = "01_counting") -> Report:
    return Report(attempt=attempt, module=module, state="done", verdict="failed", message="2 of 3 checks pass.")


def test_a_new_store_is_empty(store: ProgressStore) -> None:
    assert store.completions() == {} and store.completed() == {} and store.latest() == {}
    assert store.attempt("a") is None and store.attempts("01_counting") == []
    store.check()


def test_an_attempt_is_running_until_it_is_finished(store: ProgressStore) -> None:
    store.start(running("a"), owner_pid=1)
    assert store.attempt("a") == running("a")
    store.finish(ended("a"))
    assert store.attempt("a") == ended("a")
    assert store.completed() == {}


def test_an_attempt_may_end_without_having_begun(store: ProgressStore) -> None:
    store.finish(ended("a"))
    assert store.attempts("01_counting") == [ended("a")]


def test_attempts_come_newest_first_and_of_one_module(store: ProgressStore) -> None:
    for name in ("a", "b", "c"):
        store.start(running(name), owner_pid=1)
    store.start(running("d", "02_adding"), owner_pid=1)
    store.finish(ended("a"))  # ending late does not make it newer
    assert [r.attempt for r in store.attempts("01_counting")] == ["c", "b", "a"]
    assert [r.attempt for r in store.attempts("01_counting", limit=2)] == ["c", "b"]


def test_the_latest_attempt_is_one_that_has_ended(store: ProgressStore) -> None:
    for name in ("a", "b"):
        store.start(running(name), owner_pid=1)
        store.finish(ended(name))
    store.start(running("c"), owner_pid=1)
    store.start(running("d", "02_adding"), owner_pid=1)
    assert {m: r.attempt for m, r in store.latest().items()} == {"01_counting": "b"}


def test_a_completion_is_kept_whole(store: ProgressStore, solved: Solved) -> None:
    report, completion = solved("01_counting")
    store.start(running(report.attempt), owner_pid=1)
    store.complete(report, completion, store.fingerprint())
    again = ProgressStore(store.path)
    assert again.completions() == {"01_counting": completion}
    assert again.attempt(report.attempt) == report
    assert list(again.completed()) == ["01_counting"]


def test_a_later_completion_replaces_what_was_accepted(store: ProgressStore, solved: Solved) -> None:
    store.complete(*solved("01_counting", "first"), store.fingerprint())
    assert store.completions()["01_counting"].attempt == "first"
    store.complete(*solved("01_counting", "second"), store.fingerprint())
    assert store.completions()["01_counting"].attempt == "second"
    assert len(store.attempts("01_counting")) == 2


def test_a_later_failure_takes_nothing_away(store: ProgressStore, solved: Solved) -> None:
    store.complete(*solved("01_counting"), store.fingerprint())
    before = store.completions()
    store.finish(ended("later"))
    assert store.completions() == before


def test_the_caller_can_not_change_the_record_by_changing_the_answer(store: ProgressStore, solved: Solved) -> None:
    store.complete(*solved("01_counting"), store.fingerprint())
    store.completions().clear()
    assert list(store.completions()) == ["01_counting"]


def test_the_fingerprint_changes_with_the_sources_and_only_with_them(store: ProgressStore, solved: Solved) -> None:
    seen = [store.fingerprint()]
    store.finish(ended("x"))
    assert store.fingerprint() == seen[0]
    for module in ("01_counting", "02_adding"):
        store.complete(*solved(module), store.fingerprint())
        seen.append(store.fingerprint())
    report, completion = solved("01_counting", "again")
    store.complete(report, msgspec.structs.replace(completion, source="count = len\n"), store.fingerprint())
    seen.append(store.fingerprint())
    assert len(set(seen)) == 4


def test_a_result_against_another_package_is_not_recorded(store: ProgressStore, solved: Solved) -> None:
    against = store.fingerprint()
    store.complete(*solved("01_counting"), against)
    report, completion = solved("02_adding")
    store.start(running(report.attempt, "02_adding"), owner_pid=1)
    with pytest.raises(StoreChanged, match="Nothing was recorded"):
        store.complete(report, completion, against)
    assert list(store.completed()) == ["01_counting"]
    assert store.attempt(report.attempt) == running(report.attempt, "02_adding")


@pytest.mark.parametrize("change", [{"verdict": "failed"}, {"attempt": "other"}, {"module": "02_adding"}])
def test_only_the_passed_attempt_of_a_module_completes_it(
    store: ProgressStore, solved: Solved, change: dict[str, str]
) -> None:
    report, completion = solved("01_counting")
    with pytest.raises(ValueError, match="only the passed attempt"):
        store.complete(msgspec.structs.replace(report, **change), completion, store.fingerprint())
    assert store.completed() == {} and store.attempts("01_counting") == []


def test_attempts_of_a_dead_process_are_interrupted(store: ProgressStore) -> None:
    store.start(running("dead"), owner_pid=1)
    store.start(running("alive"), owner_pid=2)
    store.start(running("done"), owner_pid=1)
    store.finish(ended("done"))
    assert store.interrupt_abandoned(lambda pid: pid == 2) == 1
    dead, alive, done = (store.attempt(name) for name in ("dead", "alive", "done"))
    assert dead is not None and (dead.state, dead.verdict) == ("done", "interrupted")
    assert "run it again" in dead.message
    assert (alive, done) == (running("alive"), ended("done"))
    assert store.interrupt_abandoned(lambda pid: pid == 2) == 0


def test_threads_can_write_at_once(store: ProgressStore) -> None:
    def work(name: int) -> None:
        for number in range(5):
            store.start(running(f"{name}-{number}"), owner_pid=1)
            store.finish(ended(f"{name}-{number}"))
            store.latest()

    threads = [threading.Thread(target=work, args=[n]) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.attempts("01_counting")) == 30
    assert all(report.state == "done" for report in store.attempts("01_counting"))


def complete_when_free(path: Path, module: str, report: Report, completion: Completion) -> None:
    store = ProgressStore(path)
    while True:
        try:
            return store.complete(report, completion, store.fingerprint())
        except StoreChanged:
            continue


def test_processes_can_complete_at_once(tmp_path: Path, solved: Solved) -> None:
    path = tmp_path / "progress.db"  # every process finds that there is none yet
    modules = ["01_counting", "02_adding", "03_doubling"]
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=complete_when_free, args=[path, m, *solved(m)]) for m in modules]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert sorted(ProgressStore(path).completed()) == modules
    assert os.listdir(tmp_path) == ["progress.db"]


KILLED = """
    import os, signal, sys
    from pathlib import Path
    import msgspec
    from tinytorch_core import progress
    from tinytorch_core.progress import Completion, ProgressStore
    from tinytorch_core.report import Report

    path, report, completion = sys.argv[1:4]
    report = msgspec.json.decode(Path(report).read_bytes(), type=Report)
    completion = msgspec.msgpack.decode(Path(completion).read_bytes(), type=Completion)
    store = ProgressStore(Path(path))
    {prepare}
    print("ready", flush=True)
    store.complete(report, completion, store.fingerprint())
    print("recorded", flush=True)
    sys.stdin.read()
"""
KILL_BEFORE_COMMIT = """
    accept = progress._accept
    def killed(database, completion):
        accept(database, completion)
        os.kill(os.getpid(), signal.SIGKILL)
    progress._accept = killed
"""


@pytest.fixture
def completing(tmp_path: Path, store: ProgressStore, solved: Solved) -> Callable[..., subprocess.Popen[bytes]]:
    """Starts a process that completes module 2 with a notebook so large that SQLite writes to the file before it commits."""
    report, completion = solved("02_adding")
    notebook = random.Random(0).randbytes(20_000_000)
    completion = msgspec.structs.replace(completion, notebook=notebook, notebook_sha256=progress._sha256(notebook))
    (tmp_path / "report").write_bytes(msgspec.json.encode(report))
    (tmp_path / "completion").write_bytes(msgspec.msgpack.encode(completion))

    def start(prepare: str = "") -> subprocess.Popen[bytes]:
        code = textwrap.dedent(KILLED).replace("{prepare}", textwrap.dedent(prepare))
        paths = [str(path) for path in (store.path, tmp_path / "report", tmp_path / "completion")]
        arguments = [sys.executable, "-c", code, *paths]
        return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    return start


def test_a_process_killed_before_the_commit_leaves_the_old_state(
    store: ProgressStore, solved: Solved, completing: Callable[..., subprocess.Popen[bytes]]
) -> None:
    store.complete(*solved("01_counting"), store.fingerprint())
    before = store.completions()
    with completing(KILL_BEFORE_COMMIT) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL and output == b"ready\n"
    assert Path(f"{store.path}-journal").exists(), "the kill came too early to prove anything"
    after = ProgressStore(store.path)
    assert after.completions() == before and after.attempts("02_adding") == []
    after.check()


def test_a_process_killed_at_any_moment_leaves_the_old_or_the_new_state(
    store: ProgressStore, solved: Solved, completing: Callable[..., subprocess.Popen[bytes]]
) -> None:
    store.complete(*solved("01_counting"), store.fingerprint())
    for milliseconds in (0, 5, 20, 40, 80):
        with completing() as process:
            assert process.stdout is not None and process.stdout.readline() == b"ready\n"
            time.sleep(milliseconds / 1000)
            process.kill()
            acknowledged = process.stdout.read() == b"recorded\n"
        after = ProgressStore(store.path)
        after.check()
        assert ("02_adding" in after.completed()) == (after.attempt("passed-02_adding") is not None)
        assert "02_adding" in after.completed() or not acknowledged
        assert "01_counting" in after.completed()


def test_an_error_in_the_middle_records_nothing(
    store: ProgressStore, solved: Solved, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_accept", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        store.complete(*solved("01_counting"), store.fingerprint())
    assert store.attempts("01_counting") == [] and store.completed() == {}


def every_call(store: ProgressStore, solved: Solved) -> dict[str, Callable[[], object]]:
    report, completion = solved("01_counting")
    return {
        "start": lambda: store.start(running("a"), 1),
        "finish": lambda: store.finish(ended("a")),
        "complete": lambda: store.complete(report, completion, ""),
        "completions": store.completions,
        "completed": store.completed,
        "fingerprint": store.fingerprint,
        "attempt": lambda: store.attempt("a"),
        "attempts": lambda: store.attempts("01_counting"),
        "latest": store.latest,
        "interrupt_abandoned": lambda: store.interrupt_abandoned(lambda pid: True),
        "check": store.check,
    }


def spoil_header(path: Path) -> None:
    path.write_bytes(b"not a database at all".ljust(4096))


def spoil_pages(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncate(path: Path) -> None:
    os.truncate(path, 4096)


def make_foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE music (title)")
    database.close()


def make_newer(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 2")
    database.close()


def remove(path: Path) -> None:
    path.unlink()


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


SPOILED = [
    (spoil_header, "is damaged: file is not a database"),
    (spoil_pages, "is damaged"),
    (truncate, "is damaged"),
    (empty, "is damaged: it is empty"),
    (make_foreign, "is damaged: it is empty, or was not written by TinyTorch"),
    (make_newer, r"newer TinyTorch \(its format is 2, this one reads 1\)\. Update tinytorch_core"),
    (remove, "is gone"),
    (make_folder, "is gone, or no file"),
]


@pytest.mark.parametrize(("spoil", "says"), SPOILED, ids=lambda value: getattr(value, "__name__", ""))
def test_a_store_that_can_not_be_used_says_so_in_every_call_and_is_left_alone(
    store: ProgressStore, solved: Solved, spoil: Callable[[Path], None], says: str
) -> None:
    store.complete(*solved("01_counting"), store.fingerprint())
    spoil(store.path)
    before = store.path.read_bytes() if store.path.is_file() else None
    for name, call in every_call(store, solved).items():
        with pytest.raises(StoreError, match=says) as caught:
            call()
        assert str(store.path) in caught.value.message, name
        assert not isinstance(caught.value, StoreChanged)
    assert (store.path.read_bytes() if store.path.is_file() else None) == before


@pytest.mark.parametrize("spoil", [spoil_header, spoil_pages, truncate, empty, make_foreign, make_newer, make_folder])
def test_opening_never_replaces_what_is_there(store: ProgressStore, spoil: Callable[[Path], None]) -> None:
    spoil(store.path)
    with pytest.raises(StoreError):
        ProgressStore(store.path).completions()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE completions SET source = 'count = 7'",
        "UPDATE completions SET notebook = x'00'",
        "UPDATE completions SET notebook = 7",
        "UPDATE completions SET names = '[1]'",
        "UPDATE completions SET names = 'count'",
        "UPDATE completions SET completed = 'yesterday'",
        "DROP TABLE completions",
    ],
)
def test_an_accepted_source_that_was_changed_in_the_file_is_noticed(
    store: ProgressStore, solved: Solved, change: str
) -> None:
    store.complete(*solved("01_counting"), store.fingerprint())
    with sqlite3.connect(store.path) as database:
        database.execute(change)
    database.close()
    for call in (ProgressStore(store.path).completions, store.check):
        with pytest.raises(StoreError, match="damaged"):
            call()


@pytest.mark.parametrize("report", ["'{'", "'{}'", "x'ff'", "7"])
def test_a_report_that_can_not_be_read_is_damage(store: ProgressStore, report: str) -> None:
    store.finish(ended("a"))
    with sqlite3.connect(store.path) as database:
        database.execute(f"UPDATE attempts SET report = {report}")
    database.close()
    for call in (lambda: store.attempt("a"), store.latest, store.check):
        with pytest.raises(StoreError, match="damaged"):
            call()


@pytest.mark.parametrize("spoil", [spoil_header, make_newer, empty, make_folder])
def test_setting_aside_keeps_the_old_file_and_begins_a_new_one(
    store: ProgressStore, spoil: Callable[[Path], None]
) -> None:
    store.finish(ended("a"))
    spoil(store.path)
    before = store.path.read_bytes() if store.path.is_file() else None
    kept = store.set_aside()
    assert kept.name.startswith("progress.db.damaged-") and kept.parent == store.path.parent
    assert (kept.read_bytes() if kept.is_file() else None) == before
    assert store.attempts("01_counting") == []
    store.check()


def test_damage_in_a_part_that_is_seldom_read_is_found_by_a_close_look(store: ProgressStore) -> None:
    store.finish(ended("a"))
    with sqlite3.connect(store.path) as database:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'attempts_of_module'"
        page, size = database.execute(query).fetchone()[0], database.execute("PRAGMA page_size").fetchone()[0]
    database.close()
    data = bytearray(store.path.read_bytes())
    data[(page - 1) * size : page * size] = b"\xff" * size
    store.path.write_bytes(data)
    assert store.attempt("a") == ended("a")
    with pytest.raises(StoreError, match="damaged"):
        store.check()


def test_a_store_that_another_process_made_meanwhile_is_used(
    store: ProgressStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.finish(ended("a"))
    monkeypatch.setattr(os.path, "lexists", lambda path: False)  # as it was when this process looked
    assert ProgressStore(store.path).attempt("a") == ended("a")


def test_a_store_that_vanishes_at_the_last_moment_is_not_made_anew(
    store: ProgressStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.path.unlink()
    monkeypatch.setattr(Path, "is_file", lambda path: True)
    with pytest.raises(StoreError, match="can't be opened"):
        store.completions()
    assert not os.path.lexists(store.path)


def test_setting_aside_twice_in_a_second_keeps_both(store: ProgressStore) -> None:
    kept = {store.set_aside() for _ in range(3)}
    assert len(kept) == 3 and all(path.is_file() for path in kept)


def test_a_journal_goes_aside_with_its_file(store: ProgressStore) -> None:
    Path(f"{store.path}-journal").write_bytes(b"half")
    kept = store.set_aside()
    assert Path(f"{kept}-journal").read_bytes() == b"half" and not Path(f"{store.path}-journal").exists()
    store.check()


def test_a_store_that_may_not_be_written_can_be_read_but_records_nothing(
    as_ordinary_user: Callable[..., object], solved: Solved
) -> None:
    with as_ordinary_user() as folder:  # type: ignore[attr-defined]
        store = ProgressStore(folder / "progress.db")
        store.finish(ended("a"))
        (folder / "progress.db").chmod(0o400)
        folder.chmod(0o500)
        try:
            assert ProgressStore(folder / "progress.db").attempt("a") == ended("a")
            with pytest.raises(StoreError, match="Make the file and its folder writable"):
                store.complete(*solved("01_counting"), store.fingerprint())
            (folder / "progress.db").chmod(0)
            with pytest.raises(StoreError, match="Make the file and its folder readable"):
                store.completed()
            with pytest.raises(StoreError, match="Make the file and its folder readable and writable"):
                ProgressStore(folder / "other.db")
            with pytest.raises(StoreError, match="can't be used"):
                store.set_aside()
        finally:
            folder.chmod(0o700)


def test_a_store_that_somebody_else_keeps_locked_says_so(store: ProgressStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "BUSY_SECONDS", 0.1)
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="in use by another program"):
        store.finish(ended("a"))
    other.execute("ROLLBACK")
    other.close()
    store.finish(ended("a"))


def test_a_writer_waits_for_another(store: ProgressStore) -> None:
    other = sqlite3.connect(store.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    releasing = threading.Timer(0.2, lambda: other.execute("ROLLBACK"))
    releasing.start()
    store.finish(ended("a"))
    releasing.join()
    other.close()
    assert store.attempt("a") == ended("a")


def test_the_store_is_as_durable_as_promised(store: ProgressStore) -> None:
    with store._reading() as database:
        assert database.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
        assert database.execute("PRAGMA synchronous").fetchone()[0] >= 2  # 2 is FULL, 3 EXTRA


def test_a_store_left_in_another_journal_mode_comes_back(store: ProgressStore) -> None:
    other = sqlite3.connect(store.path)
    other.execute("PRAGMA journal_mode = WAL")
    other.close()
    store.finish(ended("a"))
    with store._reading() as database:
        assert database.execute("PRAGMA journal_mode").fetchone()[0] == "delete"


@pytest.mark.parametrize("name", ["a b", "ü", "100%", "what?#", "line\nbreak", "a'b\"c"])
def test_a_folder_may_be_called_anything(tmp_path: Path, name: str) -> None:
    store = ProgressStore(tmp_path / name / "progress.db")
    store.finish(ended("a"))
    assert ProgressStore(store.path).attempt("a") == ended("a")
    assert [p.name for p in (tmp_path / name).iterdir()] == ["progress.db"]
