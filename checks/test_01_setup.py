"""Checks of module 01: what the machine is, how much memory arrays take, how long functions take."""

import importlib
import math
import os
import platform
import sys
import time

import numpy as np
import psutil
from support import shuffled

from tinytorch_core.kernel.checking import at_most, exercise, given, judged, stage, wants

# --- setup-system ----------------------------------------------------------------------------------------------------


def wrong_fact(answer, names):
    facts = {
        "python": lambda got: got == platform.python_version(),
        "numpy": lambda got: got == np.__version__,
        "platform": lambda got: (
            type(got) is str and any(s in got.lower() for s in (platform.system().lower(), sys.platform))
        ),
        "cores": lambda got: type(got) is int and got in (os.cpu_count(), psutil.cpu_count()),
        "memory_gb": lambda got: (
            type(got) is float and math.isclose(got, psutil.virtual_memory().total / 2**30, rel_tol=0.02)
        ),
    }
    if not isinstance(answer, list) or len(answer) != len(names):
        return f"{len(names)} values were expected"
    wrong = [f"{name} is {got!r}" for name, got in zip(names, answer, strict=True) if not facts[name](got)]
    return f"this is not so on this machine: {', '.join(wrong)}" if wrong else None


@exercise("setup-system")
@given(lambda rng: {"names": shuffled(rng, ["python", "numpy", "platform", "cores", "memory_gb"])})
@judged(wrong_fact)
def test_system_info_tells_the_truth(tt, names):
    """system_info has all five entries, and they are true.

    cores is an int; memory_gb is a float: the bytes divided by 2**30. The table above says where Python keeps each of them.
    """
    info = tt.system_info()
    return [info[name] for name in names]


@exercise("setup-system")
@stage("compatibility")
@given(lambda rng: {"name": str(rng.choice(["python", "numpy", "cores"])), "note": int(rng.integers(1000))})
@wants(
    lambda name, note: [
        note,
        {"python": platform.python_version(), "numpy": np.__version__, "cores": os.cpu_count()}[name],
    ]
)
def test_system_info_is_fresh(tt, name, note):
    """Every call makes a dict of its own.

    Build the dict inside the function: then nobody's notes in one answer appear in the next.
    """
    first = tt.system_info()
    first[name] = note
    return first[name], tt.system_info()[name]


# --- setup-bytes -----------------------------------------------------------------------------------------------------

KINDS = ["float64", "float32", "float16", "int64", "int32", "uint8", "bool"]


def some_shapes(rng):
    return [rng.integers(1, 9, size=n).tolist() for n in shuffled(rng, [0, 1, 2, 3, 4, 2, 3])]


@exercise("setup-bytes")
@given(lambda rng: {"shapes": some_shapes(rng), "kinds": shuffled(rng, KINDS)})
@wants(lambda shapes, kinds: [np.broadcast_to(np.zeros((), k), s).nbytes for s, k in zip(shapes, kinds, strict=True)])
def test_array_bytes_counts(tt, shapes, kinds):
    """array_bytes multiplies the sizes and the bytes of one number, also for the shape ().

    math.prod(shape) numbers, each of np.dtype(dtype).itemsize bytes. The answer is a Python int.
    """
    return [tt.array_bytes(tuple(shape), kind) for shape, kind in zip(shapes, kinds, strict=True)]


@exercise("setup-bytes")
@given(lambda rng: {"sizes": [int(n) * 10**7 for n in rng.integers(1, 99, size=3)]})
@wants(lambda sizes: [sizes[0] * sizes[1] * sizes[2] * 8, 0, sizes[0] * 2])
def test_array_bytes_allocates_nothing(tt, sizes):
    """Even of an array far too large for any machine, array_bytes knows the size.

    Do not make the array to find out. And use math.prod: NumPy's prod overflows.
    """
    return (
        tt.array_bytes(tuple(sizes), np.float64),
        tt.array_bytes((sizes[1], 0), np.float32),
        tt.array_bytes((sizes[0],), "float16"),
    )


# --- setup-format ----------------------------------------------------------------------------------------------------


def in_words(count):
    step = max(s for s in range(5) if s == 0 or count >= 2 ** (10 * s))
    return f"{count / 2 ** (10 * step):.{min(step, 1)}f} {['B', 'KiB', 'MiB', 'GiB', 'TiB'][step]}"


@exercise("setup-format")
@given(lambda rng: {"counts": [int(n) << 10 * step for step in range(5) for n in rng.integers(2, 1000, size=2)]})
@wants(lambda counts: [in_words(n) for n in counts])
def test_readable_bytes_finds_the_unit(tt, counts):
    """Each count is written in the largest unit that is not larger than itself.

    Divide by 1024 and go one unit up as long as 1024 or more are left. Plain bytes have no decimals.
    """
    return [tt.readable_bytes(n) for n in counts]


@exercise("setup-format")
@given(
    lambda rng: {"counts": [1024, 1023, 1024**2, 1024**4, 0] + [int(n) for n in rng.integers(10**4, 10**14, size=5)]}
)
@wants(lambda counts: [in_words(n) for n in counts])
def test_readable_bytes_rounds_to_one_decimal(tt, counts):
    """One decimal from KiB on; 1024 B are 1.0 KiB; TiB is the last unit.

    f"{number:.1f}". Compare with >= 1024, and stop at the last unit, however large the number.
    """
    return [tt.readable_bytes(n) for n in counts]


@exercise("setup-format")
@stage("compatibility")
@given(lambda rng: {"tebibytes": [int(n) for n in rng.integers(1100, 9999, size=3)]})
@wants(lambda tebibytes: [f"{n}.0 TiB" for n in tebibytes])
def test_readable_bytes_of_very_much(tt, tebibytes):
    """Beyond 1024 TiB it stays with TiB.

    Stop when no larger unit is left.
    """
    return [tt.readable_bytes(n * 2**40) for n in tebibytes]


# --- setup-measure ---------------------------------------------------------------------------------------------------


def not_the_median(answer, waits, repeat):
    """The function timed itself: what measure says must be the median of that."""
    if type(answer) is not list or len(answer) != 2 or type(answer[1]) is not list:
        return "a measurement and the true times were expected"
    seconds, took = answer
    if not isinstance(seconds, (float, np.ndarray)) or np.ndim(seconds) or not all(type(t) is float for t in took):
        return "measure should return one float"
    if len(took) not in (repeat, repeat + 1) or any(t < 0.9 * wait for t, wait in zip(took, waits, strict=False)):
        return f"with repeat={repeat} the function should run {repeat} times, and perhaps once to warm up; it ran {len(took)} times"
    median = float(np.median(took[-repeat:]))
    if abs(float(seconds) - median) <= 0.2 * median + 0.0004:
        return None
    runs = ", ".join(f"{t * 1e3:.1f}" for t in took[-repeat:])
    return f"the runs took {runs} ms; their median is {median:.4f} seconds, and measure said {float(seconds):.4g}"


def slow_and_quick(rng):
    usual = float(rng.uniform(0.0014, 0.002))
    return {"waits": [9 * usual, 0.0, usual, usual, 9 * usual, 9 * usual], "repeat": 5}


def watched(waits, took):
    """A function that waits a little differently each time, and notes in `took` how long it really took."""
    waiting = iter(waits)

    def wait():
        start = time.perf_counter()
        time.sleep(next(waiting, 0.0))
        took.append(time.perf_counter() - start)

    return wait


@exercise("setup-measure")
@given(slow_and_quick)
@judged(not_the_median)
def test_measure_takes_the_median(tt, waits, repeat):
    """measure returns the median of the runs, in seconds.

    Sorted, the value in the middle: statistics.median. The mean would be spoilt by one slow run.
    """
    took = []
    return tt.measure(watched(waits, took), repeat=repeat), took


def calls_of(measure, words, repeat):
    """With which arguments `measure` calls its function, one list for each call."""
    calls = []
    measure(lambda *args: calls.append(list(args)), *words, repeat=repeat)
    return calls


def wrong_calls(answer, repeats, words):
    if type(answer) is not list or len(answer) != len(repeats) or any(type(calls) is not list for calls in answer):
        return "a list of the calls was expected"
    for calls, repeat in zip(answer, repeats, strict=True):
        if len(calls) not in (repeat, repeat + 1):
            return f"with repeat={repeat} the function should be called {repeat} times (and perhaps once to warm up), not {len(calls)} times"
        if any(call != words for call in calls):
            return f"the function should be called with the arguments {words}, not {next(c for c in calls if c != words)!r}"
    return None


@exercise("setup-measure")
@given(
    lambda rng: {
        "repeats": rng.integers(1, 12, size=8).tolist(),
        "words": rng.choice(["a", "b", "c", "d"], size=3).tolist(),
    }
)
@judged(wrong_calls)
def test_measure_hands_the_arguments_on(tt, repeats, words):
    """The function is called `repeat` times, each time with all the arguments.

    for _ in range(repeat): … function(*args) … The star hands the tuple on as separate arguments.
    """
    return [calls_of(tt.measure, words, repeat) for repeat in repeats]


@exercise("setup-measure")
@stage("integration")
@given(lambda rng: {"turns": shuffled(rng, [5, 800, 40_000])})
@wants(lambda turns: [sorted(turns).index(n) for n in turns])
def test_measure_tells_slow_from_quick(tt, turns):
    """What takes longer measures longer.

    Read the clock right before and right after the call, once for each run.
    """
    seconds = [tt.measure(sum, range(n)) for n in turns]
    return [sorted(seconds).index(s) for s in seconds]


# --- setup-flops -----------------------------------------------------------------------------------------------------


@exercise("setup-flops")
@given(lambda rng: {"sizes": rng.integers(1, 40, size=(8, 3)).tolist()})
@wants(lambda sizes: [sum(2 * k for _ in range(n) for _ in range(m)) for n, k, m in sizes])
def test_matmul_flops_counts(tt, sizes):
    """Each of the n · m numbers takes k multiplications and k additions.

    2 · n · k · m, a Python int.
    """
    return [tt.matmul_flops(n, k, m) for n, k, m in sizes]


# --- the module as a whole -------------------------------------------------------------------------------------------

NAMES = [
    "system_info",
    "array_bytes",
    "measure",
    "readable_bytes",
    "matmul_flops",
    "sytem_info",
    "bytes_of",
    "meassure",
    "info",
    "flop",
]


@stage("import")
@given(lambda rng: {"names": shuffled(rng, NAMES)})
@wants(lambda names: [NAMES.index(name) < 5 for name in names])
def test_module_imports_alone(tt, names):
    """`import tinytorch.setup` works by itself, and its public names are there.

    If the import fails, run all cells from the top once and look for the first error.
    """
    module = importlib.import_module("tinytorch.setup")
    return [callable(getattr(module, name, None)) for name in names]


@stage("integration")
@given(lambda rng: {"sizes": rng.integers(1, 300, size=6).tolist(), "kinds": rng.choice(KINDS, size=6).tolist()})
@wants(lambda sizes, kinds: [in_words(np.ones((7, n), k).nbytes) for n, k in zip(sizes, kinds, strict=True)])
def test_the_ruler_is_right(tt, sizes, kinds):
    """array_bytes and readable_bytes together say what a real array takes.

    If this fails while both pass alone, look at the types they return.
    """
    return [tt.readable_bytes(tt.array_bytes((7, size), kind)) for size, kind in zip(sizes, kinds, strict=True)]


@exercise("setup-measure")
@stage("performance")
@given(lambda rng: {"x": rng.normal(size=5_000).astype(np.float32)})
@wants(lambda x: np.sort(x))
@at_most(12.0, times_of=lambda x: [np.sort(x) for _ in range(8)])
def test_measure_costs_little(tt, x):
    """Measuring takes little longer than what is measured.

    Call the function `repeat` times, not more, and do nothing slow beside it.
    """
    answers = []
    tt.measure(lambda: answers.append(np.sort(x)), repeat=8)
    return answers[0]
