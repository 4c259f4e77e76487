"""Proof that pretrained weights arrived in a detector."""

from typing import Any

import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..transfer import (
    CheckpointError,
    extract_backbone,
    read_checkpoint,
)
from ..transfer.backbone import FORMAT
from ..transfer.compare import compare
from ..transfer.meta_hook import describe_backbone, describe_input

# Where a config sets what is compared.
SETTING = {
    'channel_order': 'model.data_preprocessor.bgr_to_rgb',
    'mean': 'model.data_preprocessor.mean',
    'std': 'model.data_preprocessor.std',
    'style': 'model.backbone.style',
}


@HOOKS.register_module()
class VerifyTransferHook(Hook):
    """Stop a training whose backbone is not the one that was pretrained.

    The weights are loaded the usual way, by ``init_cfg=dict(type='Pretrained',
    checkpoint=...)`` of the backbone, which skips whatever does not fit. An
    initialiser of our own would not do instead: mmpretrain's ResNet starts
    its residual branches at zero after any other type. So this hook reads the
    same file and compares:

    - before the model is initialised: the file is a backbone file, and its
      tensors are those that the backbone has, by name and shape;
    - before the first iteration: every tensor of the backbone equals that of
      the file, the pixels arrive with the channel order, mean and std of the
      pretraining, strides are where they were, nothing is frozen.

    A resumed training takes its weights from its own checkpoint and is let
    through.

    Args:
        allow_frozen: Accept frozen stages or batch norm in evaluation mode.
            Weights of self-supervised learning do worse with them.
        allow_unknown: Accept a file that does not say what pixels it expects.

    Raises:
        RuntimeError: Before the first iteration, if any of it does not hold.
    """

    priority = 'VERY_HIGH'

    def __init__(
        self, allow_frozen: bool = False, allow_unknown: bool = False
    ) -> None:
        self.allow_frozen = allow_frozen
        self.allow_unknown = allow_unknown
        self._backbone: dict[str, Tensor] = {}
        self._meta: dict[str, Any] = {}

    def before_run(self, runner: Runner) -> None:
        """Read the file and compare names and shapes."""
        # Testing a trained detector needs no file; the loop is built only
        # for training.
        if runner._resume or not isinstance(runner._train_loop, BaseLoop):
            return
        path = self._path(runner)
        try:
            checkpoint = read_checkpoint(path)
            meta = checkpoint.get('meta')
            if not isinstance(meta, dict) or meta.get('format') != FORMAT:
                raise CheckpointError(
                    f'{path} is not a backbone file: make one with '
                    'tools/model_converters/extract_backbone.py CKPT OUT and '
                    'name OUT in the config'
                )
            self._backbone, self._meta = extract_backbone(checkpoint)
        except (CheckpointError, FileNotFoundError) as error:
            raise RuntimeError(f'transfer refused: {error}') from error
        backbone = unwrapped(runner).backbone
        difference = compare(backbone.state_dict(), self._backbone)
        if difference:
            raise RuntimeError(
                f'transfer refused: {path} (arch {self._meta["arch"]}) does '
                f'not fit {describe_backbone(backbone)["arch"]}:\n{difference}'
            )

    def before_train(self, runner: Runner) -> None:
        """Compare values and settings."""
        if runner._resume or runner.iter > 0:
            print_log(
                'transfer not verified: the training is resumed, its weights '
                'come from its own checkpoint',
                logger='current',
            )
            return
        model = unwrapped(runner)
        problems = [
            *changed_tensors(model.backbone, self._backbone),
            *self._pixels(model),
            *self._frozen(model.backbone),
        ]
        if problems:
            lines = ''.join(f'\n  - {problem}' for problem in problems)
            raise RuntimeError(f'transfer refused:{lines}')
        total = len(self._backbone)
        print_log(
            f'transfer verified: {total}/{total} tensors, '
            f'sha256 {self._meta["sha256"][:16]}, {self._meta["arch"]} of '
            f'{self._meta["method"]}, {self._meta["epochs"]} epochs',
            logger='current',
        )

    def _path(self, runner: Runner) -> str:
        init_cfg = runner.cfg.model.backbone.get('init_cfg') or {}
        path = init_cfg.get('checkpoint')
        if init_cfg.get('type') != 'Pretrained' or not path:
            raise RuntimeError(
                'transfer refused: the backbone is not told to load '
                'anything. Set model.backbone.init_cfg = '
                "dict(type='Pretrained', checkpoint='backbone.pth'); the "
                f'config has {dict(init_cfg)}. load_from and resume are for '
                'whole detectors'
            )
        if init_cfg.get('prefix'):
            raise RuntimeError(
                f'transfer refused: init_cfg has prefix='
                f'{init_cfg["prefix"]!r}, but backbone files have bare '
                'names: remove it'
            )
        return path

    def _pixels(self, model: Any) -> list[str]:
        """How the detector's input differs from the pretraining's."""
        here = describe_input(model.data_preprocessor)
        here['style'] = describe_backbone(model.backbone)['style']
        problems = []
        for name, value in here.items():
            expected = self._meta[name]
            if expected is None:
                if not self.allow_unknown:
                    problems.append(
                        f'the file does not say its {name}: export it again '
                        f'with --{name.replace("_", "-")}, or set '
                        'allow_unknown=True in the hook'
                    )
            elif not same(value, expected):
                problems.append(
                    f'{name} is {value} here and was {expected} in the '
                    f'pretraining: change {SETTING[name]}'
                )
        return problems

    def _frozen(self, backbone: nn.Module) -> list[str]:
        """What of the backbone would not be trained."""
        if self.allow_frozen:
            return []
        problems = []
        names = [
            n for n, p in backbone.named_parameters() if not p.requires_grad
        ]
        if names:
            problems.append(
                f'{len(names)} parameters of the backbone are frozen '
                f'({names[0]}, ...): set frozen_stages=-1 and '
                'norm_cfg.requires_grad=True, or allow_frozen=True in the hook'
            )
        if getattr(backbone, 'norm_eval', False) and any(
            isinstance(m, _BatchNorm) for m in backbone.modules()
        ):
            problems.append(
                'batch norm of the backbone would run on stored statistics: '
                'set norm_eval=False, or allow_frozen=True in the hook'
            )
        return problems


def unwrapped(runner: Runner) -> Any:
    """The model without its distributed wrapper."""
    model = runner.model
    return model.module if is_model_wrapper(model) else model


def changed_tensors(
    module: nn.Module, expected: dict[str, Tensor]
) -> list[str]:
    """Which tensors of a module are not those of the file."""
    wrong = [
        name
        for name, tensor in module.state_dict().items()
        if not torch.equal(tensor.cpu(), expected[name])
    ]
    if not wrong:
        return []
    return [
        f'{len(wrong)} of {len(expected)} tensors of the backbone are not '
        f'those of the file ({", ".join(wrong[:3])}, ...): something '
        'initialised or loaded over them'
    ]


def same(value: Any, expected: Any) -> bool:
    """Equal, numbers to a hundredth of a grey level."""
    if isinstance(expected, list) and isinstance(value, list):
        pairs = zip(value, expected, strict=True)
        return len(value) == len(expected) and all(
            abs(a - b) < 0.01 for a, b in pairs
        )
    return value == expected
