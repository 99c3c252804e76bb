# %% [markdown]
# # 02 · Tensor
#
# **You can measure a machine; now you need something for it to compute with.**
#
# A photograph, a sentence, the weights of a network, the error it makes: to a learning machine all of them are blocks of numbers.
# A *tensor* is such a block, together with the operations on it. PyTorch, JAX and TensorFlow are, at heart, this one object
# and a list of things it can do. In this notebook you build it, and everything you build later is made of it.
#
# NumPy already has fast arrays, so why not use them as they are? Because one thing is missing. To learn, a network must know
# afterwards *how each number came to be*. So every computation of yours goes through **one door**, and somebody can stand at
# that door and take notes. Nobody does so today. In module 07 you hire the note-taker, and everything you
# have built by then will learn, without one changed line.
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
#   ▶ 02 tensor          you are here: everything above is made of it
#     01 setup           measure, array_bytes
# ```
#
# Nine exercises, most of them a few lines long. Write where it says `raise NotImplementedError`, run the cell, then run its `%check`.
# When a check is not content and you do not see why, `%hint tensor-data` (with the exercise's own name) gives one hint at a time.

# %%
# %load_ext tinytorch_core

# %% tags=["given:tensor-imports"]
#| export
"""The tensor: a block of numbers, and the one door that every computation on it goes through."""

import functools
import operator

import numpy as np

# %% [markdown]
# ## The class
#
# Here is the whole class. It is given, and you need not understand all of it now; skim it once from top to bottom. Almost nothing happens in it: it holds `data`, and nearly
# every method hands its work to a function *outside* the class. `x + y` calls `add(x, y)`, `x.sum()` calls `reduce_sum(x)`, and a new tensor gets its numbers from `to_array`.
# Those functions do not exist yet. They are your exercises.
#
# Three things in it are for later. `requires_grad` says "this one should learn", `grad` is where its gradient will lie,
# and `engine` is the note-taker at the door. The engine we begin with hears everything and remembers nothing.

# %% tags=["given:tensor-class"]
#| export
class Engine:
    """The note-taker. This one remembers nothing; in module 07 you write one that does."""

    def record(self, op, inputs, arrays, params, kept, output):
        """Operation `op` has just made the tensor `output`.

        inputs, arrays: what it was given, and the same with NumPy arrays for tensors; params: its settings, a dict;
        kept: what its forward kept for the way back.
        """

    def backward(self, tensor, gradient=None):
        raise RuntimeError("Gradients arrive in module 07. Until then no tensor can go backward.")


class Tensor:
    """A block of numbers (`data`, a NumPy array) with room for its gradient (`grad`).

    Python numbers and lists become float32; NumPy arrays keep their dtype.
    """

    engine = Engine()  # one for all tensors; module 07 puts another here
    node = None  # module 07 notes here how a tensor came to be
    requires_grad = False
    grad = None  # a NumPy array of the same shape, once there is a gradient

    def __init__(self, data, requires_grad=False, dtype=None):
        self.data = to_array(data, dtype)
        if requires_grad:
            if self.data.dtype.kind != "f":
                raise ValueError(f"only floats can have gradients, and this tensor is {self.dtype}; give it dtype=np.float32")
            self.requires_grad = True

    # What it looks like
    shape = property(lambda self: self.data.shape)
    ndim = property(lambda self: self.data.ndim)
    size = property(lambda self: self.data.size)
    dtype = property(lambda self: self.data.dtype)

    # Arithmetic: x + y calls x.__add__(y); where x is a number, y.__radd__(x)
    def __add__(self, other): return add(self, other)
    def __sub__(self, other): return subtract(self, other)
    def __mul__(self, other): return multiply(self, other)
    def __truediv__(self, other): return divide(self, other)
    def __pow__(self, other): return power(self, other)
    def __matmul__(self, other): return matmul(self, other)
    def __radd__(self, other): return add(other, self)
    def __rsub__(self, other): return subtract(other, self)
    def __rmul__(self, other): return multiply(other, self)
    def __rtruediv__(self, other): return divide(other, self)
    def __rpow__(self, other): return power(other, self)
    def __rmatmul__(self, other): return matmul(other, self)
    def __neg__(self): return negate(self)
    def exp(self): return exp(self)
    def log(self): return log(self)
    def sqrt(self): return sqrt(self)

    # Comparisons, element by element; the answer is a tensor of True and False
    def __lt__(self, other): return less(self, other)
    def __le__(self, other): return less_equal(self, other)
    def __gt__(self, other): return greater(self, other)
    def __ge__(self, other): return greater_equal(self, other)
    def __eq__(self, other): return equal(self, other)
    def __ne__(self, other): return not_equal(self, other)

    # Many numbers become few
    def sum(self, axis=None, keepdims=False): return reduce_sum(self, axis=axis, keepdims=keepdims)
    def mean(self, axis=None, keepdims=False): return reduce_mean(self, axis=axis, keepdims=keepdims)
    def max(self, axis=None, keepdims=False): return reduce_max(self, axis=axis, keepdims=keepdims)

    # The same numbers in another arrangement
    def reshape(self, *shape): return reshape(self, shape=one_tuple(shape))
    def transpose(self, dim0=-2, dim1=-1): return transpose(self, dim0=dim0, dim1=dim1)
    def permute(self, *dims): return permute(self, dims=one_tuple(dims))
    def __getitem__(self, key): return index(self, key=without_tensors(key))
    T = property(lambda self: self.transpose())

    def __setitem__(self, key, value):
        raise TypeError("a tensor's numbers are not assigned one by one, or gradients would lose track; change its .data instead")

    # Gradients
    def backward(self, gradient=None): self.engine.backward(self, gradient)
    def zero_grad(self): self.grad = None

    # Back to Python and NumPy
    def item(self): return self.data.item()
    def numpy(self): return self.data
    def __len__(self): return len(self.data)
    def __iter__(self): return (self[i] for i in range(len(self)))
    def __bool__(self): return bool(self.data)
    def __float__(self): return float(self.item())
    def __int__(self): return int(self.item())
    def __format__(self, spec): return format(self.item(), spec) if spec else repr(self)
    def __array__(self, dtype=None, copy=None): return np.array(self.data, dtype=dtype, copy=copy)
    __array_ufunc__ = None  # array + tensor is the tensor's business, not NumPy's
    __hash__ = object.__hash__  # == answers element by element, and still a tensor can be a key in a dict

    def __repr__(self):
        name = type(self).__name__
        numbers = np.array2string(self.data, separator=", ", prefix=f"{name}(")
        dtype = "" if self.dtype == np.float32 else f", dtype={self.dtype}"
        return f"{name}({numbers}{dtype}{', requires_grad=True' if self.requires_grad else ''})"


def wrap(array):
    """A tensor around this very array: no copy, no questions."""
    tensor = Tensor.__new__(Tensor)
    tensor.data = array
    return tensor


def one_tuple(sizes):
    """(2, 3), whether f(2, 3) was called or f((2, 3))."""
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes


def without_tensors(key):
    """The same index, with arrays in place of tensors."""
    if isinstance(key, tuple):
        return tuple(without_tensors(part) for part in key)
    return key.data if isinstance(key, Tensor) else key

# %% [markdown]
# ## 1 · What a tensor holds
#
# A tensor keeps its numbers in `data`, a NumPy array. An array has a **shape** (how many numbers along each axis) and a **dtype**
# (what kind of number). Which dtype should a new tensor have?
#
# Networks compute in `float32`: 4 bytes a number, half of `float64`, and twice as fast; seven digits are plenty for learning. But
# some numbers are not quantities. The class of an image, the number of a word, are *labels*, and stay integers. And now and then we
# want `float64`, to check a calculation very exactly. So the rule asks who brings the numbers:
#
# | you give | you get | because |
# |---|---|---|
# | a Python number or a list | `float32` | you typed numbers to compute with; even `[1, 2, 3]` |
# | a NumPy array, a NumPy scalar, a tensor | the dtype it has | somebody chose it on purpose |
# | anything, with `dtype=…` | that dtype | you said so |
# | text, `None`, … | `TypeError` | a tensor holds numbers (or True and False) |
#
# **By hand.** `[[1, 2, 3], [4, 5, 6]]` is two rows of three: shape `(2, 3)`, and as a list it becomes float32, so it takes
# 6 × 4 = 24 bytes. `np.array([7, 2, 1])` holds NumPy's usual int64, and stays int64: 3 × 8 = 24 bytes.
#
# To tell numbers from other things, look at the array's `dtype.kind`, one letter: `"f"` float, `"i"` integer,
# `"u"` unsigned integer, `"b"` boolean; text has `"U"`, and everything NumPy does not understand `"O"` (object).

# %% tags=["exercise:tensor-data"]
#| export
def to_array(data, dtype=None):
    """The numbers of a new tensor: a NumPy array of the shape of `data`, and its own copy.

    data: a number, a list (of lists …), a NumPy array or scalar (np.generic is the type of every scalar), or a Tensor.
    dtype: if given, the array gets this dtype. If not, the rule above decides.
    Raises TypeError if `data` holds anything but numbers and booleans.

    to_array([1, 2, 3])            →  array([1., 2., 3.], dtype=float32)
    to_array(np.array([1, 2, 3]))  →  array([1, 2, 3])                     int64, as it was
    """
    ### BEGIN SOLUTION
    array = np.array(data)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"a tensor holds numbers, not {data!r}")
    if dtype is None:
        dtype = array.dtype if isinstance(data, (np.ndarray, np.generic, Tensor)) else np.float32
    return array.astype(dtype, copy=False)
    ### END SOLUTION

# %%
# %check tensor-data

# %%
photo, labels = Tensor([[1, 2, 3], [4, 5, 6]]), Tensor(np.array([7, 2, 1]))
photo, labels, photo.shape, labels.dtype

# %% [markdown]
# ## 2 · The door
#
# A tensor can hold numbers now, but not add them. Before the first operation comes the door they all go through: `apply`.
#
# ```text
#      inputs                arrays                    array               Tensor
#    Tensor x ──── .data ──▶ ┌─────────┐               ┌────────┐
#                            │ forward │ ──▶ result ──▶│ dtype? │ ──▶ wrap ──▶ output
#    Tensor y ──── .data ──▶ └─────────┘               └────────┘       │
#       0.5   ─── as it is ──▶   ▲                                      ▼
#                              params                        engine.record(…everything…)
# ```
#
# An **operation** is a NumPy function (its `forward`) that has been told about the door. `operation` below does that, and
# `@operation` written above a `def` turns the function on arrays into a function on tensors. Module 07 gives each operation a second function,
# `backward`; that place is still empty.
#
# Now and then a forward knows something that will be useful on the way back. It then returns a tuple `(array, kept)`, and the door hands `kept` to the engine.
#
# **The dtype at the door.** NumPy likes to be exact: it computes in float64 as soon as ordinary integers (int64) meet float32, or are divided. One such
# result, and all that is made of it runs at half the speed, silently. So the door looks at every *float* result:
#
# | inputs | NumPy's answer | leaves the door as |
# |---|---|---|
# | float32, float32 | float32 | float32 |
# | float32, int64 | float64 | **float32**: the floats' dtype |
# | int64 divided by int64 | float64 | **float32**: no float came in at all |
# | float32, float64 | float64 | float64: somebody asked for it |
# | int64, int64 (added) | int64 | int64: not a float, none of our business |
#
# **By hand.** `Tensor([1.5])` times `Tensor(np.array([2]))`: the arrays are `[1.5]` in float32 and `[2]` in int64. NumPy multiplies them to
# `[3.0]`, in float64. Among the inputs only float32 is a float dtype, so the result becomes float32. It is wrapped, the engine is told, and out comes `Tensor([3.])`.
#
# **Numbers beside a tensor.** `x * 0.1` should have the dtype of `x`. NumPy sees to that, as long as the number *stays* a Python number. A NumPy
# scalar such as `np.float64(0.1)` insists on its own dtype, and so `plain_number` makes a Python number of it.

# %% tags=["given:tensor-operation"]
#| export
def operation(forward):
    """Make an operation on tensors of `forward`, a function of NumPy arrays.

    It is called as forward(*arrays, **params) and returns an array, or a pair (array, kept). Tensors may be given by name, too.
    """
    code = getattr(forward, "__code__", None)
    names = code.co_varnames[: code.co_argcount] if code else ()

    @functools.wraps(forward)
    def op(*inputs, **params):
        for name in names[len(inputs) :] if params else ():
            if not isinstance(params.get(name), Tensor):
                break
            inputs += (params.pop(name),)  # an input like the others: the engine must see it
        return apply(op, *inputs, **params)

    op.forward, op.backward = forward, None
    return op


def run(op, arrays, params):
    """What op.forward returns. Where shapes do not fit, the error names the operation and every shape."""
    try:
        return op.forward(*arrays, **params)
    except ValueError as error:
        shapes = " and ".join(str(np.shape(array)) for array in arrays)
        settings = "".join(f", {name}={value}" for name, value in params.items())
        error.args = (f"{op.__name__} of shapes {shapes}{settings}: {error}",)
        raise


def plain_number(x):
    """The Python number in a NumPy scalar; anything else as it is."""
    return x.item() if isinstance(x, np.generic) else x

# %% tags=["exercise:tensor-apply"]
#| export
def no_silent_float64(array, arrays):
    """`array`, in a dtype no wider than what it was made from: the table above.

    arrays: the inputs of the operation. Only the NumPy arrays with dtype.kind "f" among them count; others are numbers and lists.
    A float `array` gets the widest of their dtypes, float32 if there are none. Integers and booleans stay as they are.
    np.result_type(np.float32, np.float64) finds the widest of as many dtypes as you give it.

    no_silent_float64(np.array([0.5]), [np.array([1]), np.array([2])])  →  array([0.5], dtype=float32)
    """
    ### BEGIN SOLUTION
    if array.dtype == np.float32 or array.dtype.kind != "f":
        return array
    floats = [a.dtype for a in arrays if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
    return array.astype(np.result_type(*floats) if floats else np.float32, copy=False)
    ### END SOLUTION


def apply(op, *inputs, **params):
    """The door: run one operation and return its output, a Tensor.

    1. arrays = a list of the inputs, each Tensor replaced by its .data, everything else by plain_number of it.
    2. run(op, arrays, params) gives an array, or a tuple (array, kept). Without a tuple, kept is None.
    3. np.asarray the array (NumPy returns bare scalars for shape ()), put its dtype right, and wrap it.
    4. Tell Tensor.engine: record(op, inputs, arrays, params, kept, output).

    square = operation(np.square);  apply(square, Tensor([3.0]))  →  Tensor([9.])
    """
    ### BEGIN SOLUTION
    arrays = [x.data if isinstance(x, Tensor) else plain_number(x) for x in inputs]
    result = run(op, arrays, params)
    array, kept = result if isinstance(result, tuple) else (result, None)
    output = wrap(no_silent_float64(np.asarray(array), arrays))
    Tensor.engine.record(op, inputs, arrays, params, kept, output)
    return output
    ### END SOLUTION

# %%
# %check tensor-apply

# %% [markdown]
# With the door in place, an operation that NumPy has already is one call of `operation`. The exponential, the logarithm, the square root and the six comparisons:

# %% tags=["given:tensor-elementwise"]
#| export
def of_floats(function):
    """`function`, with integers made float32 first: of small integers NumPy would compute it in float16, in three digits."""

    @functools.wraps(function)
    def forward(x):
        x = np.asarray(x)
        return function(x if x.dtype.kind == "f" else x.astype(np.float32))

    return forward


exp, log, sqrt = operation(of_floats(np.exp)), operation(of_floats(np.log)), operation(of_floats(np.sqrt))
less, less_equal = operation(operator.lt), operation(operator.le)
greater, greater_equal = operation(operator.gt), operation(operator.ge)
equal, not_equal = operation(operator.eq), operation(operator.ne)

# %%
exp(Tensor([0, 1, 2])), Tensor([1, 5, 3]) > 2

# %% [markdown]
# ## 3 · Arithmetic
#
# Arithmetic on tensors goes **element by element**: numbers in the same place meet,
#
# $$(a + b)_{ij} = a_{ij} + b_{ij}, \qquad (a \cdot b)_{ij} = a_{ij} \, b_{ij}, \qquad \dots$$
#
# **By hand.**
# $\begin{pmatrix}1 & 2\\ 3 & 4\end{pmatrix} \cdot \begin{pmatrix}10 & 0\\ 1 & 2\end{pmatrix} = \begin{pmatrix}10 & 0\\ 3 & 8\end{pmatrix}$.
# This is not the matrix product; that one comes in exercise 5.
#
# Inside an operation you see plain NumPy arrays (or Python numbers), never tensors: the door has unwrapped them, and it will wrap what you return.
# So each body is one line. The order matters in three of the six: `subtract(a, b)` is also called for `5 - x`, and then `a` is the 5.

# %% tags=["exercise:tensor-arithmetic"]
#| export
@operation
def add(a, b):
    """a + b, element by element.

    Tensor([1, 2]) + Tensor([10, 20])  →  Tensor([11., 22.])
    """
    ### BEGIN SOLUTION
    return a + b
    ### END SOLUTION


@operation
def subtract(a, b):
    """a − b, element by element.

    5 - Tensor([1, 2])  →  Tensor([4., 3.])
    """
    ### BEGIN SOLUTION
    return a - b
    ### END SOLUTION


@operation
def multiply(a, b):
    """a · b, element by element.

    Tensor([1, 2]) * 3  →  Tensor([3., 6.])
    """
    ### BEGIN SOLUTION
    return a * b
    ### END SOLUTION


@operation
def divide(a, b):
    """a / b, element by element; integers give fractions.

    1 / Tensor([2, 4])  →  Tensor([0.5 , 0.25])
    """
    ### BEGIN SOLUTION
    return a / b
    ### END SOLUTION


@operation
def power(a, b):
    """a to the power of b, element by element.

    Tensor([2, 3]) ** 2  →  Tensor([4., 9.])
    """
    ### BEGIN SOLUTION
    return a**b
    ### END SOLUTION


@operation
def negate(a):
    """−a, element by element.

    -Tensor([1, -2])  →  Tensor([-1.,  2.])
    """
    ### BEGIN SOLUTION
    return -a
    ### END SOLUTION

# %%
# %check tensor-arithmetic

# %% [markdown]
# ## 4 · Broadcasting
#
# A batch of 64 answers, each of 10 numbers, and one bias for each of the 10: shapes `(64, 10)` and `(10,)`. You would like the
# bias added to every row without writing it 64 times. NumPy does so and calls it **broadcasting**. You have it already, since your operations
# hand the work to NumPy. But most mistakes in network code are shapes that fit *by accident*, so it pays to have the rule in your fingers:
#
# 1. Write the shapes one under the other, **aligned on the right**. Where one is shorter, imagine ones in front.
# 2. On each axis the two sizes must be equal, or one of them is 1.
# 3. A size of 1 is stretched to the other size. No numbers are copied.
#
# **By hand.**
#
# ```text
#      (64, 10)          (3, 1)            (8, 1, 5)           (2, 3)
#         (10,)            (4,)               (6, 1)             (2,)
#      ────────          ──────            ─────────           ──────
#      (64, 10)          (3, 4)            (8, 6, 5)           3 against 2: ValueError
# ```
#
# The second column is how two lines of numbers become a table, and the third how attention will compare every word with every other.
# Write the rule as a function of two shapes. It computes nothing; it tells you beforehand what will come out.

# %% tags=["exercise:tensor-broadcast"]
#| export
def broadcast_shape(a, b):
    """The shape, a tuple, that arrays of shapes `a` and `b` (tuples too) have when they meet.

    Raises ValueError, with both shapes in its message, if they do not fit.

    broadcast_shape((3, 1), (4,))  →  (3, 4)
    """
    ### BEGIN SOLUTION
    shape = ()
    for axis in range(1, max(len(a), len(b)) + 1):
        m = a[-axis] if axis <= len(a) else 1
        n = b[-axis] if axis <= len(b) else 1
        if m != n and m != 1 and n != 1:
            raise ValueError(f"shapes {a} and {b} do not fit: {m} meets {n}, and neither is 1")
        shape = (n if m == 1 else m, *shape)
    return shape
    ### END SOLUTION

# %%
# %check tensor-broadcast

# %%
column, row = Tensor([[0], [10], [20]]), Tensor([1, 2, 3, 4])
broadcast_shape(column.shape, row.shape), column + row

# %% [markdown]
# ## 5 · The matrix product
#
# Nearly all the time a network spends computing, it spends here. Each number of $C = AB$ is a row of $A$ laid on a column of $B$:
#
# $$C_{ij} = \sum_k A_{ik} \, B_{kj} \qquad (n, k) \mathbin{@} (k, m) \to (n, m)$$
#
# **By hand.**
# $\begin{pmatrix}1 & 2\\ 3 & 4\end{pmatrix} \mathbin{@} \begin{pmatrix}5\\ 6\end{pmatrix}
# = \begin{pmatrix}1\cdot5 + 2\cdot6\\ 3\cdot5 + 4\cdot6\end{pmatrix} = \begin{pmatrix}17\\ 39\end{pmatrix}$:
# `(2, 2) @ (2, 1)` is `(2, 1)`. The inner sizes must agree, and disappear.
#
# Write it twice. First from the formula, with three loops, on plain arrays: everybody should do so once. Then as an operation, with NumPy's
# product, which calls a library that people have been sharpening since the 1970s (BLAS). It also knows *batches*: with
# `(8, n, k) @ (8, k, m)` it multiplies eight pairs of matrices. At the end of this notebook you race the two.

# %% tags=["exercise:tensor-matmul"]
#| export
def matmul_loops(a, b):
    """The product of two matrices, straight from the definition. Kept to be raced against.

    a: array (n, k), b: array (k, m); returns an array (n, m) with the dtype of a.

    matmul_loops(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))  →  array([[11.]])
    """
    ### BEGIN SOLUTION
    (rows, inner), columns = a.shape, b.shape[1]
    product = np.zeros((rows, columns), dtype=a.dtype)
    for i in range(rows):
        for j in range(columns):
            for k in range(inner):
                product[i, j] += a[i, k] * b[k, j]
    return product
    ### END SOLUTION


@operation
def matmul(a, b):
    """The matrix product a @ b.

    a: (…, n, k), b: (…, k, m), output (…, n, m); leading axes are batches, and broadcast. Vectors (k,) may stand on either side.

    Tensor([[1, 2], [3, 4]]) @ Tensor([[5], [6]])  →  Tensor([[17.], [39.]])
    """
    ### BEGIN SOLUTION
    return a @ b
    ### END SOLUTION

# %%
# %check tensor-matmul

# %% [markdown]
# What does your door say when shapes do not fit? `run` puts the operation and the shapes in front of NumPy's own words:

# %%
try:
    Tensor([[1, 2, 3], [4, 5, 6]]) @ Tensor([[1, 2, 3], [4, 5, 6]])
except ValueError as error:
    print(error)

# %% [markdown]
# ## 6 · Many numbers become few
#
# The loss of a network is *one* number, made of thousands. A **reduction** takes an axis and makes it disappear: of shape `(2, 3)`, axis 0 leaves `(3,)`, axis 1
# leaves `(2,)`, and `None` (all axes) leaves `()`. The axis you name is the one that goes:
#
# ```text
#                  ┌ 1  2  3 ┐
#      x   =       │         │      x.sum(axis=1) = [ 6, 15 ]      axis 1 (the three) is gone
#                  └ 4  5  6 ┘
#
#      x.sum(axis=0) = [ 5, 7, 9 ]                  axis 0 (the two) is gone
#      x.sum() = 21                                 everything is gone
# ```
#
# With `keepdims=True` the axis stays, with size 1. Why would one want that? **By hand:** to subtract from each row its own mean, `x.mean(axis=1)` is `[2, 5]`, of shape
# `(2,)`; against `(2, 3)`, aligned on the right, 2 meets 3: error. With `keepdims=True` it is `[[2], [5]]`, of shape `(2, 1)`, and
# broadcasting does the rest: `[[-1, 0, 1], [-1, 0, 1]]`.
#
# NumPy arrays have `sum`, `mean` and `max` themselves. `axis` may be a number (also negative), a tuple of numbers, or `None`.
# (Our functions are called `reduce_…`, so that Python's own `sum` and `max` remain what they are.)

# %% tags=["exercise:tensor-reduce"]
#| export
@operation
def reduce_sum(x, axis=None, keepdims=False):
    """The sum over `axis`: an int, a tuple of ints, or None for all.

    Tensor([[1, 2, 3], [4, 5, 6]]).sum(axis=1)  →  Tensor([ 6., 15.])
    """
    ### BEGIN SOLUTION
    return x.sum(axis=axis, keepdims=keepdims)
    ### END SOLUTION


@operation
def reduce_mean(x, axis=None, keepdims=False):
    """The mean over `axis`. (Of integers NumPy makes float64; the door makes that float32.)

    Tensor([[1, 2, 3], [4, 5, 6]]).mean(axis=1, keepdims=True)  →  Tensor([[2.], [5.]])
    """
    ### BEGIN SOLUTION
    return x.mean(axis=axis, keepdims=keepdims)
    ### END SOLUTION


@operation
def reduce_max(x, axis=None, keepdims=False):
    """The largest value over `axis`.

    Tensor([[1, 5, 3], [4, 2, 6]]).max(axis=0)  →  Tensor([4., 5., 6.])
    """
    ### BEGIN SOLUTION
    return x.max(axis=axis, keepdims=keepdims)
    ### END SOLUTION

# %%
# %check tensor-reduce

# %% [markdown]
# ## 7 · The same numbers, arranged differently
#
# In memory the numbers of an array lie in one long row. Its shape only says how to walk along that row, and so some operations need not touch a single number:
#
# ```text
#      memory      1 2 3 4 5 6
#
#      (2, 3)      1 2 3          (3, 2) by reshape    1 2          (3, 2) by transpose    1 4
#                  4 5 6                               3 4                                 2 5
#                                                      5 6                                 3 6
# ```
#
# - **reshape** keeps the reading order and draws the line breaks elsewhere. One size may be −1: "whatever is left".
# - **transpose** swaps two axes: what was at `[i, j]` is at `[j, i]`. Not the same as a reshape, as the drawing shows! `x.T` swaps the last two.
# - **permute** puts all axes in a new order: axis `i` of the result is axis `dims[i]` of the input. **By hand:** a picture of shape `(32, 40, 3)`, height × width × colour,
#   with dims `(2, 0, 1)` has shape `(3, 32, 40)`.
# - **index** is `x[key]`, with all that NumPy allows: `x[0]`, `x[:, 1:3]`, `x[..., None]`, `x[[2, 0]]`, and a mask of booleans.
#
# NumPy's methods here: `reshape`, `swapaxes` (two axes), `transpose` (all axes). Note the trap: what NumPy calls `transpose` is PyTorch's, and our, `permute`.

# %% tags=["exercise:tensor-shape"]
#| export
@operation
def reshape(x, shape):
    """The numbers of x in reading order, in the shape `shape` (a tuple; one size may be -1).

    Tensor([1, 2, 3, 4, 5, 6]).reshape(2, -1)  →  Tensor([[1., 2., 3.], [4., 5., 6.]])
    """
    ### BEGIN SOLUTION
    return x.reshape(shape)
    ### END SOLUTION


@operation
def transpose(x, dim0, dim1):
    """x with the axes dim0 and dim1 exchanged.

    Tensor of shape (5, 2, 3), transpose(0, 2)  →  shape (3, 2, 5)
    """
    ### BEGIN SOLUTION
    return x.swapaxes(dim0, dim1)
    ### END SOLUTION


@operation
def permute(x, dims):
    """x with all its axes in the order `dims` (a tuple).

    Tensor of shape (32, 40, 3), permute(2, 0, 1)  →  shape (3, 32, 40)
    """
    ### BEGIN SOLUTION
    return x.transpose(dims)
    ### END SOLUTION


@operation
def index(x, key):
    """x[key]: reading only.

    Tensor([[1, 2, 3], [4, 5, 6]])[:, 1]  →  Tensor([2., 5.])
    """
    ### BEGIN SOLUTION
    return x[key]
    ### END SOLUTION

# %%
# %check tensor-shape

# %% [markdown]
# ## 8 · Joining
#
# Single pictures become a batch, pieces of a sequence one sequence. There are two ways to join a list of tensors:
#
# - **concatenate** lays them end to end along an axis that is there already: `(2, 3)` and `(4, 3)` along axis 0 are `(6, 3)`.
# - **stack** puts equal shapes side by side along a *new* axis: ten pictures of `(28, 28)` along axis 0 are `(10, 28, 28)`.
#
# **By hand.** `[1, 2]` and `[3, 4]`: concatenate gives `[1, 2, 3, 4]`; stack along axis 0 `[[1, 2], [3, 4]]`, along axis 1 `[[1, 3], [2, 4]]`.
#
# These two take a *list* of tensors, while the door wants each tensor as an input of its own, so that the engine can see it. Therefore they are not written with
# `@operation`: you write the function that spreads the list (with a star) before the door. Their forwards stand below them. Going through the
# door matters: `Tensor(np.concatenate(…))` would give the right numbers, and nobody could ever trace them back.

# %% tags=["exercise:tensor-join"]
#| export
def concatenate(tensors, axis=0):
    """The tensors of a list, end to end along `axis`; on all other axes their sizes must be equal.

    concatenate([Tensor([1, 2]), Tensor([3])])  →  Tensor([1., 2., 3.])
    """
    ### BEGIN SOLUTION
    return apply(concatenate, *tensors, axis=axis)
    ### END SOLUTION


def stack(tensors, axis=0):
    """The tensors of a list, all of one shape, side by side along a new axis at place `axis`.

    stack([Tensor([1, 2]), Tensor([3, 4])])  →  Tensor([[1., 2.], [3., 4.]])
    """
    ### BEGIN SOLUTION
    return apply(stack, *tensors, axis=axis)
    ### END SOLUTION


concatenate.forward, concatenate.backward = lambda *arrays, axis: np.concatenate(arrays, axis), None
stack.forward, stack.backward = lambda *arrays, axis: np.stack(arrays, axis), None

# %%
# %check tensor-join

# %% [markdown]
# ## 9 · Tensors from nothing
#
# Weights need a beginning: zeros, ones, or chance. `randn` draws from the **standard normal distribution**, the bell curve around 0 with standard deviation 1.
# Chance that cannot be repeated is the enemy of every experiment, so `randn` takes a `seed`: the same seed gives the same numbers, no seed gives new ones each time.
# NumPy's `np.random.default_rng(seed)` makes such a generator. (Give it a generator in place of a seed, and it hands it back: so one may pass either.)
#
# `arange(n)` counts 0, 1, … n−1. It is made for positions, and positions are labels: it is int64, the others are float32.
#
# **By hand.** `zeros(2, 3)` and `zeros((2, 3))` both are two rows of three zeros; `*shape` collects `(2, 3)` in the first case and `((2, 3),)` in the second,
# and `one_tuple(shape)` makes `(2, 3)` of either.

# %% tags=["exercise:tensor-create"]
#| export
def zeros(*shape, requires_grad=False):
    """A float32 tensor of zeros.

    zeros(2, 3)  →  Tensor([[0., 0., 0.], [0., 0., 0.]])
    """
    ### BEGIN SOLUTION
    return Tensor(np.zeros(one_tuple(shape), dtype=np.float32), requires_grad)
    ### END SOLUTION


def ones(*shape, requires_grad=False):
    """A float32 tensor of ones.

    ones(3)  →  Tensor([1., 1., 1.])
    """
    ### BEGIN SOLUTION
    return Tensor(np.ones(one_tuple(shape), dtype=np.float32), requires_grad)
    ### END SOLUTION


def randn(*shape, seed=None, requires_grad=False):
    """A float32 tensor of numbers from the standard normal distribution. `seed`: an int, or a NumPy Generator to draw from.

    randn(1000).mean() is near 0;  randn(4, seed=7) is the same every time
    """
    ### BEGIN SOLUTION
    numbers = np.random.default_rng(seed).standard_normal(one_tuple(shape), dtype=np.float32)
    return Tensor(numbers, requires_grad)
    ### END SOLUTION


def arange(n):
    """The integers from 0 to n − 1, as int64.

    arange(4)  →  Tensor([0, 1, 2, 3], dtype=int64)
    """
    ### BEGIN SOLUTION
    return Tensor(np.arange(n, dtype=np.int64))
    ### END SOLUTION

# %%
# %check tensor-create

# %% [markdown]
# ## See it
#
# Two lines of numbers make a picture. `x` is a row and `y` a column; where they meet in one expression, broadcasting makes a table of them. Both pictures below come out of a line or two of
# your own operations. Change the expressions and run the cell again: an ellipse? a bump that is wider than it is high?

# %%
import matplotlib.pyplot as plt

x = (arange(61) - 30) / 10  # (61,)    from −3 to 3
y = x.reshape(61, 1)  # (61, 1)

distance = sqrt(x * x + y * y)  # (61, 61)   from the middle

bump = exp(-distance * distance / 2)
ring = (distance < 2) * (distance > 1)  # between booleans, times means "and"

figure, panels = plt.subplots(1, 2, figsize=(6, 2.6))
for panel, picture, title in zip(panels, (bump, ring), ("a bump", "closer than 2, and farther than 1")):
    panel.imshow(picture.numpy(), extent=(-3, 3, -3, 3))
    panel.set_title(title, fontsize=9)
    panel.set_axis_off()
plt.show()

# %% [markdown]
# ## Systems: what does it cost?
#
# You have a `measure` of your own. Three questions for it:
#
# 1. How much faster is BLAS than three loops in Python?
# 2. What does the door itself cost, compared with bare NumPy, for one number and for many?
# 3. Are `reshape` and `T` really free?

# %%
from tinytorch.setup import array_bytes, measure, readable_bytes


def per_call(function, calls=100):
    """Seconds that one call takes, where one alone is too short to measure."""
    return measure(lambda: [function() for _ in range(calls)]) / calls


a, b = randn(24, 24, seed=1), randn(24, 24, seed=2)
loops, blas = measure(matmul_loops, a.data, b.data, repeat=1), per_call(lambda: matmul(a, b))
print(f"24×24 matrix product     loops {loops * 1e6:8.0f} µs     matmul {blas * 1e6:6.1f} µs     {loops / blas:5.0f} times faster")

for size in (1, 1_000, 100_000):
    v = randn(size, seed=3)
    bare, door = per_call(lambda: v.data + v.data, 10), per_call(lambda: v + v, 10)
    print(f"adding {size:7,} numbers   NumPy {bare * 1e6:8.2f} µs     tensor {door * 1e6:6.2f} µs     {door / bare:5.1f} times as long")

big = randn(500, 400, seed=4)
size = readable_bytes(array_bytes(big.shape, big.dtype))
for name, function in (("reshape", lambda: big.reshape(400, 500)), ("T", lambda: big.T), ("a copy", lambda: big.data.copy())):
    print(f"{name:8} of {size} takes {per_call(function, 5) * 1e6:8.1f} µs")

# %% [markdown]
# ## Reflect
#
# No grades here; take a minute for each.
#
# 1. The door costs a microsecond or two, whatever the size. Which networks will feel it: those with large layers, or those made of many small steps?
# 2. A batch of predictions has shape `(64, 1)` and the targets have shape `(64,)`. What shape has their difference? Why does no error come, and
#    why will nothing learn from it?
# 3. `x.reshape(3, 2)` and `x.T` of a `(2, 3)` tensor have the same shape. When would exchanging them go unnoticed in a network, for a while?
#
# **Behind the next door.** Stack as many matrix products as you like: $(xA)B = x(AB)$ is *one* matrix product again. Your tensors can stretch, turn and add, and
# nothing of that ever bends. Module 03 adds the bend.

# %%
from tinytorch_core import CompleteModule

CompleteModule()
