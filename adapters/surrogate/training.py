"""Training of the network, from exercises to weights: seeded, on one thread, the same numbers every time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...forecast.types import IntArray
from .exercises import Exercises
from .network import CurveLSTM
from .quantiles import PROBABILITIES
from .sequences import FEWEST_SIZES, MOST_SIZES


@dataclass(frozen=True)
class Recipe:
    """How a network is trained."""

    hidden: int = 48
    """Size of the LSTM's state."""
    steps: int = 2500
    """Batches."""
    batch: int = 256
    """Curves per batch, all with equally many sizes."""
    rate: float = 4e-3
    """Highest learning rate of AdamW; it rises over the first twentieth and falls as a cosine."""
    decay: float = 1e-4
    """Weight decay."""
    real: float = 0.65
    """Share of real curves in a batch."""


def train(
    simulated: Exercises,
    real: Exercises | None,
    recipe: Recipe,
    seed: int,
    watch: Callable[[int, float], None] = lambda step, loss: None,
) -> CurveLSTM:
    """A trained network.

    Args:
        simulated: Exercises from the prior.
        real: Exercises from real curves; None trains on simulated ones alone.
        recipe: How.
        seed: Of the first weights, the batches and the noise.
        watch: Called with the step and its loss.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = CurveLSTM(recipe.hidden)
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.rate, total_steps=recipe.steps, pct_start=0.05, cycle_momentum=False
    )
    for step, batch in enumerate(_batches(simulated, real, recipe, rng)):
        loss = batch.loss(network)
        _step(network, loss, optimiser)
        schedule.step()
        watch(step, float(loss.detach()))
    network.eval()
    return network


def refined(network: CurveLSTM, batches: Sequence[Batch], epochs: int, rate: float, seed: int) -> CurveLSTM:
    """A network trained a little further, on sequences as they are.

    Args:
        network: Is changed.
        batches: All of them make an epoch, in an order drawn anew each time.
        epochs: How many.
        rate: Learning rate of AdamW, falling as a cosine.
        seed: Of the order.
    """
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * len(batches))
    for _ in range(epochs):
        for i in rng.permutation(len(batches)):
            _step(network, batches[i].loss(network), optimiser)
            schedule.step()
    network.eval()
    return network


def _step(network: CurveLSTM, loss: Tensor, optimiser: torch.optim.Optimizer) -> None:
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()


def parameters(network: CurveLSTM) -> dict[str, NDArray[np.float32]]:
    """A network's parameters by name."""
    return {name: values.detach().numpy().copy() for name, values in network.state_dict().items()}


@dataclass(frozen=True)
class Batch:
    """Exercises with the same number of sizes, observed once."""

    tokens: Tensor
    ahead: Tensor
    last_error: Tensor
    answer: Tensor

    def loss(self, network: CurveLSTM) -> Tensor:
        """Mean pinball loss over the probabilities: half the continuous ranked probability score, but for its grid."""
        found = network(self.tokens, self.ahead, self.last_error)
        miss = self.answer[..., None] - found
        levels = torch.tensor(PROBABILITIES)
        return torch.maximum(levels * miss, (levels - 1) * miss).mean(dim=(1, 2)).mean()


def _batches(simulated: Exercises, real: Exercises | None, recipe: Recipe, rng: np.random.Generator) -> Iterator[Batch]:
    parts = [(simulated, recipe.batch)]
    if real is not None:
        from_real = round(recipe.real * recipe.batch)
        parts = [(simulated, recipe.batch - from_real), (real, from_real)]
    places = [[np.flatnonzero(part.length == k) for k in range(MOST_SIZES + 1)] for part, _ in parts]
    for _ in range(recipe.steps):
        sizes = int(rng.integers(FEWEST_SIZES, MOST_SIZES + 1))
        chosen = [(part, rng.choice(place[sizes], count)) for (part, count), place in zip(parts, places, strict=True)]
        yield _batch(chosen, rng)


def _batch(parts: list[tuple[Exercises, IntArray]], rng: np.random.Generator) -> Batch:
    columns: list[list[np.ndarray]] = [[], [], [], []]
    for part, who in parts:
        if not len(who):
            continue
        seen = part.observe(who, rng)
        ahead = np.log(part.asked[who] / seen.n[:, -1:])
        for column, values in zip(columns, (seen.tokens, ahead, seen.last_error, part.answer[who]), strict=True):
            column.append(values)
    return Batch(*(torch.tensor(np.concatenate(column), dtype=torch.float32) for column in columns))
