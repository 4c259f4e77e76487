"""The stages of the demo: which commands, with which arguments."""

from pathlib import Path

from sce_mm.utils.option_values import as_word
from sce_mm.utils.run_commands import Command

CONFIGS = Path('configs/demo')
PRETRAINING = CONFIGS / 'sce_resnet18_demo.py'
DETECTORS = {
    'sce': CONFIGS / 'mask-rcnn_r18-sce-pre_fpn_demo.py',
    'scratch': CONFIGS / 'mask-rcnn_r18-scratch_fpn_demo.py',
}
SEGMENTORS = {
    'sce': CONFIGS / 'upernet_r18-sce-pre_demo.py',
    'scratch': CONFIGS / 'upernet_r18-scratch_demo.py',
}
FAST_PRETRAINING = ('train_cfg.max_epochs=2', 'train_dataloader.batch_size=32')
# Of detectors and segmentors.
FAST_TRAINING = (
    'train_cfg.max_epochs=2',
    'train_cfg.val_interval=2',
    'param_scheduler.0.end=1',
    'param_scheduler.1.begin=1',
    'param_scheduler.1.end=2',
    'default_hooks.checkpoint.interval=2',
)


class Demo:
    """The stages, each made of commands of the project.

    All results are below ``out``; ``fast`` takes tiny amounts, to check that
    the demo runs, and ``segmentation`` trains segmentors as well.
    """

    def __init__(
        self, out: Path, seed: int, fast: bool, segmentation: bool
    ) -> None:
        self.out = out
        self.seed = seed
        self.fast = fast
        self.data = out / 'data'
        self.work = out / 'sce'
        self.backbone = out / 'backbone.pth'
        self.stages = [
            ('make the data', self.make_data),
            ('pretrain SCE', self.pretrain),
            ('measure the features', self.measure),
            ('extract the backbone', self.extract),
            ('train Mask R-CNN twice, side by side', self.detect),
            ('write the report', self.report),
        ]
        if segmentation:
            stage = ('train UPerNet twice, side by side', self.segment)
            self.stages.insert(-1, stage)
        # Folders that the stages make.
        trained = [
            f'{kind}_{name}'
            for kind in ('detector', 'segmentor', 'segmented')
            for name in DETECTORS
        ]
        self.made = ['data', 'logs', 'sce', *trained]

    def make_data(self) -> list[Command]:
        words = [self.data, '--seed', self.seed, *['--fast'] * self.fast]
        return [Command('tools/demo/make_data.py', words)]

    def pretrain(self) -> list[Command]:
        options = [
            as_word(
                'train_dataloader.dataset.data_root', self.data / 'unlabelled'
            ),
            *self.labelled(),
            *(FAST_PRETRAINING if self.fast else ()),
        ]
        return [training(PRETRAINING, self.work, options, 2)]

    def labelled(self) -> list[str]:
        """Seed, and where the tiles of the kNN evaluation are."""
        hook = 'default_hooks.online_knn'
        return [f'randomness.seed={self.seed}'] + [
            as_word(f'{hook}.{part}.dataset.data_root', self.data / 'knn')
            for part in ('bank', 'query')
        ]

    def measure(self) -> list[Command]:
        words = [PRETRAINING, self.checkpoint(), '--random-init']
        words += ['--cfg-options', *self.labelled(), '--overwrite', '--out']
        return [
            Command(f'sce {name}', [*words, self.out / file])
            for name, file in (
                ('knn', 'knn.json'),
                ('linear-probe', 'linear_probe.json'),
            )
        ]

    def checkpoint(self) -> Path:
        """The last checkpoint of the pretraining."""
        return Path((self.work / 'last_checkpoint').read_text().strip())

    def extract(self) -> list[Command]:
        words = [self.checkpoint(), self.backbone, '--overwrite']
        return [Command('sce extract', words)]

    def detect(self) -> list[Command]:
        file = self.data / 'scenes' / 'val.json'
        labels = as_word('val_evaluator.ann_file', file)
        prefix = 'val_evaluator.outfile_prefix'
        return [
            self.train(
                config,
                f'detector_{name}',
                [labels, as_word(prefix, self.out / name)],
            )
            for name, config in DETECTORS.items()
        ]

    def segment(self) -> list[Command]:
        key = 'val_evaluator.output_dir'
        return [
            self.train(
                config,
                f'segmentor_{name}',
                [as_word(key, self.out / f'segmented_{name}')],
            )
            for name, config in SEGMENTORS.items()
        ]

    def train(self, config: Path, name: str, options: list[str]) -> Command:
        """Train on the scenes, from the backbone if the name says so."""
        scenes = f'{self.data / "scenes"}/'
        weights = as_word('model.backbone.init_cfg.checkpoint', self.backbone)
        options = [
            as_word('train_dataloader.dataset.data_root', scenes),
            as_word('val_dataloader.dataset.data_root', scenes),
            *options,
            f'randomness.seed={self.seed}',
            *(FAST_TRAINING if self.fast else ()),
            *([weights] if name.endswith('_sce') else ()),
        ]
        return training(config, self.out / name, options, 1)

    def report(self) -> list[Command]:
        return [Command('tools/demo/report.py', [self.out])]


def training(
    config: Path, work_dir: Path, options: list[str], threads: int
) -> Command:
    words = [config, '--work-dir', work_dir, '--cfg-options', *options]
    return Command('sce train', words, work_dir.name, threads)


def expectation(bfloat16: bool) -> str:
    """What to expect of a processor, for the console and the page."""
    if bfloat16:
        return (
            'SCE is trained in bfloat16, as for the numbers in README: about '
            '9 minutes in all on two cores'
        )
    return (
        'This processor has no bfloat16, so SCE is trained in float32: about '
        '16 minutes in all on two cores, and other numbers than those in '
        'README. The installation is as it should be'
    )
