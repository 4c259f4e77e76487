"""What `pyproject.toml` cannot say: links for `mim`, and those of README."""

import os
import re
import shutil
import tomllib
from pathlib import Path

from setuptools import setup

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


def description(readme: str, source: str) -> str:
    """README for the page of the package, where relative links lead nowhere.

    They lead to ``source``, the address of the repository. Without one, links
    become their text and images are left out.
    """
    image = re.compile(r'!\[([^]]*)\]\((?!\w+:)([^)]+)\)')
    link = re.compile(r'(?<!!)\[([^]]*)\]\((?!\w+:|#)([^)]+)\)')
    if source:
        readme = image.sub(rf'![\1]({source}/raw/HEAD/\2)', readme)
        return link.sub(rf'[\1]({source}/blob/HEAD/\2)', readme)
    return link.sub(r'\1', image.sub('', readme))


link_mim()
project = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
setup(
    long_description=description(
        (ROOT / 'README.md').read_text(encoding='utf-8'),
        project['urls'].get('Source', ''),
    ),
    long_description_content_type='text/markdown',
)
