"""A step of a recipe stays on its device, and the host waits for nothing.

The device is torch's ``meta``, whose tensors have no values: it takes no GPU,
and as on one, an operation with a tensor of the host fails. What is read there
cannot be.
"""

from contextlib import nullcontext
from importlib.util import find_spec

import pytest
import torch
from deferred_views import deferred_batch
from device_laws import check_no_step_waits, nothing_waits
from mmengine.model import BaseModel, revert_sync_batchnorm
from mmpretrain.registry import MODELS
from recipes import recipe

from sce_mm.analysis.memory import view_sizes_of_config, whole_views
from sce_mm.models.losses import sce_loss

pytestmark = pytest.mark.skipif(
    tuple(map(int, torch.__version__.split('.')[:2])) < (2, 4),
    reason='older versions of torch lack operations on meta',
)
# As many as shuffle_bn splits in groups of one.
IMAGES = 8
# The layers of the recipes, fewer of them.
RESNET = {
    'backbone': {'depth': 18},
    'neck': {'in_channels': 512, 'hid_channels': 32},
}
VIT = {
    'backbone': {
        'arch': {
            'embed_dims': 24,
            'num_layers': 2,
            'num_heads': 3,
            'feedforward_channels': 48,
        }
    },
    'neck': {'in_channels': 24, 'hid_channels': 32},
}
SWIN = {
    'backbone': {
        'arch': {'embed_dims': 24, 'depths': [2, 2], 'num_heads': [3, 6]},
        'out_indices': (1,),
    },
    'neck': {'in_channels': 48, 'hid_channels': 32},
}
CONVNEXT = {
    'backbone': {
        'arch': {'depths': [1, 1, 1, 1], 'channels': [8, 16, 24, 32]},
    },
    'neck': {'in_channels': 32, 'hid_channels': 32},
}
RECIPES = {
    'sce_resnet18_1xb64-coslr-200e_folder': {},
    'sce_resnet18_1xb64-dense-coslr-200e_folder': {},
    'sce_resnet18_1xb64-pyramid-coslr-200e_folder': {},
    'sce_resnet18_1xb256-amp-coslr-200e_cifar10': {},
    'sce_resnet50_8xb64-amp-asym-coslr-200e_in1k': RESNET,
    'sce_resnet50_16xb256-amp-mcrop-coslr-200e_in1k': RESNET,
    'sce_vit-small-p16_8xb128-amp-coslr-300e_in1k': VIT,
    'sce_swin-tiny_8xb128-amp-coslr-300e_in1k': SWIN,
    'sce_convnext-tiny_8xb128-amp-coslr-300e_in1k': CONVNEXT,
}


@pytest.fixture(autouse=True)
def _as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Autocast does not know meta; the first batch is looked at, and waits."""
    monkeypatch.setattr(torch, 'autocast', lambda *_, **__: nullcontext())
    monkeypatch.setattr(sce_loss, 'check_unit_rows', lambda **_: None)


def build(stem: str) -> tuple[BaseModel, dict, list[int]]:
    """Model and optimiser of a recipe, and the sizes of its views."""
    cfg = recipe(stem)
    for part, options in RECIPES[stem].items():
        cfg.model[part].update(options)
    # Scaling for float16, and clipping, read a number a step.
    wrapper = {
        name: value
        for name, value in cfg.optim_wrapper.items()
        if name not in ('loss_scale', 'clip_grad')
    }
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    return model, wrapper | {'type': 'OptimWrapper'}, view_sizes_of_config(cfg)


@pytest.mark.parametrize('stem', RECIPES)
def test_no_step_of_a_recipe_leaves_the_device_or_waits(stem):
    if '-pyramid-' in stem and find_spec('mmdet') is None:
        pytest.skip('its pyramid is a class of mmdet')
    model, wrapper, sizes = build(stem)
    # As the loader gives them: bytes on the host.
    views = [
        torch.zeros(IMAGES, 3, size, size, dtype=torch.uint8) for size in sizes
    ]
    check_no_step_waits(
        model, views, wrapper, 'meta', whole_views(IMAGES, len(sizes))
    )


def test_nor_does_a_step_that_makes_its_views():
    model, wrapper, _ = build('sce_resnet18_1xb64-coslr-200e_folder')
    batch = deferred_batch()
    check_no_step_waits(model, batch['inputs'], wrapper, 'meta')


# Of rows on the device.
MISTAKES = {
    'number': lambda rows: rows.sum().item(),
    'mask': lambda rows: rows[rows > 0],
    'list as index': lambda rows: rows[:, [1, 0]],
    'list as tensor': lambda rows: torch.tensor([1], device=rows.device),
    'index of the host': lambda rows: rows[torch.tensor([1])],
    'tensor of the host': lambda rows: rows + torch.ones(2, 3),
    'copy': lambda rows: torch.ones(2, 3).to(rows.device),
}


@pytest.mark.parametrize('what', MISTAKES)
def test_mistakes_are_noticed(what):
    with (
        pytest.raises(
            (AssertionError, RuntimeError), match=r'(?i)host reads|meta'
        ),
        nothing_waits('meta'),
    ):
        MISTAKES[what](torch.ones(2, 3, device='meta'))
