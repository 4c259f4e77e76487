"""Find the recipes that come with the package, by their names.

They lie in the checkout, or in the wheel beside the code, where ``mim`` and
mmengine look for them. Nothing is imported that takes seconds.
"""

import ast
from importlib.util import find_spec
from pathlib import Path

from .checks import did_you_mean
from .errors import UserError

# Before the path of a recipe, as mmengine writes mmdet::path.
PACKAGE = 'sce_mm::'
# Packages whose configs are turned into one of the user's.
STOCK = ('mmdet', 'mmseg')
# Suffixes of files that mmengine reads.
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


class StockConfigError(UserError):
    """A config of mmdet or mmseg, where one of the user's has to be."""


def stock_folder(package: str) -> Path | None:
    """Folder of the configs that come with a package, if it is installed."""
    found = find_spec(package)
    if found is None:
        return None
    (root, *_) = found.submodule_search_locations or ['.']
    folder = Path(root, '.mim', 'configs')
    # An editable installation may not have it.
    return folder if folder.is_dir() else None


def stock_configs() -> dict[str, Path]:
    """File of each config of mmdet and mmseg, by its ``package::path``."""
    folders = {package: stock_folder(package) for package in STOCK}
    return {
        f'{package}::{file.relative_to(folder).as_posix()}': file
        for package, folder in folders.items()
        if folder
        for file in sorted(folder.rglob('*.py'))
    }


def stock_name(text: str) -> str | None:
    """``package::path`` of a config of mmdet or mmseg.

    Args:
        text: That, or the name of the file, with its folder and ``.py`` or
            without.
    """
    if '::' in text:
        return text
    path = Path(text.removesuffix('.py') + '.py')
    for name, file in stock_configs().items():
        if file.parts[-len(path.parts) :] == path.parts:
            return name
    return None


def find_source(text: str) -> str:
    """What a config is made from: an absolute path, or ``package::path``.

    Configs of mmdet and mmseg may be named as in :func:`stock_name`; a file
    and a recipe come first.

    Raises:
        FileNotFoundError: There is no such config.
        UserError: It is a folder, or a file of another kind.
    """
    try:
        return str(find_config(text).resolve())
    except StockConfigError:
        return stock_name(text) or text
    except FileNotFoundError:
        names = {name: name for name in recipes()}
        names |= {file.stem: name for name, file in stock_configs().items()}
        if hint := did_you_mean(Path(text).stem, names, 3):
            raise FileNotFoundError(f'no config at {text}{hint}') from None
        raise


def find_config(text: str | Path) -> Path:
    """The file of a config: its path, or the name of a recipe.

    A file that is there comes first. A name may end in ``.py``, and
    ``sce_mm::`` may stand before the path of a recipe.

    Raises:
        FileNotFoundError: It is neither.
        UserError: It is a folder, a file of another kind, or a config of
            mmdet or mmseg.
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
    there = recipes()
    name = path.name.removesuffix('.py')
    if path.parent == Path() and name in there:
        return there[name]
    package, colons, _ = (stock_name(word) or word).partition('::')
    if colons and package != 'sce_mm':
        raise StockConfigError(
            f'{word}: a config of {package} is taken by sce detector, sce '
            'segmentor and sce compare, which make one of yours of it; '
            'expected a path or a recipe'
        )
    if name in there:
        raise FileNotFoundError(
            f'no config at {word}; a recipe of that name comes with sce_mm: '
            f'without a folder, {name} names it'
        )
    beside = [other.name for other in path.parent.glob('*.py')]
    raise FileNotFoundError(
        f'no config at {word}{did_you_mean(path.name, [*there, *beside], 3)}; '
        'sce recipes lists those of sce_mm'
    )
