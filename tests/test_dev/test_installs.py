"""What an installation carries, in each way of installing."""

import re
import runpy
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest
import setuptools
import yaml
from packaging.requirements import Requirement

import sce_mm
from sce_mm.doctor.packages import PACKAGES
from sce_mm.doctor.version_gate import PRETRAINING

pytestmark = pytest.mark.integration

SHIPPED = (
    'configs/_base_/default_runtime.py',
    'tools/train.py',
    'tools/dist_train.sh',
    'model-index.yml',
)


def tracked(root):
    """Names of the files of a clone, or of an unpacked distribution."""
    if not (root / '.git').exists():
        sources = root / 'sce_mm.egg-info' / 'SOURCES.txt'
        return sources.read_text().splitlines()
    done = subprocess.run(
        ['git', 'ls-files', '-co', '--exclude-standard', '-z'],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split('\0')


@pytest.fixture(scope='module')
def checkout(root, tmp_path_factory):
    """A copy of what git tracks, so that builds leave no trace here."""
    target = tmp_path_factory.mktemp('checkout')
    for name in tracked(root):
        if (root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes((root / name).read_bytes())
    return target


def pip(*words):
    done = subprocess.run(
        [sys.executable, '-m', 'pip', '--no-input', *map(str, words)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


OFFLINE = ('--no-deps', '--no-build-isolation', '--no-index')


def test_wheel_carries_configs_and_tools(checkout, tmp_path):
    (checkout / 'tools' / '__pycache__').mkdir(exist_ok=True)
    (checkout / 'tools' / '__pycache__' / 'train.pyc').touch()
    pip('wheel', *OFFLINE, '-w', tmp_path, checkout)
    (wheel,) = tmp_path.glob('sce_mm-*.whl')
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f'sce_mm/.mim/{name}' for name in SHIPPED} <= names
    assert not any(n.startswith(('tests/', 'configs/')) for n in names)
    assert not any('__pycache__' in n for n in names)
    with zipfile.ZipFile(wheel) as archive:
        (info,) = {
            name.split('/')[0] for name in names if '.dist-info' in name
        }
        commands = archive.read(f'{info}/entry_points.txt').decode()
        page = archive.read(f'{info}/METADATA').decode()
    assert 'sce = sce_mm.__main__:main' in commands
    # README as an index shows it: no link leads into a checkout.
    assert '# sce_mm' in page
    assert not re.findall(r'\]\((?!https?:|#)[^)]+\)', page)
    # What serves only those who work on the code stays out.
    unwanted = ('sce_mm/.mim/tools/demo/', 'sce_mm/.mim/tools/dev/')
    assert not any(n.startswith(unwanted) for n in names)
    # And what is installed from it imports away from the checkout.
    pip('install', *OFFLINE, '--target', tmp_path / 'site', wheel)
    code = 'import sce_mm; print(sce_mm.__file__)'
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={'PYTHONPATH': str(tmp_path / 'site')},
    )
    assert str(tmp_path / 'site') in done.stdout, done.stderr
    mim = tmp_path / 'site' / 'sce_mm' / '.mim'
    assert all((mim / name).is_file() for name in SHIPPED)


def test_editable_install_links_configs_and_tools(checkout, tmp_path):
    pip('install', *OFFLINE, '--target', tmp_path, '-e', checkout)
    mim = checkout / 'sce_mm' / '.mim'
    assert all((mim / name).is_file() for name in SHIPPED)
    assert (mim / 'configs').is_symlink()


def test_strict_editable_install_carries_them_too(checkout, tmp_path):
    # It links each file that a wheel would hold, and no other.
    strict = ('--config-settings', 'editable_mode=strict')
    pip('install', *OFFLINE, *strict, '--target', tmp_path, '-e', checkout)
    (tree,) = checkout.glob('build/__editable__*/sce_mm')
    assert all((tree / '.mim' / name).is_file() for name in SHIPPED)


def test_source_distribution_has_its_tests_and_is_enough_for_a_wheel(
    checkout, tmp_path
):
    code = (
        'from setuptools import build_meta as b; import sys;'
        'b.build_sdist(sys.argv[1])'
    )
    done = subprocess.run(
        [sys.executable, '-c', code, str(tmp_path)],
        cwd=checkout,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (sdist,) = tmp_path.glob('sce_mm-*.tar.gz')
    with tarfile.open(sdist) as archive:
        names = {name.partition('/')[2] for name in archive.getnames()}
    tests = (checkout / 'tests').rglob('*.*')
    tests = {str(path.relative_to(checkout)) for path in tests}
    assert {name for name in tests if 'cache' not in name} <= names
    assert names >= {
        *('README.md', 'CHANGELOG.md', 'CITATION.cff', 'LICENSE'),
        *('docs/running.md', 'docs/images/demo_scenes.png'),
        *('Makefile', 'requirements/constraints.txt', '.ci/run'),
    }
    pip('wheel', *OFFLINE, '-w', tmp_path, sdist)
    (wheel,) = tmp_path.glob('sce_mm-*.whl')
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f'sce_mm/.mim/{name}' for name in SHIPPED} <= names


def test_this_installation_has_its_configs(root):
    mim = Path(sce_mm.__file__).parent / '.mim'
    if (root / 'PKG-INFO').exists() and not mim.exists():
        pytest.skip('a source distribution that is not installed')
    assert all((mim / name).is_file() for name in SHIPPED)


def test_the_citation_names_this_version(checkout):
    citation = yaml.safe_load((checkout / 'CITATION.cff').read_text())
    assert citation['version'] == sce_mm.__version__


def test_links_of_the_readme_lead_to_the_repository(checkout, monkeypatch):
    monkeypatch.setattr(setuptools, 'setup', lambda **options: None)
    describe = runpy.run_path(str(checkout / 'setup.py'))['description']
    text = 'a [page](docs/a.md) of [SCE](https://arxiv.org) ![b](docs/b.png)'
    assert describe(text, '') == 'a page of [SCE](https://arxiv.org) '
    assert describe(text, 'https://host/me') == (
        'a [page](https://host/me/blob/HEAD/docs/a.md) of '
        '[SCE](https://arxiv.org) ![b](https://host/me/raw/HEAD/docs/b.png)'
    )


def test_mim_finds_once_what_it_looks_up():
    mim = Path(sce_mm.__file__).parent / '.mim'
    index = yaml.safe_load((mim / 'model-index.yml').read_text())
    models = [
        model
        for path in index['Import']
        for model in yaml.safe_load((mim / path).read_text())['Models']
    ]
    assert len(models) > 10
    assert all((mim / model['Config']).is_file() for model in models)
    # It looks for the name of a file in all folders.
    names = [path.name for path in (mim / 'configs').rglob('*.py')]
    assert all(names.count(Path(m['Config']).name) == 1 for m in models)


def test_the_extras_are_what_the_gate_asks_for():
    extras: dict[str, set[str]] = {}
    for line in requires('sce_mm'):
        requirement = Requirement(line)
        name = str(requirement.marker or '').removeprefix('extra == ')
        wanted = f'{requirement.name}{requirement.specifier}'
        extras.setdefault(name.strip('"'), set()).add(wanted)
    for family in ('onedl', 'upstream'):
        extra = extras['onedl' if family == 'onedl' else 'openmmlab']
        for name in PRETRAINING:
            package = PACKAGES[name]
            named = {'onedl': package.onedl, 'upstream': package.upstream[-1]}
            assert named[family] in {Requirement(x).name for x in extra}
        # An extra is enough: it brings torch, and leaves one that is there.
        assert {'torch', 'torchvision'} <= {Requirement(x).name for x in extra}
    # Nothing of either family comes unasked.
    families = {p.onedl for p in PACKAGES.values()} | {'torch', 'torchvision'}
    families |= {name for p in PACKAGES.values() for name in p.upstream}
    assert not families & {Requirement(x).name for x in extras['']}


def test_pretraining_does_not_import_detection():
    code = (
        "import sys; sys.modules['mmdet'] = None; sys.modules['mmcv.ops'] ="
        ' None; import sce_mm; print(sorted(m for m in sys.modules if'
        " m.startswith(('mmdet.', 'mmcv.ops.'))))"
    )
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code],
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1] == '[]', done.stdout + done.stderr
