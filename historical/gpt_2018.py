# %% [markdown]
# # GPT (2018)
#
# *Milestone 5: I Built a Transformer!*
#
# In June 2018 four people at OpenAI, Alec Radford, Karthik Narasimhan, Tim Salimans and Ilya Sutskever, put a report of twelve pages on the internet. They had let a
# transformer read 7,000 unpublished novels, for a month, on eight graphics cards. Nobody had told it anything about language. Its only exercise was: *which token
# comes next?* Then they asked it to do other things, to answer questions, to say whether one sentence follows from another, and with a little more training it was better than
# the programs that had been built for these tasks, in nine out of twelve. They called the method *generative pre-training*, and so the network has its name.
#
# What came after it, you know. GPT-2, GPT-3 and their relatives have the same architecture, a thousand and more times as large. You have built it, from the tensor up.
#
# In this notebook **your own package** reads a novel: *Pride and Prejudice*, by Jane Austen (1813), 684,000 characters, character by character. The results are stated
# beforehand, and asserted in the last cell. The loss is that of text which it has never seen, the last tenth of the book.
#
# | | | stated result |
# |---|---|---|
# | 1 | within 500 steps | a loss below 2.10 |
# | 2 | within 1,000 steps | a loss below 1.75 |
#
# It takes about a minute.

# %%
# %load_ext tinytorch_core

# %%
import time

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np

from tinytorch import GPT, AdamW, CharTokenizer, CrossEntropyLoss, Tensor, clip_grad_norm, no_grad
from tinytorch_core.data import load_novel
from tinytorch_core.widgets import LearningCurves, Trained

BELOW = {500: 2.10, 1000: 1.75}
LENGTH, BATCH = 64, 32

# %% [markdown]
# ## The book
#
# Your tokenizer of module 11 gives every character a number. (The real GPT read byte pairs, 40,000 kinds of tokens. With characters, the table is small, and you can watch it
# learn to *spell*.)

# %%
novel = load_novel()
tokenizer = CharTokenizer().train(novel)
numbers = np.array(tokenizer.encode(novel))
cut = len(numbers) * 9 // 10
reading, unseen = numbers[:cut], numbers[cut:]
print(novel[:120].strip())
print(f"{len(novel):,} characters, {tokenizer.vocab_size} different ones: {tokenizer.decode(list(range(tokenizer.vocab_size)))!r}")

# %% [markdown]
# ## What is a good loss?
#
# The loss is −ln of the probability that the right character got, on average (module 05). Three numbers to compare with, each of them by counting, without any network:
#
# - whoever knows nothing gives each character the same probability: $\ln 74$;
# - whoever knows how often each character occurs, but not what stands before it;
# - whoever knows, for every character, which ones follow it how often: a table of pairs, 74 × 74. That is what one can do without *looking back*.

# %%
counts = np.bincount(reading, minlength=tokenizer.vocab_size) + 1
pairs = np.ones((tokenizer.vocab_size, tokenizer.vocab_size))
np.add.at(pairs, (reading[:-1], reading[1:]), 1)
single, double = counts / counts.sum(), pairs / pairs.sum(axis=1, keepdims=True)
by_counting = {
    "knows nothing": np.log(tokenizer.vocab_size),
    "knows the characters": -np.log(single[unseen]).mean(),
    "knows the pairs": -np.log(double[unseen[:-1], unseen[1:]]).mean(),
}
rng = np.random.default_rng(1813)
letters = [tokenizer.encode("T")[0]]
for _ in range(100):
    letters.append(int(rng.choice(tokenizer.vocab_size, p=double[letters[-1]])))
for name, loss in by_counting.items():
    print(f"{name:21} {loss:.2f}")
print("\nThe table of pairs writes:", repr(tokenizer.decode(letters)))

# %% [markdown]
# ## The network
#
# Two blocks, 64 numbers wide, four heads, 64 characters to look back on. The one of 2018 had twelve blocks, 768 numbers, twelve heads, and 512 tokens; a thousand times as many
# weights. One thing in yours is younger: the norms stand inside the branches, as since GPT-2 (2019).

# %%
model = GPT(tokenizer.vocab_size, embed_dim=64, num_layers=2, num_heads=4, max_len=LENGTH, seed=2018)
print(f"{sum(parameter.size for parameter in model.parameters()):,} parameters")


def write(prompt, length=120, seed=0, temperature=0.8, on_token=None):
    """The prompt and `length` characters more."""
    return tokenizer.decode(model.generate(tokenizer.encode(prompt), length, temperature=temperature, seed=seed, on_token=on_token))


print(write("It is a truth "))

# %% [markdown]
# ## The training
#
# Each step reads 32 pieces of 64 characters, from anywhere in the book, and every position in them is an exercise: 2,048 at once. The learning rate rises for 50 steps, so that Adam can get its
# averages together, and then falls along a cosine to a tenth. Gradients longer than 1 are shortened. All of this is in the report of 2018, with other numbers.
#
# Every 100 steps it is examined on the same 20 batches of unseen text; and from time to time it writes.

# %%
STEPS = 1000
optimizer, loss_fn = AdamW(model.parameters(), lr=3e-3), CrossEntropyLoss()


def pieces(text, rng):
    """A batch (inputs, targets), each (32, 64): the targets are the inputs, moved by one character."""
    starts = rng.integers(0, len(text) - LENGTH, size=BATCH)
    chosen = text[starts[:, None] + np.arange(LENGTH + 1)]
    return Tensor(chosen[:, :-1]), Tensor(chosen[:, 1:])


def rate(step):
    rising = min(1, (step + 1) / 50)
    falling = 0.1 + 0.45 * (1 + np.cos(np.pi * step / STEPS))
    return 3e-3 * rising * falling


rng = np.random.default_rng(2)
examination = [pieces(unseen, rng) for _ in range(20)]


def examined():
    model.eval()
    with no_grad():
        loss = float(np.mean([loss_fn(model(inputs), targets).item() for inputs, targets in examination]))
    model.train()
    return loss


curves, show = {"train_loss": [], "val_loss": []}, LearningCurves(STEPS // 100)
rng, losses, samples = np.random.default_rng(2018), [], {}


def read_on(steps):
    """So many more steps."""
    for step in range(len(losses), len(losses) + steps):
        optimizer.lr = rate(step)
        inputs, targets = pieces(reading, rng)
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        clip_grad_norm(optimizer.parameters, 1.0)
        optimizer.step()
        losses.append(loss.item())
        if (step + 1) % 100 == 0:
            curves["train_loss"].append(float(np.mean(losses[-100:])))
            curves["val_loss"].append(examined())
            show(curves)
        if step + 1 in (100, 200, 500, 1000):
            samples[step + 1] = write("It is a truth ")


start = time.process_time()
read_on(500)

# %% [markdown]
# Half of it is done. The curve that it draws is flatter now; but what it writes gets better all the same.

# %%
read_on(500)
seconds = time.process_time() - start

for step, sample in samples.items():
    print(f"--- after {step} steps, with a loss of {curves['val_loss'][step // 100 - 1]:.2f}:\n{sample}\n")
print(f"{STEPS} steps in {seconds:.0f} s of processor time")

# %% [markdown]
# First it learns which characters are frequent, and that words have ends. Then short words; then longer ones, half of them invented; then that quotation marks come in pairs, and that "Mr."
# is followed by a name. Nobody has told it what a word is.

# %%
plt.figure(figsize=(6, 3))
steps = np.arange(100, STEPS + 1, 100)
plt.plot(steps, curves["train_loss"], "o-", label="read, mean of the last 100 steps")
plt.plot(steps, curves["val_loss"], "s--", label="unseen")
for (name, loss), style in zip(list(by_counting.items())[1:], (":", "-.")):
    plt.axhline(loss, color="gray", linestyle=style, label=name)
plt.xlabel("step")
plt.ylabel("loss")
plt.legend(fontsize=8)
plt.show()

# %% [markdown]
# ## What is in the table?
#
# Each character has a place in a space of 64 dimensions. Here is their shadow in two, along the directions in which they are spread out most; only frequent characters are drawn. Do vowels find
# vowels? Where are the capitals, where the punctuation?

# %%
frequent = np.flatnonzero(counts > 300)
table = model.tokens.weight.data[frequent]
table = table - table.mean(axis=0)
_, _, directions = np.linalg.svd(table, full_matrices=False)
places = table @ directions[:2].T
plt.figure(figsize=(6, 4.2))
for token, (x, y) in zip(frequent, places):
    character = tokenizer.decode([int(token)])
    kind = "crimson" if character in "aeiou" else "C0" if character.islower() else "C2" if character.isupper() else "gray"
    plt.text(x, y, {" ": "blank", "\n": "line"}.get(character, character), color=kind, ha="center", va="center")
plt.xlim(places[:, 0].min() - 0.1, places[:, 0].max() + 0.1)
plt.ylim(places[:, 1].min() - 0.1, places[:, 1].max() + 0.1)
plt.title("vowels red, other small letters blue, capitals green", fontsize=9)
plt.show()

# %% [markdown]
# ## Now you
#
# Begin a text, and let your network go on. It writes token by token, as fast as it can. Low temperature: timid and repetitive. High: wild.

# %%
prompt = ipywidgets.Text(value="My dear Mr. Bennet, ", description="Begin", layout={"width": "60%"})
temperature = ipywidgets.FloatSlider(value=0.7, min=0.1, max=1.5, step=0.1, description="Temperature", style={"description_width": "initial"})
length = ipywidgets.IntSlider(value=300, min=50, max=600, step=50, description="Characters")
button, page = ipywidgets.Button(description="Write", button_style="primary"), ipywidgets.Output()


def on_click(_):
    page.clear_output()
    page.append_stdout(prompt.value)
    try:
        write(
            prompt.value, length.value, seed=None, temperature=temperature.value,
            on_token=lambda token: page.append_stdout(tokenizer.decode([token])),
        )  # fmt: skip
    except ValueError as error:
        page.append_stdout(f"\n{error}\n")


button.on_click(on_click)
ipywidgets.VBox([prompt, ipywidgets.HBox([temperature, length]), button, page])

# %% [markdown]
# ## What history got right, and what it got wrong
#
# **Right: the exercise.** "Which comes next?" needs no labels, and there is no end of text. Shannon had played this game in 1951, with his wife, and found that English has about one bit of surprise per letter
# for a human reader. (A loss of 1.7 is 2.5 bits. Your network has read one book, for one minute.) Bengio and his colleagues let a neural network play it in 2003. What was new in 2018 was to believe that whoever
# plays it well enough has to learn about the *world*.
#
# **Right: the architecture.** "Attention Is All You Need", said Vaswani and seven colleagues in 2017. Before, networks for text had read word by word, carrying a memory along (Hochreiter and Schmidhuber's LSTM, 1997), and could not use a
# thousand processors at once, because each step waited for the one before. In a transformer all positions learn at the same time. That, more than anything about language, is why it won.
#
# **Wrong: what it is for.** The report of 2018 saw in pre-training a good *beginning*, from which one trains on for each task with labels. A year later GPT-2 did some of the tasks when merely asked in words, and GPT-3 (2020) many. Nobody had planned that.
#
# **Wrong: the norm.** In 2018 the norms still stood on the stream, as in 2017. Deep networks of this kind were hard to train. Moved into the branches (2019), they are not.
#
# **Open.** It says what is *likely*, not what is true. Your network invents words; a large one invents facts, in perfect English. Nor does it know what it should not say. Most of the work since has gone into this, and it is not finished.
#
# ### Sources
#
# - A. Radford, K. Narasimhan, T. Salimans, I. Sutskever: Improving Language Understanding by Generative Pre-Training. OpenAI, 2018.
# - A. Vaswani et al.: Attention Is All You Need. *Advances in Neural Information Processing Systems* 30, 2017.
# - A. Radford et al.: Language Models are Unsupervised Multitask Learners. OpenAI, 2019.
# - T. Brown et al.: Language Models are Few-Shot Learners. *Advances in Neural Information Processing Systems* 33, 2020.
# - C. E. Shannon: Prediction and Entropy of Printed English. *Bell System Technical Journal* 30, 1951.
# - Y. Bengio, R. Ducharme, P. Vincent, C. Jauvin: A Neural Probabilistic Language Model. *Journal of Machine Learning Research* 3, 2003.
# - S. Hochreiter, J. Schmidhuber: Long Short-Term Memory. *Neural Computation* 9(8), 1997.
# - Jane Austen: Pride and Prejudice. London, 1813; in the public domain.
#
# ## The end, and what next
#
# There is no next module. Everything on this page, from the first addition to the last character, ran on code that you wrote. Count it:

# %%
from pathlib import Path

import tinytorch

files = sorted(file for file in Path(tinytorch.__file__).parent.glob("*.py") if file.stem != "__init__")
lines = {file.stem: sum(bool(line.strip()) for line in file.read_text(encoding="utf-8").splitlines()) for file in files}
operations = [name for name in dir(tinytorch) if hasattr(getattr(tinytorch, name), "forward") and not isinstance(getattr(tinytorch, name), type)]
print(f"{sum(lines.values()):,} lines in {len(files)} files, {len(operations)} operations:", ", ".join(operations))

# %% [markdown]
# Save this notebook, and the TinyTorch panel (or `tito status` in a terminal) shows these numbers too, with the parameters that you have trained since the perceptron, and the days that it took.
#
# From here, PyTorch will look familiar: `nn.Linear`, `loss.backward()`, `optimizer.step()` are what you think they are. Some things that are now within your reach:
#
# - **Take a notebook of this course and replace `tinytorch` by `torch`.** Little else has to change. Where does something differ, and why?
# - **Read the papers** in the lists of sources. You have the vocabulary: start with LeNet's, which explains best, and then the GPT report.
# - **Make yours faster, or larger.** Byte pairs in place of characters (`BPETokenizer`, module 11), four blocks, a night of training. What does the loss say, and what do the samples?
# - **Look inside.** Which head of your network looks at the beginning of the word? `attention_weights` of module 13 tells you.

# %%
for step, below in BELOW.items():
    print(f"within {step:5,} steps: {min(curves['val_loss'][: step // 100]):.3f}, below {below:.2f}")

for step, below in BELOW.items():
    assert min(curves["val_loss"][: step // 100]) < below

Trained(model)
