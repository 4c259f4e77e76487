"""What the documents name exists."""

import ast
import importlib
import inspect
import pkgutil
import re
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import yaml
from image_files import write_noise
from mmengine.runner import Runner
from PIL import Image
from transfer_files import pretraining, trained

import sce_mm
from sce_mm.__main__ import command_files

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ('*.md', 'docs/*.md', 'configs/sce/README.md')
    for path in ROOT.glob(pattern)
    # It quotes messages of other packages.
    if path.name != 'stock_configs.md'
)
# Made by commands, or named as an example.
MADE = ('work_dirs/', 'path/to/', 'data/')


@pytest.mark.parametrize('name', DOCUMENTS)
def test_paths_exist(root, name):
    text = (root / name).read_text()
    # Configs of packages.
    text = re.sub(r'\b\w+::\S+', '', text)
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
    text = (root / name).read_text()
    named = re.findall(r'(?:^|`)make ([a-z-]+)', text, flags=re.MULTILINE)
    assert set(named) <= verbs


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


def slugs(text: str) -> set[str]:
    """Anchors of the headings of a page, as the site and GitHub make them."""
    text = re.sub(r'^```.*?^```', '', text, flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r'^#+ (.*)', text, flags=re.MULTILINE)
    # Of links the text counts.
    titles = [re.sub(r'\[([^]]*)\]\([^)]*\)', r'\1', x) for x in titles]
    words = [re.sub(r'[^\w\s-]', '', x.lower()).strip() for x in titles]
    return {re.sub(r'\s', '-', each) for each in words}


@pytest.mark.parametrize('name', DOCUMENTS)
def test_anchors_exist(root, name):
    text = (root / name).read_text()
    missing = [
        f'{path}#{anchor}'
        for path, anchor in re.findall(r'\]\((?!http)([^)#]*)#([^)]+)\)', text)
        if anchor
        not in slugs(
            ((root / name).parent / path).read_text() if path else text
        )
    ]
    assert not missing


@pytest.mark.parametrize('name', DOCUMENTS)
def test_screen_readers_find_their_way(root, name):
    text = (root / name).read_text()
    bare = re.sub(r'^```.*?^```', '', text, flags=re.DOTALL | re.MULTILINE)
    levels = [len(x) for x in re.findall(r'^(#+) ', bare, flags=re.MULTILINE)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert '![](' not in text


@pytest.mark.parametrize('name', DOCUMENTS)
def test_commands_exist(root, name):
    text = (root / name).read_text()
    named = re.findall(r'(?:^|`|\| )sce ([a-z][\w-]*)', text, re.MULTILINE)
    assert set(named) <= set(command_files())


def test_python_of_the_page_runs(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('work_dirs/run').mkdir(parents=True)
    torch.save(pretraining(trained()), 'work_dirs/run/epoch_200.pth')
    Path('path/to/images').mkdir(parents=True)
    write_noise(Path('path/to/images'), 64)
    Image.open('path/to/images/0.png').save('image.jpg')
    started = []
    monkeypatch.setattr(Runner, 'train', lambda runner: started.append(1))
    text = (root / 'docs/python.md').read_text()
    for code in re.findall(r'```python\n(.*?)```', text, flags=re.DOTALL):
        names = {}
        exec(compile(code, 'docs/python.md', 'exec'), names)
    assert len(started) == 1


def test_messages_of_the_questions_are_those_of_the_code(root):
    """What a heading of docs/faq.md quotes is in some string of the code."""
    strings = []
    for path in (root / 'sce_mm').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [getattr(v, 'value', '') for v in node.values]
                strings.append(''.join(x for x in parts if str(x) == x))
            elif isinstance(node, ast.Constant):
                strings.append(str(node.value))
    # Values that are filled in, such as numbers, do not count.
    known = squeezed(' '.join(strings))
    text = (root / 'docs/faq.md').read_text()
    headings = ' '.join(re.findall(r'^### (.*)', text, flags=re.MULTILINE))
    # Code is quoted from other packages.
    headings = re.sub(r'`[^`]*`', '', headings)
    quoted = re.findall(r'"([^"]+)"', headings)
    assert len(quoted) > 10
    foreign = {'The model and loaded state dict do not match exactly'}
    assert [q for q in set(quoted) - foreign if squeezed(q) not in known] == []


def squeezed(text: str) -> str:
    """Words alone."""
    return ' '.join(re.sub(r'\b[\d,]+\b|[^\w\s]|\bN\b', ' ', text).split())
