# %% [markdown]
# # 09 · Spatial
#
# **A multilayer perceptron sees a picture as a list of numbers. Neighbours should matter.**
#
# You can train networks now. So train one on handwritten digits: 784 pixels, a hidden layer, ten answers. The first cell below does it in a
# fraction of a second, and nearly nine digits out of ten are read correctly. Then it shifts the same digits to the right, pixel by pixel.
# You would hardly notice. The network is lost.
#
# No wonder. What did `Flatten` do to the picture? It made a list of 784 numbers, and for a `Linear` layer their order means *nothing*.
# Exchange pixels 17 and 508 in all pictures, and it learns just as well. That two pixels are neighbours, that a stroke on the left and a
# stroke on the right are both strokes: it has to learn all that anew at every place, with weights of its own.
#
# Two ideas mend this. Together they are the **convolution**:
#
# - **Look at small windows.** A stroke, a corner, an end of a line fit into 5 × 5 pixels. 25 weights are enough to look for one.
# - **Use the same weights everywhere.** What is a corner here is a corner there. Let one set of weights slide over the whole picture.
#
# ```text
#      picture                 the kernel: nine weights,       feature map
#      . . . . . . . .         the same everywhere             . . . . . .
#      . ┌─────┐ . . .              ┌─────┐                    . . . . . .
#      . │x x x│ . . .              │w w w│                    . ■ . . . .     one number for each window:
#      . │x x x│ . . .     ──▶      │w w w│      ──▶           . . . . . .     how much does it look like w?
#      . │x x x│ . . .              │w w w│                    . . . . . .
#      . └─────┘ . . .              └─────┘                    . . . . . .
#      . . . . . . . .
# ```
#
# ```text
#     14 transformers
#     13 attention   12 embeddings   11 tokenization
#     10 dataloader
#   ▶ 09 spatial         you are here: conv2d, Conv2d, MaxPool2d, AvgPool2d, BatchNorm2d
#     08 training        Trainer, accuracy
#     07 autograd        rule, gradcheck
#     06 optimizers      Adam
#     05 losses          CrossEntropyLoss
#     04 layers          Module, Parameter, Linear, Flatten
#     03 activations     ReLU
#     02 tensor          Tensor, operation
#     01 setup           measure
# ```
#
# Nine exercises. From here on you write the way there and the way back of an operation side by side. When you complete this module, you
# have reached the third milestone, *I Can Process Images!*, and the notebook **LeNet (1998)** opens.

# %%
# %load_ext tinytorch_core

# %%
import matplotlib.pyplot as plt
import numpy as np
from tinytorch.activations import ReLU
from tinytorch.layers import Flatten, Linear, Sequential
from tinytorch.losses import CrossEntropyLoss
from tinytorch.optimizers import Adam
from tinytorch.tensor import Tensor
from tinytorch.training import Trainer, accuracy
from tinytorch_core.data import load_mnist

x_train, y_train, x_test, y_test = load_mnist()
digits, labels = x_train[:2000, None], y_train[:2000]  # (2000, 1, 28, 28)
new_digits, new_labels = x_test[:1000, None], y_test[:1000]


def batches(pictures, labels, size=32):
    return [(Tensor(pictures[i : i + size]), Tensor(labels[i : i + size])) for i in range(0, len(pictures), size)]


def trained(model, epochs):
    """A Trainer that has trained this model on the 2,000 digits."""
    trainer = Trainer(model, Adam(model.parameters(), lr=2e-3), CrossEntropyLoss(), metrics={"accuracy": accuracy})
    trainer.fit(batches(digits, labels), epochs=epochs)
    return trainer


def right_when_shifted(trainer, shifts=range(5)):
    """How many of the new digits are read correctly when all of them are shifted to the right."""
    return [trainer.validate(batches(np.roll(new_digits, shift, axis=-1), new_labels, 200))["accuracy"] for shift in shifts]


mlp = Sequential(Flatten(), Linear(784, 64, seed=1), ReLU(), Linear(64, 10, seed=2))
mlp_right = right_when_shifted(trained(mlp, epochs=6))

figure, panels = plt.subplots(1, 5, figsize=(7, 1.9))
for shift, panel in enumerate(panels):
    panel.imshow(np.roll(new_digits[5, 0], shift, axis=-1), cmap="gray_r")
    panel.set_title(f"shifted by {shift}:\n{mlp_right[shift]:.0%} right", fontsize=9)
    panel.set_axis_off()
plt.show()

# %% tags=["given:spatial-imports"]
#| export
"""Networks that see: convolution and pooling, which slide over pictures (N, C, H, W), and batch normalization."""

import math

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinytorch.autograd import rule
from tinytorch.layers import Module, Parameter
from tinytorch.tensor import operation, sqrt

# %% [markdown]
# ## The words, and the first helpers
#
# | word | is |
# |---|---|
# | **pictures** | an array of shape **(N, C, H, W)**: N pictures of C **channels**, each H high and W wide. A colour photograph has C = 3, our digits have C = 1; deeper in a network there may be 500 |
# | **kernel** | a small block of weights (C, kH, kW). A layer has many: its `weight` is **(out, C, kH, kW)** |
# | **window** | the part of the picture that lies under the kernel |
# | **feature map** | what one kernel makes of the picture: one number for each window. It is a channel of the output |
# | **stride** | how many pixels the kernel moves from one window to the next |
# | **padding** | how many rows and columns of zeros are put around the picture first, on all four sides |
#
# Three small functions are given. A kernel need not be square, so inside this module sizes and strides are **pairs**, (height, width).

# %% tags=["given:spatial-helpers"]
#| export
def as_pair(size):
    """Height and width: (3, 3) for 3, and (2, 3) for (2, 3). They are whole numbers from 1 on, or TypeError and ValueError."""
    pair = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if not all(isinstance(n, (int, np.integer)) for n in pair):
        raise TypeError(f"a whole number was expected, or a pair of them (height, width), not {size!r}")
    if len(pair) != 2 or min(pair) < 1:
        raise ValueError(f"a whole number from 1 on was expected, or a pair of them (height, width), not {size!r}")
    return pair


def zero_pad(x, padding):
    """The pictures x (N, C, H, W) with `padding` rows and columns of zeros on all four sides."""
    if padding < 0:
        raise ValueError(f"padding can't be negative: {padding}")
    if padding == 0:
        return x
    n, channels, height, width = x.shape
    padded = np.zeros((n, channels, height + 2 * padding, width + 2 * padding), dtype=x.dtype)
    padded[:, :, padding:-padding, padding:-padding] = x
    return padded


def check_pictures(x, weight=None, bias=None):
    """ValueError unless x is (N, C, H, W) and, where they are given, weight is (out, C, kH, kW) and bias (out,)."""
    if np.ndim(x) != 4:
        raise ValueError(f"pictures have four axes, (N, C, H, W), and this has shape {np.shape(x)}")
    if weight is not None and (weight.ndim != 4 or weight.shape[1] != x.shape[1]):
        raise ValueError(f"a weight (out, {x.shape[1]}, kH, kW) would fit pictures of shape {x.shape}, not {weight.shape}")
    if bias is not None and bias.shape != (len(weight),):
        raise ValueError(f"a bias ({len(weight)},) would fit a weight of shape {weight.shape}, not {bias.shape}")

# %% [markdown]
# ## 1 · Convolution, straight from the definition
#
# Lay the kernel on a window, multiply what lies on top of each other, add everything up, add the bias. Then move on by one stride:
#
# $$y_{n\,o\,i\,j} = b_o + \sum_{c}\sum_{p}\sum_{q}\; x_{n,\;c,\;i\,s + p,\;j\,s + q}\;\cdot\; w_{o\,c\,p\,q}$$
#
# All channels of the window are used, and added up. Each of the `out` kernels makes one channel of the output.
#
# **By hand.** A picture of 3 × 4 with a dark left and a bright right half, and a kernel that asks "is my right neighbour brighter than I
# am?":
#
# ```text
#      0  0  5  5                              0·(−1) + 0·1    0·(−1) + 5·1    5·(−1) + 5·1        0  5  0
#      0  0  5  5      kernel  −1  1    ──▶         ⋮               ⋮               ⋮         =    0  5  0
#      0  0  5  5                                                                                  0  5  0
# ```
#
# Zero where nothing happens, 5 at the edge: two weights have found it, in every row.
#
# **How large is the output?** As many windows as fit. Along one axis the first starts at 0, and the last has to end within the padded
# picture:
#
# $$\text{windows} = \left\lfloor \frac{\text{size} + 2\cdot\text{padding} - \text{kernel}}{\text{stride}} \right\rfloor + 1$$
#
# | size | kernel | stride | padding | windows | |
# |---|---|---|---|---|---|
# | 28 | 5 | 1 | 0 | 24 | the border is lost |
# | 28 | 3 | 1 | 1 | 28 | padding keeps the size |
# | 8 | 3 | 2 | 0 | 3 | they start at 0, 2, 4; the last column is never seen |
# | 2 | 3 | 1 | 0 | none | ValueError |
#
# (Mathematicians turn the kernel upside down first, and call only that a convolution; this one they call *cross-correlation*. For a
# network, which learns its kernels, it makes no difference, and all frameworks do it as we do.)
#
# Write it with loops over n, o, i and j, on plain arrays. `for n, o, i, j in np.ndindex(shape):` is four loops in one line, over all
# indices of an array of that shape. What is inside is your formula: a window is the slice `x[n, :, top : top + kh, left : left + kw]`, and
# NumPy may multiply it and add it up.

# %% tags=["exercise:conv-loops"]
#| export
def output_size(size, kernel, stride=1, padding=0):
    """How many windows there are along one axis; all four are numbers. ValueError if not even one fits.

    output_size(8, 3, stride=2)  →  3
    """
    ### BEGIN SOLUTION
    if kernel > size + 2 * padding:
        raise ValueError(f"a kernel of {kernel} does not fit into {size} with a padding of {padding}")
    return (size + 2 * padding - kernel) // stride + 1
    ### END SOLUTION


def conv2d_loops(x, weight, bias=None, stride=1, padding=0):
    """Convolution, straight from the definition. Kept to be raced against.

    x: array (N, C, H, W); weight: array (out, C, kH, kW); bias: array (out,) or None; stride, padding: numbers.
    Returns an array (N, out, oH, oW) with the dtype of x.

    conv2d_loops(np.array([[[[0.0, 0.0, 5.0, 5.0]]]]), np.array([[[[-1.0, 1.0]]]]))  →  array([[[[0., 5., 0.]]]])
    """
    ### BEGIN SOLUTION
    (n, _, height, width), (out, _, kh, kw) = x.shape, weight.shape
    oh, ow = output_size(height, kh, stride, padding), output_size(width, kw, stride, padding)
    x, output = zero_pad(x, padding), np.zeros((n, out, oh, ow), dtype=x.dtype)
    for n, o, i, j in np.ndindex(output.shape):
        top, left = i * stride, j * stride
        window = x[n, :, top : top + kh, left : left + kw]  # (C, kH, kW)
        output[n, o, i, j] = (window * weight[o]).sum() + (0 if bias is None else bias[o])
    return output
    ### END SOLUTION

# %%
# %check conv-loops

# %% [markdown]
# It works, and you can look at what it does. Here are four kernels, thought up by people long before anybody let a machine learn them, on
# one of the digits. Red is positive, blue is negative. Add one of your own.

# %%
import ipywidgets

KERNELS = {
    "upright strokes (Sobel, 1968)": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    "level strokes": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
    "blur": [[1, 2, 1], [2, 4, 2], [1, 2, 1]],
    "contours (Laplace)": [[0, -1, 0], [-1, 4, -1], [0, -1, 0]],
}


def look_for(kernel="upright strokes (Sobel, 1968)", digit=3):
    weight = np.array(KERNELS[kernel], dtype=np.float32)
    feature_map = conv2d_loops(new_digits[digit : digit + 1], weight[None, None], padding=1)[0, 0]
    figure, panels = plt.subplots(1, 3, figsize=(6.5, 2.3), width_ratios=(3, 1, 3))
    panels[0].imshow(new_digits[digit, 0], cmap="gray_r")
    for panel, picture in ((panels[1], weight), (panels[2], feature_map)):
        scale = np.abs(picture).max()
        panel.imshow(picture, cmap="RdBu_r", vmin=-scale, vmax=scale)
    for panel, title in zip(panels, ("picture", "kernel", "feature map")):
        panel.set_title(title, fontsize=9)
        panel.set_axis_off()
    plt.show()


ipywidgets.interact(look_for, kernel=list(KERNELS), digit=(0, 20));

# %% [markdown]
# ## 2 · Windows side by side
#
# The loops make a Python step for every single output number, and a small layer has a hundred thousand of them. You know the remedy: *one
# large matrix product* (module 04). A convolution can be made into one. Every output number is the kernel, written as a row, times its
# window, written as a column. So write **all** windows as columns, side by side:
#
# ```text
#                          four windows of 2 × 2            im2col: one column for each window
#      1  2  3             1 2   2 3   4 5   5 6                 1   2   4   5      ◀ what the top left of the kernel sees
#      4  5  6             4 5   5 6   7 8   8 9                 2   3   5   6      ◀ top right
#      7  8  9                                                   4   5   7   8      ◀ bottom left
#                                                                5   6   8   9      ◀ bottom right
# ```
#
# That is called **im2col**, "image to columns". For one picture the table has C·kH·kW rows and oH·oW columns. (Chellapilla, Puri and
# Simard, 2006.)
#
# Collecting the windows in a loop would again be slow. But look at memory: nothing has to be computed, the numbers are all there, only to
# be *read in another order*, some of them several times. Which is what the **strides** of an array are for: how many bytes it is from one
# index to the next, along each axis. A picture
# (3, 3) in float32 has strides (12, 4): a row further down is 12 bytes on, a column further right 4.
#
# Now imagine an array `windows[p, q, i, j]`: place (p, q) of the kernel, in window (i, j).
#
# | one more of | means in the picture | bytes |
# |---|---|---|
# | p | one row further down | 12 |
# | q | one column further right | 4 |
# | i | `stride` rows further down | 12 · stride |
# | j | `stride` columns further right | 4 · stride |
#
# So `windows` is the *same memory*, with shape (2, 2, 2, 2) and strides (12, 4, 12, 4). `as_strided(x, shape, strides)` makes such an array
# without copying a number. The axes N and C come first and keep their strides: shape (N, C, kH, kW, oH, oW). After that a `reshape` to (N,
# C·kH·kW, oH·oW) copies everything, once, at NumPy's speed.
#
# Beware: `as_strided` believes whatever you say. Tell it a wrong shape, and it reads memory that belongs to somebody else. So take the
# sizes from `output_size`, which has looked. (And say `writeable=False`: nobody should write into windows that overlap.)

# %% tags=["exercise:im2col"]
#| export
def im2col(x, kernel, stride=(1, 1)):
    """All windows of the pictures as columns.

    x: array (N, C, H, W), padded already, with any strides of its own (x.strides, in bytes); kernel, stride: pairs (height, width).
    Returns an array (N, C·kH·kW, oH·oW): rows in the order of (c, p, q), columns in that of (i, j).
    ValueError if the kernel does not fit (output_size sees to that).

    im2col(np.arange(1, 10).reshape(1, 1, 3, 3), (2, 2))  →  array([[[1, 2, 4, 5], [2, 3, 5, 6], [4, 5, 7, 8], [5, 6, 8, 9]]])
    """
    (n, channels, height, width), (kh, kw), (sh, sw) = x.shape, kernel, stride
    ### BEGIN SOLUTION
    oh, ow = output_size(height, kh, sh), output_size(width, kw, sw)
    picture, channel, row, column = x.strides
    strides = (picture, channel, row, column, row * sh, column * sw)
    windows = as_strided(x, (n, channels, kh, kw, oh, ow), strides, writeable=False)
    return windows.reshape(n, channels * kh * kw, oh * ow)
    ### END SOLUTION

# %%
# %check im2col

# %%
im2col(np.arange(1, 10).reshape(1, 1, 3, 3), (2, 2))

# %% [markdown]
# ## 3 · Convolution as one product
#
# The rest is a matrix product. With the kernels as rows, `weight.reshape(out, C·kH·kW)`:
#
# $$\underbrace{Y}_{(N,\ \mathrm{out},\ oH \cdot oW)} = \underbrace{W}_{(\mathrm{out},\ C \cdot kH \cdot kW)}\;\underbrace{\text{columns}}_{(N,\ C \cdot kH \cdot kW,\ oH \cdot oW)} + \underbrace{b}_{(\mathrm{out},\ 1)}$$
#
# The weight stands on the left, so that the result comes out with its channels before its places: reshape it to (N, out, oH, oW), and it is
# done.
#
# **By hand.** The picture 1 … 9 from above, kernel `[[1, 0], [0, -1]]`, bias 10. As a row it is `1 0 0 -1`; times the first column: 1 − 5 +
# 10 = 6. The others: 2 − 6 + 10, 4 − 8 + 10, 5 − 9 + 10. Output `[[6, 6], [6, 6]]`.
#
# What will the way back need? The columns: you will see in a moment. They have to be made anyway, so return them as `kept`:
# `return output, columns`.
#
# Pad first, and hand `im2col` pairs: `as_pair(stride)`. The bias needs an axis for the places, `bias[:, None]`.

# %% tags=["exercise:conv2d"]
#| export
@operation
def conv2d(input, weight, bias=None, stride=1, padding=0):
    """Convolution (more exactly, cross-correlation) of pictures with kernels.

    input: (N, C, H, W); weight: (out, C, kH, kW); bias: (out,) or None; stride: a number or a pair; padding: a number;
    output: (N, out, oH, oW), oH and oW as in output_size, each with its own stride. Its forward keeps the columns for
    the way back. ValueError if shapes don't fit, or a kernel is larger than the padded picture.

    conv2d(Tensor of shape (32, 1, 28, 28), Tensor of shape (6, 1, 5, 5))  →  shape (32, 6, 24, 24)
    """
    check_pictures(input, weight, bias)
    (n, _, height, width), (out, _, kh, kw), (sh, sw) = input.shape, weight.shape, as_pair(stride)
    ### BEGIN SOLUTION
    columns = im2col(zero_pad(input, padding), (kh, kw), (sh, sw))  # (N, C·kH·kW, oH·oW)
    output = weight.reshape(out, -1) @ columns  # (N, out, oH·oW)
    if bias is not None:
        output = output + bias[:, None]
    return output.reshape(n, out, output_size(height, kh, sh, padding), output_size(width, kw, sw, padding)), columns
    ### END SOLUTION

# %%
# %check conv2d

# %% [markdown]
# The same numbers; how much faster? Here is the ratio on *your* machine, for a layer as in LeNet:

# %%
from tinytorch.setup import measure

x, weight = new_digits[:4], np.random.default_rng(1).normal(size=(6, 1, 5, 5)).astype(np.float32)
loops, product = measure(conv2d_loops, x, weight, repeat=1), measure(conv2d, Tensor(x), Tensor(weight), repeat=20)
print("largest difference:", np.abs(conv2d_loops(x, weight) - conv2d(Tensor(x), Tensor(weight)).data).max())
print(f"loops {loops * 1e3:.1f} ms    im2col and one product {product * 1e3:.2f} ms    {loops / product:.0f} times faster")

# %% [markdown]
# ## 4 · The columns, put back
#
# Now the way back, and its most interesting part first. Columns were made of a picture, and a pixel went into several of them: the 5 in the
# middle of our picture stands in all four. You know what happens to the gradient of a number that is used several times. **It adds up.** So
# columns of gradients, put back to where the pixels came from, have to be *added* there:
#
# ```text
#      columns, all of them 1                    put back and added
#      (a gradient of 1 for every number)
#           1   1   1   1                             1  2  1          how often was each pixel used?
#           1   1   1   1            ──▶              2  4  2
#           1   1   1   1                             1  2  1
#           1   1   1   1
# ```
#
# How to add without a loop over the windows? Do it by **rows** of the table. Row (p, q) is what *one place of the kernel* has seen while
# sliding, and that is, all at once, a slice of the picture: it begins at row p and column q, and goes on in steps of the stride. Signal
# people call such a place a **tap**. A kernel of 5 × 5 has 25 taps, however large the picture is: 25 additions of whole slices.
#
# ```text
#      kernel 2 × 2,           tap (0, 0)        tap (0, 1)        tap (1, 0)        tap (1, 1)
#      stride 1                ■ ■ ·             · ■ ■             · · ·             · · ·
#                              ■ ■ ·             · ■ ■             ■ ■ ·             · ■ ■
#                              · · ·             · · ·             ■ ■ ·             · ■ ■
# ```
#
# `taps` is given: it lists these slices in the order of the rows. You will use it three times. For stride 2, say, a slice reads
# `x[..., 0:8:2, 1:9:2]`.
#
# **By hand.** Columns `[[1, 2, 3, 4], [10, 20, 30, 40], [0, 0, 0, 0], [0, 0, 0, 0]]` for a 3 × 3 picture: tap (0, 0) adds 1 2 / 3 4 to the
# upper left, tap (0, 1) adds 10 20 / 30 40 one column further right. Together `[[1, 12, 20], [3, 34, 40], [0, 0, 0]]`.

# %% tags=["given:spatial-taps"]
#| export
def taps(shape, kernel, stride=(1, 1)):
    """For each place (p, q) of the kernel, row by row: the slice of pictures of this `shape` that it sees while sliding.

    kernel, stride: pairs. For x of that shape and a `tap` of the list, x[tap] is (N, C, oH, oW): one number for each window.
    """
    (*_, height, width), (kh, kw), (sh, sw) = shape, kernel, stride
    oh, ow = output_size(height, kh, sh), output_size(width, kw, sw)
    return [(..., slice(p, p + sh * oh, sh), slice(q, q + sw * ow, sw)) for p in range(kh) for q in range(kw)]

# %% tags=["exercise:col2im"]
#| export
def col2im(columns, shape, kernel, stride=(1, 1)):
    """Puts columns back into pictures: what im2col has copied to several places is added up again.

    columns: array (N, C·kH·kW, oH·oW); shape: of the pictures, (N, C, H, W), padded; kernel, stride: pairs.
    Returns an array of that shape and of the dtype of columns, zero where no window was. `columns` stays as it is.
    Loops over taps at most, not over windows.

    col2im(np.ones((1, 4, 4)), (1, 1, 3, 3), (2, 2))  →  array([[[[1., 2., 1.], [2., 4., 2.], [1., 2., 1.]]]])
    """
    (n, channels, height, width), (kh, kw), (sh, sw) = shape, kernel, stride
    ### BEGIN SOLUTION
    oh, ow = output_size(height, kh, sh), output_size(width, kw, sw)
    columns = columns.reshape(n, channels, kh * kw, oh, ow)
    pictures = np.zeros(shape, dtype=columns.dtype)
    for number, tap in enumerate(taps(shape, kernel, stride)):
        pictures[tap] += columns[:, :, number]
    return pictures
    ### END SOLUTION

# %%
# %check col2im

# %% [markdown]
# ## 5 · The way back of a convolution
#
# What remains is a product, and you know its rules (module 07). With the gradient laid out as Ȳ (N, out, oH·oW):
#
# | gradient of | is | shape |
# |---|---|---|
# | the weight | $\sum_n \bar Y_n\,\text{columns}_n^{\mathsf T}$ | (out, C·kH·kW), reshaped to the weight's shape |
# | the columns | $W^{\mathsf T}\,\bar Y$ | (N, C·kH·kW, oH·oW) |
# | the input | those columns, through `col2im`, with the padding cut off | (N, C, H, W) |
# | the bias | the sum of Ȳ over pictures and places | (out,) |
#
# **By hand,** in one dimension: picture `[1, 2, 3]`, kernel `[10, 1]`, so the output is `[12, 23]`. Let the gradient be `[1, 5]`.
#
# - The weight: 10 was multiplied by 1 and by 2, so it gets 1·1 + 5·2 = 11; the other one 1·2 + 5·3 = 17. `[11, 17]`.
# - The input: columns $\begin{pmatrix}10\\1\end{pmatrix}(1\;\;5) = \begin{pmatrix}10 & 50\\1 & 5\end{pmatrix}$; put back: `[10, 50 + 1, 5]`
#   = `[10, 51, 5]`.
# - The bias: 1 + 5 = 6.
#
# Return three functions, as in module 07 (the weight's is called in every step; the input's never in the first layer, where nobody wants
# the gradient of the pictures; the bias's only if there is one). Every gradient has exactly the shape of its input.
#
# (A matter of taste, and of speed: $\text{columns}\,\bar Y^{\mathsf T}$, transposed at the end, is the same as
# $\bar Y\,\text{columns}^{\mathsf T}$, and often twice as fast. BLAS has its moods; measure.)

# %% tags=["exercise:conv2d-backward"]
#| export
@rule(conv2d)
def conv2d_backward(gradient, columns, input, weight, bias=None, stride=1, padding=0):
    """The way back of conv2d, which has kept its columns: three functions.

    gradient: (N, out, oH, oW); columns: (N, C·kH·kW, oH·oW); input, weight, bias, stride, padding: as in conv2d.

    gradient [[[[1, 5]]]], input [[[[1, 2, 3]]]], weight [[[[10, 1]]]]
        →  to input [[[[10, 51, 5]]]], to weight [[[[11, 17]]]], to bias [6]
    """
    (n, channels, height, width), (out, _, kh, kw) = input.shape, weight.shape
    slopes = gradient.reshape(n, out, -1)  # (N, out, oH·oW)

    def to_input():
        ### BEGIN SOLUTION
        shape = (n, channels, height + 2 * padding, width + 2 * padding)
        padded = col2im(weight.reshape(out, -1).T @ slopes, shape, (kh, kw), as_pair(stride))
        return padded[:, :, padding : padding + height, padding : padding + width]
        ### END SOLUTION

    def to_weight():
        ### BEGIN SOLUTION
        return (columns @ slopes.swapaxes(1, 2)).sum(axis=0).T.reshape(weight.shape)
        ### END SOLUTION

    def to_bias():
        ### BEGIN SOLUTION
        return slopes.sum(axis=(0, 2))
        ### END SOLUTION

    return to_input, to_weight, to_bias

# %%
# %check conv2d-backward

# %% [markdown]
# Trust, but measure: your own `gradcheck`, on the awkward cases. Odd sizes, a kernel that is not square, strides that leave something over,
# padding.

# %%
from tinytorch.autograd import gradcheck
from tinytorch.tensor import randn

for height, width, kh, kw, stride, padding in ((5, 5, 3, 3, 1, 0), (5, 7, 3, 2, 1, 1), (6, 5, 2, 3, 2, 0), (4, 7, 1, 4, 3, 2)):
    inputs = randn(2, 2, height, width, seed=1), randn(3, 2, kh, kw, seed=2), randn(3, seed=3)
    fine = gradcheck(lambda x, weight, bias: conv2d(x, weight, bias, stride=stride, padding=padding), inputs)
    print(f"{height} × {width}, kernel {kh} × {kw}, stride {stride}, padding {padding}: {fine}")

# %% [markdown]
# ## 6 · The layer
#
# As with `Linear`: something that holds the weights. How large should they be in the beginning? One output number is a sum of C·kH·kW
# products, so by the rule of module 04 weight and bias are drawn evenly from
#
# $$\left[-\frac{1}{\sqrt{C \cdot kH \cdot kW}},\ \frac{1}{\sqrt{C \cdot kH \cdot kW}}\right]$$
#
# **By hand.** `Conv2d(16, 32, 3)`: each output sums 16 · 9 = 144 products, so the interval is ±1/12. Its weight is (32, 16, 3, 3), 4,608
# numbers, its bias (32,). That is all there is, for pictures of *any* size. A `Linear` layer from 16 × 28 × 28 numbers to 32 × 28 × 28
# would have 315 million.

# %% tags=["exercise:conv-layer"]
#| export
class Conv2d(Module):
    """Slides out_channels kernels over pictures: (N, in_channels, H, W) becomes (N, out_channels, oH, oW). (LeCun et al., 1989.)

    kernel_size: a number, or a pair (height, width). weight: Parameter (out, in, kH, kW); bias: Parameter (out,), or None with
    bias=False. Both begin as float32, uniform in ±1/√(in·kH·kW). seed: an int, or a NumPy Generator to draw from.

    Conv2d(1, 6, 5, padding=2)(x) for x of shape (32, 1, 28, 28)  →  shape (32, 6, 28, 28)
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True, seed=None):
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, as_pair(kernel_size)
        self.stride, self.padding = stride, padding
        ### BEGIN SOLUTION
        shape = (out_channels, in_channels, *self.kernel_size)
        random, bound = np.random.default_rng(seed), 1 / math.sqrt(math.prod(shape[1:]))
        self.weight = Parameter(random.uniform(-bound, bound, shape), dtype=np.float32)
        self.bias = Parameter(random.uniform(-bound, bound, out_channels), dtype=np.float32) if bias else None
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        return conv2d(x, self.weight, self.bias, stride=self.stride, padding=self.padding)
        ### END SOLUTION

    def __repr__(self):
        settings = "".join(f", {name}={value}" for name, value in (("stride", self.stride), ("padding", self.padding)) if value != (name == "stride"))
        return f"Conv2d({self.in_channels}, {self.out_channels}, {self.kernel_size}{settings}{'' if self.bias is not None else ', bias=False'})"

# %%
# %check conv-layer

# %% [markdown]
# ## 7 · Max pooling
#
# A feature map says *where* something was found, to the pixel. That is more than one wants to know: a seven is a seven with its corner one
# pixel further left. So look at windows of 2 × 2 and keep only the **largest** number of each: "it is here, roughly". The map has a quarter
# of its numbers left, and the next layer sees twice as far.
#
# $$y_{n\,c\,i\,j} = \max_{p,\,q}\; x_{n,\;c,\;i\,s + p,\;j\,s + q}$$
#
# Each channel by itself. If nothing else is said, the stride is the size of the window, so that the windows don't overlap; what is left
# over at the right and at the bottom is dropped, as in `output_size`.
#
# **By hand,** windows of 2 × 2. Beneath, the places that have won, counted 0 1 / 2 3, and the way back of the gradient `[[10, 20]]`:
#
# ```text
#      1  3  │  5  5            3  5             1  0             0  10 │ 20  0
#      2  0  │  1  4                                              0   0 │  0  0
#         x                 largest           which             to x
# ```
#
# - **Gradient.** The largest gets everything; the others could have been a little larger, and nobody would have noticed. In a **tie**, the
#   *first* in reading order gets it, alone. (Where a map is zero everywhere, as after ReLU it often is, that saves you from sending
#   gradients in all directions.)
# - So the forward has to remember *which* one has won. Keep a small array of tap numbers. It is an array of small integers, `np.uint16`:
#   half the size of the picture's numbers.
#
# Go through the taps, as in `col2im`. Start with what tap 0 sees, and with zeros for `which`. For each later tap, in order:
# `better = seen > largest` (strictly: ties stay with the first), then `largest = np.maximum(largest, seen)`. And `which`? A later tap has a
# larger number, so `np.maximum(which, better * np.uint16(number))` puts the number where it was better, and leaves everything else alone.
# (`np.where` would do that as well; branches cost more than products here.)
#
# On the way back: for each tap, its slice gets the gradient where `which` is its number. Windows can overlap, so add.

# %% tags=["exercise:max-pool"]
#| export
@operation
def max_pool2d(input, kernel_size, stride=None):
    """The largest number in each window, channel by channel. (Weng, Ahuja and Huang, 1992.)

    input: (N, C, H, W); kernel_size, stride: numbers or pairs, the stride being kernel_size if None; output: (N, C, oH, oW).
    Its forward keeps `which`: an array of integers (N, C, oH, oW), the number of the first tap that saw the largest.

    max_pool2d(Tensor([[[[1, 3, 5, 5], [2, 0, 1, 4]]]]), 2)  →  Tensor([[[[3., 5.]]]])
    """
    check_pictures(input)
    kernel, stride = as_pair(kernel_size), as_pair(kernel_size if stride is None else stride)
    ### BEGIN SOLUTION
    first, *others = taps(input.shape, kernel, stride)
    largest = input[first]
    which = np.zeros(largest.shape, dtype=np.uint16)
    for number, tap in enumerate(others, start=1):
        seen = input[tap]
        which = np.maximum(which, (seen > largest) * np.uint16(number))
        largest = np.maximum(largest, seen)
    return largest, which
    ### END SOLUTION


@rule(max_pool2d)
def max_pool2d_backward(gradient, which, input, kernel_size, stride=None):
    """The way back of max_pool2d: the gradient of its one input, an array of its shape.

    gradient, which: (N, C, oH, oW).

    gradient [[[[10, 20]]]], which [[[[1, 0]]]], input of shape (1, 1, 2, 4), kernel_size 2  →  [[[[0, 10, 20, 0], [0, 0, 0, 0]]]]
    """
    kernel, stride = as_pair(kernel_size), as_pair(kernel_size if stride is None else stride)
    ### BEGIN SOLUTION
    to_input = np.zeros(input.shape, dtype=gradient.dtype)
    for number, tap in enumerate(taps(input.shape, kernel, stride)):
        to_input[tap] += gradient * (which == number)
    return to_input
    ### END SOLUTION

# %%
# %check max-pool

# %% [markdown]
# ## 8 · Average pooling
#
# The first networks of this kind did it more gently (LeCun et al., 1990): the **mean** of each window. It is what one wants where *how
# much* matters more than *whether at all*; modern networks end with a mean over the whole map.
#
# $$y_{n\,c\,i\,j} = \frac{1}{kH \cdot kW}\sum_{p,\,q}\; x_{n,\;c,\;i\,s + p,\;j\,s + q}$$
#
# **By hand.** The picture from above: (1 + 3 + 2 + 0) / 4 = 1.5 and (5 + 5 + 1 + 4) / 4 = 3.75. On the way back everybody in a window gets
# the same, a quarter of the gradient: `[[10, 20]]` becomes `[[2.5, 2.5, 5, 5], [2.5, 2.5, 5, 5]]`.
#
# Taps once more: add up what they see. Nothing needs to be kept.

# %% tags=["exercise:avg-pool"]
#| export
@operation
def avg_pool2d(input, kernel_size, stride=None):
    """The mean of each window, channel by channel.

    input: (N, C, H, W); kernel_size, stride: numbers or pairs, the stride being kernel_size if None; output: (N, C, oH, oW).

    avg_pool2d(Tensor([[[[1, 3, 5, 5], [2, 0, 1, 4]]]]), 2)  →  Tensor([[[[1.5 , 3.75]]]])
    """
    check_pictures(input)
    kernel, stride = as_pair(kernel_size), as_pair(kernel_size if stride is None else stride)
    ### BEGIN SOLUTION
    total = sum(input[tap] for tap in taps(input.shape, kernel, stride))
    return total / math.prod(kernel)
    ### END SOLUTION


@rule(avg_pool2d)
def avg_pool2d_backward(gradient, kept, input, kernel_size, stride=None):
    """The way back of avg_pool2d: the gradient of its one input, an array of its shape.

    gradient [[[[10, 20]]]], input of shape (1, 1, 2, 4), kernel_size 2  →  [[[[2.5, 2.5, 5, 5], [2.5, 2.5, 5, 5]]]]
    """
    kernel, stride = as_pair(kernel_size), as_pair(kernel_size if stride is None else stride)
    ### BEGIN SOLUTION
    to_input, share = np.zeros(input.shape, dtype=gradient.dtype), gradient / math.prod(kernel)
    for tap in taps(input.shape, kernel, stride):
        to_input[tap] += share
    return to_input
    ### END SOLUTION

# %%
# %check avg-pool

# %% [markdown]
# Both as modules, so that they can stand in a `Sequential`:

# %% tags=["given:spatial-pool-modules"]
#| export
class Pool2d(Module):
    """What both kinds of pooling share: windows, and how far it is from one to the next."""

    def __init__(self, kernel_size, stride=None):
        self.kernel_size, self.stride = as_pair(kernel_size), as_pair(kernel_size if stride is None else stride)

    def __repr__(self):
        return f"{type(self).__name__}({self.kernel_size}{'' if self.stride == self.kernel_size else f', stride={self.stride}'})"


class MaxPool2d(Pool2d):
    """The largest number in each window. kernel_size, stride: numbers or pairs; the stride is kernel_size if None."""

    def forward(self, x):
        return max_pool2d(x, kernel_size=self.kernel_size, stride=self.stride)


class AvgPool2d(Pool2d):
    """The mean of each window. kernel_size, stride: numbers or pairs; the stride is kernel_size if None."""

    def forward(self, x):
        return avg_pool2d(x, kernel_size=self.kernel_size, stride=self.stride)

# %%
small = Sequential(Conv2d(1, 8, 5, seed=1), ReLU(), MaxPool2d(2), Conv2d(8, 16, 5, seed=2), ReLU(), MaxPool2d(2))
x = Tensor(new_digits[:32])
print(x.shape)
for layer in small.layers:
    x = layer(x)
    print(x.shape, layer)

# %% [markdown]
# ## 9 · Batch normalization
#
# Stack ten such layers, and something happens that you have met in module 04: signals grow, or fade away, a little in each layer, until
# nothing is left to learn from. The right scale for the first weights helps in the first minute. But the weights change, and with every
# step of the *lower* layers the inputs of the *upper* ones look different.
#
# A blunt remedy, and one of the most successful: **measure and mend.** In the middle of the network, take each channel, subtract its mean,
# divide by its standard deviation. Mean and variance are taken over the whole batch and all places, axes 0, 2 and 3:
#
# $$\hat x = \frac{x - \mu_c}{\sqrt{\sigma_c^2 + \varepsilon}} \qquad\qquad y = \gamma_c\,\hat x + \beta_c$$
#
# The small ε saves us where a channel is constant. Perhaps the network had good reasons for another scale: so it gets a `weight` γ and a
# `bias` β for each channel, which it may learn. They begin at 1 and 0.
#
# **By hand.** One channel, the four numbers of a batch are 1, 3, 5, 7. μ = 4. The squares of the distances are 9, 1, 1, 9, so σ² = 20 / 4 =
# 5, and x̂ = `[-1.34, -0.45, 0.45, 1.34]`.
#
# **And when somebody asks with a single picture?** Then there is no batch to measure, and an answer should not depend on who else is
# asking. So while learning, the layer *remembers* what it has seen, as a running average in two buffers:
#
# $$\text{running} \leftarrow (1 - m)\cdot\text{running} + m\cdot\text{batch} \qquad m = \texttt{momentum} = 0.1$$
#
# and after `eval()` it uses these two instead of the batch's. They begin at 0 (mean) and 1 (variance).
#
# A subtlety that every framework has, so that yours gives the same numbers: the running variance remembers the **unbiased** variance, which
# divides by n − 1 instead of n, since it should estimate that of *all* pictures. n is how many numbers of a channel there are, N·H·W. **By
# hand:** after the batch above, running_mean = 0.9 · 0 + 0.1 · 4 = 0.4, and running_var = 0.9 · 1 + 0.1 · 20 / 3 = 1.567. With n = 1 there
# is no variance at all: ValueError.
#
# **Where is the way back?** μ and σ² are made of x. So x has an influence through them, too, and the gradient by hand fills half a page.
# You need not write it. Compute μ, σ² and x̂ with your *tensors*: `x.mean(axis=…, keepdims=True)`, minus, times, `sqrt`. Then every step
# goes through the door, and module 07 does the half page by itself.
# (Only the buffers are updated with plain arrays: nothing flows back from a memory. `tensor.data` is the array; give the buffer a new one,
# of the dtype that it has.)

# %% tags=["exercise:batch-norm"]
#| export
class BatchNorm2d(Module):
    """Each channel with mean 0 and variance 1 over the batch, then times weight, plus bias. (Ioffe and Szegedy, 2015.)

    weight, bias: Parameters (C,). Buffers running_mean, running_var, Tensors (C,), float32 throughout: while learning,
    new = (1 - momentum) * old + momentum * that of the batch (the variance with n - 1); after eval(), used in place of the batch's.
    x: (N, C, H, W), the output has its shape and dtype. ValueError, with x's shape, if C is not num_features, or if, while learning, n = N·H·W is 1.

    BatchNorm2d(1)(Tensor([[[[1, 3, 5, 7]]]]))  →  Tensor([[[[-1.342, -0.447,  0.447,  1.342]]]])
    """

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight, self.bias = Parameter(np.ones(num_features), dtype=np.float32), Parameter(np.zeros(num_features), dtype=np.float32)
        self.register_buffer("running_mean", np.zeros(num_features, dtype=np.float32))
        self.register_buffer("running_var", np.ones(num_features, dtype=np.float32))

    def remember(self, mean, variance, n):
        """Update the buffers. mean, variance: of the batch, arrays with C numbers, the variance divided by n."""
        ### BEGIN SOLUTION
        for buffer, batch in ((self.running_mean, mean), (self.running_var, variance * n / (n - 1))):
            mixed = (1 - self.momentum) * buffer.data + self.momentum * batch.reshape(-1)
            buffer.data = mixed.astype(buffer.dtype)
        ### END SOLUTION

    def forward(self, x):
        if x.ndim != 4 or x.shape[1] != self.num_features:
            raise ValueError(f"this layer is for pictures of shape (N, {self.num_features}, H, W), not {x.shape}")
        n = x.size // self.num_features  # numbers in a channel
        if self.training and n == 1:
            raise ValueError(f"one number a channel has no variance, so there is nothing to learn from a batch of shape {x.shape}")
        ### BEGIN SOLUTION
        if self.training:
            mean = x.mean(axis=(0, 2, 3), keepdims=True)  # (1, C, 1, 1)
            distance = x - mean
            variance = (distance * distance).mean(axis=(0, 2, 3), keepdims=True)
            self.remember(mean.data, variance.data, n)
        else:
            distance = x - self.running_mean.reshape(1, -1, 1, 1)
            variance = self.running_var.reshape(1, -1, 1, 1)
        normal = distance / sqrt(variance + self.eps)
        return normal * self.weight.reshape(1, -1, 1, 1) + self.bias.reshape(1, -1, 1, 1)
        ### END SOLUTION

    def __repr__(self):
        return f"BatchNorm2d({self.num_features})"

# %%
# %check batch-norm

# %% [markdown]
# How much does it help? Ten layers, a batch of digits sent through, and after each layer the standard deviation of its numbers. Without and
# with:

# %%
def loudness(normalized):
    rng, x, found = np.random.default_rng(1), Tensor(new_digits[:16]), []
    for _ in range(10):
        x = Conv2d(x.shape[1], 8, 3, padding=1, seed=rng)(x)
        x = ReLU()(BatchNorm2d(8)(x) if normalized else x)
        found.append(x.data.std())
    return "  ".join(f"{value:.2f}" for value in found)


print("without ", loudness(False))
print("with    ", loudness(True))

# %% [markdown]
# ## See it: a network that sees
#
# Now build one: three convolutions, each followed by batch normalization, a bend and pooling, and a small `Linear` at the end. It has a
# *sixth* of the weights that the network of the first cell had. The Trainer is the same, the digits are the same, and at the end we ask the
# same unkind question.

# %%
rng = np.random.default_rng(1)
network = Sequential(
    Conv2d(1, 8, 5, seed=rng), BatchNorm2d(8), ReLU(), MaxPool2d(2),  # (N, 8, 12, 12)
    Conv2d(8, 16, 5, seed=rng), BatchNorm2d(16), ReLU(), MaxPool2d(2),  # (N, 16, 4, 4)
    Conv2d(16, 32, 3, seed=rng), BatchNorm2d(32), ReLU(), AvgPool2d(2),  # (N, 32, 1, 1)
    Flatten(), Linear(32, 10, seed=rng),
)  # fmt: skip
network_right = right_when_shifted(trained(network, epochs=3))

plt.figure(figsize=(4.6, 2.5))
for model, right, name in ((network, network_right, "convolutions"), (mlp, mlp_right, "only Linear")):
    plt.plot(right, "o-", label=f"{name}, {sum(p.size for p in model.parameters()):,} weights")
plt.xticks(range(5))
plt.xlabel("digits shifted by … pixels")
plt.ylabel("read correctly")
plt.ylim(0, 1)
plt.grid(alpha=0.3)
plt.legend(fontsize=8)
plt.show()

# %% [markdown]
# What has it learned to look for? Above, its eight kernels of the first layer. Nobody has told them anything about strokes. Below, what
# each of them makes of a digit (after the bend). Move the slider: which kernel likes upright strokes, which level ones, which the space
# beside a stroke?

# %%
network.eval()


def feature_maps(digit=5):
    conv, norm, bend = network[0], network[1], network[2]
    maps = bend(norm(conv(Tensor(new_digits[digit : digit + 1])))).data[0]  # (8, 24, 24)
    figure, panels = plt.subplots(2, 9, figsize=(9, 2.2))
    panels[0, 0].set_axis_off()
    panels[1, 0].imshow(new_digits[digit, 0], cmap="gray_r")
    for kernel, above, feature_map, below in zip(conv.weight.data[:, 0], panels[0, 1:], maps, panels[1, 1:]):
        scale = np.abs(kernel).max()
        above.imshow(kernel, cmap="RdBu_r", vmin=-scale, vmax=scale)
        below.imshow(feature_map, cmap="gray_r", vmin=0, vmax=maps.max())
    for panel in panels.ravel():
        panel.set(xticks=[], yticks=[])
    plt.show()


ipywidgets.interact(feature_maps, digit=(0, 30));

# %% [markdown]
# ### How far does one number see?
#
# One number of the first feature map sees 3 × 3 pixels, if that is the kernel's size. One of the second map sees 3 × 3 numbers of the
# *first*, and so 5 × 5 pixels. This is the **receptive field**. It grows with every layer, and twice as fast after a pooling:
#
# ```text
#      third map                    ■                    1 number
#                                 ╱ │ ╲
#      second map               ■   ■   ■                3
#                             ╱ │ ╲╱│╲╱ │ ╲
#      first map            ■   ■   ■   ■   ■            5
#                         ╱ │ ╲╱│╲╱ │ ╲╱│╲╱ │ ╲
#      picture          ■   ■   ■   ■   ■   ■   ■        7 pixels
# ```
#
# You don't have to believe the drawing. Which pixels can change a number? Those for which its *gradient* is not zero, and gradients are
# something you have. Below, all weights are 1, so the gradient counts in how many ways each pixel reaches the number in the middle.

# %%
def pixels_seen(layers):
    """In how many ways each pixel of a picture reaches the number in the middle of what the layers make of it."""
    for layer in layers:
        for parameter in layer.parameters():
            parameter.data = np.ones_like(parameter.data)
    picture = Tensor(np.zeros((1, 1, 40, 40)), requires_grad=True, dtype=np.float32)
    output = Sequential(*layers)(picture)
    middle = np.zeros(output.shape)
    middle[0, 0, output.shape[2] // 2, output.shape[3] // 2] = 1
    output.backward(middle)
    return picture.grad[0, 0]


def conv():
    return Conv2d(1, 1, 3, bias=False)


stacks = {
    "one": [conv()],
    "two": [conv(), conv()],
    "three": [conv(), conv(), conv()],
    "two, pooling\nin between": [conv(), AvgPool2d(2), conv()],
    "three, pooling\nin between": [conv(), AvgPool2d(2), conv(), AvgPool2d(2), conv()],
}
figure, panels = plt.subplots(1, len(stacks), figsize=(9, 2.4))
for panel, (name, layers) in zip(panels, stacks.items()):
    ways = pixels_seen(layers)
    seen = np.flatnonzero(ways.any(axis=0))
    panel.imshow(np.where(ways > 0, ways, np.nan), cmap="viridis")
    panel.set_title(f"{name}\n{seen.size} × {seen.size} pixels", fontsize=9)
    panel.set(xlim=(8, 32), ylim=(32, 8), xticks=[], yticks=[])
plt.show()

# %% [markdown]
# And see how bright the middle is: it counts far more than the border, since so many ways lead there. Networks have something like a centre
# of attention without anybody having built it in.
#
# ## Systems: what do the columns cost?
#
# You have bought speed with memory. Three questions:
#
# 1. How does the gain depend on the layer? Is there one where the loops would do?
# 2. How much memory do the columns take, compared with the pictures they are made of? For how long?
# 3. Where does the time of a training step go, now?

# %%
from tinytorch.setup import readable_bytes

print("                                     loops    im2col    gain      picture    columns")
for n, channels, size, out, kernel in ((1, 1, 8, 1, 3), (2, 1, 28, 6, 5), (1, 16, 14, 16, 3), (1, 64, 8, 64, 3)):
    x, weight = randn(n, channels, size, size, seed=1), randn(out, channels, kernel, kernel, seed=2)
    slow, fast = measure(conv2d_loops, x.data, weight.data, repeat=1), measure(conv2d, x, weight, repeat=15)
    columns = im2col(x.data, (kernel, kernel))
    name = f"({n}, {channels}, {size}, {size}), {out} of {kernel} × {kernel}"
    print(f"{name:31} {slow * 1e3:8.2f} ms {fast * 1e3:6.2f} ms {slow / fast:5.0f} ×  {readable_bytes(x.data.nbytes):>10} {readable_bytes(columns.nbytes):>10}")

# %%
x, answers, loss_fn = Tensor(digits[:32]), Tensor(labels[:32]), CrossEntropyLoss()
network.train()
print("a batch of 32, layer by layer, only the way there")
for layer in network.layers:
    seconds = measure(layer, x, repeat=9)
    print(f"{type(layer).__name__:12} {seconds * 1e3:6.2f} ms   {'█' * round(seconds * 1e4)}")
    x = layer(x)
both = measure(lambda: loss_fn(network(Tensor(digits[:32])), answers).backward(), repeat=9)
print(f"there and back {both * 1e3:.1f} ms")

# %% [markdown]
# The columns of a 5 × 5 kernel are up to 25 times as large as the picture, and while training, every layer keeps them until the way back.
# Libraries that are made for this never build the whole table: they make a part of it that fits into the processor's cache, multiply, and
# make the next.
#
# ## Reflect
#
# No grades here; take a minute for each.
#
# 1. Two layers of 3 × 3 see as far as one of 5 × 5. Count the weights, for 64 channels in and out. And what is between the two that the one
#    does not have?
# 2. Shift the picture, and the feature maps shift along. After which part of the network is that no longer true? What happens to it at the
#    border of the picture?
# 3. Somebody validates without `model.eval()`, with batches of one picture each. Dropout would only make the answers noisy. What does batch
#    normalization make of them? And why does the loss jump in the *next* epoch?
#
# **Behind the next door.** Complete this module, and the notebook **LeNet (1998)** opens: the network that read the cheques of American
# banks, on your own convolutions, with a pad to draw a digit on for your network to read. After that: our 2,000 digits fitted into memory
# at once, always in the same order, always looking the same. Real data does not fit, should be shuffled, and can be made to look a little
# different each time. That is module 10.

# %%
from tinytorch_core import CompleteModule

CompleteModule()
