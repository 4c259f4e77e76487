import pytest
import torch
from mmengine.registry import OPTIM_WRAPPERS as ROOT
from mmengine.registry import Registry
from mmpretrain.registry import OPTIM_WRAPPERS
from torch import nn

from sce_mm.engine import BF16OptimWrapper

# Such as that of mmdet.
OTHER = Registry('optimizer wrapper', parent=ROOT, scope='other')


def wrapper(model, registry):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return registry.build({'type': 'BF16OptimWrapper', 'optimizer': optimizer})


@pytest.mark.parametrize(
    'registry', [OPTIM_WRAPPERS, OTHER], ids=['mmpretrain', 'other']
)
def test_forward_is_in_bfloat16_and_parameters_stay_in_float32(registry):
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    optim_wrapper = wrapper(model, registry)
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
