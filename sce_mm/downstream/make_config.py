"""Make a config from another config and a backbone file.

Reads both, lets a function make the changes, and writes a config that
inherits the first one and holds what differs.
"""

import json
import os
import tempfile
import textwrap
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE

from ..checkpoints.errors import CheckpointError
from ..checkpoints.file_kind import TORCH, kind_of
from ..checkpoints.reading import meta_of, read_checkpoint
from ..config.reading import inherited_configs, unread_reason, walk
from ..transfer.backbone import FORMAT, extract_backbone, save_backbone
from ..utils.checks import did_you_mean, require_different, require_new
from ..utils.durable_files import write_durably, writing
from ..utils.recipes import find_source, stock_folder
from ..utils.text import listed
from .backbone import BackboneFile
from .edits import AdaptError, ConfigEdits

# Such as sce_mm.detection.adapt.adapt; it returns a line about the rate too.
Adapt = Callable[[Config, BackboneFile], tuple[ConfigEdits, str]]
COMMENT: Any = {'initial_indent': '# ', 'subsequent_indent': '# '}


def make_config(
    config: str,
    checkpoint: Path,
    out: Path,
    adapt: Adapt,
    overwrite: bool = False,
) -> tuple[ConfigEdits, str, BackboneFile]:
    """Write a config of a model that starts from a backbone file.

    Args:
        config: Path of a config, or ``package::name``.
        checkpoint: Backbone file. The backbone of a training checkpoint is
            extracted into a file beside ``out``.
        out: Config to write.
        adapt: Function that changes the config.
        overwrite: Replace files that exist.

    Returns:
        The edited config, a line about the learning rate, and the file that
        the new config loads.

    Raises:
        AdaptError: The config cannot be made right by changing it.
        CheckpointError: There is no backbone in the checkpoint.
        FileExistsError: ``out`` exists, or is the config itself.
        FileNotFoundError: There is no such config or checkpoint.
    """
    require_new(out, overwrite, others=[('the config', Path(config))])
    file = _read_backbone(checkpoint, out, overwrite)
    cfg, base = load_base(config)
    if base and '::' not in base:
        _require_not_inherited(out, base)
    edits, rate = adapt(cfg, file)
    if file.path != checkpoint.resolve():
        out.parent.mkdir(parents=True, exist_ok=True)
        save_backbone(file.path, file.backbone)
    meta = file.backbone.meta
    title = (
        f'{config.rsplit("/", 1)[-1]}, from {meta["arch"] or "ResNet"} of '
        f'{meta["method"] or meta["source"]}, {meta["sha256"][:8]}.'
    )
    write_config(edits, base, file.path, out, title)
    return edits, rate, file


def _require_not_inherited(out: Path, config: str) -> None:
    for inherited in inherited_configs(config):
        name = 'a file that CONFIG inherits'
        require_different(out, 'OUT', [(name, Path(inherited))])
        _require_not_inherited(out, inherited)


def _read_backbone(
    checkpoint: Path, out: Path, overwrite: bool
) -> BackboneFile:
    """The backbone, with another path if it cannot be loaded from this one."""
    content = read_checkpoint(checkpoint)
    path = checkpoint.resolve()
    try:
        backbone = extract_backbone(content)
    except CheckpointError as error:
        raise CheckpointError(f'{checkpoint}: {error}') from error
    if meta_of(content).get('format') == FORMAT and kind_of(path) == TORCH:
        return BackboneFile(path, backbone)
    path = out.resolve().with_name(f'{out.stem}_backbone.pth')
    if path.exists() and (not overwrite or path.samefile(checkpoint)):
        raise FileExistsError(
            f'the backbone of {checkpoint} would be written to {path}, which '
            'exists: name another OUT, or add --overwrite'
        )
    return BackboneFile(path, backbone)


def load_base(name: str) -> tuple[Config, str | None]:
    """Config of a path, a recipe or ``package::name``, and what inherits it.

    The second is what another config names to inherit it, with an absolute
    path; None for configs in pure Python, which text cannot inherit.

    Raises:
        FileNotFoundError: There is none; the message has those of nearly
            this name.
        AdaptError: It is no config.
    """
    base = find_source(name)
    shipped = '::' in base
    if shipped:
        _require_shipped(*base.split('::', 1))
    try:
        # Imported classes instead of names; what it dumps has names.
        if not shipped and Config._is_lazy_import(base):
            cfg = _from_text(Config.fromfile(base).pretty_text)
            _name_ops_plainly(cfg)
            return cfg, None
        return _from_text(f'_base_ = {base!r}\n'), base
    except Exception as error:  # of whatever is written in it
        hint = ': give the path of its file instead' if shipped else ''
        reason = unread_reason(base, error)
        raise AdaptError(f'cannot read {name}{hint}: {reason}') from error


def _name_ops_plainly(cfg: Config) -> None:
    """Name ops of mmcv as mmdet looks for them, without their module."""
    for _, node in [*walk(cfg._cfg_dict)]:
        kind = node.get('type') if isinstance(node, dict) else None
        if isinstance(kind, str) and kind.startswith('mmcv.ops.'):
            node['type'] = kind.rpartition('.')[2]


def _from_text(text: str) -> Config:
    """Config of the text of a file; ``Config.fromstring`` leaves a bad one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'config.py')
        path.write_text(text, encoding='utf-8')
        return Config.fromfile(path)


def _require_shipped(package: str, path: str) -> None:
    """Check that a package is installed and has a config."""
    if package not in MODULE2PACKAGE or not find_spec(package):
        raise AdaptError(
            f'no package {package!r} with configs is installed'
            f'{did_you_mean(package, MODULE2PACKAGE.keys() - {package})}'
        )
    folder = stock_folder(package)
    if folder is None or (folder / path).is_file():
        return
    known = [p.relative_to(folder).as_posix() for p in folder.glob('*/*.py')]
    # Without a folder it is compared with the names of files alone.
    names = {n if '/' in path else n.rpartition('/')[2]: n for n in known}
    raise FileNotFoundError(
        f'{package} has no config {path}{did_you_mean(path, names, 3)}'
    )


def write_config(
    edits: ConfigEdits,
    base: str | None,
    checkpoint: Path,
    out: Path,
    title: str,
) -> None:
    """Write a config that inherits the base and changes it.

    Base and checkpoint are named from the folder of the new file, so that it
    works from wherever it is called and the three can be moved together.
    Without a base all of the config is written.

    Raises:
        AdaptError: What it has to say cannot be written as text.
        WriteError: The disk is full, or the folder is read-only.
    """
    out = out.resolve()
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    # A comment, of which no word of the file or its name can break out.
    lines = [*textwrap.wrap(title, 77, **COMMENT), '']
    if base is None:
        lines.append(edits.cfg.pretty_text)
    else:
        if '::' not in base:
            base = os.path.relpath(base, out.parent)
        lines.append(f'_base_ = {base!r}')
        for change in edits.changes:
            lines += ['', *textwrap.wrap(change.reason, 77, **COMMENT)]
            lines.append(f'_base_.{change.path} = {change.new!r}')
    relative = os.path.relpath(checkpoint, out.parent)
    text = '\n'.join(lines).rstrip('\n') + '\n'
    # Double quotes: mmengine puts in the folder, which may have an apostrophe.
    named = json.dumps(f'{{{{ fileDirname }}}}/{relative}', ensure_ascii=False)
    text = text.replace(repr(str(checkpoint)), named)
    _require_meant(text, edits.cfg, out)
    write_durably(out, text.encode())


def _require_meant(text: str, meant: Config, out: Path) -> None:
    """Check that the text of a config says what it is meant to say.

    Raises:
        AdaptError: It does not, or cannot be read.
        WriteError: Nothing can be written beside ``out``.
    """
    # In the folder of `out`, from which it names its base.
    with (
        writing(out),
        tempfile.NamedTemporaryFile(
            prefix=f'.{out.stem}.', suffix='.py', dir=out.parent
        ) as file,
    ):
        file.write(text.encode())
        file.flush()
        try:
            cfg = Config.fromfile(file.name)
        except Exception as error:  # of whatever the base holds
            reason = unread_reason(file.name, error)
            raise AdaptError(
                f'{out.name} would not be readable ({reason}), and is not '
                'written: expected a config of numbers, texts, lists and '
                'dicts alone'
            ) from error
    found, wanted = (_comparable(c._cfg_dict.to_dict()) for c in (cfg, meant))
    both = {**wanted, **found}
    if wrong := [k for k in both if found.get(k) != wanted.get(k)]:
        raise AdaptError(
            f'{out.name} would not say what it has to say of '
            f'{listed(wrong)}, and is not written: expected a config of '
            'numbers, texts, lists and dicts alone'
        )


def _comparable(node: Any) -> Any:
    """A config with paths normalised and tuples as lists."""
    if isinstance(node, dict):
        return {k: _comparable(v) for k, v in node.items()}
    if isinstance(node, list | tuple):
        return [_comparable(v) for v in node]
    if isinstance(node, str) and os.sep in node:
        return os.path.normpath(node)
    return node
