"""Packaging: what `mim` needs travels in `sce_mm/.mim`."""

import os
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.egg_info import egg_info

ROOT = Path(__file__).parent
MIM = ROOT / 'sce_mm' / '.mim'
SHIPPED = ('configs', 'tools', 'model-index.yml')


def link_mim() -> None:
    """Point `sce_mm/.mim` of this checkout at its configs and tools."""
    MIM.mkdir(exist_ok=True)
    for name in SHIPPED:
        target = MIM / name
        if target.is_symlink() or target.is_file():
            target.unlink()
        elif target.is_dir():
            shutil.rmtree(target)
        target.symlink_to(os.path.relpath(ROOT / name, MIM))


class EggInfo(egg_info):
    """Runs in every build, editable ones included."""

    def run(self) -> None:
        # A source distribution unpacked elsewhere has copies in place.
        if (ROOT / 'configs').is_dir():
            link_mim()
        super().run()


class BuildPy(build_py):
    """Copies what the links point at into a wheel."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        built = Path(self.build_lib) / 'sce_mm' / '.mim'
        for name in SHIPPED:
            source, target = ROOT / name, built / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(
                    source,
                    target,
                    dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns('__pycache__'),
                )
            else:
                shutil.copyfile(source, target)


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
    'openmmlab': [*OPENMMLAB, 'mmcv-lite>=2.1,<2.3'],
    'openmmlab-det': [*OPENMMLAB, 'mmcv>=2.1,<2.2', 'mmdet>=3.3'],
    'demo': ['matplotlib', 'mlxtend', 'scikit-image', 'scikit-learn'],
    'dev': ['mypy', 'pytest', 'ruff', 'scikit-learn'],
}

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
    cmdclass={'egg_info': EggInfo, 'build_py': BuildPy},
    zip_safe=False,
)
