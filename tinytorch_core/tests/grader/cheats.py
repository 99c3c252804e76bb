"""Wrong solutions of count-items that try to pass all the same. None of them does; see TRUST.md for why."""

WRONG = """
def count(items):
    return len(items) + 1
"""

GOOD = """
def count(items):
    return len(items)
"""

FIND = """
import gc, json, os
from tinytorch_core.kernel import checking, harness, plain

forged = [{"id": c, "answer": [1] * 8, "seconds": 0.001} for c in ("test_counts_heaps", "test_package_has_both")]
"""

FIND_THE_NONCE = (
    FIND
    + """
sender = [o for o in gc.get_objects() if isinstance(o, harness.Sender) and o.nonce != "prime"][-1]
harness.publish(json.dumps({"nonce": sender.nonce, "answers": forged}))
"""
)

CHEATS = {
    "patches numpy, time and isinstance": """
import builtins, time
import numpy as np
np.isclose = np.allclose = np.array_equal = lambda *a, **k: True
time.perf_counter = time.monotonic = time.time = lambda: 0.0
builtins.isinstance = lambda *a: True
"""
    + WRONG,
    "patches json": """
import json
json.dumps = lambda *a, **k: '{"nonce": "?", "answers": []}'
"""
    + WRONG,
    "adds its own outcome": """
import json
from _pytest.reports import TestReport
TestReport.outcome = property(lambda self: "passed", lambda self, value: None)
dumps = json.dumps

def mine(value, **options):
    for answer in value.get("answers", []):
        answer.update(outcome="passed", passed=True)
    return dumps(value, **options)

json.dumps = mine
"""
    + WRONG,
    "patches pytest": """
import pytest
pytest.main = lambda *a, **k: 0
"""
    + WRONG,
    "answers True": FIND
    + """
harness.CheckItem.runtest = lambda self: self.sender.add({"id": self.name, "answer": True, "seconds": 0.001})
"""
    + WRONG,
    "encodes another": FIND
    + """
checking.encode = plain.encode = lambda value, depth=0: {"other": "right"}
"""
    + WRONG,
    "guesses the nonce": FIND
    + """
harness.publish(json.dumps({"nonce": "0" * 32, "answers": forged}))
"""
    + GOOD,
    "finds the nonce": FIND_THE_NONCE + "os._exit(0)" + WRONG,
    "answers twice": FIND_THE_NONCE + GOOD,
    "publishes what is no message": FIND
    + """
harness.publish({"passed": True})
"""
    + WRONG,
    "equals everything": """
import itertools
import numpy as np

class Any:
    data = 1
    def __eq__(self, other): return np.True_
    def __hash__(self): return 0

class Number(Any, int): pass
class Array(Any, np.ndarray): pass

kinds = itertools.cycle([Any(), Number(1), np.zeros(()).view(Array), float("nan")])

def count(items):
    return next(kinds)
""",
    "looks for the wanted answer": """
import gc

def count(items):
    for f in gc.get_objects():
        if type(f).__name__ == "function" and "checks/" in f.__code__.co_filename and f.__name__ == "<lambda>":
            try:
                return f([items])[0]
            except Exception:
                continue
    return -1
""",
    "replaces the check": FIND
    + """
harness._imported["checks/test_01_counting.py"]["test_counts_heaps"] = lambda tt, heaps: [1] * 8
"""
    + WRONG,
    "skips": """
import pytest

def count(items):
    pytest.skip("later")
""",
    "ends pytest": """
import pytest

def count(items):
    pytest.exit("done", returncode=0)
""",
    "pretends to be a stub": """
def count(items):
    raise NotImplementedError("count-items")
""",
}
