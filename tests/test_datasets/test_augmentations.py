"""The named augmentations and the messages for mistakes in them."""

from dataclasses import asdict, replace

import pytest

from sce_mm.datasets import AUGMENTATIONS, build_augmentation

# name: jitter p, saturation, grey p, blur p, solarise p
TABLE = {
    'weak': (0.0, 0.0, 0.0, 0.0, 0.0),
    'strong': (0.8, 0.4, 0.2, 0.5, 0.0),
    'strong_alpha': (0.8, 0.2, 0.2, 1.0, 0.0),
    'strong_beta': (0.8, 0.2, 0.2, 0.1, 0.2),
    'strong_gamma': (0.8, 0.2, 0.2, 0.5, 0.2),
}


@pytest.mark.parametrize('name', TABLE)
def test_the_numbers_are_those_of_the_paper(name: str) -> None:
    jitter, saturation, grey, blur, solarise = TABLE[name]
    strong = 0.0 if name == 'weak' else 1.0
    assert asdict(AUGMENTATIONS[name]) == {
        'size': 224,
        'scale': (0.2, 1.0),
        'ratio': (3 / 4, 4 / 3),
        'jitter_prob': jitter,
        'brightness': 0.4 * strong,
        'contrast': 0.4 * strong,
        'saturation': saturation,
        'hue': 0.1 * strong,
        'grey_prob': grey,
        'blur_prob': blur,
        'blur_sigma': (0.1, 2.0),
        'solarise_prob': solarise,
        'solarise_threshold': 128,
        'flip_prob': 0.5,
    }


def test_overrides_replace_only_what_they_name() -> None:
    built = build_augmentation('strong_beta', size=96, scale=[0.086, 0.429])
    expected = replace(
        AUGMENTATIONS['strong_beta'], size=96, scale=(0.086, 0.429)
    )
    assert built == expected


def test_an_unknown_name_or_key_is_told_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"did you mean 'strong_alpha'\?"):
        build_augmentation('strong_alfa')
    message = r"'gray_prob' \(did you mean 'grey_prob'\?\).*size, scale, ratio"
    with pytest.raises(ValueError, match=message):
        build_augmentation('weak', gray_prob=0.1)


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('size', 224.0, r'size must be an integer >= 1, got 224\.0'),
        ('blur_prob', 1.5, r'blur_prob must be .* \[0, 1\], got 1\.5'),
        ('brightness', -0.1, r'brightness must be a number >= 0, got -0\.1'),
        ('hue', 0.6, r'hue must be a number in \[0, 0\.5\], got 0\.6'),
        ('scale', (0.5, 0.2), r'scale must be a pair .* \(0\.5, 0\.2\)'),
        ('scale', (0.2, 1.1), r'high <= 1, got \(0\.2, 1\.1\)'),
        ('ratio', [1, 2, 3], r'ratio must be a pair .*, got \(1, 2, 3\)'),
        ('solarise_threshold', 300, r'integer in \[0, 256\], got 300'),
    ],
)
def test_a_value_out_of_range_is_refused(
    key: str, value: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build_augmentation('strong', **{key: value})


def test_a_jitter_that_does_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r'jitter_prob is 0\.8.* do nothing'):
        build_augmentation('weak', jitter_prob=0.8)
