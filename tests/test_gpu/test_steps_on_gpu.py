"""Steps on a GPU: as recorded on the CPU, in any layout, without a wait."""

import json
import runpy

import golden
import pytest
import torch
from deferred_views import STATISTICS, deferred_batch
from device_laws import (
    check_channels_last,
    check_compiled_training,
    check_no_step_waits,
    check_wait_is_noticed,
    narrow_resnet,
    nothing_waits,
)
from mmpretrain.registry import MODELS
from tiny import build, build_dense, samples, views

OPTIMIZERS = {
    'SGD': {'type': 'SGD', 'lr': 0.1, 'momentum': 0.9},
    'LARS': {'type': 'LARSMoCoV3', 'lr': 0.1, 'weight_decay': 1e-6},
}


@pytest.mark.parametrize('case', golden.CASES)
def test_twenty_steps_are_those_of_the_cpu(device, case):
    recorded = json.loads(golden.FILE.read_text())[case]
    for name, values in golden.curve(case, device).items():
        # Sums are formed in another order, and steps make more of it.
        assert values == pytest.approx(recorded[name], rel=1e-7), name


# Otherwise the tests below would say nothing. For a list a later torch may not
# wait any longer.
@pytest.mark.parametrize('what', ['number', 'mask'])
def test_a_wait_is_noticed(device, what):
    check_wait_is_noticed(what, device)


# The scaler of float16 reads one number a step; that is how it is made.
@pytest.mark.parametrize('optimizer', OPTIMIZERS)
@pytest.mark.parametrize('wrapper', ['OptimWrapper', 'BF16OptimWrapper'])
@pytest.mark.parametrize('case', ['multi-crop', 'places', 'ResNet'])
def test_no_step_waits(device, case, wrapper, optimizer):
    model, inputs, boxes = {
        'multi-crop': lambda: (
            build(batch_norm=True, in_batch_keys=True),
            views(6, 4),
            None,
        ),
        'places': lambda: (build_dense(), views(6), samples(6)),
        'ResNet': lambda: (
            narrow_resnet(channels_last=True),
            torch.randint(256, (2, 4, 3, 32, 32), dtype=torch.uint8),
            None,
        ),
    }[case]()
    if case != 'ResNet':  # It gets bytes of the host, as recipes do.
        inputs = [view.to(device) for view in inputs]
    check_no_step_waits(
        model,
        inputs,
        {'type': wrapper, 'optimizer': OPTIMIZERS[optimizer]},
        device,
        boxes,
    )


def test_views_made_there_wait_for_nothing_and_are_the_cpus(device):
    preprocessor = MODELS.build(dict(type='ViewPreprocessor', **STATISTICS))
    expected = preprocessor(deferred_batch(), True)['inputs']
    preprocessor.to(device)

    def batch():
        batch = deferred_batch()
        images, params = batch['inputs']
        return batch | {'inputs': [[x.to(device) for x in images], params]}

    preprocessor(batch(), True)
    given = batch()
    with nothing_waits(device):
        made = preprocessor(given, True)['inputs']
    for view, other in zip(made, expected, strict=True):
        # Half a level, which TF32 in the blur may take, over the smallest
        # standard deviation.
        assert (view.cpu() - other).abs().max() < 0.5 / 57.12
        assert (view.cpu() - other).abs().mean() < 0.05 / 57.12


@pytest.mark.usefixtures('no_tf32')
def test_channels_last_holds_everywhere_and_changes_nothing(device):
    # cuDNN has this layout for float32 and below, not for float64.
    check_channels_last(device, torch.float32, 1, rtol=1e-3, atol=0)


@pytest.mark.usefixtures('no_tf32')
@pytest.mark.parametrize(
    ('backend', 'places'), [('inductor', False), ('aot_eager', True)]
)
def test_compiled_training_is_the_same_and_resumes(
    root, device, tmp_path, backend, places
):
    if device.type == 'cpu':
        backend = 'eager'  # Code for a processor takes minutes to make.
    else:
        script = runpy.run_path(root / 'tools/dev/speed/torch_compiler.py')
        if lack := script['what_lacks']():
            pytest.skip(f'the compiler of torch: {lack}')
    check_compiled_training(tmp_path, backend, places, rtol=1e-3, atol=1e-4)
