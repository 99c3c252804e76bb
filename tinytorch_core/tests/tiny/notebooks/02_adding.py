# %% [markdown]
# # 02 Adding
#
# You can count one heap. What of two heaps together?

# %%
# %load_ext tinytorch_core

# %% tags=["given:adding-imports"]
#| export
import numpy as np

from tinytorch.counting import mean

# %% [markdown]
# ## Two arrays

# %% tags=["exercise:add-arrays"]
#| export
def add(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The sum, element by element. Raises ValueError, with both shapes, unless the shapes are equal."""
    ### BEGIN SOLUTION
    if left.shape != right.shape:
        raise ValueError(f"cannot add shapes {left.shape} and {right.shape}")
    return left + right
    ### END SOLUTION

# %%
# %check add-arrays

# %% [markdown]
# ## All of them
#
# A total is how many there are, times the mean.

# %% tags=["exercise:add-total"]
#| export
def total(values: np.ndarray) -> float:
    """The sum of all elements, of any shape; 0.0 for an empty array."""
    ### BEGIN SOLUTION
    if values.size == 0:
        return 0.0
    return values.size * mean(values)
    ### END SOLUTION

# %%
# %check add-total

# %%
add(np.array([1, 2]), np.array([30, 40]))

# %%
from tinytorch_core import CompleteModule
CompleteModule()
