import torch
from mmpretrain.registry import OPTIM_WRAPPERS
from torch import nn

from sce_mm.engine import BF16OptimWrapper


def wrapper(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return OPTIM_WRAPPERS.build(
        {'type': 'BF16OptimWrapper', 'optimizer': optimizer}
    )


def test_forward_is_in_bfloat16_and_parameters_stay_in_float32():
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    optim_wrapper = wrapper(model)
    assert isinstance(optim_wrapper, BF16OptimWrapper)
    before = model.weight.detach().clone()
    with optim_wrapper.optim_context(model):
        output = model(torch.randn(5, 4))
    assert output.dtype == torch.bfloat16
    optim_wrapper.update_params(output.float().square().mean())
    assert model.weight.dtype == torch.float32
    assert not torch.equal(model.weight, before)
    # Nothing is cast outside the context.
    assert model(torch.randn(5, 4)).dtype == torch.float32
