"""The check kernel's side: take inputs, observe under pytest, send what came back. It decides nothing."""

import json
import math

import numpy as np
import pytest

from tinytorch_core.kernel import harness
from tinytorch_core.kernel.plain import decode, encode, unwrap

pytestmark = pytest.mark.usefixtures("clean_imports", "bare_pytest")

CHECKS = """
from support import thrice
from tinytorch_core.kernel.checking import at_most, exercise

@exercise("double")
def test_double(tt, x):
    return tt.double(x)

def test_thrice(tt, x):
    return thrice(tt.double(x))

@at_most(2.0, times_of=lambda x: x + x)
def test_timed(tt, x):
    return tt.double(x)
"""
SUPPORT = "def thrice(value):\n    return 3 * value\n"
X = np.array([1.0, 2.0])


@pytest.fixture
def bare_pytest(monkeypatch):
    """The pytest that the harness starts finds the environment that a grading kernel has."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)


def payload(solution, checks=("test_double",), source=CHECKS, repeat=3, inputs=None):
    return json.dumps(
        {
            "nonce": "the-nonce", "module": "one", "file": "checks/test_01_one.py", "source": source, "support": SUPPORT,
            "package": {"tinytorch": "from .one import *\n", "tinytorch.one": solution}, "earlier": "",
            "checks": [{"id": c, "inputs": encode({"x": X} if inputs is None else inputs), "repeat": repeat} for c in checks],
        }
    )  # fmt: skip


def answers_to(solution, checks=("test_double",), timed=False, **settings):
    """What a run sends, by check; every answer carries the nonce."""
    messages = []
    harness.run(payload(solution, checks, **settings), timed, messages.append)
    assert all(json.loads(message).keys() == {"nonce", "answers"} for message in messages)
    assert {json.loads(message)["nonce"] for message in messages} <= {"the-nonce"}
    found = [answer for message in messages for answer in json.loads(message)["answers"]]
    assert len({answer["id"] for answer in found}) == len(found)
    return {answer["id"]: answer for answer in found}


def error_of(solution, **settings):
    return answers_to(solution, **settings)["test_double"]["error"]


def test_every_check_is_answered_with_plain_data():
    found = answers_to("def double(x):\n    return x + x\n", ["test_double", "test_thrice"])
    assert unwrap(decode(found["test_double"]["answer"])).tolist() == [2.0, 4.0]
    assert unwrap(decode(found["test_thrice"]["answer"])).tolist() == [6.0, 12.0]
    assert all(answer["seconds"] > 0 for answer in found.values())


def test_an_answer_that_json_lacks_is_sent_all_the_same():
    found = answers_to("def double(x):\n    return [float('nan'), float('inf'), object()]\n")
    assert math.isnan(decode(found["test_double"]["answer"])[0])


def test_an_exception_is_described_with_the_students_line():
    error = error_of("def double(x):\n    y = 1\n    return y + z\n")
    assert (error["type"], error["message"], error["stub"]) == ("NameError", "name 'z' is not defined", "")
    assert error["frames"][-1] == {"file": "tinytorch/one.py", "line": 3, "name": "double", "code": "return y + z"}
    assert not [frame for frame in error["frames"] if "tinytorch_core" in frame["file"]]


def test_a_stub_is_known_by_its_name():
    assert error_of("def double(x):\n    raise NotImplementedError('double')\n")["stub"] == "double"


@pytest.mark.parametrize(
    "raised",
    ["NotImplementedError()", "NotImplementedError(1)", "NotImplementedError('a', 'b')",
     "type('Mine', (NotImplementedError,), {})('double')"],
)  # fmt: skip
def test_another_not_implemented_error_is_no_stub(raised):
    assert error_of(f"def double(x):\n    raise {raised}\n")["stub"] == ""


def test_an_endless_recursion_is_an_error_that_names_the_student():
    error = error_of("def double(x):\n    return double(x)\n")
    assert error["type"] == "RecursionError"
    assert error["frames"][-1]["file"] == "tinytorch/one.py"
    assert len(error["frames"]) <= 8


def test_an_error_whose_message_cannot_be_read_is_still_told():
    solution = "class Bad(Exception):\n    def __str__(self):\n        return 1 / 0\ndef double(x):\n    raise Bad\n"
    assert error_of(solution)["message"] == "(its message could not be read: ZeroDivisionError)"


def test_the_text_of_an_error_is_bounded():
    error = error_of("def double(x):\n    raise type('E' * 500, (Exception,), {})('x' * 10**6)\n")
    assert (len(error["type"]), len(error["message"])) == (100, 2000)


@pytest.mark.parametrize("ending", ["raise SystemExit(0)", "import sys; sys.exit()", "exit(0)", "raise Exception"])
def test_code_that_asks_python_to_stop_ends_its_own_check_only(ending):
    found = answers_to(f"def double(x):\n    {ending}\n", ["test_double", "test_thrice"])
    assert all("error" in answer for answer in found.values())
    assert len(found) == 2


@pytest.mark.parametrize(
    "trick", ["import pytest; pytest.skip('later')", "import pytest; pytest.fail('no')", "raise KeyboardInterrupt"]
)
def test_a_check_that_ends_otherwise_than_by_an_answer_sends_none(trick):
    assert "test_double" not in answers_to(f"def double(x):\n    {trick}\n")


def test_a_skipped_check_does_not_keep_the_next_from_being_answered():
    solution = (
        "import pytest\ncalls = []\ndef double(x):\n    calls.append(x)\n    return x if calls[1:] else pytest.skip()\n"
    )
    assert list(answers_to(solution, ["test_double", "test_thrice"])) == ["test_thrice"]


def test_a_broken_import_explains_a_missing_name():
    error = error_of("import math\nmath.no_such_name\ndef double(x):\n    return x + x\n")
    assert error["type"] == "AttributeError"
    assert "no_such_name" in error["message"]
    assert error["frames"][-1] == {
        "file": "tinytorch/one.py",
        "line": 2,
        "name": "<module>",
        "code": "math.no_such_name",
    }


def test_a_syntax_error_is_located():
    error = error_of("def double(x):\n    return (x\n")
    assert (error["type"], error["message"]) == ("SyntaxError", "'(' was never closed")
    assert (error["frames"][-1]["file"], error["frames"][-1]["line"]) == ("tinytorch/one.py", 2)


def test_what_stands_above_a_break_is_observed():
    found = answers_to("def double(x):\n    return x + x\nraise ValueError('below')\n")
    assert unwrap(decode(found["test_double"]["answer"])).tolist() == [2.0, 4.0]


def test_fast_checks_share_a_message_and_slow_ones_do_not(monkeypatch):
    checks, good = ["test_double", "test_thrice"], "def double(x):\n    return x + x\n"
    for flush_after, expected in [(60.0, 1), (-1.0, 2)]:
        monkeypatch.setattr(harness, "FLUSH_AFTER", flush_after)
        messages = []
        harness.run(payload(good, checks), send=messages.append)
        assert len(messages) == expected


def test_references_are_timed_before_there_is_student_code(monkeypatch):
    messages = []
    harness.reference(payload("raise SystemExit", ["test_timed"]), messages.append)
    (answer,) = json.loads(messages[0])["answers"]
    assert answer["id"] == "test_timed"
    assert answer["best"] > 0
    assert "package" not in harness._imported


def test_a_timed_check_tells_its_best_time_of_several_and_is_observed_once():
    solution = "calls = []\ndef double(x):\n    calls.append(1)\n    return [len(calls)]\n"
    found = answers_to(solution, ["test_timed"], timed=True, repeat=4)["test_timed"]
    assert decode(found["answer"]) == [1]
    assert 0 < found["best"] <= found["seconds"]
    assert answers_to(solution, ["test_timed"])["test_timed"]["answer"] == [6]  # the first call, then four timed ones


def test_the_students_package_is_imported_once_for_all_steps():
    solution = "import time\nimported = float(time.perf_counter_ns())\ndef double(x):\n    return imported\n"
    assert answers_to(solution)["test_double"]["answer"] == answers_to(solution)["test_double"]["answer"]


def test_a_patched_pytest_outcome_changes_no_answer():
    solution = (
        "import _pytest.reports, _pytest.runner\n"
        "_pytest.reports.TestReport.outcome = property(lambda self: 'passed', lambda self, value: None)\n"
        "def double(x):\n    return x\n"
    )
    import _pytest.reports

    try:
        found = answers_to(solution)
    finally:
        del _pytest.reports.TestReport.outcome
    assert unwrap(decode(found["test_double"]["answer"])).tolist() == [1.0, 2.0]
