"""Find the recipes that come with the package, by their names.

They lie in the checkout, or in the wheel beside the code, where ``mim`` and
mmengine look for them. Nothing is imported that takes seconds.
"""

import ast
from pathlib import Path

from .checks import nearest
from .errors import UserError

# Before the path of a recipe, as mmengine writes mmdet::path.
PACKAGE = 'sce_mm::'
# Of files that mmengine reads.
SUFFIXES = ('.py', '.yml', '.yaml', '.json')


def recipe_folder() -> Path:
    """Folder of the configs of this package."""
    package = Path(__file__).resolve().parents[1]
    packed = package / '.mim' / 'configs'
    return (
        packed if packed.is_dir() else package.parent / 'configs'
    ).resolve()


def recipes() -> dict[str, Path]:
    """File of each recipe, by its name, which is that of the file."""
    folder = recipe_folder()
    return {
        path.stem: path
        for path in sorted(folder.rglob('*.py'))
        if '_base_' not in path.relative_to(folder).parts
    }


def headline(recipe: Path) -> str:
    """What a recipe says of itself in its first line."""
    tree = ast.parse(recipe.read_text(encoding='utf-8'))
    return (ast.get_docstring(tree) or '').partition('\n')[0]


def find_config(text: str | Path) -> Path:
    """The file of a config: its path, or the name of a recipe.

    A file that is there comes first. A name may end in ``.py``, and
    ``sce_mm::`` may stand before the path of a recipe.

    Raises:
        FileNotFoundError: It is neither.
        UserError: It is a folder, or a file of another kind.
    """
    path, word = Path(text), str(text)
    if path.is_dir():
        raise UserError(f'{path} is a folder, expected a config file')
    if path.is_file() and path.suffix not in SUFFIXES:
        raise UserError(
            f'{path} is no config: its name ends in none of '
            f'{" ".join(SUFFIXES)}'
        )
    if path.is_file():
        return path
    packed = recipe_folder() / word.removeprefix(PACKAGE)
    if word.startswith(PACKAGE) and packed.is_file():
        return packed
    package, colons, _ = word.partition('::')
    if colons and not word.startswith(PACKAGE):
        raise UserError(
            f'{word}: a config of {package} is taken by sce detector, sce '
            'segmentor and sce compare, which make one of yours of it; '
            'expected a path or a recipe'
        )
    there = recipes()
    name = path.name.removesuffix('.py')
    if path.parent == Path() and name in there:
        return there[name]
    if name in there:
        raise FileNotFoundError(
            f'no config at {word}; a recipe of that name comes with sce_mm: '
            f'without a folder, {name} names it'
        )
    beside = [other.name for other in path.parent.glob('*.py')]
    raise FileNotFoundError(
        f'no config at {word}{nearest(path.name, [*there, *beside], 3)}; '
        'sce recipes lists those of sce_mm'
    )
