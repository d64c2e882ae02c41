"""Forecasts by the LSTM: quantiles of the expected score at sizes not trained yet."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...forecast.curve import Curve
from ...forecast.errors import InputError, install_words
from ...forecast.types import FloatArray, Interval
from . import quantiles
from .sequences import FEWEST_SIZES, FURTHEST, MOST_SIZES, Observed, observed
from .weights import Weights, shipped_weights

if TYPE_CHECKING:
    from .network import CurveLSTM

NAME = "lstm"
"""Its name among the forecasters."""


@dataclass(frozen=True)
class LstmForecast:
    """What the LSTM expects of one curve."""

    curve: Curve
    n: tuple[int, ...]
    """Sizes asked for, cases."""
    quantiles: FloatArray
    """Of the expected score, at `quantiles.PROBABILITIES`, ascending, shape [sizes asked for, probabilities]."""
    weights_hash: str
    """Which weights spoke."""

    def interval(self, n: int, level: float) -> Interval:
        """The interval of the expected score at one of the sizes asked for.

        Raises:
            InputError: The quantiles do not span the level.
        """
        return quantiles.interval(self.quantiles[self.n.index(n)], level)

    def mean(self, n: int) -> float:
        """Mean of the predictive distribution at one of the sizes asked for."""
        return float(quantiles.draws(self.quantiles[self.n.index(n)]).mean())

    @property
    def sizes_unseen(self) -> tuple[int, ...]:
        """The smallest trained sizes that were not read: the network reads at most `MOST_SIZES`."""
        return tuple(int(size) for size in self.curve.sizes[:-MOST_SIZES])


def require_torch() -> None:
    """Make sure torch can be imported.

    Raises:
        InputError: It is not installed; names the extra.
    """
    if importlib.util.find_spec("torch") is None:
        raise InputError(
            "the LSTM forecaster needs torch, which is not installed here. Install it "
            f"{install_words('nnunet')}; or forecast without --forecaster lstm."
        )


def lstm_forecast(curve: Curve, n: Sequence[int], weights: Weights | None = None) -> LstmForecast:
    """Forecast the expected score at some sizes.

    Args:
        curve: At least three trained sizes; of more than ten the largest ten are read.
        n: From the largest trained size to sixteen times as many cases.
        weights: By default those that come with the package.

    Raises:
        InputError: torch is not installed, the weights are absent or damaged, too few sizes, or a size that the
            network was not trained for.
    """
    require_torch()
    last = int(curve.sizes[-1])
    if len(curve.sizes) < FEWEST_SIZES:
        raise InputError(
            f"{curve.name}: the LSTM needs at least {FEWEST_SIZES} trained sizes, found {len(curve.sizes)}. Train more."
        )
    outside = [one for one in n if not last <= one <= FURTHEST * last]
    if outside:
        raise InputError(
            f"{curve.name}: the LSTM forecasts from the largest trained size {last} to {FURTHEST} times as many cases "
            f"({FURTHEST * last}), asked for {outside[0]}. Leave it out, or forecast without --forecaster lstm."
        )
    weights = weights or shipped_weights()
    found = predicted(weights, observed(curve), np.array(n, dtype=float)[None])[0]
    return LstmForecast(curve, tuple(n), found, weights.hash)


def predicted(
    weights: Weights, seen: Observed, asked: FloatArray, configuration: FloatArray | None = None
) -> FloatArray:
    """Quantiles of the expected scores of curves with equally many sizes, averaged over the networks.

    Args:
        weights: The networks.
        seen: Mean scores at the trained sizes.
        asked: Sizes, shape [curves, questions].
        configuration: Numbers of each curve's configuration, shape [curves, weights.configuration].

    Returns:
        Shape [curves, questions, probabilities].
    """
    import torch

    tokens = seen.tokens
    if configuration is not None:
        repeated = np.broadcast_to(configuration[:, None], (*tokens.shape[:2], configuration.shape[1]))
        tokens = np.concatenate([tokens, repeated], axis=-1)
    arrays = (tokens, np.log(asked / seen.n[:, -1:]), seen.last_error)
    given = [torch.tensor(one, dtype=torch.float32) for one in arrays]
    with torch.inference_mode():
        parts = [network(*given).numpy().astype(float) for network in networks(weights)]
    return np.asarray(np.mean(parts, axis=0))


def networks(weights: Weights) -> list[CurveLSTM]:
    """The networks with their weights, ready to be asked."""
    import torch

    from .network import CurveLSTM

    made = []
    for parameters in weights.networks:
        one = CurveLSTM(weights.hidden, weights.configuration)
        one.load_state_dict({name: torch.tensor(values) for name, values in parameters.items()})
        made.append(one.eval())
    return made
