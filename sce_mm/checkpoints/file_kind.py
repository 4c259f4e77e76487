"""Tell what kind of checkpoint a file is by its bytes, not by its name."""

import struct
import zipfile
from pathlib import Path

from .errors import CheckpointError

TORCH, PICKLE, SAFETENSORS = 'torch', 'pickle', 'safetensors'

# Torch before its zip files: a pickle of this number comes first.
_LEGACY = b'\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'
_AGAIN = 'copy or download it again'
# Files that are no checkpoints, by their first bytes.
_OTHERS = {
    b'version https://git-lfs': 'a pointer of git-lfs, not the file itself: '
    'git lfs pull fetches it',
    b'\x1f\x8b': 'compressed by gzip: unpack it',
    b'\xfd7zXZ': 'compressed by xz: unpack it',
    **dict.fromkeys(
        (b'\x89PNG', b'\xff\xd8\xff', b'GIF8', b'II*\0', b'MM\0*', b'RIFF'),
        'an image, expected a checkpoint',
    ),
    b'%PDF': 'a PDF document, expected a checkpoint',
    b'\x89HDF': 'an HDF5 file, as Keras writes it, not one of torch',
    b'\x93NUMPY': 'a single NumPy array, not a checkpoint',
}


def kind_of(path: Path) -> str:
    """``TORCH``, ``PICKLE`` or ``SAFETENSORS``.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: It is a folder, empty, text, or an archive that torch
            did not write.
        BadZipFile: It is a damaged archive, a checksum is wrong.
    """
    if path.is_dir():
        raise CheckpointError(
            f'{path} is a folder: name a checkpoint file in it'
        )
    if path.suffix == '.py' or (not path.is_file() and '::' in str(path)):
        raise CheckpointError(
            f'{path} has the name of a config, expected a checkpoint'
        )
    if not path.is_file():
        web = str(path).startswith(('http:', 'https:'))
        hint = ', which is on the web: download it first' * web
        raise FileNotFoundError(f'no checkpoint at {path}{hint}')
    if path.stat().st_size == 0:
        raise CheckpointError(f'{path} is empty: {_AGAIN}')
    with path.open('rb') as file:
        start = file.read(512)
    if start.startswith(b'PK'):
        _check_zip(path)
        return TORCH
    if start.startswith(_LEGACY):
        return TORCH
    if _is_safetensors(start, path.stat().st_size):
        return SAFETENSORS
    _refuse_others(path, start)
    # Opcodes of protocols 2 to 5, or of 0 and 1, which print as text.
    if start[:1] == b'\x80' or start[:1] in (b'(', b'}', b'c', b']'):
        return PICKLE
    raise CheckpointError(
        f'{path} is no checkpoint: it begins with {start[:8]!r}. Expected a '
        'file of torch.save, a pickle of NumPy arrays or safetensors'
    )


def _check_zip(path: Path) -> None:
    """Refuse what torch never writes into its archives, and damage.

    Torch itself reads altered bytes without a word.
    """
    if not zipfile.is_zipfile(path):
        raise CheckpointError(f'{path} is damaged or cut short: {_AGAIN}')
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if any(m.filename.endswith('/constants.pkl') for m in members):
        raise CheckpointError(
            f'{path} is a program of TorchScript, not a checkpoint: save the '
            'state_dict() of what torch.jit.load makes of it'
        )
    if not any(m.filename.endswith('/data.pkl') for m in members):
        raise CheckpointError(
            f'{path} is an archive that torch.save did not write: it has no '
            'data.pkl'
        )
    if any(m.compress_type != zipfile.ZIP_STORED for m in members):
        raise CheckpointError(
            f'{path} is a compressed archive, which torch.save never '
            'writes: unpack it and name the checkpoint in it'
        )
    if sum(m.file_size for m in members) > path.stat().st_size:
        raise CheckpointError(
            f'{path} has members that overlap: no checkpoint has, do not use '
            'it'
        )
    with zipfile.ZipFile(path) as archive:
        for member in members:
            # Torch can be told to leave the checksums out.
            if member.CRC:
                with archive.open(member) as file:
                    while file.read(1 << 20):
                        pass


def _is_safetensors(start: bytes, size: int) -> bool:
    """Eight bytes with the length of the header, which is JSON."""
    if len(start) < 9 or start[8:9] != b'{':
        return False
    (length,) = struct.unpack('<Q', start[:8])
    # A header that is longer than the file has been cut: still this kind.
    return length < 100_000_000 or length < size


def _refuse_others(path: Path, start: bytes) -> None:
    for magic, what in _OTHERS.items():
        if start.startswith(magic):
            raise CheckpointError(f'{path} is {what}')
    lower = start.lower()
    page = b'<html' in lower or b'<!doctype' in lower
    text = all(32 <= byte < 127 or byte in b'\r\n\t' for byte in start)
    # Protocol 0 prints as text.
    array = start.startswith((b'(dp', b'(lp', b'c', b'(i')) and b'\n' in start
    if page or (text and not array):
        raise CheckpointError(
            f'{path} is not a checkpoint but text or a web page, perhaps one '
            'that asks to confirm the download'
        )
