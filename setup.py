"""Packaging: configs and tools go into `sce_mm/.mim`, where `mim` looks."""

import os
import shutil
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
MIM = ROOT / 'sce_mm' / '.mim'


def link_mim() -> None:
    """Point `sce_mm/.mim` at the configs and tools of this checkout.

    Done whenever this file runs: which command a build goes through differs
    with pip, setuptools and the kind of installation. Editable ones keep the
    links; wheels copy what they point at, as package data.
    """
    MIM.mkdir(exist_ok=True)
    for name in ('configs', 'tools', 'model-index.yml'):
        target = MIM / name
        if target.is_symlink() or target.is_file():
            target.unlink()
        elif target.is_dir():
            shutil.rmtree(target)
        target.symlink_to(os.path.relpath(ROOT / name, MIM))


def version() -> str:
    namespace: dict[str, str] = {}
    exec((ROOT / 'sce_mm' / 'version.py').read_text(), namespace)
    return namespace['__version__']


ONEDL = [
    'onedl-mmengine>=0.10.12',
    'onedl-mmcv>=2.3',
    'onedl-mmpretrain>=1.3.5',
]
OPENMMLAB = ['mmengine>=0.10.5,<1', 'mmpretrain>=1.2', 'setuptools<82']
EXTRAS = {
    # Two families own the same import names: take one.
    'onedl': ONEDL,
    'onedl-det': [*ONEDL, 'onedl-mmdetection>=3.5'],
    'onedl-seg': [*ONEDL, 'onedl-mmsegmentation>=1.4'],
    'openmmlab': [*OPENMMLAB, 'mmcv-lite>=2.1,<2.3'],
    'openmmlab-det': [*OPENMMLAB, 'mmcv>=2.1,<2.2', 'mmdet>=3.3'],
    'openmmlab-seg': [
        *OPENMMLAB,
        'mmcv>=2.1,<2.2',
        'mmsegmentation>=1.2',
        'ftfy',
        'regex',
    ],
    'coco': ['faster-coco-eval'],
    'demo': ['matplotlib', 'mlxtend', 'scikit-image', 'scikit-learn'],
    'export': ['onnx', 'onnxruntime', 'safetensors', 'timm'],
    'dev': ['mypy', 'pytest', 'pytest-xdist', 'ruff', 'scikit-learn'],
}

link_mim()
setup(
    name='sce_mm',
    version=version(),
    description='SCE self-supervised pretraining for OpenMMLab detectors',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=['sce_mm', 'sce_mm.*']),
    install_requires=['numpy', 'packaging', 'pillow', 'tensorboard'],
    extras_require=EXTRAS,
    package_data={'sce_mm': ['.mim/**/*']},
    exclude_package_data={
        'sce_mm': [
            '.mim/**/__pycache__/*',
            # For those who work on the code.
            '.mim/tools/demo/*',
            '.mim/tools/dev/*',
        ]
    },
    zip_safe=False,
)
