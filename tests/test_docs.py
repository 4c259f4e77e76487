"""What the documents name exists."""

import importlib
import inspect
import pkgutil
import re

import pytest
import yaml

import sce_mm

DOCUMENTS = [
    'README.md',
    'CHANGELOG.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    'docs/architecture.md',
    'docs/method.md',
    'docs/convert.md',
    'docs/reproduce.md',
    'docs/datasets.md',
    'docs/evaluation.md',
    'docs/detection.md',
    'docs/benchmarks.md',
    'docs/running.md',
    'docs/segmentation.md',
    'docs/transfer.md',
    'configs/sce/README.md',
]
# Made by commands, or named as an example.
MADE = ('work_dirs/', 'path/to/', 'data/')


@pytest.mark.parametrize('name', DOCUMENTS)
def test_paths_exist(root, name):
    text = (root / name).read_text()
    # Configs that packages come with.
    text = re.sub(r'\b\w*mm\w*::\S+', '', text)
    inside = re.findall(r'[\w.-]+(?:/[\w.*-]+)+\.(?:py|sh|md|png|yml)', text)
    inside += re.findall(r'\]\((?!http)([^)#]+)', text)
    # Rooms are named without a file.
    inside += re.findall(r'`(sce_mm(?:/\w+)+)`', text)
    missing = {
        path
        for path in inside
        if not path.startswith(MADE)
        and not (root / path).exists()
        and not ((root / name).parent / path).exists()
    }
    assert not missing


@pytest.mark.parametrize('name', DOCUMENTS)
def test_make_verbs_exist(root, name):
    makefile = (root / 'Makefile').read_text()
    verbs = set(re.findall(r'^([a-z-]+):', makefile, flags=re.MULTILINE))
    named = set(re.findall(r'\bmake ([a-z-]+)', (root / name).read_text()))
    assert named - verbs <= {'sure'}


def test_the_workflow_runs_the_test_command_of_the_readme(root):
    assert 'make test' in (root / 'README.md').read_text()
    assert '\nmake test\n' in (root / '.ci' / 'run').read_text()
    folder = root / '.github' / 'workflows'
    workflow = yaml.safe_load((folder / 'test.yml').read_text())
    jobs = workflow['jobs']
    assert {'run': 'make test'} in jobs['default']['steps']
    makefile = (root / 'Makefile').read_text()
    for case in jobs['columns']['strategy']['matrix']['include']:
        assert f'\n{case["verb"]}:' in makefile


def test_functions_and_arguments_of_the_method_exist(root):
    text = (root / 'docs' / 'method.md').read_text()
    table = text[: text.index('## One vector')]
    rows = [line.split('|')[2:4] for line in table.splitlines() if '|' in line]
    names = re.findall(
        r'`([\w.]+)`', ' '.join(cell for r in rows for cell in r)
    )
    assert len(names) > 20
    defined = {}
    for module in pkgutil.walk_packages(sce_mm.__path__, 'sce_mm.'):
        # They need mmdet and mmseg.
        if module.name.split('.')[1] not in ('detection', 'segmentation'):
            defined |= vars(importlib.import_module(module.name))
    for name in names:
        owner, _, member = name.partition('.')
        assert owner in defined, name
        assert (
            not member
            or hasattr(defined[owner], member)
            or member in inspect.signature(defined[owner]).parameters
        ), name


@pytest.mark.parametrize('name', DOCUMENTS)
def test_no_machine_is_named(root, name):
    text = (root / name).read_text()
    assert not re.search(r'(^|[\s(`])/(root|home|tmp|work)/', text)
