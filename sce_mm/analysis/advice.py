"""What the profile of a step says, in words."""

import math


def advise(
    stages: dict[str, float],
    transforms: dict[str, float],
    batch: int,
    workers: int,
    cores: int,
    precision: str,
    channels_last: bool,
) -> list[str]:
    """Advice, the most valuable first; never empty.

    Args:
        stages: Seconds of each stage of a step.
        transforms: Seconds of each transform for one image.
        batch: Images of a step.
        workers: Processes that load images.
        cores: Processors of this machine.
        precision: ``'float32'`` or the name of a narrower type.
        channels_last: Whether the model is laid out so.
    """
    total = sum(stages.values())
    waits = total - stages['data wait']
    advice = []
    if stages['data wait'] > 0.1 * total:
        advice.append(_loader(transforms, batch, workers, cores, waits))
    network = stages['target'] + stages['forward'] + stages['backward']
    options = []
    if precision == 'float32':
        options.append('--amp bfloat16 (or --amp on a GPU)')
    if not channels_last:
        options.append('--cfg-options model.channels_last=True')
    if network > 0.5 * total and options:
        advice.append(
            f'the networks take {network / total:.0%} of the step: try '
            + ' and '.join(options)
        )
    if stages['loss'] > 0.15 * total:
        advice.append(
            f'the loss takes {stages["loss"] / total:.0%}: it grows with '
            'model.queue.length, and per image it does not shrink with the '
            'batch; a shorter queue is the only remedy'
        )
    updates = stages['optimiser'] + stages['average'] + stages['enqueue']
    if updates > 0.15 * total:
        advice.append(
            f'optimiser, average and enqueue take {updates / total:.0%}, '
            'whatever the batch: a larger batch, or optim_wrapper.'
            'accumulative_counts, spreads them over more images'
        )
    if stages['transfer'] > 0.1 * total:
        advice.append(
            f'transfer and normalisation take {stages["transfer"] / total:.0%}'
            ': set train_dataloader.pin_memory=True and '
            'model.data_preprocessor.non_blocking=True'
        )
    return advice or [
        'nothing stands out: the networks are the limit, and they run as '
        'fast as the options here let them'
    ]


def _loader(
    transforms: dict[str, float],
    batch: int,
    workers: int,
    cores: int,
    step_seconds: float,
) -> str:
    image_seconds = sum(transforms.values())
    needed = math.ceil(image_seconds * batch / step_seconds)
    slowest = max(transforms, key=lambda name: transforms[name])
    share = transforms[slowest] / image_seconds
    text = (
        f'the step waits for data: an image costs a worker '
        f'{1e3 * image_seconds:.1f} ms ({slowest} {share:.0%} of it), so a '
        f'step of {batch} images in {step_seconds:.2f} s needs {needed} '
        f'worker(s); there are {workers}'
    )
    if needed <= workers:
        return (
            f'{text}. That should do: the cores are shared, or the disk is '
            'slower than this sample of files'
        )
    if needed <= cores:
        return f'{text}: set train_dataloader.num_workers={needed}'
    return (
        f'{text}, and this machine has {cores} cores. Store the images '
        f'smaller (their short side near twice that of the views), or use a '
        'machine with more cores a GPU'
    )
