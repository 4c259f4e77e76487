"""What the documents name exists."""

import re
import subprocess

import pytest

DOCUMENTS = [
    'README.md',
    'CONTRIBUTING.md',
    'docs/method.md',
    'configs/sce/README.md',
]
# Made by commands, or named as an example.
MADE = ('work_dirs/', 'path/to/', 'data/')


@pytest.mark.parametrize('name', DOCUMENTS)
def test_paths_exist(root, name):
    text = (root / name).read_text()
    inside = re.findall(r'[\w.-]+(?:/[\w.*-]+)+\.(?:py|sh|md|png|yml)', text)
    inside += re.findall(r'\]\((?!http)([^)#]+)\)', text)
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


def test_functions_of_the_method_exist(root):
    text = (root / 'docs' / 'method.md').read_text()
    code = subprocess.run(
        ['git', 'grep', '-hE', '^ *(def|class) ', '--', 'sce_mm'],
        cwd=root,
        capture_output=True,
        text=True,
    ).stdout
    table = text[: text.index('## One vector')]
    for name in re.findall(r'`([\w.]+)`(?:, `[\w.]+`)* \|', table):
        last = name.rsplit('.', 1)[-1]
        assert re.search(rf'\b{last}\b', code) or last in (
            'target_temperature',
            'coeff',
            'temperature',
            'ceiling_weight',
            'relation_weight',
            'num_target_views',
            'momentum',
            'length',
        ), name


@pytest.mark.parametrize('name', DOCUMENTS)
def test_no_machine_is_named(root, name):
    text = (root / name).read_text()
    assert not re.search(r'(^|[\s(`])/(root|home|tmp|work)/', text)
