"""What goes into the check kernel, and what is taken out of it. No wanted value ever goes in."""

import ast
import asyncio
import json
import os
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinytorch_core import catalogue
from tinytorch_core.errors import GraderError
from tinytorch_core.grader import judge
from tinytorch_core.grader.checks import Exchange, Package, load, observing_part
from tinytorch_core.grader.job import Accepted
from tinytorch_core.kernel.checking import execute_checks
from tinytorch_core.kernel.compare import ATensor
from tinytorch_core.kernel.plain import decode, encode, unwrap
from tinytorch_core.report import Stages
from tinytorch_core.tests.warm import LIMITS

SOURCE = '''"""What the file is about: the secret is 4711."""
import math, os
import numpy as np
from support import shared, only_outside as secret_support
from tinytorch_core.kernel import checking
from tinytorch_core.kernel.checking import at_most, exercise, given, judged, wants

SECRET = 4711
SIZES = (2,
         3)  # kept whole

def secret_answer(x):
    return x * SECRET + secret_support(x)

def helper(tt, x):
    return deeper(tt, x)

def deeper(tt, x):
    return tt.f(x) + np.zeros(SIZES)

class SecretModel:
    pass

@exercise("one")
@given(lambda rng: {"x": rng.normal()})
@wants(lambda x: secret_answer(x))
def test_one(tt, x):
    """One.

    Hint.
    """
    return helper(tt, x)

@checking.given(lambda rng: {"x": SECRET})
@checking.judged(lambda answer, x: SecretModel())
@at_most(3.0, times_of=lambda x: math.sqrt(x))
def test_two(tt, x):
    """Two."""
    return shared(tt, x)
'''
SUPPORT = """import numpy as np
HIDDEN = 4712

def shared(tt, x):
    return inner(tt) + x

def inner(tt):
    return tt.g()

def only_outside(x):
    return HIDDEN
"""
GOOD = "def count(items):\n    return len(items)\n"


def test_what_only_the_judge_uses_is_cut_out():
    inside = observing_part(SOURCE)
    words = set(re.findall(r"\w+", inside))
    assert not words & {
        "4711",
        "SECRET",
        "secret",
        "secret_support",
        "SecretModel",
        "rng",
        "wants",
        "given",
        "judged",
        "os",
    }


def test_what_the_bodies_use_stays_at_its_line():
    inside = observing_part(SOURCE).splitlines()
    lines = SOURCE.splitlines()
    kept = {number for number, line in enumerate(inside) if line}
    for text in (
        '@exercise("one")',
        "def helper(tt, x):",
        "    return tt.f(x) + np.zeros(SIZES)",
        "         3)  # kept whole",
    ):
        assert lines.index(text) in kept
    for number in kept:
        if not lines[number].startswith(("import", "from")):
            assert inside[number] == lines[number]


def test_imports_are_cut_down_to_the_names_in_use():
    inside = observing_part(SOURCE).splitlines()
    assert inside[1] == "import math"
    assert inside[3] == "from support import shared"
    assert inside[5] == "from tinytorch_core.kernel.checking import at_most, exercise"


def test_of_the_shared_helpers_only_those_of_bodies_go_in():
    inside = observing_part(SUPPORT, keep={"shared"})
    assert "inner" in inside
    assert not [secret for secret in ("4712", "HIDDEN", "only_outside") if secret in inside]


def test_what_is_left_can_still_be_run():
    namespace = execute_checks(observing_part(SOURCE), observing_part(SUPPORT, keep={"shared"}), "checks/test_x.py")

    class TT:
        f = staticmethod(lambda x: x)
        g = staticmethod(lambda: 10)

    assert namespace["test_one"](TT, 1.0).shape == (2, 3)
    assert namespace["test_two"](TT, 5) == 15


WRITTEN = [m for m in catalogue.default_course().modules if m.written]


@pytest.mark.parametrize("module", WRITTEN, ids=[m.id for m in WRITTEN])
def test_of_the_courses_own_checks_no_judging_part_goes_in(module):
    path = catalogue.default_course().checks_source(module.id)
    file, whole = load(path), path.read_text(encoding="utf-8")
    outside = {"given", "wants", "judged", "a_tensor"}
    assert not outside & {node.id for node in ast.walk(ast.parse(file.inside)) if isinstance(node, ast.Name)}
    bodies, kept = bodies_of(whole), bodies_of(file.inside)
    assert {c.id: kept[c.id] for c in file.checks} == {c.id: bodies[c.id] for c in file.checks}


def bodies_of(source):
    return {n.name: ast.unparse(n.body[-1]) for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)}


@pytest.fixture
def file(tiny_course):
    return load(tiny_course.checks_source("01_counting"))


@pytest.fixture
def exchange(file):
    return Exchange(file, Package.of((), Accepted(module="01_counting", source=GOOD, names=("count",))), Stages)


def wanted_of(challenge):
    wanted = challenge.check.wants(**challenge.inputs)
    return wanted.values if isinstance(wanted, ATensor) else wanted


def test_no_wanted_value_is_in_what_is_sent(exchange):
    sent = "".join(step.source + step.payload for step in exchange.steps())
    payload = json.loads(exchange.steps()[-1].payload)
    assert payload.keys() == {"nonce", "module", "package", "earlier", "file", "source", "support", "checks"}
    assert all(check.keys() == {"id", "inputs", "repeat"} for check in payload["checks"])
    mean = exchange.challenges["test_mean_of_all"]
    assert repr(wanted_of(mean)) not in sent
    assert "np.mean" not in sent.replace("[np.mean(values) for _ in range(50)]", "")  # the reference, by its nature


def test_what_is_sent_gives_back_the_inputs(exchange):
    checks = [c for step in exchange.steps() for c in json.loads(step.payload)["checks"] if step.function == "run"]
    assert {c["id"] for c in checks} == set(exchange.challenges)
    for check in checks:
        inputs, sent = exchange.challenges[check["id"]].inputs, unwrap(decode(check["inputs"]))
        assert inputs.keys() == sent.keys()
        assert all(np.array_equal(inputs[name], sent[name]) for name in inputs if name != "heaps")


def test_every_run_has_another_nonce_and_other_inputs(file):
    package = Package.of((), Accepted(module="01_counting", source=GOOD, names=("count",)))
    one, other = (Exchange(file, package, Stages) for _ in range(2))
    assert one.nonce != other.nonce
    assert len(one.nonce) == 32
    values = [e.challenges["test_mean_of_all"].inputs["values"].sum() for e in (one, other)]
    assert values[0] != values[1]


def test_references_come_first_and_timed_checks_last(exchange):
    steps = exchange.steps()
    assert [(s.function, s.timed) for s in steps] == [("reference", False), ("run", False), ("run", True)]
    ids = [[c["id"] for c in json.loads(s.payload)["checks"]] for s in steps]
    assert ids[0] == ids[2] == ["test_mean_is_not_a_loop"]
    assert "test_mean_is_not_a_loop" not in ids[1]


def test_only_the_stages_that_were_asked_for_are_in_the_exchange(file):
    package = Package.of((), Accepted(module="01_counting", source=GOOD, names=("count",)))
    exchange = Exchange(file, package, ("import", "compatibility"))
    assert set(exchange.challenges) == {"test_package_has_both", "test_mean_of_whole_numbers"}
    assert Exchange(file, package, ()).steps() == []


def test_the_package_holds_the_module_under_test_at_its_place():
    accepted = [Accepted(module=f"0{n}_{name}", source=f"# {name}", names=(name,)) for n, name in [(1, "a"), (3, "c")]]
    package = Package.of(accepted, Accepted(module="02_b", source="# mine", names=("b", "bb")))
    assert package.name == "b"
    assert package.sources.keys() == {"tinytorch", "tinytorch.a", "tinytorch.b", "tinytorch.c"}
    assert [line for line in package.sources["tinytorch"].splitlines() if line.startswith("from .")] == [
        "from .a import a", "from .b import b, bb", "from .c import c",
    ]  # fmt: skip
    assert "import b" not in package.earlier_init


def test_a_module_under_test_replaces_its_accepted_version():
    old, new = (Accepted(module="01_a", source=source, names=("a",)) for source in ("# old", "# new"))
    assert Package.of([old], new).sources["tinytorch.a"] == "# new"


def message(exchange, *answers, **other):
    return json.dumps({"nonce": exchange.nonce, "answers": list(answers), **other})


@pytest.fixture
def times_of_a_run(exchange, monkeypatch):
    """Run the exchange on a machine where the only timed check takes these times, in turn. Returns the judge's outcome, and what was left."""

    def run(*times):
        left = list(times)

        async def kernel(kernel, source, payload, limits, on_answers):
            asked = json.loads(payload)["checks"]
            if "reference(" in source:
                on_answers(message(exchange, *({"id": c["id"], "best": 1e-9} for c in asked)))
            elif "timed=True" in source:
                best = left.pop(0)
                wanted = [encode(wanted_of(exchange.challenges[c["id"]])) for c in asked]
                told = [{"answer": a, "seconds": best, "best": best} for a in wanted]
                on_answers(message(exchange, *({"id": c["id"], **t} for c, t in zip(asked, told, strict=True))))

        monkeypatch.setattr("tinytorch_core.grader.checks.run_source", kernel)
        monkeypatch.setattr("tinytorch_core.grader.checks.CLOCK_SLACK", 1000.0)
        asyncio.run(exchange.run(None, LIMITS, lambda challenge: None))
        return judge.judge_one(exchange, exchange.challenges["test_mean_is_not_a_loop"]).outcome, left

    return run


def test_a_check_in_time_is_timed_once(times_of_a_run):
    assert times_of_a_run(1e-9, 1e-9) == ("passed", [1e-9])


def test_a_check_that_took_too_long_is_timed_again(times_of_a_run):
    """The machine was busy with something else; the student can't help that."""
    assert times_of_a_run(1e-7, 1e-7, 1e-9) == ("passed", [])


def test_a_check_that_is_always_too_slow_fails_at_last(times_of_a_run):
    assert times_of_a_run(1e-7, 1e-7, 1e-7, 1e-9) == ("failed", [1e-9])


def test_answers_are_kept_with_their_challenge_and_told(exchange):
    told = []
    record = {"id": "test_counts_heaps", "answer": [1, 2], "seconds": 0.001}
    exchange.receive("run", message(exchange, record), told.append)
    assert exchange.challenges["test_counts_heaps"].records == [record]
    assert [c.check.id for c in told] == ["test_counts_heaps"]
    assert exchange.broken == ""


def test_a_reference_is_no_answer(exchange):
    exchange.receive("reference", message(exchange, {"id": "test_mean_is_not_a_loop", "best": 0.25}))
    challenge = exchange.challenges["test_mean_is_not_a_loop"]
    assert (challenge.reference, challenge.records) == (0.25, [])


ANSWER = {"id": "test_counts_heaps", "answer": 1}


@pytest.mark.parametrize(
    "bad",
    [
        lambda e: "not json",
        lambda e: "",
        lambda e: "[" * 100_000,
        lambda e: message(e, ANSWER)[:-1],
        lambda e: message(e, ANSWER) + " ",
        lambda e: json.dumps([ANSWER]),
        lambda e: json.dumps({"nonce": e.nonce}),
        lambda e: json.dumps({"answers": [ANSWER]}),
        lambda e: json.dumps({"nonce": "0" * 32, "answers": [ANSWER]}),
        lambda e: json.dumps({"nonce": None, "answers": [ANSWER]}),
        lambda e: json.dumps({"nonce": e.nonce, "answers": ANSWER}),
        lambda e: message(e, ANSWER, passed=True),
        lambda e: message(e, "test_counts_heaps"),
        lambda e: message(e, {"answer": 1}),
        lambda e: message(e, {"id": "test_unknown", "answer": 1}),
        lambda e: message(e, {"id": ["test_counts_heaps"], "answer": 1}),
        lambda e: message(e, {"id": None, "answer": 1}),
        lambda e: message(e, {"id": "test_counts_heaps", "answer": float("nan")}),
        lambda e: None,
        lambda e: 5,
        lambda e: {"nonce": e.nonce, "answers": [ANSWER]},
        lambda e: b"\xff\xfe",
    ],
)
def test_anything_but_such_a_message_breaks_the_run(exchange, bad):
    sent = bad(exchange)
    exchange.receive("run", sent)
    if isinstance(sent, str) and sent.endswith("} "):  # white space is still JSON
        assert exchange.broken == ""
    else:
        assert exchange.broken.startswith("the check kernel sent something unexpected")


@pytest.mark.parametrize("best", [None, "fast", [], {}, "nan1", 10**400], ids=lambda best: str(best)[:9])
def test_a_reference_without_a_time_breaks_the_run(exchange, best):
    exchange.receive("reference", message(exchange, {"id": "test_mean_is_not_a_loop", "best": best}))
    assert exchange.broken


@settings(deadline=None, database=None, max_examples=100)
@given(st.text() | st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_no_message_makes_receiving_raise(tiny_course, sent):
    exchange = Exchange(
        load(tiny_course.checks_source("01_counting")),
        Package.of((), Accepted(module="01_counting", source=GOOD, names=("count",))), ("import",),
    )  # fmt: skip
    exchange.receive("run", sent)
    assert exchange.broken
    assert not any(c.records for c in exchange.challenges.values())


def written(tmp_path, source, support=None):
    path = tmp_path / "test_01_x.py"
    path.write_text(source)
    if support is not None:
        (tmp_path / "support.py").write_text(support)
    return path


HEADER = "from tinytorch_core.kernel.checking import given, wants\n"


def test_a_check_file_that_lacks_something_is_the_authors_to_mend(tmp_path):
    path = written(tmp_path, HEADER + "def test_x(tt):\n    '''X.'''\n    return 1\n")
    with pytest.raises(
        GraderError, match=r"test_01_x\.py: test_x: give it either @wants or @judged; test_x: without @given"
    ):
        load(path)


def test_a_missing_check_file_is_named(tmp_path):
    with pytest.raises(GraderError, match=r"test_01_x\.py can't be read.*Reinstall"):
        load(tmp_path / "test_01_x.py")


@pytest.mark.parametrize("source", ["\ndef test_x(:\n", "\nimport no_such_module\n", "\n1 / 0\n"])
def test_a_check_file_that_cannot_run_is_named_with_its_line(tmp_path, source):
    with pytest.raises(GraderError, match=r"test_01_x\.py can't be run \(.*line 2\)"):
        load(written(tmp_path, source))


def test_inputs_that_cannot_go_into_a_kernel_are_the_authors_to_mend(tmp_path):
    source = (
        HEADER
        + "@given(lambda rng: {'x': [rng]})\n@wants(lambda x: 1)\ndef test_x(tt, x):\n    '''X.'''\n    return 1\n"
    )
    package = Package.of((), Accepted(module="01_x", source="", names=()))
    with pytest.raises(GraderError, match="inputs of check test_x hold Generator, which is not plain data"):
        Exchange(load(written(tmp_path, source)), package, Stages)


def test_a_changed_check_file_is_read_again(tmp_path):
    good = HEADER + "@given(dict)\n@wants(lambda: 1)\ndef test_NAME(tt):\n    '''X.'''\n    return 1\n"
    path = written(tmp_path, good.replace("NAME", "one"))
    assert [c.id for c in load(path).checks] == ["test_one"]
    written(tmp_path, good.replace("NAME", "two"))
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert [c.id for c in load(path).checks] == ["test_two"]
