"""Options that a message advises exist in the command that it names."""

import ast
import re

OPTION = re.compile(r'(?<![\w-])--[a-z][a-z0-9_-]+')
COMMAND = re.compile(r'\bsce ([a-z][a-z-]+)')
# What other programs and every parser take, and what is made in a loop.
FOREIGN = {'--force-reinstall', '--no-deps', '--no-build-isolation'}
FOREIGN |= {'--no-cache-dir', '--help', '--bank', '--query'}
FOREIGN |= {'--train', '--train-images', '--val', '--val-images'}
FOREIGN |= {'--nproc_per_node'}


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


def test_every_option_that_is_named_is_one_of_the_command(root):
    files = [*root.glob('sce_mm/**/*.py'), *root.glob('tools/**/*.py')]
    files = [p for p in files if root / 'tools' / 'dev' not in p.parents]
    files = [p for p in files if '.mim' not in p.parts]
    # Its variables have names like that.
    files.remove(root / 'sce_mm' / 'visualization' / 'style.py')
    known = {
        path: {t for t in texts(path) if OPTION.fullmatch(t)} for path in files
    }
    defined = set().union(*known.values())
    assert {'--init-from', '--trust', '--pretrained'} <= defined
    commands = root / 'sce_mm' / 'cli' / 'commands'
    shared = {
        option
        for path, options in known.items()
        if path.parent == commands.parent
        for option in options
    }
    checked = 0
    for path in files:
        for text in texts(path):
            # A style names its variables like that.
            if re.search(r'var\(|^<|^--side:', text):
                continue
            wrong = {*OPTION.findall(text)} - defined - FOREIGN
            assert not wrong, f'{path}: {text}'
            _, *rest = re.split(COMMAND, text)
            for name, words in zip(rest[::2], rest[1::2], strict=True):
                file = commands / f'{name.replace("-", "_")}.py'
                if file in known:
                    options = known[file] | shared | FOREIGN
                    assert {*OPTION.findall(words)} <= options, text
                    checked += 1
    assert checked > 20
