"""The network: a uni-directional LSTM over the trained sizes, and a head that is asked for one later size."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .quantiles import PROBABILITIES
from .sequences import TOKEN

MIDDLE = PROBABILITIES.index(0.5)
FIRST_STEP = -3.0
"""Bias of the quantiles' steps before training: narrow, since wide ones learn slowly."""


class CurveLSTM(nn.Module):  # type: ignore[misc]
    """Quantiles of the expected score at a later size, given the scores at the trained sizes.

    The last state of the LSTM and the logarithm of the size asked for over the largest trained one give the median of
    the log error relative to the last observed, and steps > 0 between neighbouring quantiles, so quantiles never cross.
    """

    def __init__(self, hidden: int, configuration: int = 0) -> None:
        """Untrained.

        Args:
            hidden: Size of the LSTM's state.
            configuration: Numbers that describe the configuration (say, its depth), appended to every token.
        """
        super().__init__()
        self.lstm = nn.LSTM(TOKEN + configuration, hidden, batch_first=True)
        self.head = nn.Sequential(nn.Linear(hidden + 2, hidden), nn.SiLU(), nn.Linear(hidden, len(PROBABILITIES)))
        with torch.no_grad():
            self.head[-1].weight.mul_(0.1)
            self.head[-1].bias.fill_(FIRST_STEP)
            self.head[-1].bias[MIDDLE] = 0.0

    def forward(self, tokens: Tensor, ahead: Tensor, last_error: Tensor) -> Tensor:
        """Quantiles of the score.

        Args:
            tokens: Shape [curves, sizes, TOKEN + configuration].
            ahead: Logarithm of the size asked for over the largest trained, shape [curves, questions].
            last_error: The error at the largest trained size, shape [curves].

        Returns:
            Ascending within [0, 1], shape [curves, questions, probabilities].
        """
        _, (state, _) = self.lstm(tokens)
        state = state[-1][:, None].expand(-1, ahead.shape[1], -1)
        level = torch.log(last_error)[:, None].expand_as(ahead)
        out = self.head(torch.cat([state, ahead[..., None], level[..., None]], dim=-1))
        log_error = self._ascending(out)
        score = 1 - last_error[:, None, None] * torch.exp(log_error)
        return score.flip(-1).clamp(0, 1)

    @staticmethod
    def _ascending(out: Tensor) -> Tensor:
        """Quantiles of the log error: the median, and sums of positive steps away from it."""
        steps = nn.functional.softplus(out)
        middle = out[..., MIDDLE : MIDDLE + 1]
        below = middle - steps[..., :MIDDLE].flip(-1).cumsum(-1).flip(-1)
        above = middle + steps[..., MIDDLE + 1 :].cumsum(-1)
        return torch.cat([below, middle, above], dim=-1)


def widened(network: CurveLSTM, configuration: int) -> CurveLSTM:
    """A copy that also takes numbers of the configuration, and as yet pays no heed to them."""
    hidden = network.lstm.hidden_size
    made = CurveLSTM(hidden, network.lstm.input_size - TOKEN + configuration)
    state = {name: values.clone() for name, values in network.state_dict().items()}
    blank = torch.zeros(4 * hidden, configuration)
    state["lstm.weight_ih_l0"] = torch.cat([state["lstm.weight_ih_l0"], blank], dim=1)
    made.load_state_dict(state)
    return made
