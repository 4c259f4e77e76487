"""Say what the makers of configs do with each config of mmdet and mmseg.

    python tools/dev/stock_configs.py docs/stock_configs.md

Goes over all configs that the installed mmdet and mmseg come with. For each
that has a ResNet it writes a backbone file of the same depth, makes the config
for it, builds the model, initialises it, and compares it with the file as
VerifyTransferHook does. What is refused is listed with its sentence. Exits
with 1 if a config is neither made right nor refused.
"""

import argparse
import contextlib
import copy
import importlib
import io
import json
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

# Arguments are read before the imports that take seconds.
__starts_light__ = True

import sce_mm
from sce_mm.cli.arguments import ArgumentParser
from sce_mm.cli.exit import run_main

if TYPE_CHECKING:
    from mmengine.config import Config

    from sce_mm.downstream import BackboneFile, ConfigEdits

DEPTHS = (18, 34, 50, 101, 152)
METADATA = {
    'method': 'SCE',
    'channel_order': 'rgb',
    'mean': [123.675, 116.28, 103.53],
    'std': [58.395, 57.12, 57.375],
    'style': 'pytorch',
}
HEADER = """# Stock configs

What `sce detector` does with each config that mmdet comes with, and
`sce segmentor` with each of mmseg, as written by
`tools/dev/stock_configs.py docs/stock_configs.md`.

Each was given a backbone file of a ResNet of its own depth, or of a ResNet-50
where it has none.

- *Made and verified*: the config was written, its model built and initialised,
  and compared as `VerifyTransferHook` compares before the first iteration.
  Each tensor of the file is in the model, pixels and strides are those of the
  pretraining, nothing is frozen, and no learning rate is zero. *Without a new
  norm* names parts that the command lists under "Left as it is".
- *Needs weights of* another network: the config has that network, and a file
  of a ResNet does not fit. Pretrain that network
  ([detection.md](detection.md#swin-convnext-vision-transformer)), or put a
  ResNet in its place; for a detector the message often has the lines. This
  page tries no weights of these networks.
- *Refused*: for another reason; the number is that of the sentence below the
  list.

Nothing was trained here; what was is in [detection.md](detection.md).

"""
# What a ResNet's file is refused with where the network is another one.
OTHER_NETWORK = (
    re.compile(
        r'model\.backbone is an? (?P<here>[\w-]+), '
        r'and the weights are of an? \w+'
    ),
    re.compile(
        r'the weights \((?P<file>\w+)-\d+\) do not fit model\.backbone '
        r'\((?!(?P=file)-)(?P<here>[\w-]+)\)'
    ),
)
# Depends on the number of GPUs, which is the user's.
OF_THE_GPUS = re.compile(r'\d+ iterations of \d+ images see ')


class Outcome(NamedTuple):
    """What becomes of a config.

    Attributes:
        config: ``package::path``, as the commands take it.
        refused: The sentence, empty if the config was made.
        left: What was left as it is.
        failed: What the verification found, or the error, one a line.
    """

    config: str
    refused: str = ''
    left: tuple[str, ...] = ()
    failed: str = ''


class Walk:
    """Make the configs of a package, one after the other.

    Args:
        package: Package with configs, ``mmdet``.
        folder: Where files of weights and configs are written.
    """

    def __init__(self, package: str, folder: Path) -> None:
        self.package = package
        self.folder = folder
        origin = str(importlib.import_module(package).__file__)
        self.root = Path(origin).with_name('.mim') / 'configs'
        self.files: dict[int, BackboneFile] = {}

    def configs(self) -> list[str]:
        """``package::path`` of all but those that only others inherit."""
        paths = [p.relative_to(self.root) for p in self.root.rglob('*.py')]
        return sorted(
            f'{self.package}::{path.as_posix()}'
            for path in paths
            if '_base_' not in path.parts
        )

    def outcome(self, config: str) -> Outcome:
        """Make a config, named ``package::path``, and verify it."""
        from sce_mm.downstream import load_base, write_config
        from sce_mm.utils.errors import UserError

        try:
            cfg, base = load_base(config)
            file = self.file_for(cfg)
            edits = self.adapt(config, cfg, file)
            out = self.folder / 'made.py'
            write_config(edits, base, file.path, out, config)
        except (UserError, OSError) as error:
            text = ' '.join(str(error).split())
            return Outcome(config, text.replace(f'{self.root}/', ''))
        except Exception as error:
            return Outcome(config, failed=f'{type(error).__name__}: {error}')
        failed = '\n'.join(_verify(edits.cfg, file))
        left = dict.fromkeys(edits.notes)
        return Outcome(config, left=tuple(left), failed=failed)

    def adapt(
        self, config: str, cfg: 'Config', file: 'BackboneFile'
    ) -> 'ConfigEdits':
        """Change a config, if possible without memory for its model."""
        import torch

        from sce_mm.config.rate_batch import batch_of_rate

        if self.package == 'mmseg':
            from sce_mm.segmentation.segmentor import adapt as adapt_segmentor

            rate_batch = batch_of_rate(config, cfg)
            adapt = partial(adapt_segmentor, rate_batch=rate_batch)
        else:
            from sce_mm.detection.adapt import adapt as adapt_detector

            adapt = partial(adapt_detector, processes=8)
        try:
            with _quiet(), torch.device('meta'):
                return adapt(cfg, file)[0]
        except Exception as error:
            if 'meta tensor' not in str(error):
                raise
        with _quiet(), _constants():
            return adapt(cfg, file)[0]

    def file_for(self, cfg: 'Config') -> 'BackboneFile':
        """A file of the depth of a config, ResNet-50 if it has none."""
        backbone = (cfg.get('model') or {}).get('backbone')
        depth = backbone.get('depth') if isinstance(backbone, dict) else 50
        depth = depth if depth in DEPTHS else 50
        if depth not in self.files:
            self.files[depth] = _write_file(depth, self.folder)
        return self.files[depth]


def _write_file(depth: int, folder: Path) -> 'BackboneFile':
    """Write a ResNet whose tensors are constants, each one of its own."""
    import torch
    from mmpretrain.models import ResNet

    from sce_mm.downstream import BackboneFile
    from sce_mm.transfer import Backbone, extract_backbone, save_backbone

    with _constants():
        network = ResNet(depth)
    weights = {
        name: torch.full(tensor.shape, index + 2, dtype=tensor.dtype)
        for index, (name, tensor) in enumerate(network.state_dict().items())
    }
    backbone = extract_backbone(weights)
    backbone = Backbone(backbone.weights, backbone.meta | METADATA)
    path = folder / f'resnet{depth}.pth'
    save_backbone(path, backbone)
    return BackboneFile(path, backbone)


def _verify(cfg: 'Config', file: 'BackboneFile') -> Iterator[str]:
    """Build the model of a config as a training would; yield problems."""
    from mmengine.registry import MODELS, DefaultScope

    from sce_mm.transfer.verify.verify import (
        VerifyOptions,
        parameter_groups,
        verify_transfer,
    )

    scope = cfg.default_scope
    with _quiet(), DefaultScope.overwrite_default_scope(scope):
        model_cfg = copy.deepcopy(cfg.model)
        preprocessor = MODELS.build(model_cfg.pop('data_preprocessor'))
        with _constants():
            model = MODELS.build(model_cfg)
            model.init_weights()
        model.data_preprocessor = preprocessor
        try:
            groups = parameter_groups(model, cfg.optim_wrapper)
            options = VerifyOptions()
            result = verify_transfer(
                model, file.backbone, cfg, groups, options
            )
        except ValueError as error:
            yield str(error)
        else:
            yield from result.problems


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what packages print and log."""
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)


def _constants() -> Any:
    """Initialise by a constant where random numbers would be drawn.

    Only what comes from the file is looked at, and drawing the rest would
    take most of the time.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    names = ('kaiming_', 'normal_', 'trunc_', 'uniform_', 'xavier_')

    class Constants(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            kwargs = kwargs or {}
            if not func.__name__.startswith(names):
                return func(*args, **kwargs)
            tensor = args[0] if args else kwargs['tensor']
            with torch.no_grad():
                return tensor.fill_(0.01)

    return Constants()


def other_network(refused: str) -> str:
    """The network whose weights a refused config needs, or an empty text."""
    found = filter(None, (each.match(refused) for each in OTHER_NETWORK))
    return next((match['here'] for match in found), '')


def reason(outcome: Outcome) -> str:
    """The sentence of a refusal, the same for all configs that share it."""
    config = re.escape(outcome.config)
    return re.sub(rf'{config}(?=: )', 'the config', outcome.refused)


def outcome_text(outcome: Outcome, sentences: list[str]) -> str:
    """What became of a config, in a few words.

    Args:
        outcome: Outcome of the config.
        sentences: Reasons of refusals; a text gives the number of one.
    """
    if network := other_network(outcome.refused):
        return f'needs weights of {network}'
    if outcome.refused:
        return f'refused ({sentences.index(reason(outcome)) + 1})'
    notes = [n for n in outcome.left if not OF_THE_GPUS.match(n)]
    parts = [n.removesuffix(' has no norm') for n in notes]
    if parts:
        return f'made and verified, without a new norm: {", ".join(parts)}'
    return 'made and verified'


def section(package: str, outcomes: list[Outcome]) -> str:
    """The outcomes of a package, as Markdown."""
    version = importlib.import_module(package).__version__
    needing = [o for o in outcomes if other_network(o.refused)]
    refused = [o for o in outcomes if o.refused and o not in needing]
    reasons = [reason(o) for o in refused]
    sentences = list(dict.fromkeys(reasons))
    folders: dict[str, dict[str, list[str]]] = {}
    for outcome in outcomes:
        folder, _, name = outcome.config.rpartition('/')
        text = outcome_text(outcome, sentences)
        members = folders.setdefault(folder, {}).setdefault(text, [])
        members.append(name.removesuffix('.py'))
    made = len(outcomes) - len(needing) - len(refused)
    lines = [
        f'## {package} {version}',
        '',
        f'{len(outcomes)} configs: {made} made and verified, {len(needing)} '
        f'need weights of another network, {len(refused)} refused.',
        '',
    ]
    for folder, texts in folders.items():
        lines.append(f'- **{folder}**')
        for text, names in texts.items():
            # Names may have underscores at their ends, which is emphasis.
            code = ', '.join(f'`{name}`' for name in names)
            lines.append(f'    - {text}: {code}')
    lines += ['', 'The sentences, with the number of configs:', '']
    for number, sentence in enumerate(sentences, 1):
        lines.append(f'{number}. ({reasons.count(sentence)}) {sentence}')
    return '\n'.join(lines) + '\n'


def register() -> list[str]:
    """Register what configs name; packages with configs that are installed."""
    # Models that load language models would ask for them for minutes.
    os.environ['HF_HUB_OFFLINE'] = '1'
    sce_mm.register()
    packages = [p for p in ('mmdet', 'mmseg') if find_spec(p)]
    for package in packages:
        room = {'mmdet': 'detection', 'mmseg': 'segmentation'}[package]
        importlib.import_module(f'sce_mm.{room}')
        utils = importlib.import_module(f'{package}.utils')
        utils.register_all_modules(init_default_scope=False)
    return packages


def _read(path: Path | None) -> dict[str, Outcome]:
    """Outcomes of a walk that was interrupted, by config."""
    if path is None or not path.exists():
        return {}
    lines = map(json.loads, path.read_text().splitlines())
    return {
        config: Outcome(config, refused, tuple(left), failed)
        for config, refused, left, failed in lines
    }


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser(__doc__)
    parser.add_argument('page', type=Path, help='Markdown file to write')
    parser.add_argument(
        '--outcomes', type=Path, metavar='FILE',
        help='file of outcomes, a line each: those in it are taken from it, '
        'all others added, so that a walk goes on where it was interrupted',
    )  # fmt: skip
    parser.add_argument(
        '--configs', nargs='+', default=[], metavar='WORD',
        help='only configs with one of these words in their path',
    )  # fmt: skip
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    packages = register()
    known = _read(args.outcomes)
    sections = []
    with tempfile.TemporaryDirectory() as folder:
        for package in packages:
            walk = Walk(package, Path(folder))
            names = [
                name
                for name in walk.configs()
                if not args.configs or any(w in name for w in args.configs)
            ]
            for name in names:
                if name in known:
                    continue
                known[name] = outcome = walk.outcome(name)
                text = outcome.failed or outcome.refused or 'made and verified'
                print(f'{name}: {text}', flush=True)
                if args.outcomes:
                    with args.outcomes.open('a') as file:
                        file.write(json.dumps(outcome) + '\n')
            sections.append(section(package, [known[n] for n in names]))
    args.page.write_text(HEADER + '\n'.join(sections))
    outcomes = known.values()
    if failed := [o for o in outcomes if o.failed]:
        lines = ''.join(f'\n  {o.config}: {o.failed}' for o in failed)
        sys.exit(
            f'{len(failed)} configs are neither right nor refused:{lines}'
        )


if __name__ == '__main__':
    run_main(main)
