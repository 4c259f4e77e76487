"""Auto-resume finds a file that can be read, whatever happened to others."""

import os
import random
import zipfile

import pytest
import torch
from mmengine.runner import CheckpointLoader

from sce_mm.checkpoints import reading as checkpoint
from sce_mm.checkpoints.mmengine_loading import (
    install_safe_loader,
    read_resumable,
)
from sce_mm.checkpoints.newest import newest_whole_checkpoint
from sce_mm.checkpoints.reading import TYPES_CAN_BE_ALLOWED
from sce_mm.transfer import CheckpointError


class Custom:
    """What a hook of the user may leave in a checkpoint."""


def find(folder):
    return newest_whole_checkpoint(folder, ('iter_{}.pth', 'other_{}.pth'))


@pytest.fixture
def work_dir(tmp_path):
    for number in (1, 2):
        content = {f'x{i}': torch.arange(100) + i for i in range(20)}
        torch.save(content, tmp_path / f'iter_{number}.pth')
    (tmp_path / 'last_checkpoint').write_text('anywhere/iter_2.pth')
    return tmp_path


def starts(archive):
    """Where the members and the list of them begin."""
    with zipfile.ZipFile(archive) as file:
        return [x.header_offset for x in file.infolist()], file.start_dir


@pytest.mark.parametrize('seed', range(3))
def test_a_flipped_bit_in_the_newest_file(work_dir, seed):
    draw = random.Random(seed)
    newest = work_dir / 'iter_2.pth'
    whole = newest.read_bytes()
    members, listing = starts(newest)
    passed = 0
    for _ in range(40):
        place = draw.choice(
            [
                draw.randrange(len(whole)),
                draw.choice(members) + draw.randrange(60),
                draw.randrange(listing, len(whole)),
            ]
        )
        damaged = bytearray(whole)
        damaged[place] ^= 1 << draw.randrange(3)
        newest.write_bytes(damaged)
        found = find(work_dir)
        passed += found != newest
        # Some bits mean nothing: dates, for one.
        torch.testing.assert_close(
            read_resumable(found), read_resumable(work_dir / 'iter_1.pth')
        )
    assert passed > 10


def test_a_damaged_pointer_leaves_the_newest(work_dir):
    for damage in (b'\xff\xfe\x00garbage', b'', b'\x00' * 100):
        (work_dir / 'last_checkpoint').write_bytes(damage)
        assert find(work_dir).name == 'iter_2.pth'


def test_folders_and_links_to_nothing_are_passed_over(work_dir):
    (work_dir / 'iter_3.pth').mkdir()
    (work_dir / 'iter_4.pth').symlink_to(work_dir / 'gone')
    (work_dir / 'last_checkpoint').write_text('iter_4.pth')
    assert find(work_dir).name == 'iter_2.pth'


def test_what_is_wrong_with_each_is_told(work_dir):
    for number in (1, 2):
        (work_dir / f'iter_{number}.pth').write_bytes(b'PK' * number)
    (work_dir / 'other_3.pth').write_bytes(b'')
    with pytest.raises(CheckpointError) as error:
        find(work_dir)
    said = str(error.value)
    assert said.startswith('none of the 3 checkpoints in ')
    assert said.count(' is damaged or cut short') == 2
    assert 'other_3.pth is empty' in said


def test_objects_of_the_user_need_trust_and_get_it(work_dir, monkeypatch):
    schemes = dict(CheckpointLoader._schemes)
    monkeypatch.setattr(CheckpointLoader, '_schemes', schemes)
    monkeypatch.setattr(checkpoint, '_trusted', False)
    for path in work_dir.glob('iter_*.pth'):
        torch.save({'custom': Custom()}, path)
    if TYPES_CAN_BE_ALLOWED:  # Older versions of torch cannot but trust.
        with pytest.raises(CheckpointError, match='pass --trust'):
            find(work_dir)
    install_safe_loader(trust=True)
    assert find(work_dir).name == 'iter_2.pth'
    assert isinstance(read_resumable(find(work_dir))['custom'], Custom)


def test_numbers_count_in_a_copy_and_the_age_of_several_series(work_dir):
    def made(name, when):
        path = work_dir / name
        torch.save({'x': torch.ones(1)}, path)
        os.utime(path, (when, when))
        return path

    (work_dir / 'last_checkpoint').unlink()
    # As cp makes them: by name.
    tenth, ninth = made('iter_10.pth', 100), made('iter_9.pth', 200)
    for number in (1, 2):
        os.utime(work_dir / f'iter_{number}.pth', (150, 150))
    assert find(work_dir) == tenth
    # An interval that was changed begins another series.
    other = made('other_3.pth', 300)
    assert find(work_dir) == other
    os.utime(other, (50, 50))
    assert find(work_dir) == tenth
    tenth.write_bytes(b'')
    assert find(work_dir) == ninth
