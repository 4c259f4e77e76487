"""Name the commands of the project as this user types them.

Messages and help name a command as ``sce extract``. Who has started a script
of ``tools`` or ``python -m sce_mm`` reads it as he would type it.
"""

import re
import shlex
import sys
from pathlib import Path

# The script of each command, from the root of the checkout.
SCRIPTS = {
    'train': 'tools/train.py',
    'test': 'tools/test.py',
    'compare': 'tools/compare.py',
    'verify': 'tools/verify_transfer.py',
    'detector': 'tools/make_detection_config.py',
    'segmentor': 'tools/make_segmentation_config.py',
    'extract': 'tools/model_converters/extract_backbone.py',
    'export': 'tools/model_converters/export_backbone.py',
    'estimate': 'tools/analysis_tools/estimate.py',
    'profile': 'tools/analysis_tools/profile_step.py',
    'replay': 'tools/analysis_tools/replay_batch.py',
    'knn': 'tools/benchmarks/knn.py',
    'linear-probe': 'tools/benchmarks/linear_probe.py',
    'linear-transfer': 'tools/benchmarks/linear_transfer.py',
    'svm': 'tools/benchmarks/svm.py',
    'sweep': 'tools/benchmarks/sweep.py',
    'neighbours': 'tools/visualization/neighbours.py',
    'embed': 'tools/visualization/embed.py',
    'cache': 'tools/dataset_converters/cache_images.py',
    'coco-subset': 'tools/dataset_converters/coco_subset.py',
    'voc-to-coco': 'tools/dataset_converters/voc_to_coco.py',
    'imagenet-subset': 'tools/dataset_converters/imagenet_subset.py',
    'tiny-imagenet': 'tools/dataset_converters/tiny_imagenet.py',
}
# What the first word of the command line is after ``python -m sce_mm``.
MODULE = 'python -m sce_mm'
# A command's name, not the word in a sentence on the method.
_NAMED = re.compile(r'(?<![\w/.-])sce (?=[a-z][a-z-]+)([a-z-]+)')


def from_here(path: Path) -> Path:
    """A path relative to the current folder, if it lies there.

    >>> from_here(Path.cwd() / 'work_dirs' / 'run')
    PosixPath('work_dirs/run')
    >>> from_here(Path('/elsewhere/run'))
    PosixPath('/elsewhere/run')
    """
    here = Path.cwd()
    whole = here / path
    return whole.relative_to(here) if whole.is_relative_to(here) else path


def as_typed(text: str) -> str:
    """A text that names commands, for the user of this process.

    >>> as_typed('sce extract CKPT OUT writes a file')
    'sce extract CKPT OUT writes a file'
    """
    program = sys.argv[0]
    if program.startswith(f'{MODULE} '):
        return _NAMED.sub(rf'{MODULE} \1', text)
    # mim runs the scripts that lie in the package.
    script = next(
        (s for s in SCRIPTS.values() if Path(program).match(s)), None
    )
    if '.mim' in Path(program).parts or script is None:
        return text
    # The root of the checkout, as it was typed.
    root = program.removesuffix(script)
    return _NAMED.sub(
        lambda found: (
            f'python {shlex.quote(root + SCRIPTS[found[1]])}'
            if found[1] in SCRIPTS
            else f'{MODULE} {found[1]}'
        ),
        text,
    )
