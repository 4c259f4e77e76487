"""Let the data preprocessor make the views, on the device of the model."""

from collections.abc import Iterator

from mmengine.config import Config

from .training_data import view_transforms

PREPROCESSOR, COLLATE = 'ViewPreprocessor', 'pseudo_collate'


def set_device_views(cfg: Config) -> None:
    """Change the three places of a config that this takes.

    Raises:
        ValueError: The config has no SCEViews, or a data preprocessor that
            does something else besides.
    """
    transforms = list(view_transforms(cfg))
    preprocessor = cfg.model.get('data_preprocessor') or {}
    known = ('SelfSupDataPreprocessor', PREPROCESSOR)
    if not transforms or preprocessor.get('type') not in known:
        raise ValueError(
            '--device-views is for configs with SCEViews in the pipeline and '
            'a SelfSupDataPreprocessor; this one has '
            f'{len(transforms)} SCEViews and {preprocessor.get("type")}'
        )
    for _, transform in transforms:
        transform['deferred'] = True
    preprocessor['type'] = PREPROCESSOR
    cfg.train_dataloader.collate_fn = dict(type=COLLATE)


def device_view_problems(cfg: Config) -> Iterator[str]:
    """What is missing where views are deferred, one line a problem."""
    deferred = [
        key
        for key, transform in view_transforms(cfg)
        if transform.get('deferred')
    ]
    for key in deferred:
        for place, name, wanted in (
            (
                'model.data_preprocessor',
                cfg.model.get('data_preprocessor'),
                PREPROCESSOR,
            ),
            (
                'train_dataloader.collate_fn',
                cfg.train_dataloader.get('collate_fn'),
                COLLATE,
            ),
        ):
            found = (name or {}).get('type')
            if found != wanted:
                yield (
                    f'{key}.deferred: the views are left to the data '
                    f'preprocessor, which needs {place}.type={wanted!r}, got '
                    f'{found!r}; --device-views sets all of it'
                )
