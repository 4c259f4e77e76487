"""Let a training compare its model with the backbone file before it starts."""

from torch import nn

from ..config.parts import find_hook, hooks_of, is_of_type
from ..transfer.verify.load_report import expected_missing_of, parts_that_load
from ..transfer.verify.problems import rate_problems
from ..transfer.verify.verify import parameter_groups
from .backbone import BackboneFile
from .edits import AdaptError, ConfigEdits

HOOK = {'type': 'VerifyTransferHook'}


def add_verification(edits: ConfigEdits, package: str) -> None:
    """Add the hook that compares model and file, and what registers it.

    Args:
        edits: The config.
        package: What ``custom_imports`` has to import for the hook.
    """
    add_import(
        edits,
        package,
        'registers the hook below, also when the config is loaded later',
    )
    if find_hook(edits.cfg, HOOK['type']) is None:
        reason = (
            'compares every tensor with the file before the first iteration; '
            'custom_hooks stays free for hooks of your own'
        )
        if edits.get('default_hooks') is None:
            edits.set('default_hooks', {'verify_transfer': HOOK}, reason)
        else:
            edits.set('default_hooks.verify_transfer', HOOK, reason)
    for where, hook in list(hooks_of(edits.cfg)):
        if edits.new and is_of_type(hook, HOOK['type']):
            theirs = expected_missing_of(hook)
            edits.set(
                f'{where}.expected_missing',
                list(dict.fromkeys([*theirs, *edits.new])),
                'norms of outputs that the pretraining did not have: new, so '
                'not in the file',
            )


def require_rates(
    edits: ConfigEdits, model: nn.Module, file: BackboneFile
) -> None:
    """Check that the optimiser trains all that is loaded.

    Args:
        edits: The config, adapted.
        model: What it builds.
        file: What it loads.

    Raises:
        AdaptError: The optimiser cannot be built, or gives parameters that
            are loaded a learning rate of zero.
    """
    groups = parameter_groups(model, edits.get('optim_wrapper'))
    parts = parts_that_load(model, str(file.path))
    for problem in rate_problems(parts, groups):
        raise AdaptError(problem)


def add_import(edits: ConfigEdits, package: str, reason: str) -> None:
    """Let a config import a package, beside what it imports already."""
    old = dict(edits.get('custom_imports') or {})
    imports = old.get('imports', [])
    imports = [imports] if isinstance(imports, str) else list(imports)
    if package not in imports:
        new = {'allow_failed_imports': False, **old}
        new['imports'] = [*imports, package]
        edits.set('custom_imports', new, reason)


def remove_verification(edits: ConfigEdits, reason: str) -> None:
    """Remove the hook, wherever it is."""
    for where, hook in list(hooks_of(edits.cfg)):
        if is_of_type(hook, HOOK['type']) and where.startswith(
            'default_hooks'
        ):
            edits.set(where, None, reason)
    custom = edits.get('custom_hooks') or []
    others = [hook for hook in custom if not is_of_type(hook, HOOK['type'])]
    if others != custom:
        edits.set('custom_hooks', others, reason)
