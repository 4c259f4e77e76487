"""Imports point downwards, and every room says which question it answers."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEVELS = (
    ('utils', 'doctor'),
    ('datasets', 'checkpoints'),
    ('models',),
    ('config',),
    ('transfer',),
    ('evaluation', 'analysis', 'downstream'),
    ('visualization',),
    ('engine', 'comparison'),
    ('detection', 'segmentation'),
    ('cli',),
)
LEVEL = {room: n for n, rooms in enumerate(LEVELS) for room in rooms}
MODULES = sorted(
    p.relative_to(ROOT) for p in (ROOT / 'sce_mm').rglob('*.py')
    if '.mim' not in p.parts
)  # fmt: skip
SCRIPTS = sorted((ROOT / 'tools').rglob('*.py'))


def imported(path: Path) -> set[str]:
    """Modules that a file imports, by full name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = path.parts[: -node.level] if node.level else ()
            base = '.'.join([*above, *filter(None, [node.module])])
            names |= {f'{base}.{alias.name}' for alias in node.names}
    return names


@pytest.mark.parametrize('room', LEVEL)
def test_a_room_imports_lower_rooms_and_itself_only(room):
    upward = {
        f'{path} -> {name}'
        for path in MODULES
        if path.parts[1] == room
        for name in imported(path)
        if (other := name.split('.')[min(1, name.count('.'))]) in LEVEL
        and name.startswith('sce_mm.')
        and other != room
        and LEVEL[other] >= LEVEL[room]
    }
    assert not upward, '\n'.join(sorted(upward))


def test_the_root_holds_rooms_only():
    assert {p.name for p in MODULES if len(p.parts) == 2} == {
        '__init__.py',
        '__main__.py',
        'version.py',
    }
    assert {p.parts[1] for p in MODULES if len(p.parts) > 2} == set(LEVEL)


def test_every_module_and_room_has_a_headline():
    bare = [
        str(path)
        for path in MODULES
        if not ast.get_docstring(ast.parse((ROOT / path).read_text()))
    ]
    assert not bare


def test_scripts_import_no_sibling_by_bare_name():
    # What serves development only may: it is not in the wheel.
    siblings = {
        f'{path.relative_to(ROOT)} -> {name}'
        for path in SCRIPTS
        if not {'demo', 'dev'} & set(path.parts)
        for name in imported(path.relative_to(ROOT))
        if (path.parent / f'{name.split(".")[0]}.py').is_file()
    }
    assert not siblings
