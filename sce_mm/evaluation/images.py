"""Images as the published protocols show them to a frozen network."""

from typing import Any

from torch import Tensor, nn
from torch.utils.data import DataLoader

from .features import extract_features
from .samples import collate


def crop_pipeline(
    resize: int, crop: int, interpolation: str = 'bilinear'
) -> list[dict[str, Any]]:
    """Shorter side to ``resize`` pixels, then the central square of ``crop``.

    Pillow resizes, as in the protocols: it filters where OpenCV would skip
    pixels.

    Raises:
        ValueError: The square is larger than the resized image.
    """
    if not 0 < crop <= resize:
        raise ValueError(
            f'the crop must be positive and at most the resized side, got '
            f'{crop} from {resize}'
        )
    return [
        {'type': 'LoadImage'},
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
    """
    loader = DataLoader(
        dataset, batch_size, num_workers=workers, collate_fn=collate
    )
    features, _ = extract_features(model, loader, labelled=False)
    return features
