"""Sheets of neighbours and the classes of a folder."""

import tarfile

import numpy as np
import torch
from image_files import write_noise

from sce_mm.evaluation.images import FolderImages, classes_of, read_folder
from sce_mm.visualization.sheets import (
    centre_square,
    choose_queries,
    neighbours_within,
)


def test_queries_are_of_different_classes():
    labels = [0] * 9 + [1, 2]
    images = FolderImages(None, [f'{i}' for i in range(11)], labels, ['a'] * 3)

    queries = choose_queries(images, 4, seed=0)

    assert {labels[query] for query in queries[:3]} == {0, 1, 2}
    assert len(set(queries)) == 4


def test_no_image_is_its_own_neighbour_even_among_copies():
    rows = torch.eye(3)[torch.arange(9) % 3]

    for shown in (1, 2):
        indices, similarities = neighbours_within(rows, range(9), shown)
        assert (indices != torch.arange(9)[:, None]).all()
        assert (indices % 3 == torch.arange(9)[:, None] % 3).all()
        assert similarities.equal(torch.ones(9, shown))


def test_folders_are_classes_if_no_image_lies_beside_them():
    assert classes_of('x', ['x/b/x/1.png', 'x/a/2.png']) == (
        [1, 0],
        ['a', 'b'],
    )
    assert classes_of('x', ['x/b/1.png', 'x/2.png']) == ([], [])
    assert classes_of('x', ['x/b/1.png', 'x/b/2.png']) == ([], [])


def test_images_in_tar_files_are_drawn(tmp_path):
    write_noise(tmp_path, 1)
    (tmp_path / 'tars').mkdir()
    with tarfile.open(tmp_path / 'tars' / 'a.tar', 'w') as tar:
        tar.add(tmp_path / '0.png', '0.png')

    (path,) = read_folder(str(tmp_path / 'tars'), []).paths

    drawn, expected = (
        centre_square(str(p), 40) for p in (path, tmp_path / '0.png')
    )
    np.testing.assert_array_equal(drawn, expected)
