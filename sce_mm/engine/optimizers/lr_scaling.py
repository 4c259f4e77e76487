"""Scale a learning rate to another batch size, by the law of its optimiser."""

# Whose step is as large as the gradient, or as large as the weights.
_LINEAR = ('SGD', 'ASGD', 'LARS', 'LARSMoCoV3')


def lr_factor(ratio: float, optimizer: str) -> tuple[float, str]:
    """By what the learning rate changes when the batch does, and why.

    In proportion for SGD (Goyal et al., arXiv:1706.02677), by the square root
    for Adam and others that divide the gradient by its own size (Malladi et
    al., arXiv:2205.10287).

    Args:
        ratio: New batch size over the old one.
        optimizer: Name of its class.

    Returns:
        The factor, and the law as part of a sentence.

    >>> lr_factor(0.25, 'SGD')
    (0.25, 'in proportion')
    >>> lr_factor(0.25, 'AdamW')[0]
    0.5
    """
    if optimizer in _LINEAR:
        return ratio, 'in proportion'
    return ratio**0.5, (
        f'by the square root, as {optimizer} divides gradients by their size'
    )
