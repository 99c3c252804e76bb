"""Fifteen checks, small on purpose."""

import math

import numpy as np

from tinytorch_core.kernel.checking import at_most, exercise, given, stage, wants


def normal(size):
    return lambda rng: {"values": rng.normal(size=size)}


def slow_mean(values):
    return math.fsum(values.ravel()) / values.size


@exercise("statistics")
@given(normal(1))
@wants(slow_mean)
def test_mean_of_1(tt, values):
    """The mean of 1 values."""
    return tt.mean(values)


@exercise("statistics")
@given(normal(7))
@wants(slow_mean)
def test_mean_of_7(tt, values):
    """The mean of 7 values."""
    return tt.mean(values)


@exercise("statistics")
@given(normal(100))
@wants(slow_mean)
def test_mean_of_100(tt, values):
    """The mean of 100 values."""
    return tt.mean(values)


@exercise("statistics")
@given(normal(2000))
@wants(slow_mean)
def test_mean_of_2000(tt, values):
    """The mean of 2000 values."""
    return tt.mean(values)


@exercise("statistics")
@given(normal(2))
@wants(lambda values: float(np.std(values)))
def test_deviation_of_2(tt, values):
    """The deviation of 2 values."""
    return tt.deviation(values)


@exercise("statistics")
@given(normal(50))
@wants(lambda values: float(np.std(values)))
def test_deviation_of_50(tt, values):
    """The deviation of 50 values."""
    return tt.deviation(values)


@exercise("statistics")
@given(normal(1500))
@wants(lambda values: float(np.std(values)))
def test_deviation_of_1500(tt, values):
    """The deviation of 1500 values."""
    return tt.deviation(values)


@exercise("statistics")
@given(normal((4, 5)))
@wants(slow_mean)
def test_mean_of_a_matrix(tt, values):
    """The mean of a matrix."""
    return tt.mean(values)


@stage("import")
@given(lambda rng: {"names": rng.permutation(["mean", "deviation", "nothing", "smooth", "else", "primes"]).tolist()})
@wants(lambda names: [name not in ("nothing", "else") for name in names])
def test_names(tt, names):
    """The package has its names."""
    return [hasattr(tt, str(name)) for name in names]


@stage("compatibility")
@given(normal(30))
@wants(lambda values: [slow_mean(values)] * 2)
def test_input_is_kept(tt, values):
    """The input is not changed."""
    return [tt.mean(values), tt.mean(values)]


@stage("compatibility")
@given(normal(64))
@wants(lambda values: np.convolve(values, np.full(8, 1 / 8), "valid"))
def test_smooth(tt, values):
    """The running mean."""
    return tt.smooth(values, 8)


@stage("integration")
@given(lambda rng: {"limit": int(rng.integers(2000, 6000))})
@wants(lambda limit: sum(all(n % d for d in range(2, int(n**0.5) + 1)) for n in range(2, limit)))
def test_primes(tt, limit):
    """The number of primes."""
    return len(tt.primes(limit))


@stage("integration")
@given(normal(400))
@wants(lambda values: [0.0, 1.0], atol=1e-9)
def test_standardised(tt, values):
    """Standardised values have mean 0 and deviation 1."""
    return [f((values - tt.mean(values)) / tt.deviation(values)) for f in (tt.mean, tt.deviation)]


@stage("integration")
@given(normal(300))
@wants(lambda values: float(np.std(np.convolve(values, np.full(5, 0.2), "valid"))))
def test_smoothed_deviation(tt, values):
    """Smoothing calms."""
    return tt.deviation(tt.smooth(values, 5))


@stage("performance")
@given(normal(20_000))
@wants(lambda values: float(np.std(values)))
@at_most(12.0, times_of=lambda values: float(np.std(values)))
def test_deviation_is_fast(tt, values):
    """The deviation takes no loop."""
    return tt.deviation(values)
