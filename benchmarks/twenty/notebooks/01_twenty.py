# %% [markdown]
# # 01 · Twenty cells
#
# A notebook of twenty small code cells, to measure what grading adds to the work itself.

# %%
# %load_ext tinytorch_core

# %% tags=["given:imports"]
#| export
"""Two statistics and some helpers."""

import numpy as np

# %% tags=["exercise:statistics"]
#| export
def mean(values):
    """The mean of an array of any shape, as a Python float."""
    ### BEGIN SOLUTION
    return float(values.sum() / values.size)
    ### END SOLUTION


def deviation(values):
    """The population standard deviation, as a Python float."""
    ### BEGIN SOLUTION
    return float(np.sqrt(((values - mean(values)) ** 2).mean()))
    ### END SOLUTION

# %% tags=["given:helpers"]
#| export
def smooth(values, width):
    """The running mean over `width` values."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    return (sums[width:] - sums[:-width]) / width


def primes(limit):
    """The primes below `limit`, by Eratosthenes' sieve, in plain Python."""
    sieve = [True] * limit
    for number in range(2, int(limit**0.5) + 1):
        if sieve[number]:
            for multiple in range(number * number, limit, number):
                sieve[multiple] = False
    return [number for number in range(2, limit) if sieve[number]]

# %%
rng = np.random.default_rng(0)
values = rng.normal(size=20_000)

# %%
mean(values)

# %%
deviation(values)

# %%
smooth(values, 10)[:3]

# %%
len(primes(60_000))

# %%
matrix = rng.normal(size=(120, 120))

# %%
np.linalg.norm(matrix @ matrix.T)

# %%
words = [str(number) for number in primes(25_000)]

# %%
sorted(words)[:5]

# %%
sum(len(word) for word in words)

# %%
table = {word: len(word) for word in words}

# %%
max(table.values())

# %%
np.sort(values)[:3]

# %%
histogram, _ = np.histogram(values, bins=50)
histogram.sum()

# %%
# %check statistics

# %%
print(f'{mean(values):.4f} ± {deviation(values):.4f}')
