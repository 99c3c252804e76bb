# %% [markdown]
# # The Perceptron (1957)
#
# *Milestone 1: I Can Build Networks!*
#
# On 7 July 1958 the United States Navy showed reporters a program on an IBM 704, a computer of five tons. It was given cards, each with a square printed either on the left or on the right.
# At first it guessed. After fifty cards it told left from right, and nobody had programmed it to. The next day the *New York Times* reported the "embryo of an electronic computer" that was
# expected one day to "walk, talk, see, write, reproduce itself and be conscious of its existence".
#
# The man behind it was a psychologist, Frank Rosenblatt of the Cornell Aeronautical Laboratory, and the idea was called the **perceptron**. Two years later it stood there as a machine, the Mark I: 400 photocells for an
# eye, and for weights potentiometers that were turned by electric motors while it learned.
#
# In this notebook you repeat it on **your own package**: your `Tensor`, your `Linear`. Three experiments, each with a result that is stated beforehand and asserted in the last cell:
#
# | | experiment | stated result |
# |---|---|---|
# | 1 | tell cards marked left from cards marked right, on cards it has never seen | at least 95 % right |
# | 2 | tell handwritten twos from sevens (MNIST), on digits it has never seen | at least 95 % right |
# | 3 | XOR: four points | never more than 75 % right, however long it learns |

# %%
# %load_ext tinytorch_core

# %%
import ipywidgets
import matplotlib.pyplot as plt
import numpy as np

from tinytorch import Linear, Module, Tensor
from tinytorch_core.data import load_mnist
from tinytorch_core.widgets import Trained

AT_LEAST = {"cards": 0.95, "digits": 0.95}
AT_MOST = {"XOR": 0.75}

# %% [markdown]
# ## The machine
#
# A perceptron adds up what it sees, each input with its own weight, and compares the sum with a threshold:
#
# $$\text{answer} = \begin{cases}+1 & \text{if } w \cdot x + b > 0\\ -1 & \text{otherwise}\end{cases}$$
#
# ```text
#      x₁ ──w₁──╮
#      x₂ ──w₂──┤──▶  sum + b  ──▶  > 0 ?  ──▶  +1 or −1
#      x₃ ──w₃──╯
# ```
#
# That is a `Linear` layer with one output, and a hard yes-or-no behind it. All weights begin at zero here, so that everybody's machine begins alike.

# %%
class Perceptron(Module):
    """A weighted sum and a threshold. Calling it gives the answers +1 or -1 for a batch of inputs (N, inputs)."""

    def __init__(self, inputs):
        self.sum = Linear(inputs, 1)
        for parameter in self.parameters():
            parameter.data = np.zeros_like(parameter.data)

    def forward(self, x):
        return (self.sum(x) > 0)[..., 0] * 2 - 1  # (N, 1) of True and False becomes (N,) of +1 and -1


def accuracy(machine, inputs, sides):
    """The share of inputs (N, inputs) whose side, +1 or -1, the machine gets right."""
    return (machine(Tensor(inputs)) == sides).mean().item()

# %% [markdown]
# ## The rule
#
# Rosenblatt's rule has no derivative in it and no loss. Show one example. If the answer is right, leave everything as it is. If it is wrong, push the weights a little towards the example, or away from it:
#
# $$\text{if wrong:}\qquad w \leftarrow w + y\,x, \qquad b \leftarrow b + y \qquad\qquad (y = \pm 1 \text{ is the right answer})$$
#
# **By hand.** x = (2, 1), y = +1, and the machine says −1 with w = (−1, 0), b = 0, since its sum is −2. Correct it: w = (1, 1), b = 1. Its sum for the same x is now 2 + 1 + 1 = 4: right. In general a
# correction changes the sum for that example by $|x|^2 + 1$ in the right direction.
#
# Every correction is noted here with `state_dict()`, which gives out copies, so that the film can be played afterwards.

# %%
def show_example(machine, x, side):
    """Show one example. True if the machine was wrong and has been corrected."""
    if machine(Tensor(x)).item() == side:
        return False
    weight, bias = machine.sum.weight, machine.sum.bias
    weight.data = weight.data + side * x
    bias.data = bias.data + side
    return True


def learn(machine, inputs, sides, rounds, seed, after_each=lambda machine: None):
    """Show all examples, `rounds` times, in random order. Returns the corrections made in each round."""
    rng, corrections = np.random.default_rng(seed), []
    for _ in range(rounds):
        count = 0
        for i in rng.permutation(len(inputs)):
            if show_example(machine, inputs[i], sides[i]):
                count += 1
                after_each(machine)
        corrections.append(count)
    return corrections

# %% [markdown]
# ## Experiment 1: left or right?
#
# Cards of 20 × 20 cells, as many as the Mark I had photocells. On each there is one square, somewhere in the left half or somewhere in the right; the print may be strong or faint, and there are specks of dirt.

# %%
def print_cards(count, seed):
    """Cards (N, 20, 20), and the side of each: -1 for left, +1 for right."""
    rng = np.random.default_rng(seed)
    cards = (rng.random((count, 20, 20)) < 0.04) * rng.random((count, 20, 20))
    sides = rng.permutation(np.resize([-1.0, 1.0], count))
    for card, side in zip(cards, sides):
        row, column = rng.integers(0, 15), rng.integers(0, 5) + (10 if side > 0 else 0)
        card[row : row + 6, column : column + 6] = rng.uniform(0.25, 1.0)
    return cards.astype(np.float32), sides.astype(np.float32)


def ink(cards):
    """How much ink is on the left half of each card, and how much on the right: (N, 2), in squares."""
    return np.stack([cards[:, :, :10].sum(axis=(1, 2)), cards[:, :, 10:].sum(axis=(1, 2))], axis=1) / 36


cards, sides = print_cards(100, seed=1957)
points = ink(cards)

figure, panels = plt.subplots(1, 6, figsize=(8, 1.6))
for panel, card, side in zip(panels, cards, sides):
    panel.imshow(card, cmap="gray_r", vmin=0, vmax=1)
    panel.set_title("right" if side > 0 else "left", fontsize=9)
    panel.set(xticks=[], yticks=[])
plt.show()

# %% [markdown]
# To be able to *draw* what the machine does, we show it two numbers a card: the ink on the left half and the ink on the right half. Each card is then a point in a plane, and the perceptron, with its two weights and
# a threshold, is a straight line in that plane: on one side of it the answer is +1, on the other −1. Learning means moving the line.

# %%
machine = Perceptron(2)
film = []  # the state after each correction
rounds = learn(machine, points, sides, rounds=20, seed=1, after_each=lambda m: film.append(m.state_dict()))
new_cards, new_sides = print_cards(400, seed=1958)
results = {"cards": accuracy(machine, ink(new_cards), new_sides)}
print(f"corrections in each round: {rounds}")
print(f"new cards, never seen before: {results['cards']:.1%} right")

# %%
def draw_line(panel, state, points, sides, title):
    """The points, and the two half planes as the machine with this state sees them."""
    panel.scatter(*points[sides < 0].T, s=12, marker="s", color="tab:blue")
    panel.scatter(*points[sides > 0].T, s=12, marker="o", color="tab:orange")
    low, high = points.min() - 0.25, points.max() + 0.25
    x = np.linspace(low, high, 60, dtype=np.float32)
    plane = np.stack(np.meshgrid(x, x), axis=-1)  # (60, 60, 2)
    viewer = Perceptron(2)
    viewer.load_state_dict(state)
    colors = plt.matplotlib.colors.ListedColormap(["#d6e6f5", "#fde5cc"])
    panel.imshow(viewer(Tensor(plane)).numpy(), extent=(low, high, low, high), origin="lower", cmap=colors, vmin=-1, vmax=1)
    panel.set_title(title, fontsize=9)
    panel.set(xticks=[], yticks=[])


moments = np.unique(np.linspace(0, len(film) - 1, 5).astype(int))
figure, panels = plt.subplots(1, len(moments), figsize=(9, 2.2))
for panel, moment in zip(panels, moments):
    draw_line(panel, film[moment], points, sides, f"correction {moment + 1}")
panels[0].set(xlabel="ink on the left", ylabel="ink on the right")
plt.show()

# %% [markdown]
# The whole film, correction by correction:

# %%
def play(correction=1):
    panel = plt.figure(figsize=(3.2, 3.2)).gca()
    draw_line(panel, film[correction - 1], points, sides, f"correction {correction} of {len(film)}")
    plt.show()


ipywidgets.interact(play, correction=(1, len(film)));

# %% [markdown]
# At some point the corrections stop: a whole round goes by without a mistake. That is no luck. If there is *any* line that separates the two kinds, then the rule finds one after a finite number of corrections, at most
# $(R/\gamma)^2$, where R is the length of the longest example and γ the distance from the line to the nearest one. This is the **perceptron convergence theorem** (Rosenblatt and others, around 1960;
# the well-known short proof is Novikoff's, 1962).
#
# ## Experiment 2: two or seven?
#
# In 1960 the Mark I learned to tell printed letters apart. Here are handwritten digits, 28 × 28 pixels: an eye of 784 photocells, now wired to the perceptron directly. 2,000 digits to learn from, and 400 others, by other hands, to be examined on.

# %%
x_train, y_train, x_test, y_test = load_mnist()


def twos_and_sevens(images, labels):
    """Rows of 784 pixels, and -1 for a two, +1 for a seven."""
    chosen = np.isin(labels, (2, 7))
    return images[chosen].reshape(-1, 784), np.where(labels[chosen] == 7, 1, -1).astype(np.float32)


digits, kinds = twos_and_sevens(x_train, y_train)
new_digits, new_kinds = twos_and_sevens(x_test, y_test)

reader = Perceptron(784)
history, portraits = [], []
for round_number in range(8):
    (corrections,) = learn(reader, digits, kinds, rounds=1, seed=round_number)
    history.append((corrections, accuracy(reader, digits, kinds), accuracy(reader, new_digits, new_kinds)))
    portraits.append(reader.state_dict()["sum.weight"].reshape(28, 28))
    print(f"round {round_number + 1}: {corrections:4} corrections   seen {history[-1][1]:.1%}   never seen {history[-1][2]:.1%}")
results["digits"] = history[-1][2]

# %% [markdown]
# What has it learned? Its weights are a picture: where ink speaks for a seven (red) and where it speaks for a two (blue). Below, some digits it still gets wrong. Would you have known?

# %%
figure, panels = plt.subplots(2, 6, figsize=(9, 3.2))
for panel, moment in zip(panels[0], (0, 1, 2, 3, 5, 7)):
    scale = np.abs(portraits[moment]).max()
    panel.imshow(-portraits[moment], cmap="RdBu", vmin=-scale, vmax=scale)
    panel.set_title(f"after round {moment + 1}", fontsize=9)
wrong = np.flatnonzero(reader(Tensor(new_digits)).numpy() != new_kinds)[:6]
for panel, i in zip(panels[1], wrong):
    panel.imshow(new_digits[i].reshape(28, 28), cmap="gray_r")
    panel.set_title(f"says {'2' if new_kinds[i] > 0 else '7'}", fontsize=9)
for panel in panels.ravel():
    panel.set_axis_off()
plt.show()

# %% [markdown]
# ## Experiment 3: one or the other, but not both
#
# And now something so small that it looks like a joke. Four points. The answer is +1 if *exactly one* of the two inputs is on: "exclusive or", XOR.
#
# ```text
#      x₁  x₂   answer
#       0   0     −1               (0,1) +1 ────────  −1 (1,1)
#       0   1     +1                  │                  │
#       1   0     +1                  │                  │
#       1   1     −1               (0,0) −1 ────────  +1 (1,0)
# ```

# %%
corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
answers = np.array([-1, 1, 1, -1], dtype=np.float32)

machine, film, scores = Perceptron(2), [], []


def keep(machine):
    film.append(machine.state_dict())
    scores.append(accuracy(machine, corners, answers))


rounds = learn(machine, corners, answers, rounds=100, seed=1969, after_each=keep)
results["XOR"] = max(scores)
print(f"corrections in the first rounds: {rounds[:12]}, in the last: {rounds[-12:]}")
print(f"{sum(rounds)} corrections; the best that it ever got: {max(scores):.0%} right")

figure, panels = plt.subplots(1, 6, figsize=(9, 1.8))
for panel, moment in zip(panels, (3, 4, 5, 6, 7, 8)):
    draw_line(panel, film[moment], corners, answers, f"correction {moment + 1}")
plt.show()

# %% [markdown]
# It never stops. Each correction undoes an earlier one, and the line walks in circles. Perhaps the rule is bad, and another line would do? Your `Linear` can try a hundred thousand lines at once: a layer with 100,000 outputs is
# 100,000 perceptrons side by side.

# %%
lines = Linear(2, 100_000, seed=1969)
guesses = (lines(Tensor(corners)) > 0).numpy() * 2 - 1  # (4, 100000)
right = (guesses == answers[:, None]).mean(axis=0)
results["XOR"] = max(results["XOR"], right.max().item())
for share in np.unique(right):
    print(f"{share:4.0%} right: {np.sum(right == share):7,} lines")

# %% [markdown]
# Not one. And none can exist; four lines of algebra show it. To be right everywhere, a line would need
#
# $$\underbrace{b \le 0}_{(0,0)} \qquad \underbrace{w_2 + b > 0}_{(0,1)} \qquad \underbrace{w_1 + b > 0}_{(1,0)} \qquad \underbrace{w_1 + w_2 + b \le 0}_{(1,1)}$$
#
# Add the two in the middle: $w_1 + w_2 + 2b > 0$. Add the outer two: $w_1 + w_2 + 2b \le 0$. They contradict each other.
#
# ## What history got right, and what it got wrong
#
# **Right.** That a machine can be *taught* instead of programmed; that knowledge can sit in many small weights, each corrected a little after every mistake; that an eye of photocells and such weights can recognise shapes.
# Everything you will build in this course is a descendant. And the theorem is as true as on the first day.
#
# **Wrong, 1958: the promise.** A line in a plane does not walk, talk or become conscious. Between the fifty cards and the headline was a gap of sixty years.
#
# **Right, 1969.** Marvin Minsky and Seymour Papert examined, in *Perceptrons*, what such machines can and can't compute, and proved it. XOR is the smallest case of their theorems on parity; others say that
# no perceptron that looks at a picture through small windows can tell whether a figure is connected.
#
# **Wrong, after 1969: the legend.** The book did *not* prove that networks with more layers fail at XOR; that they can compute it was known to everybody concerned. It was *learning* in them that nobody knew how to do, and the authors judged, without
# a proof and wrongly, that the extension to many layers would be barren. Rosenblatt had tried: his book of 1962 has a chapter on "back-propagating error correction". What it lacked was a smooth bend in place of the hard threshold, so that one could ask *which way is
# a little better*. Funding dried up, for more reasons than one book, and Rosenblatt died in 1971, on his 43rd birthday.
#
# **A word on the rule.** The programs of 1957 and 1958 tried several ways of rewarding connections. The form you have used, which changes weights only after a mistake, is Rosenblatt's "error correction procedure" from the years that followed. And the real Mark I had a
# layer of fixed, randomly wired units between eye and weights; only the last layer learned, by this rule.
#
# ### Sources
#
# - F. Rosenblatt: *The Perceptron, a Perceiving and Recognizing Automaton (Project PARA)*. Report 85-460-1, Cornell Aeronautical Laboratory, 1957.
# - F. Rosenblatt: The Perceptron: A Probabilistic Model for Information Storage and Organization in the Brain. *Psychological Review* 65(6), 1958.
# - New Navy Device Learns by Doing. *The New York Times*, 8 July 1958.
# - F. Rosenblatt: *Principles of Neurodynamics*. Spartan Books, 1962.
# - A. B. J. Novikoff: On Convergence Proofs on Perceptrons. *Symposium on the Mathematical Theory of Automata*, 1962.
# - M. Minsky, S. Papert: *Perceptrons: An Introduction to Computational Geometry*. MIT Press, 1969.
# - M. Olazaran: A Sociological Study of the Official History of the Perceptrons Controversy. *Social Studies of Science* 26(3), 1996.
# - Digits: a subset of MNIST (LeCun, Cortes, Burges), derived from NIST data.
#
# **Next.** To solve XOR you need a second layer, and a rule that tells the *first* layer what to change. You are three modules away: losses (05), optimizers (06), and the one that
# computes the gradients (07). Then the notebook *XOR (1969)* opens.

# %%
for name, at_least in AT_LEAST.items():
    print(f"{name:8} {results[name]:6.1%}   at least {at_least:.0%}")
for name, at_most in AT_MOST.items():
    print(f"{name:8} {results[name]:6.1%}   at most  {at_most:.0%}")

assert results["cards"] >= AT_LEAST["cards"]
assert results["digits"] >= AT_LEAST["digits"]
assert results["XOR"] <= AT_MOST["XOR"]

Trained(reader)
