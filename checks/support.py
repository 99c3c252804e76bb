"""What several modules' checks share. Bodies use it inside the kernel, so it imports nothing but NumPy and the standard library."""

from contextlib import contextmanager

STRICT = {"over": "raise", "divide": "raise", "invalid": "raise"}
"""For np.errstate: what NumPy would only warn of is an error. (A tiny number that rounds to zero is fine.)"""


def often(call, times):
    """What `call()` returns, called `times` times: for timing what is over in microseconds."""
    for _ in range(times):
        answer = call()
    return answer


@contextmanager
def engine_hears(tt):
    """A list of what the engine is told while the block runs: one dict for each operation."""
    heard = []

    class Listener:
        def record(self, op, inputs, arrays, params, kept, output):
            said = {
                "op": op,
                "inputs": list(inputs),
                "arrays": list(arrays),
                "params": params,
                "kept": kept,
                "output": output,
            }
            heard.append(said)

    before, tt.Tensor.engine = tt.Tensor.engine, Listener()
    try:
        yield heard
    finally:
        tt.Tensor.engine = before
