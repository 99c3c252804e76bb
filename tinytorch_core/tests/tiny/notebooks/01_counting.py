# %% [markdown]
# # 01 Counting
#
# Before anything can be learned, something must be counted.

# %%
# %load_ext tinytorch_core

# %% [markdown]
# ## How many?
#
# `count(["a", "b"])` is 2.

# %% tags=["given:counting-imports"]
#| export
from collections.abc import Sequence

import numpy as np

# %% tags=["exercise:count-items"]
#| export
def count(items: Sequence[object]) -> int:
    """How many items there are."""
    ### BEGIN SOLUTION
    return len(items)
    ### END SOLUTION

# %%
# %check count-items

# %% [markdown]
# ## What is usual?
#
# The mean of 2, 3 and 7 is 4.

# %% tags=["exercise:count-mean"]
#| export
def mean(values: np.ndarray) -> float:
    """The mean of an array of any shape. Raises ValueError if it is empty."""
    ### BEGIN SOLUTION
    if values.size == 0:
        raise ValueError("the mean of nothing is not defined")
    return float(values.sum() / values.size)
    ### END SOLUTION

# %%
# %check count-mean

# %% [markdown]
# ## See it

# %%
throws = np.random.default_rng(0).integers(1, 7, size=60)
mean(throws)

# %%
from tinytorch_core import CompleteModule
CompleteModule()
