"""Getting a data set into the cache: each file whole and verified before it gets its name, by one process at a time."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from tinytorch_core import files
from tinytorch_core.data import cache, digests
from tinytorch_core.data.catalogue import Dataset, Part, size
from tinytorch_core.data.download import OnBytes, discard, download
from tinytorch_core.data.errors import FetchError, Refused
from tinytorch_core.errors import UsageError

CHUNK = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT)

OnStep = Callable[[str, int], None]
"""Called with what happens now, and with how many bytes of the data set are here."""


def fetch(dataset: Dataset, sources: Sequence[Path] = (), on_step: OnStep = lambda said, done: None) -> Path:
    """The folder in which all files of a data set now stand, each the right one.

    With `sources`, files or folders that hold them, nothing is downloaded. FetchError says what went wrong and what to do;
    UsageError if the sources are not all that it takes. What was there and is right stays; what had come is gone on with.
    """
    home = cache.home(dataset)
    if not cache.wrong(dataset):
        return home
    with _disk_in_words(dataset, home):
        home.mkdir(parents=True, exist_ok=True)
        with _alone(home, on_step):
            _fill(dataset, home, sources, on_step)
    return home


def _fill(dataset: Dataset, home: Path, sources: Sequence[Path], on_step: OnStep) -> None:
    files.remove_temporaries(home)
    wanted = [part for part in dataset.parts if _wrong(part, home / part.name)]
    chosen = _choose(dataset, wanted, sources) if sources else {}
    _demand_room(dataset, home, wanted)
    done = dataset.bytes - sum(part.bytes for part in wanted)
    for part in wanted:
        if sources:
            _copy(chosen[part.name], part, home / part.name, _shifted(on_step, f"from {chosen[part.name].name}", done))
        else:
            _download(dataset, part, home / part.name, on_step, done)
        done += part.bytes
        on_step("", done)


def _download(dataset: Dataset, part: Part, target: Path, on_step: OnStep, done: int) -> None:
    """From the first address that serves it."""
    said = []
    for url in part.urls:
        try:
            return _from(url, part, target, _shifted(on_step, f"from {url.split('/')[2]}", done))
        except FetchError as error:
            said.append(error.message)
    raise FetchError("\n".join([f"{dataset.title} could not be fetched.", *said, *_advice(dataset)]))


def _from(url: str, part: Part, target: Path, on_bytes: OnBytes) -> None:
    unfinished = cache.unfinished(target)
    gone_on = download(url, part, unfinished, on_bytes)
    if gone_on and _wrong(part, unfinished):  # the half that came earlier may have been spoilt
        discard(unfinished)
        download(url, part, unfinished, on_bytes)
    if said := _wrong(part, unfinished):
        discard(unfinished)
        raise Refused(f"{url} is not the file that it was: {said}. It has been thrown away.")
    _give_name(unfinished, target)
    discard(unfinished)


def _copy(source: Path, part: Part, target: Path, on_bytes: OnBytes) -> None:
    """Judged before it is copied, and again as it lies here: a stick may be pulled out."""
    temporary = files.temporary_beside(target)
    try:
        with _opened(source) as original:
            said = digests.wrong(part, original)
            if not said:
                _copy_bytes(original, temporary, on_bytes)
                said = _wrong(part, temporary)
        if said:
            raise FetchError(f"{source} is not the right file: {said}. {part.name} is to be had from {part.urls[0]}")
        _give_name(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[BinaryIO]:
    try:
        file = source.open("rb")
    except OSError as error:
        raise FetchError(f"{source} can't be read ({error.strerror}).") from error
    with file:
        yield file


def _copy_bytes(original: BinaryIO, path: Path, on_bytes: OnBytes) -> None:
    with path.open("xb") as copy:
        while chunk := original.read(CHUNK):
            copy.write(chunk)
            on_bytes(copy.tell())


def _choose(dataset: Dataset, wanted: Sequence[Part], sources: Sequence[Path]) -> dict[str, Path]:
    """Which source is which part: by name, or whatever its name if there is only one part."""
    given = [s / part.name for s in sources if s.is_dir() for part in dataset.parts if (s / part.name).is_file()]
    given += [source for source in sources if not source.is_dir()]
    if len(dataset.parts) == len(given) == 1:
        return {dataset.parts[0].name: given[0]}
    chosen = {source.name: source for source in given}
    if missing := [part.name for part in wanted if part.name not in chosen]:
        raise UsageError(
            f"{dataset.title} still needs {', '.join(missing)}. Name each file with a --from of its own, or the folder that holds them."
        )
    return chosen


def _wrong(part: Part, path: Path) -> str:
    try:
        with path.open("rb") as file:
            return digests.wrong(part, file)
    except FileNotFoundError:
        return "it is not there"


def _give_name(temporary: Path, target: Path) -> None:
    """From now on it is there, whole, whatever happens to the machine."""
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(temporary, target)
    files.sync_folder(target.parent)


@contextlib.contextmanager
def _alone(home: Path, on_step: OnStep) -> Iterator[None]:
    """Two fetches of one data set take turns; the second finds the work done. A killed one leaves no lock behind."""
    lock = FileLock(home / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        on_step("waiting for another fetch of it", 0)
        lock.acquire(poll_interval=0.2)
    try:
        yield
    finally:
        lock.release()


def _demand_room(dataset: Dataset, home: Path, wanted: Sequence[Part]) -> None:
    """Say it now, not after a quarter of an hour."""
    here = [cache.unfinished(home / part.name) for part in wanted]
    needed = sum(part.bytes for part in wanted) - sum(path.stat().st_size for path in here if path.is_file())
    free = shutil.disk_usage(home).free
    if free < needed:
        raise FetchError(f"{dataset.title} needs {size(needed)} more, and {home} has {size(free)} free. {_ELSEWHERE}")


@contextlib.contextmanager
def _disk_in_words(dataset: Dataset, home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            said = f"The disk is full; {size(cache.fetched_bytes(dataset))} of {size(dataset.bytes)} are here and kept."
            raise FetchError(f"{said} {_ELSEWHERE}") from error
        raise FetchError(f"{home} can't be written to ({error.strerror}). {_ELSEWHERE}") from error


_ELSEWHERE = f"Make room, or let {cache.VARIABLE} name another folder: export {cache.VARIABLE}=/path/to/folder"


def _advice(dataset: Dataset) -> Iterator[str]:
    have = cache.fetched_bytes(dataset)
    if have:
        yield f"{size(have)} of {size(dataset.bytes)} are here and kept: the same command goes on from there."
    first = dataset.parts[0]
    what, where = (
        (first.name, first.urls[0]) if len(dataset.parts) == 1 else ("its files", first.urls[0].rpartition("/")[0])
    )
    yield (
        f"Without internet: on another machine get {what} from {where}, bring it here, and type `tito data fetch {dataset.id} "
        f"--from {'FILE' if len(dataset.parts) == 1 else 'FOLDER'}`."
    )


def _shifted(on_step: OnStep, said: str, before: int) -> OnBytes:
    return lambda here: on_step(said, before + here)
