# %% [markdown]
# # 01 · Setup
#
# **Every framework starts with knowing the machine it runs on.**
#
# In this course you build a deep-learning framework, from an empty package to a transformer that has read Jane Austen and writes a little like her. Nothing in it will be
# a black box, because every line of it will be yours. On the way you repeat some history with it: the perceptron of 1957, the problem that
# stopped it, the networks that learned to read digits, and to see, and to write.
#
# All of that is arithmetic, an enormous amount of it, and two questions will follow you to the last page: *how much memory does it take*, and *how long does it take?*
# So the first things you build are a ruler and a stopwatch.
#
# ```text
#     14 transformers
#     13 attention   12 embeddings   11 tokenization
#     10 dataloader   09 spatial
#     08 training
#     07 autograd
#     06 optimizers   05 losses
#     04 layers
#     03 activations
#     02 tensor
#   ▶ 01 setup           you are here: the ground floor
# ```
#
# ### How a notebook works
#
# 1. **Read**, then find the cell that says `raise NotImplementedError("…")`. Delete that line and write what the text above it asks for. Run the cell with Shift+Enter.
# 2. Run the `%check` below it. It tries your code on numbers drawn that very moment, and says what it called, what came back and what it expected.
# 3. Stuck? `%hint setup-bytes` (with the exercise's own name) gives a nudge; run it again for a stronger one.
# 4. At the end, press **Complete module**. The whole notebook runs afresh, all checks run, and if they pass, the cells that begin with `#| export` become a part of
#    *your* package, `tinytorch`. From then on `from tinytorch.setup import measure` works in every notebook, and the next one opens.

# %%
# %load_ext tinytorch_core

# %% tags=["given:setup-imports"]
#| export
"""The ruler and the stopwatch: what this machine is, how much memory arrays take, how long functions take."""

import math
import os
import platform
import statistics
import time

import numpy as np
import psutil

# %% [markdown]
# ## 1 · Where are we?
#
# When a result cannot be repeated, the first question is always: on which machine, with which versions? A function that answers it is
# the smallest useful thing to build. It returns a `dict` with five entries:
#
# | key | what | where Python keeps it |
# |---|---|---|
# | `"python"` | Python's version, such as `"3.11.7"` | `platform.python_version()` |
# | `"numpy"` | NumPy's version | `np.__version__` |
# | `"platform"` | the operating system, such as `"Linux"` | `platform.system()` |
# | `"cores"` | how many logical processors there are, an `int` | `os.cpu_count()` |
# | `"memory_gb"` | the machine's memory in GiB, a `float` | `psutil.virtual_memory().total`, in bytes |
#
# **By hand.** A *gibibyte* (GiB) is $2^{30} = 1\,073\,741\,824$ bytes. A machine that reports 17 179 869 184 bytes has
# $17\,179\,869\,184 \,/\, 2^{30} = 16.0$ GiB.

# %% tags=["exercise:setup-system"]
#| export
def system_info():
    """The machine and its versions, as a dict with the keys python, numpy, platform, cores and memory_gb.

    system_info()  →  {"python": "3.11.7", "numpy": "2.1.0", "platform": "Linux", "cores": 8, "memory_gb": 15.6}
    """
    ### BEGIN SOLUTION
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.system(),
        "cores": os.cpu_count(),
        "memory_gb": psutil.virtual_memory().total / 2**30,
    }
    ### END SOLUTION

# %%
# %check setup-system

# %%
system_info()

# %% [markdown]
# ## 2 · The ruler
#
# An array keeps its numbers side by side in memory, each in the same number of bytes. How many bytes one number takes is what its *dtype* says, and
# `np.dtype(dtype).itemsize` tells you: 8 for `float64`, 4 for `float32`, 1 for `uint8`. So
#
# $$\text{bytes} = \text{itemsize} \cdot \prod_i \text{shape}_i$$
#
# **By hand.** A batch of 64 colour pictures, 3 × 32 × 32 numbers each, in float32: $64 \cdot 3 \cdot 32 \cdot 32 = 196\,608$ numbers of 4 bytes, 786 432 bytes.
# A single number has the shape `()`. The product of nothing is 1, so it takes 4 bytes.
#
# You want to know this *before* you make the array, so do not make one to find out. `math.prod` multiplies the numbers of a tuple.

# %% tags=["exercise:setup-bytes"]
#| export
def array_bytes(shape, dtype):
    """How many bytes an array of this shape and dtype takes. Nothing is allocated.

    shape: a tuple of ints, () for a single number. dtype: np.float32, "float32", … whatever np.dtype understands. Returns an int.

    array_bytes((64, 3, 32, 32), np.float32)  →  786432
    """
    ### BEGIN SOLUTION
    return math.prod(shape) * np.dtype(dtype).itemsize
    ### END SOLUTION

# %%
# %check setup-bytes

# %% [markdown]
# ## 3 · A ruler one can read
#
# 786432 bytes: is that much? `768.0 KiB` is easier on the eye. Each unit is 1024 of the one before: **B, KiB, MiB, GiB, TiB**.
#
# The rule: as long as there are 1024 or more, and a larger unit is left, divide by 1024 and go one unit up. Then write the number with one decimal, a blank and the unit;
# plain bytes have no decimals.
#
# **By hand.** 3 500 000 → 3417.97 KiB, still too many → 3.338 MiB → `"3.3 MiB"`. And 24 stays `"24 B"`.
#
# In an f-string, `f"{number:.1f}"` writes one decimal and `f"{number:.0f}"` none.

# %% tags=["exercise:setup-format"]
#| export
def readable_bytes(count):
    """`count` bytes in words for people: "24 B", "768.0 KiB", "3.3 MiB".

    count: an int ≥ 0. The unit is the largest of B, KiB, MiB, GiB, TiB that is not larger than the count itself.

    readable_bytes(1536)  →  "1.5 KiB"
    """
    ### BEGIN SOLUTION
    units = ["B", "KiB", "MiB", "GiB", "TiB"]
    while count >= 1024 and len(units) > 1:
        count /= 1024
        units.pop(0)
    return f"{count:.0f} B" if units[0] == "B" else f"{count:.1f} {units[0]}"
    ### END SOLUTION

# %%
# %check setup-format

# %%
for what, shape, dtype in (
    ("one MNIST digit", (28, 28), np.uint8),
    ("a batch of 64 pictures", (64, 3, 32, 32), np.float32),
    ("a layer of 4096 × 4096", (4096, 4096), np.float32),
    ("GPT-3's weights (2020)", (175_000_000_000,), np.float16),
):
    print(f"{what:24} {readable_bytes(array_bytes(shape, dtype)):>10}")

# %% [markdown]
# ## 4 · The stopwatch
#
# `time.perf_counter()` is the most exact clock Python has. Read it before and after, and the difference is the time in seconds. But one measurement is a rumour: the
# system may have been busy with something else at that very moment. So one measures several times and takes the **median**, the value in the
# middle once they are sorted. One slow run can spoil the mean, but not the median.
#
# **By hand.** Five runs took 3, 4, 90, 3 and 4 milliseconds. The mean is 20.8 ms, though nothing ever took that long. Sorted: 3, 3, **4**, 4, 90, and the median is 4 ms.
#
# In `measure(function, *args)` the star collects all further arguments in a tuple, and `function(*args)` hands them on: `measure(sorted, data)` measures
# `sorted(data)`. `statistics.median` takes a list.

# %% tags=["exercise:setup-measure"]
#| export
def measure(function, *args, repeat=5):
    """How long function(*args) takes: the median of `repeat` runs, in seconds.

    measure(time.sleep, 0.01)  →  0.01 (and a little more)
    """
    ### BEGIN SOLUTION
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        function(*args)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
    ### END SOLUTION

# %%
# %check setup-measure

# %% [markdown]
# ## 5 · How much work is it?
#
# Seconds depend on the machine; the amount of work does not. It is counted in **floating-point operations**, FLOPs: one multiplication is one, one addition is another.
#
# Nearly all the work of a neural network is multiplying matrices. A matrix of shape $(n, k)$ times one of shape $(k, m)$ is a matrix of shape $(n, m)$. Each
# of its numbers is a row of $k$ numbers laid on a column of $k$ numbers: $k$ multiplications, and, starting from zero, $k$ additions. So
#
# $$\text{FLOPs} = 2 \, n \, k \, m$$
#
# **By hand.** A picture of 784 pixels goes through a layer with 128 outputs: $(1, 784)$ times $(784, 128)$, that is
# $2 \cdot 1 \cdot 784 \cdot 128 = 200\,704$ FLOPs. A batch of 64 pictures takes 64 times as many, 12.8 million.

# %% tags=["exercise:setup-flops"]
#| export
def matmul_flops(n, k, m):
    """How many floating-point operations the product of an (n, k) and a (k, m) matrix takes. Returns an int.

    matmul_flops(1, 784, 128)  →  200704
    """
    ### BEGIN SOLUTION
    return 2 * n * k * m
    ### END SOLUTION

# %%
# %check setup-flops

# %% [markdown]
# ## See it
#
# Now put the stopwatch to use. Adding up numbers can be done by a loop in Python, or by NumPy, which hands the whole array to compiled code. The plot shows both, from ten
# numbers to a hundred thousand. Both axes are logarithmic: one step to the right is ten times as many numbers, one step up ten times as long.
#
# The loop's line climbs steadily: ten times the numbers, ten times the time. NumPy's line lies flat at first, because it spends its time *getting ready*, and a few numbers more cost
# nothing. Remember that flat part; every framework has it.

# %%
import matplotlib.pyplot as plt


def add_up(numbers):
    total = 0.0
    for number in numbers:
        total += number
    return total


sizes = [10, 100, 1_000, 10_000, 100_000]
data = [np.random.default_rng(0).random(size) for size in sizes]
loop = [measure(add_up, numbers.tolist()) for numbers in data]
array = [measure(np.sum, numbers) for numbers in data]

figure, axes = plt.subplots(figsize=(5, 2.6))
axes.plot(sizes, loop, "o-", label="a loop in Python")
axes.plot(sizes, array, "o-", label="NumPy")
axes.set(xscale="log", yscale="log", xlabel="numbers to add")
axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
axes.set_yticks([1e-6, 1e-5, 1e-4, 1e-3], ["1 µs", "10 µs", "100 µs", "1 ms"])
axes.minorticks_off()
axes.legend()
plt.show()

print(f"{sizes[-1]:,} numbers: NumPy is {loop[-1] / array[-1]:.0f} times as fast as the loop on this machine.")

# %% [markdown]
# ## Systems: how fast is this machine?
#
# FLOPs divided by seconds is the speed at which the machine computes. A *gigaflop per second* is a billion of them. The loop above makes one addition per turn; how
# many gigaflops per second is that? And how many does a matrix product reach, where NumPy calls a library that was tuned for your very processor?

# %%
info = system_info()
print(f"{info['platform']}, {info['cores']} cores, {info['memory_gb']:.1f} GiB, Python {info['python']}, NumPy {info['numpy']}\n")

print(f"{'what':>28} {'memory':>10} {'time':>10} {'GFLOP/s':>9}")
print(f"{'the loop in Python':>28} {readable_bytes(data[-1].nbytes):>10} {loop[-1] * 1e6:8.0f}µs {sizes[-1] / loop[-1] / 1e9:9.3f}")
for n, dtype in ((16, np.float32), (128, np.float32), (256, np.float32), (256, np.float64)):
    a = np.random.default_rng(n).normal(size=(n, n)).astype(dtype)
    seconds = measure(np.matmul, a, a)
    name = f"{n} × {n} product, {np.dtype(dtype)}"
    print(f"{name:>28} {readable_bytes(3 * array_bytes(a.shape, dtype)):>10} {seconds * 1e6:8.0f}µs {matmul_flops(n, n, n) / seconds / 1e9:9.3f}")

# %% [markdown]
# ## Reflect
#
# No grades here; take a minute for each.
#
# 1. Compare the last two rows: same work, half the bytes per number. What does that suggest for the dtype a network should compute in?
# 2. Why is the small product so far from the speed of the large one? (Think of the flat part of the plot.)
# 3. GPT-3 is said to have taken about $3 \cdot 10^{23}$ FLOPs to train. At the best speed in your table, how many years is that? What does it tell you about *how* such a model is
#    trained? (Brown et al., 2020, give the count.)
#
# **Behind the next door.** You can measure a machine; now you need something for it to compute with. Python's lists are slow, as you saw. NumPy's arrays are fast, but
# they forget everything: no array knows how it came to be. In module 02 you build the object that all of deep learning is made of, the tensor.

# %%
from tinytorch_core import CompleteModule

CompleteModule()
