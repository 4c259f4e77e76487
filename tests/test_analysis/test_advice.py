"""Options that a message advises exist in the tool that prints it."""

import ast
import re

OPTION = re.compile(r'(?<![\w-])--[a-z][a-z0-9_-]+')
TOOL = re.compile(r'tools/[\w/]+\.py')
CALLED = re.compile(r'from sce_mm.cli.commands.(\w+) import main')
# What other programs and every parser take, and what is made in a loop.
FOREIGN = {'--force-reinstall', '--no-deps', '--no-build-isolation'}
FOREIGN |= {'--no-cache-dir', '--help', '--bank', '--query'}
FOREIGN |= {'--train', '--train-images', '--val', '--val-images'}


def texts(path):
    """String literals of a file that are not docstrings."""
    tree = ast.parse(path.read_text())
    inside = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inside |= {id(value) for value in node.values}
            yield ''.join(str(getattr(v, 'value', '')) for v in node.values)
        elif isinstance(node, ast.Expr):
            inside.add(id(node.value))
        elif isinstance(node, ast.Constant) and id(node) not in inside:
            yield str(node.value)


def test_every_option_that_is_named_is_one_of_the_tools(root):
    files = [*root.glob('sce_mm/**/*.py'), *root.glob('tools/**/*.py')]
    files = [p for p in files if root / 'tools' / 'dev' not in p.parents]
    files = [p for p in files if '.mim' not in p.parts]
    known = {}
    for path in files:
        name = str(path.relative_to(root))
        known[name] = {t for t in texts(path) if OPTION.fullmatch(t)}
    # A tool is a thin caller of the command that it imports.
    for path in root.glob('tools/**/*.py'):
        if command := CALLED.search(path.read_text()):
            file = f'sce_mm/cli/commands/{command[1]}.py'
            known[str(path.relative_to(root))] = known[file]
    defined = set().union(*known.values())
    assert {'--init-from', '--trust', '--pretrained'} <= defined
    for path in files:
        for text in texts(path):
            # A style names its variables like that.
            if text.lstrip().startswith((':root', '<')):
                continue
            _, *rest = re.split(f'({TOOL.pattern})', text)
            wrong = {*OPTION.findall(text)} - defined - FOREIGN
            assert not wrong, f'{path}: {text}'
            shared = {
                option
                for name, options in known.items()
                if name.startswith('sce_mm/cli/')
                for option in options
            }
            for tool, words in zip(rest[::2], rest[1::2], strict=True):
                if tool in known:
                    options = known[tool] | shared | FOREIGN
                    assert {*OPTION.findall(words)} <= options, text
