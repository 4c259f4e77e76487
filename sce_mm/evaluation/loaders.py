"""Dataloaders of labelled images, from their configs."""

from mmengine.runner import Runner
from torch.utils.data import DataLoader

from .rng import preserve_rng
from .samples import NO_LABEL, collate, num_images


def build_labelled_loader(config: dict, name: str, seed: int) -> DataLoader:
    """Loader whose first image has proved to be usable.

    The global random generators are as before.

    Args:
        config: As of ``train_dataloader``; a sampler is not needed.
        name: What the messages call it.
        seed: Of the workers.

    Raises:
        ValueError: The data set is empty, or its first image has no label
            or is not one view.
    """
    defaults = {'sampler': {'type': 'DefaultSampler', 'shuffle': False}}
    with preserve_rng():
        loader = Runner.build_dataloader({**defaults, **config}, seed)
        if num_images(loader) == 0:
            raise ValueError(
                f'the {name} of the kNN evaluation is empty: check the paths '
                'of its data set'
            )
        _, labels = collate([loader.dataset[0]])
    if labels.item() == NO_LABEL:
        raise ValueError(
            f'the images of the kNN {name} have no labels: name a labelled '
            "data set (such as 'CustomDataset' with one folder per class), "
            'or remove the OnlineKNNHook'
        )
    return loader
