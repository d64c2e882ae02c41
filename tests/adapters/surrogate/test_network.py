"""The network: quantiles that cannot cross, and one more input that changes nothing until it is trained."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from dicecast.adapters.surrogate.network import CurveLSTM, widened  # noqa: E402
from dicecast.adapters.surrogate.quantiles import PROBABILITIES  # noqa: E402
from dicecast.adapters.surrogate.sequences import TOKEN  # noqa: E402


@pytest.mark.parametrize("sizes", [3, 10])
def test_quantiles_ascend_within_zero_and_one(sizes: int) -> None:
    torch.manual_seed(0)
    network = CurveLSTM(8)
    with torch.no_grad():
        for values in network.parameters():
            values.mul_(4)
        found = network(3 * torch.randn(50, sizes, TOKEN), torch.rand(50, 2), torch.rand(50))
    assert found.shape == (50, 2, len(PROBABILITIES))
    assert torch.all(found.diff(dim=-1) >= 0)
    assert found.min() >= 0 and found.max() <= 1


def test_a_configuration_is_one_more_number_per_token() -> None:
    torch.manual_seed(0)
    network = CurveLSTM(8)
    tokens, ahead, error = torch.randn(5, 4, TOKEN), torch.rand(5, 3), torch.rand(5)
    more = torch.cat([tokens, torch.randn(5, 4, 2)], dim=-1)
    torch.testing.assert_close(widened(network, 2)(more, ahead, error), network(tokens, ahead, error))
