"""Options that a message advises exist in the tool that prints it."""

import ast
import re
import runpy
import sys

import pytest
import torch
from transfer_files import trained

from sce_mm.transfer import CheckpointError, extract_backbone, read_checkpoint
from sce_mm.transfer.architecture import architecture_of
from sce_mm.transfer.resnet import build
from sce_mm.transfer.verify.problems import setting_problems

OPTION = re.compile(r'(?<![\w-])--[a-z][a-z0-9_-]+')
TOOL = re.compile(r'tools/[\w/]+\.py')
# What others take.
FOREIGN = {'--force-reinstall', '--no-deps', '--no-build-isolation'}
FOREIGN |= {'--no-cache-dir', '--help'}
READERS = (
    'tools/train.py',
    'tools/test.py',
    'tools/verify_transfer.py',
    'tools/make_detection_config.py',
    'tools/model_converters/extract_backbone.py',
    'tools/model_converters/export_backbone.py',
    'tools/benchmarks/knn.py',
    'tools/benchmarks/linear_probe.py',
    'tools/visualization/neighbours.py',
)


@pytest.fixture(scope='module')
def options(root):
    """``options(tool)``: the options in its help."""
    known = {}

    def of(tool):
        if tool not in known:
            if 'detection' in tool or 'verify' in tool:
                pytest.importorskip('mmdet')
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sys, 'argv', [tool, '--help'])
                lines = []
                patch.setattr(
                    'argparse.ArgumentParser.print_help',
                    lambda self, file=None: lines.append(self.format_help()),
                )
                path = root / tool
                patch.syspath_prepend(str(path.parent))
                with pytest.raises(SystemExit):
                    runpy.run_path(str(path))['parse_args']()
            known[tool] = {*OPTION.findall(lines[0])}
        return known[tool]

    return of


def spoken(text):
    """Options of a message: those for whoever prints it, those by tool."""
    # "with --mean of tools/x.py" is said of that tool.
    text = re.sub(rf'({OPTION.pattern}) of ({TOOL.pattern})', r'\2 \1', text)
    first, *rest = re.split(f'({TOOL.pattern})', text)
    named = [
        (tool, OPTION.findall(words))
        for tool, words in zip(rest[::2], rest[1::2], strict=True)
    ]
    return OPTION.findall(first), named


def messages(tmp_path):
    """What the reader says of files that one option or another would help."""
    weights = trained(width=8)
    half = {k: v.half() for k, v in weights.items()}
    path = tmp_path / 'program.pth'
    torch.save({'state_dict': weights, 'x': ast.Name()}, path)
    bottlenecks = architecture_of(trained(50, width=8))
    for refuse in (
        lambda: read_checkpoint(path, trust=False),
        lambda: extract_backbone(half),
        lambda: build(bottlenecks, None),
    ):
        with pytest.raises(CheckpointError) as error:
            refuse()
        yield str(error.value)
    yield from setting_problems([('channel_order', None, 'rgb')], False)


def test_what_the_reader_advises_exists_where_it_is_read(options, tmp_path):
    for message in messages(tmp_path):
        own, named = spoken(message)
        assert own or named, message
        elsewhere = set()
        for tool, words in named:
            assert {*words} <= options(tool), message
            elsewhere |= {*words}
        for tool in READERS:
            assert {*own} <= options(tool) | elsewhere, (tool, message)


def texts(root):
    """String literals that are neither docstrings nor help, by file."""
    files = [*root.glob('sce_mm/**/*.py'), *root.glob('tools/**/*.py')]
    for path in files:
        tree = ast.parse(path.read_text())
        parents = {
            child: node
            for node in ast.walk(tree)
            for child in ast.iter_child_nodes(node)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                yield (
                    path,
                    ''.join(
                        value.value
                        if isinstance(value, ast.Constant)
                        else '{}'
                        for value in node.values
                    ),
                )
            elif isinstance(node, ast.Constant) and not isinstance(
                parents[node], ast.Expr | ast.JoinedStr
            ):
                yield path, str(node.value)


def test_every_option_that_is_named_is_one_of_the_tools(root, options):
    defined, named = set(), []
    for path, text in texts(root):
        if OPTION.fullmatch(text):
            defined.add(text)
        elif 'tools/dev' not in str(path):
            named.append((path, text))
    # Options in a loop have no literal of their own.
    defined = defined.union(*map(options, READERS))
    assert {'--init-from', '--trust', '--float32'} <= defined
    for path, text in named:
        own, others = spoken(text)
        wrong = {*own} - defined - FOREIGN
        # A style names its variables like that.
        if not text.lstrip().startswith((':root', '<')):
            assert not wrong, f'{path}: {text}'
        for tool, words in others:
            if words and (root / tool).is_file():
                assert {*words} <= options(tool), f'{path}: {text}'
