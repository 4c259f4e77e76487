"""List the recipes that come with the package.

    sce recipes
    sce recipes resnet18 folder

Several words: recipes whose names contain all of them. Wherever a command
takes a config, the name of a recipe will do, as in sce train
sce_resnet18_1xb64-coslr-200e_folder; a config of your own inherits one by
_base_ = 'sce_mm::sce/NAME.py'. The names of recipes for a folder of your own
images end in _folder.
"""

from collections.abc import Sequence
from pathlib import Path

from ...utils.errors import UserError
from ...utils.recipes import headline, recipe_folder, recipes
from ..arguments import ArgumentParser


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = ArgumentParser(__doc__)
    parser.add_argument('word', nargs='*', help='part of the name')
    words = parser.parse_args(argv).word
    folder, last = recipe_folder(), None
    found = {
        name: path
        for name, path in recipes().items()
        if all(word.lower() in name.lower() for word in words)
    }
    if not found:
        raise UserError(
            f'no recipe has {" and ".join(words)} in its name; sce recipes '
            'lists all'
        )
    print(f'in {folder}')
    for path in sorted(found.values(), key=_place):
        if path.parent != last:
            last = path.parent
            print(f'\n{last.relative_to(folder)}/')
        print(f'  {path.stem}\n      {headline(path)}')


def _place(recipe: Path) -> tuple:
    """Pretraining comes first, and of it what takes images of the user."""
    own = recipe.stem.endswith(('_folder', '_filelist'))
    return recipe.parent.name != 'sce', recipe.parent, not own, recipe
