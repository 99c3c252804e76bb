# %% [markdown]
# # AlexNet (2012)
#
# *Milestone 4: Production-Ready Training!*
#
# Once a year, computers were examined in seeing. ImageNet's contest gave them 1.2 million photographs in a thousand classes to learn from,
# and then 100,000 new ones; a program had five guesses for each. In 2011 the best one was wrong on 26 of 100. In 2012 the second best was
# wrong on 26 of 100, too. The first was wrong on **15**.
#
# It came from Toronto. Alex Krizhevsky, Ilya Sutskever and Geoffrey Hinton had taken LeCun's idea of 1998, made it a thousand times larger,
# and let it learn for five to six days on two graphics cards that were made for games. Within two years hardly anybody in the field did
# anything else.
#
# Their paper is a recipe more than a theory: ReLU, dropout, momentum and weight decay, a falling rate, and pictures that are shifted and
# mirrored anew each time. You have built every ingredient. In this notebook you cook it, on **your own package**, and find out which
# ingredient does what. The result is stated beforehand and asserted in the last cell:
#
# | | experiment | stated result |
# |---|---|---|
# | 1 | an AlexNet-like network on Fashion-MNIST, 5,000 pictures to learn from | at least 87 % of 1,000 new pictures right |
# | 2 | the same with parts left out, on few pictures | with augmentation, and with dropout, at most half the *gap* between what it knows and what it can |

# %%
# %load_ext tinytorch_core

# %%
import time

import matplotlib.pyplot as plt
import numpy as np

from tinytorch import (
    SGD, BatchNorm2d, Compose, Conv2d, CosineAnnealingLR, CrossEntropyLoss, DataLoader, Dropout, Flatten, Linear, MaxPool2d, Normalize,
    RandomCrop, RandomHorizontalFlip, ReLU, Sequential, Tensor, TensorDataset, Trainer, TransformedDataset, accuracy, no_grad, softmax,
)  # fmt: skip
from tinytorch_core.data import load_fashion_mnist
from tinytorch_core.widgets import LearningCurves, Trained

AT_LEAST = 0.87
EPOCHS = 15

# %% [markdown]
# ## The pictures
#
# ImageNet has 150 gigabytes, and a third of its photographs are dogs of some breed or other. Your network learns on *Fashion-MNIST*: things
# that one can buy at Zalando, drawn at MNIST's size by people who found digits too easy. They were right: what reads 98 % of all digits
# stumbles over shirts.

# %%
NAMES = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"]
x_train, y_train, x_test, y_test = load_fashion_mnist()
x_train, x_test = x_train[:, None], x_test[:, None]  # one channel: (N, 1, 28, 28)

# %% [markdown]
# Photographs in colour? CIFAR-10 has 60,000 of them, 32 × 32 pixels, ten classes. It has no licence, and so it does not come with this
# course; but you can get it from where its makers offer it: `tito data fetch cifar10` in a terminal (170 MB). Then change the `False` below,
# and run everything again. The recipe is the same. It takes a few minutes, and nothing is stated about the result: you would be the first to
# measure it on your own framework. (10,000 of the photographs are used. All 50,000 are better, and five times as long.)

# %%
PHOTOGRAPHS = False

if PHOTOGRAPHS:
    from tinytorch_core.data import load_cifar10

    NAMES = ["aeroplane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    x_train, y_train, x_test, y_test = load_cifar10()
    x_train, y_train, x_test, y_test = x_train[:10_000], y_train[:10_000], x_test[:2_000], y_test[:2_000]

CHANNELS, SIZE = x_train.shape[1], x_train.shape[-1]


def show(panel, picture):
    """A picture (C, H, W) with numbers from 0 to 1."""
    panel.imshow(picture.transpose(1, 2, 0).squeeze(), cmap="gray_r", vmin=0, vmax=1)
    panel.set(xticks=[], yticks=[])


figure, panels = plt.subplots(2, 10, figsize=(9, 2.3))
for number, panel in enumerate(panels.ravel()):
    show(panel, x_train[np.flatnonzero(y_train == number % 10)[number // 10]])
    if number < 10:
        panel.set_title(NAMES[number], fontsize=8)
plt.show()

# %% [markdown]
# ## Augmentation: many pictures out of one
#
# AlexNet had 60 million weights, and 1.2 million pictures were too few for them: it would have learned them by heart. So no picture was ever
# shown twice in the same way. From 256 × 256 pixels a window of 224 × 224 was cut at a random place, and mirrored half of the time: 2,048
# versions of each. (The colours were shifted a little as well.) "Without this scheme, our network suffers from substantial overfitting, which
# would have forced us to use much smaller networks," says the paper.
#
# Here are a boot and a pullover, and what the network gets to see in their place. Your transforms of module 10 do it, one pixel in each
# direction. Last comes `Normalize`: mean 0, spread 1, with the numbers of the *training* pictures.

# %%
MEAN, SPREAD = x_train.mean(axis=(0, 2, 3)), x_train.std(axis=(0, 2, 3))
rng = np.random.default_rng(2012)
shift_and_mirror = Compose([RandomHorizontalFlip(seed=rng), RandomCrop(SIZE, padding=1, seed=rng)])
normalize = Normalize(MEAN, SPREAD)

figure, panels = plt.subplots(2, 10, figsize=(9, 2))
for row, kind in zip(panels, (9, 2)):
    picture = Tensor(x_train[np.flatnonzero(y_train == kind)[3]])
    show(row[0], picture.data)
    row[0].spines[:].set(color="crimson", linewidth=2)
    for panel in row[1:]:
        show(panel, shift_and_mirror(picture).data)
plt.show()

# %% [markdown]
# ## The network
#
# ```text
#      AlexNet                                             yours
#
#      224 × 224 × 3                                       28 × 28 × 1
#      conv 11×11, 96 maps, stride 4 · pool                conv 5×5, 12 maps · pool            14 × 14
#      conv 5×5, 256 maps            · pool                conv 3×3, 24 maps · pool             7 × 7
#      conv 3×3, 384 maps                                  conv 3×3, 32 maps
#      conv 3×3, 384 maps
#      conv 3×3, 256 maps            · pool                conv 3×3, 32 maps · pool             3 × 3
#      linear 4096 · dropout ½                             dropout · linear 96 · dropout
#      linear 4096 · dropout ½
#      linear 1000                                         linear 10
# ```
#
# The form is the same: convolutions that grow in number while the maps shrink, some of them directly behind each other, and linear layers
# with dropout at the end.
#
# One part is younger than 2012. AlexNet normalised its maps too, by a formula of its own (*local response normalisation*: neighbouring maps
# damp each other, as nerve cells do). Two years later it was found to bring nothing. In its place stands what did bring something, the
# **BatchNorm2d** of 2015 that you built in module 09. Without it this network needs about twice as many epochs; try it.

# %%
def alexnet(dropout, seed=2012):
    rng = np.random.default_rng(seed)
    side = SIZE // 8
    return Sequential(
        Conv2d(CHANNELS, 12, 5, padding=2, seed=rng), MaxPool2d(2), BatchNorm2d(12), ReLU(),
        Conv2d(12, 24, 3, padding=1, seed=rng), MaxPool2d(2), BatchNorm2d(24), ReLU(),
        Conv2d(24, 32, 3, padding=1, seed=rng), BatchNorm2d(32), ReLU(),
        Conv2d(32, 32, 3, padding=1, seed=rng), MaxPool2d(2), BatchNorm2d(32), ReLU(), Flatten(),
        Dropout(dropout, seed=rng), Linear(32 * side * side, 96, seed=rng), ReLU(),
        Dropout(dropout, seed=rng), Linear(96, 10, seed=rng),
    )  # fmt: skip


model = alexnet(dropout=0.3)
first_kernels = model[0].weight.data.copy()
for kind in (Conv2d, Linear):
    weights = sum(parameter.size for layer in model.layers if isinstance(layer, kind) for parameter in layer.parameters())
    print(f"{kind.__name__:8} {weights:7,} weights")
print(f"together {sum(parameter.size for parameter in model.parameters()):7,}")

# %% [markdown]
# ## The training
#
# Momentum 0.9 and weight decay 0.0005, to the number what the paper says ("this small amount of weight decay was important for the model to
# learn"). They divided the rate by ten whenever the validation stood still, by hand, three times. Yours falls along a cosine.
#
# New pictures are looked at as they are: normalised, neither shifted nor mirrored.

# %%
def as_they_are(pictures, labels):
    """A data set of pictures (N, C, H, W) and labels, normalised once and for all."""
    shape = (1, -1, 1, 1)
    return TensorDataset(Tensor(((pictures - MEAN.reshape(shape)) / SPREAD.reshape(shape)).astype(np.float32)), Tensor(labels))


def changed_each_time(pictures, labels, seed=2012):
    """The same, shifted and mirrored anew whenever somebody asks. Zeros come in at the edge, so normalising is done last."""
    rng = np.random.default_rng(seed)
    change = Compose([RandomHorizontalFlip(seed=rng), RandomCrop(SIZE, padding=1, seed=rng), normalize])
    return TransformedDataset(TensorDataset(Tensor(pictures), Tensor(labels)), change)


new_pictures = as_they_are(x_test, y_test)
examination = DataLoader(new_pictures, batch_size=200)


def train(model, dataset, batch_size, epochs, on_epoch=None):
    """The recipe. Returns the history."""
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.0005)
    schedule = CosineAnnealingLR(optimizer, T_max=epochs)
    trainer = Trainer(model, optimizer, CrossEntropyLoss(), scheduler=schedule, metrics={"accuracy": accuracy})
    return trainer.fit(DataLoader(dataset, batch_size, shuffle=True, seed=2012), examination, epochs=epochs, on_epoch=on_epoch)


start = time.process_time()
history = train(model, changed_each_time(x_train, y_train), batch_size=64, epochs=EPOCHS, on_epoch=LearningCurves(EPOCHS))
print(f"{history['val_accuracy'][-1]:.1%} of the new pictures right, after {time.process_time() - start:.0f} s of processor time")

# %% [markdown]
# The loss on the training pictures is hardly below that on the new ones, if at all. That is not because the network is perfect. The training
# pictures are harder: shifted, mirrored, and seen through dropout.
#
# ### Ten looks at one picture
#
# AlexNet did not look only once at a new picture. It looked at ten versions (the four corners, the middle, and all of them in the mirror) and
# took the mean of its ten answers. Chance mistakes that depend on a pixel here or there cancel. You can do that as well, with shifts by one
# pixel.

# %%
def looks(pictures):
    """Ten versions of pictures (N, C, H, W): in the middle, towards each of the four corners, and all of these mirrored."""
    framed = np.pad(pictures, ((0, 0), (0, 0), (1, 1), (1, 1)))
    for top, left in ((1, 1), (0, 0), (0, 2), (2, 0), (2, 2)):
        window = framed[..., top : top + SIZE, left : left + SIZE]
        yield from (window, window[..., ::-1])


def probabilities(pictures):
    with no_grad():
        batches = DataLoader(as_they_are(pictures, y_test), batch_size=200)
        return np.concatenate([softmax(model(batch)).data for batch, _ in batches])


model.eval()
views = [probabilities(version) for version in looks(x_test)]
answers_of_ten = np.mean(views, axis=0)
result = float((answers_of_ten.argmax(axis=1) == y_test).mean())
print(f"one look {(views[0].argmax(axis=1) == y_test).mean():.1%}, the mean of ten {result:.1%}")

# %% [markdown]
# ### What it sees
#
# The twelve kernels of the first layer, before and after. AlexNet's first layer became famous: edges in all directions, and blobs of colour.
# Nobody had put them in. Neurologists knew them already.

# %%
figure, panels = plt.subplots(2, 12, figsize=(9, 1.8))
for row, kernels in zip(panels, (first_kernels, model[0].weight.data)):
    for panel, kernel in zip(row, kernels):
        scale = np.abs(kernel).max()
        if CHANNELS == 1:
            panel.imshow(kernel[0], cmap="RdBu_r", vmin=-scale, vmax=scale)
        else:
            panel.imshow((kernel.transpose(1, 2, 0) / scale + 1) / 2)
        panel.set(xticks=[], yticks=[])
panels[0, 0].set_ylabel("before", fontsize=9)
panels[1, 0].set_ylabel("after", fontsize=9)
plt.show()

# %% [markdown]
# ### What it takes for what
#
# Left: how often a thing (row) was taken for another one (column). Right: the mistakes of which it was surest. Some of them you would make
# too, at 28 × 28 pixels.

# %%
answers = answers_of_ten.argmax(axis=1)
confusions = np.zeros((10, 10), dtype=int)
np.add.at(confusions, (y_test, answers), 1)

figure = plt.figure(figsize=(9, 3.8))
table, gallery = figure.subfigures(1, 2)
panel = table.subplots()
panel.imshow(confusions * (1 - np.eye(10)), cmap="Oranges")
for (thing, answer), count in np.ndenumerate(confusions):
    if count:
        panel.text(answer, thing, count, ha="center", va="center", fontsize=7, color="gray" if thing == answer else "black")
panel.set(xticks=range(10), yticks=range(10), yticklabels=NAMES, xlabel="what it says", ylabel="what it is")
panel.set_xticklabels(NAMES, rotation=45, ha="right")
wrong = np.flatnonzero(answers != y_test)
surest = wrong[np.argsort(-answers_of_ten[wrong].max(axis=1))][:12]
for panel, i in zip(gallery.subplots(3, 4).ravel(), surest):
    show(panel, x_test[i])
    panel.set_title(f"{NAMES[y_test[i]]},\nsays {NAMES[answers[i]]}", fontsize=7)
gallery.subplots_adjust(hspace=0.7)
plt.show()

# %% [markdown]
# ## Which ingredient does what?
#
# Now leave parts out. To see overfitting quickly, only **1,000** pictures are used for learning, and three networks that begin with the same
# weights: one without dropout and without augmentation, one with each of the two.
#
# Watch two things: how far the solid line (the pictures it learns from) falls below the dashed one (new pictures), and where the dashed one
# ends.

# %%
few = np.random.default_rng(1).permutation(len(x_train))[:1000]
plain, changing = as_they_are(x_train[few], y_train[few]), changed_each_time(x_train[few], y_train[few])
variants = {"neither": (0.0, plain), "dropout": (0.5, plain), "augmentation": (0.0, changing)}

tests = {}
figure, panels = plt.subplots(1, 3, figsize=(9, 2.6), sharey=True, layout="constrained")
for panel, (name, (dropout, dataset)) in zip(panels, variants.items()):
    tests[name] = train(alexnet(dropout), dataset, batch_size=32, epochs=12)
    panel.plot(range(1, 13), tests[name]["train_loss"], label="learning")
    panel.plot(range(1, 13), tests[name]["val_loss"], "--", label="new pictures")
    panel.set_title(f"{name}: {tests[name]['val_accuracy'][-1]:.1%} right", fontsize=9)
    panel.set(xlabel="epoch", xticks=range(2, 13, 2), ylim=(0, 2.2))
panels[0].set_ylabel("loss")
panels[0].legend(fontsize=8)
plt.show()
gaps = {name: test["val_loss"][-1] - test["train_loss"][-1] for name, test in tests.items()}
for name, test in tests.items():
    print(f"{name:13} learning {test['train_loss'][-1]:.2f}   new pictures {test['val_loss'][-1]:.2f}   gap {gaps[name]:.2f}")

# %% [markdown]
# The first network knows its pictures by heart (a loss of nearly 0), and is very sure of itself on new ones, also where it is wrong: that
# costs loss. Dropout and augmentation both forbid learning by heart, and the gap closes. Does that mean better answers on new pictures? Not at
# once: both make learning slower, and twelve epochs are few. AlexNet had a thousand times as many pictures and weights, and ninety epochs.
# Dropout "roughly doubles the number of iterations required to converge", the paper says, and there it was worth it. A recipe is right for a
# size. Measure at yours: what do these three do after 40 epochs?
#
# ## What history got right, and what it got wrong
#
# **Right: size matters, and so does the data.** "All of our experiments suggest that our results can be improved simply by waiting for faster
# GPUs and bigger datasets to become available." Few sentences in the history of the field have aged better.
#
# **Right: depth.** Each of the middle convolutions has less than one percent of the weights, and without any one of them the network became about
# two percentage points worse.
#
# **Right: ReLU.** On CIFAR-10 a network with ReLU reached 25 % training error six times sooner than the same with tanh. (Nair and Hinton had
# proposed it in 2010, and Fukushima's Neocognitron had it in 1980.)
#
# **Wrong: the normalisation** of neighbouring maps. Simonyan and Zisserman left it out in 2014 and lost nothing. Batch normalisation (Ioffe and
# Szegedy, 2015) came for another reason, and stayed.
#
# **Wrong: the three large linear layers.** They held 58 of 60 million weights. Lin, Chen and Yan replaced them by a mean over each map in 2013, and
# nearly all networks since then have done so. The windows of 11 × 11 did not last either: two layers of 3 × 3 see as much as one of 5 × 5, for
# less.
#
# **Wrong, for a while: learning without labels.** "We did not use any unsupervised pre-training even though we expect that it will help." For
# pictures, the next years went by without it. Where it did change everything was text: there the next word is always known, and nobody
# needs to write a label. That is the last piece of history in this course.
#
# **And the people.** The two cards were in a bedroom. ImageNet itself, without which nobody would have noticed, was the work of Fei-Fei Li and her
# students, who had fourteen million pictures labelled by nearly fifty thousand people on the internet while colleagues advised against it.
#
# ### Sources
#
# - A. Krizhevsky, I. Sutskever, G. E. Hinton: ImageNet Classification with Deep Convolutional Neural Networks. *Advances in Neural
#   Information Processing Systems* 25, 2012.
# - O. Russakovsky et al.: ImageNet Large Scale Visual Recognition Challenge. *International Journal of Computer Vision* 115(3), 2015.
# - N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov: Dropout: A Simple Way to Prevent Neural Networks from Overfitting.
#   *Journal of Machine Learning Research* 15, 2014.
# - V. Nair, G. E. Hinton: Rectified Linear Units Improve Restricted Boltzmann Machines. *ICML* 2010.
# - K. Simonyan, A. Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition. arXiv:1409.1556, 2014.
# - M. Lin, Q. Chen, S. Yan: Network In Network. arXiv:1312.4400, 2013.
# - S. Ioffe, C. Szegedy: Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift. *ICML* 2015.
# - Pictures: a subset of Fashion-MNIST (H. Xiao, K. Rasul, R. Vollgraf, arXiv:1708.07747, 2017). Photographs: A. Krizhevsky, Learning Multiple
#   Layers of Features from Tiny Images, 2009.
#
# **Next.** Pictures are numbers already. Text is not. Module 11 makes it so.

# %%
print(f"Experiment 1: {result:.1%} of the new pictures, at least {AT_LEAST:.0%}")
for name in ("dropout", "augmentation"):
    print(f"Experiment 2: gap {gaps[name]:.2f} with {name}, at most half of {gaps['neither']:.2f} with neither")

if not PHOTOGRAPHS:
    assert result >= AT_LEAST
    assert gaps["dropout"] <= gaps["neither"] / 2
    assert gaps["augmentation"] <= gaps["neither"] / 2

Trained(model)
