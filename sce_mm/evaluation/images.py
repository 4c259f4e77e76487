"""Images as the published protocols show them to a frozen network."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..datasets.labelled_images import listed
from .features import features_of_all
from .samples import collate


def crop_pipeline(
    resize: int,
    crop: int,
    interpolation: str = 'bilinear',
    apply_orientation: bool = False,
    stretch: Sequence[float] | None = None,
) -> list[dict[str, Any]]:
    """Shorter side to ``resize`` pixels, then the central square of ``crop``.

    Pillow resizes, as in the protocols: it filters where OpenCV would skip
    pixels.

    Args:
        resize: Pixels.
        crop: Pixels.
        interpolation: Of the resizing.
        apply_orientation: Turn images as their EXIF tag says; the loaders of
            the protocols do not.
        stretch: As of ``LoadImage``.

    Raises:
        ValueError: The square is larger than the resized image.
    """
    if not 0 < crop <= resize:
        raise ValueError(
            f'the crop must be positive and at most the resized side, got '
            f'{crop} from {resize}'
        )
    return [
        {
            'type': 'LoadImage',
            'apply_orientation': apply_orientation,
            'stretch': stretch,
        },
        {
            'type': 'ResizeEdge',
            'scale': resize,
            'edge': 'short',
            'backend': 'pillow',
            'interpolation': interpolation,
        },
        {'type': 'CenterCrop', 'crop_size': crop},
        {'type': 'PackInputs'},
    ]


def image_features(
    model: nn.Module, dataset: Any, batch_size: int = 64, workers: int = 2
) -> Tensor:
    """Features ``[N, D]`` of all images, in order, on all processes.

    Args:
        model: See :func:`~sce_mm.evaluation.features.extract_features`.
        dataset: One view of each image; labels do not count.
        batch_size: Images at a time.
        workers: Processes that load them.

    Raises:
        RuntimeError: Some cannot be read: figures of the protocols are of
            all images.
    """
    loader = DataLoader(
        dataset, batch_size, num_workers=workers, collate_fn=collate
    )
    features, _, unreadable = features_of_all(model, loader, 'online', False)
    if unreadable:
        raise RuntimeError(
            f'{len(unreadable)} of {len(dataset)} images cannot be read; mend '
            f'or remove them: {listed(unreadable)}'
        )
    return features
