# %% [markdown]
# # 03 Doubling
#
# Adding the same heap to itself is so common that it deserves a name.

# %%
# %load_ext tinytorch_core

# %% tags=["given:doubling-imports"]
#| export
import numpy as np

from tinytorch.adding import add

# %% tags=["exercise:double"]
#| export
def double(values: np.ndarray) -> np.ndarray:
    """Twice every element."""
    ### BEGIN SOLUTION
    return add(values, values)
    ### END SOLUTION

# %%
# %check double

# %% [markdown]
# ## A machine that doubles

# %% tags=["exercise:doubler"]
#| export
class Doubler:
    """Doubles what it is called with, `times` times."""

    def __init__(self, times: int = 1) -> None:
        ### BEGIN SOLUTION
        self.times = times
        ### END SOLUTION

    def __call__(self, values: np.ndarray) -> np.ndarray:
        ### BEGIN SOLUTION
        for _ in range(self.times):
            values = double(values)
        return values
        ### END SOLUTION

# %%
# %check doubler

# %%
Doubler(times=3)(np.array([1.0, 2.0]))

# %%
from tinytorch_core import CompleteModule
CompleteModule()
