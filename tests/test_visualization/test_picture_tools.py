"""Map and sheet of neighbours, from their command lines."""

import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from evaluation_toys import build_model, toy_config
from sklearn.datasets import load_digits

from sce_mm.evaluation.images import classes_of, crop_pipeline, read_folder

pytestmark = pytest.mark.integration


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Config, checkpoint and sixty digits of three classes."""
    root = tmp_path_factory.mktemp('pictures')
    toy_config().dump(root / 'toy.py')
    state = build_model(8).state_dict()
    torch.save({'state_dict': state}, root / 'last.pth')
    data = load_digits(n_class=3)
    for index in range(60):
        path = root / 'digits' / f'{data.target[index]}' / f'{index:02d}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), data.images[index] * 15)
    return root


@pytest.fixture
def run(root, folder, tmp_path, monkeypatch, capsys):
    """Call a tool on the folder; gives the picture and what was printed."""

    def call(tool: str, *words: object) -> tuple[np.ndarray, str]:
        out = tmp_path / 'new' / f'{tool}.png'
        arguments = [
            tool, folder / 'toy.py', folder / 'last.pth', '--random-init',
            '--data', folder / 'digits', '--resize', 32, '--crop', 32,
            '--workers', 0, '--out', out, *words,
        ]  # fmt: skip
        monkeypatch.setattr(sys, 'argv', list(map(str, arguments)))
        path = root / 'tools' / 'visualization' / f'{tool}.py'
        runpy.run_path(str(path))['main']()
        return cv2.imread(str(out)), capsys.readouterr().out

    return call


def colours_in(picture: np.ndarray) -> int:
    """Pixels that are not grey."""
    spread = picture.max(axis=2).astype(int) - picture.min(axis=2)
    return int((spread > 60).sum())


def test_map_has_a_panel_for_each_network_and_colours_of_the_classes(run):
    picture, printed = run('embed', '--nearby', 10)

    assert '60 images' in printed
    height, width = picture.shape[:2]
    assert width > 1.8 * height
    # Both panels have coloured dots.
    assert colours_in(picture[:, : width // 3]) > 150
    assert colours_in(picture[:, width // 2 : -width // 6]) > 150


def test_map_without_classes_shows_the_images(run):
    picture, _ = run('embed', '--nearby', 10, '--no-labels')

    assert colours_in(picture) == 0
    # Digits are white on black; dots are grey.
    assert (picture.max(axis=2) < 20).sum() > 3000


def test_sheet_shows_neighbours_and_how_many_are_right(run):
    picture, printed = run('neighbours', '--queries', 3, '--shown', 4)

    assert '3 of 60 images' in printed
    # Two networks with three rows of five pictures of 96 pixels each.
    assert picture.shape[1] == 5 * 96 + 4 * 6 + 2 * 12
    assert picture.shape[0] > 2 * 3 * (96 + 20)
    assert colours_in(picture) > 200


def test_queries_are_of_different_classes_and_not_their_own_neighbours(
    root, folder
):
    tool = runpy.run_path(str(root / 'tools/visualization/neighbours.py'))
    images = read_folder(str(folder / 'digits'), crop_pipeline(32, 32))
    features = torch.nn.functional.one_hot(torch.tensor(images.labels)).float()

    queries = tool['choose_queries'](images, 4, seed=0)
    rows = tool['neighbours_of'](features, queries, 5)

    assert {images.labels[query] for query in queries[:3]} == {0, 1, 2}
    assert len(set(queries)) == 4
    for query, row in zip(queries, rows, strict=True):
        assert len(row) == 5
        assert query not in {index for index, _ in row}
        assert all(
            images.labels[index] == images.labels[query] for index, _ in row
        )


def test_folders_are_classes_if_no_image_lies_beside_them(folder):
    root = str(folder / 'digits')

    labels, classes = classes_of(
        root, [f'{root}/b/x/1.png', f'{root}/a/2.png']
    )

    assert (labels, classes) == ([1, 0], ['a', 'b'])
    assert classes_of(root, [f'{root}/b/1.png', f'{root}/2.png']) == ([], [])
    assert classes_of(root, [f'{root}/b/1.png', f'{root}/b/2.png']) == ([], [])


def test_some_of_the_images_are_drawn_at_random(folder):
    root = str(folder / 'digits')

    drawn = [
        read_folder(root, crop_pipeline(32, 32), 20, seed=seed)
        for seed in (0, 0, 1)
    ]

    assert drawn[0].paths == drawn[1].paths == sorted(drawn[0].paths)
    assert drawn[0].paths != drawn[2].paths
    assert len(drawn[0].dataset) == len(set(drawn[0].paths)) == 20
    with pytest.raises(ValueError, match='at least one image'):
        read_folder(root, crop_pipeline(32, 32), 0)
