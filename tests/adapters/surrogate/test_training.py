"""Training: something is learned in seconds, and the same every time."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from dicecast.adapters.surrogate.exercises import Exercises  # noqa: E402
from dicecast.adapters.surrogate.observed_curves import RealCurve, cut_from  # noqa: E402
from dicecast.adapters.surrogate.sequences import FEWEST_SIZES, MOST_SIZES  # noqa: E402
from dicecast.adapters.surrogate.simulated import simulated  # noqa: E402
from dicecast.adapters.surrogate.training import Recipe, parameters, train  # noqa: E402
from dicecast.forecast.prior import shipped_prior  # noqa: E402

TINY = Recipe(hidden=12, steps=120, batch=64, rate=1e-2)


@pytest.fixture(scope="module")
def made() -> Exercises:
    found = simulated(shipped_prior(), 40, np.random.default_rng(0))
    assert set(range(FEWEST_SIZES, MOST_SIZES + 1)) <= set(found.length)
    return found


@pytest.fixture(scope="module")
def power_laws() -> Exercises:
    n = np.round(16 * 2 ** (np.arange(32) / 4))
    slopes = np.linspace(0.2, 0.7, 8)
    curves = [RealCurve(str(c), n, 1 - 0.5 * (n / 16) ** -c, np.full(32, 0.003)) for c in slopes]
    return cut_from(curves, 2000, np.random.default_rng(1))


def test_the_loss_falls_and_the_last_value_is_beaten(made: Exercises, power_laws: Exercises) -> None:
    losses: list[float] = []
    network = train(made, power_laws, TINY, 0, lambda step, loss: losses.append(loss))
    assert len(losses) == TINY.steps
    assert np.mean(losses[-20:]) < 0.8 * np.mean(losses[:5])
    who = np.flatnonzero(power_laws.length == 6)
    seen = power_laws.observe(who, np.random.default_rng(2))
    ahead = np.log(power_laws.asked[who] / seen.n[:, -1:])
    given = [torch.tensor(one, dtype=torch.float32) for one in (seen.tokens, ahead, seen.last_error)]
    with torch.no_grad():
        median = network(*given).numpy()[..., 5]
    miss = np.abs(median - power_laws.answer[who]).mean()
    assert miss < 0.7 * np.abs(seen.score[:, -1:] - power_laws.answer[who]).mean()


def test_the_same_seed_gives_the_same_weights_to_the_bit(made: Exercises, power_laws: Exercises) -> None:
    short = Recipe(hidden=6, steps=5, batch=16)
    one, again, other = (parameters(train(made, power_laws, short, seed)) for seed in (3, 3, 4))
    for name, values in one.items():
        assert values.tobytes() == again[name].tobytes()
    assert any(values.tobytes() != other[name].tobytes() for name, values in one.items())


def test_simulated_curves_alone_will_do(made: Exercises) -> None:
    network = train(made, None, Recipe(hidden=6, steps=3, batch=16), 0)
    assert all(np.all(np.isfinite(values)) for values in parameters(network).values())
