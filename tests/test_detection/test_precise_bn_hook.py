"""Statistics after the hook are those of the final weights, recounted."""

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from sce_mm.detection import DetPreciseBNHook

pytestmark = pytest.mark.integration


class Toy(BaseModel):
    """A convolution, a norm that is trained, and one that is not."""

    def __init__(self, frozen=False):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.still = nn.BatchNorm2d(4)
        self.frozen = frozen
        self.seen = []

    def train(self, mode=True):
        super().train(mode)
        self.still.eval()
        if self.frozen:
            self.norm.eval()
        return self

    def forward(self, inputs, data_samples=None, mode='tensor'):
        assert mode == 'loss'
        if not torch.is_grad_enabled():
            self.seen.append(inputs)
        out = self.still(self.norm(self.conv(inputs)))
        return {'loss': out.square().sum()}


def train(tmp_path, hook, train_cfg, infinite, **options):
    """A run over six images in batches of two, and its last checkpoint."""
    torch.manual_seed(0)
    images = [{'inputs': torch.randn(3, 8, 8) + i} for i in range(6)]
    sampler = 'InfiniteSampler' if infinite else 'DefaultSampler'
    model = Toy(**options)
    Runner(
        model=model,
        work_dir=str(tmp_path),
        train_cfg=train_cfg,
        train_dataloader={
            'batch_size': 2,
            'dataset': images,
            'sampler': {'type': sampler, 'shuffle': False},
            'collate_fn': {'type': 'default_collate'},
        },
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.01}},
        default_hooks={
            'checkpoint': {
                'type': 'CheckpointHook',
                'by_epoch': not infinite,
                'interval': 1,
            }
        },
        custom_hooks=[hook],
        experiment_name=tmp_path.name,
    ).train()
    path = (tmp_path / 'last_checkpoint').read_text()
    return model, torch.load(path, weights_only=False)['state_dict']


@pytest.mark.parametrize(
    ('interval', 'calls', 'train_cfg'),
    [
        (100, 1, {'by_epoch': True, 'max_epochs': 2}),
        (2, 3, {'by_epoch': True, 'max_epochs': 5}),
        (100, 1, {'type': 'IterBasedTrainLoop', 'max_iters': 4}),
    ],
)
def test_checkpoint_holds_plain_averages_for_its_weights(
    tmp_path, interval, calls, train_cfg
):
    hook = DetPreciseBNHook(interval=interval, batches=3)
    model, state = train(tmp_path, hook, train_cfg, 'type' in train_cfg)
    # Each interval and at the end, over as many batches as were asked for.
    assert len(model.seen) == 3 * calls
    model.seen = model.seen[-3:]
    conv = nn.Conv2d(3, 4, 3)
    conv.load_state_dict(
        {k[5:]: v for k, v in state.items() if k.startswith('conv.')}
    )
    with torch.no_grad():
        outputs = [conv(x).transpose(0, 1).flatten(1) for x in model.seen]
    mean = torch.stack([out.mean(1) for out in outputs]).mean(0)
    var = torch.stack([out.var(1) for out in outputs]).mean(0)
    torch.testing.assert_close(state['norm.running_mean'], mean)
    torch.testing.assert_close(state['norm.running_var'], var)
    assert model.norm.momentum == 0.1
    # A layer that is not trained keeps what it had.
    assert torch.equal(state['still.running_mean'], torch.zeros(4))
    assert torch.equal(state['still.running_var'], torch.ones(4))


def test_mistakes(tmp_path):
    with pytest.raises(ValueError, match='at least 1, got 0 and 200'):
        DetPreciseBNHook(interval=0)
    train_cfg = {'by_epoch': True, 'max_epochs': 1}
    with pytest.raises(ValueError, match='no batch norm that is trained'):
        train(tmp_path, DetPreciseBNHook(), train_cfg, False, frozen=True)
