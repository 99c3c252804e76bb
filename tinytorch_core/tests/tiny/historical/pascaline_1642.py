# %% [markdown]
# # The Pascaline (1642)
#
# Blaise Pascal built a machine that adds, to help his father with the taxes of Rouen. Here it runs on your own `add`.
# The goal: 1,000 random sums, all of them right.

# %%
# %load_ext tinytorch_core

# %%
import numpy as np

from tinytorch import add, count, mean

# %%
rng = np.random.default_rng(1642)
left, right = rng.integers(0, 10, size=(2, 1000, 6))


def carry(digits: np.ndarray) -> np.ndarray:
    """Turn the wheels: digits of 10 and more move one to their left neighbour. (N, 6) to (N, 7), units last."""
    wheels = np.pad(digits, ((0, 0), (1, 0)))
    for place in range(6, 0, -1):
        wheels = add(wheels, _turn(wheels[:, place] // 10, place))
    return wheels


def _turn(carried: np.ndarray, place: int) -> np.ndarray:
    turned = np.zeros((carried.size, 7), dtype=int)
    turned[:, place], turned[:, place - 1] = -10 * carried, carried
    return turned


sums = carry(add(left, right))

# %%
places = 10 ** np.arange(6, -1, -1)
right_answers = sums @ places == left @ places[1:] + right @ places[1:]
print(f"{count(right_answers)} sums, {mean(right_answers):.0%} right")

# %%
assert mean(right_answers) == 1.0, "some sums are wrong"
