"""Shuffled and split batch norm for the momentum encoder (ShuffleBN).

If a key is normalised with the batch that its query was normalised with, the
online branch can find the pair by the statistics of the batch instead of the
content of the image. He et al. (MoCo, CVPR 2020) therefore let the momentum
branch see the images in other batches: shuffled over the processes
(:func:`encode_shuffled`), or, on a single device, in groups
(:class:`SplitBatchNorm2d`). SyncBN needs neither, as all images of the step
then share one set of statistics.
"""

from collections.abc import Callable, Sequence

import torch
from mmengine.dist import all_gather, get_rank
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from ...utils.errors import UserError


def check_divisible(batch: int, groups: int) -> None:
    """Refuse a batch that does not split into equal groups."""
    if batch % groups:
        raise UserError(
            f'a batch of {batch} images does not split among {groups} '
            'simulated devices: make the batch a multiple of '
            'model.shuffle_bn.simulated_devices, and keep drop_last=True in '
            'train_dataloader, or the last batch of the epoch is shorter'
        )


class SplitBatchNorm2d(nn.BatchNorm2d):
    """Batch norm of a batch in groups, as on several devices.

    Sample n belongs to group n mod S and is normalised with the statistics of
    its group. The running statistics are the means of those of the groups. In
    eval mode, and in its state dict, it is plain batch norm.

    Args:
        num_features: C of the input ``[N, C, H, W]``.
        groups: S, the number of groups; N must be a multiple of it.
        **kwargs: See :class:`torch.nn.BatchNorm2d`; running statistics with a
            fixed momentum are needed.

    Raises:
        UserError: The batch norm keeps no such running statistics.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, num_features: int, groups: int, **kwargs: object):
        super().__init__(num_features, **kwargs)  # type: ignore[arg-type]
        if not self.track_running_stats or self.momentum is None:
            raise UserError(
                'shuffle_bn needs batch norm with running statistics and a '
                'momentum: norm_cfg has track_running_stats=False or '
                'momentum=None'
            )
        self.groups = groups

    def forward(self, images: Tensor) -> Tensor:
        """Normalised ``[N, C, H, W]``, in the memory format that came."""
        if not self.training:
            return super().forward(images)
        check_divisible(len(images), self.groups)
        assert self.momentum is not None
        # Row r now holds the samples r S to r S + S - 1 side by side: channel
        # s C + c is channel c of group s, and one kernel does all groups.
        side_by_side = images.contiguous().view(
            -1, self.groups * self.num_features, *images.shape[2:]
        )
        mean = self.running_mean.repeat(self.groups)
        var = self.running_var.repeat(self.groups)
        normalised = batch_norm(
            side_by_side,
            mean,
            var,
            self.weight.repeat(self.groups) if self.affine else None,
            self.bias.repeat(self.groups) if self.affine else None,
            training=True,
            momentum=self.momentum,
            eps=self.eps,
        )
        with torch.no_grad():
            self.running_mean.copy_(mean.view(self.groups, -1).mean(dim=0))
            self.running_var.copy_(var.view(self.groups, -1).mean(dim=0))
            self.num_batches_tracked.add_(1)
        normalised = normalised.view(images.shape)
        if images.is_contiguous(memory_format=torch.channels_last):
            return normalised.contiguous(memory_format=torch.channels_last)
        return normalised


def split_batch_norm(module: nn.Module, groups: int) -> int:
    """Replace each 2-d batch norm inside a module; return how many."""
    count = 0
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            same = 'eps', 'momentum', 'affine', 'track_running_stats'
            options = {name: getattr(child, name) for name in same}
            split = SplitBatchNorm2d(child.num_features, groups, **options)
            split.to(child.running_mean)
            split.load_state_dict(child.state_dict())
            setattr(module, name, split)
            count += 1
        else:
            count += split_batch_norm(child, groups)
    return count


def refuse_sync_batch_norm(module: nn.Module) -> None:
    """Refuse layers that normalise over all processes."""
    for name, layer in module.named_modules():
        if isinstance(layer, nn.SyncBatchNorm):
            raise UserError(
                f'shuffle_bn makes no sense with SyncBN ({name}): all images '
                'of a step share its statistics already. Set norm_cfg=dict('
                "type='BN') in the backbone and dict(type='BN1d') in the "
                'neck, and no sync_bn in the config, or leave out shuffle_bn'
            )


@torch.no_grad()
def encode_shuffled(
    encode: Callable[..., Sequence[Tensor]],
    inputs: Sequence[Tensor],
    seed: int,
) -> list[Tensor]:
    """Encode the images of all processes, each in the batch of another.

    The images of all processes are brought together and permuted; each
    process encodes its slice of the permutation, and the outputs go back to
    where the images came from.

    Args:
        encode: From ``inputs`` to its outputs, ``[N, ...]`` each, with batch
            norm inside.
        inputs: The images ``[N, 3, h, w]`` of this process, and what belongs
            to each, ``[N, ...]``; each process has as many.
        seed: Seed of the permutation, the same on all processes.

    Returns:
        The outputs for the images of this process, in order.
    """
    everyone = [torch.cat(all_gather(x.contiguous())) for x in inputs]
    count, device = len(inputs[0]), inputs[0].device
    own = slice(get_rank() * count, (get_rank() + 1) * count)
    # Drawn on the device, where nothing waits for the host.
    generator = torch.Generator(device).manual_seed(seed)
    order = torch.randperm(
        len(everyone[0]), generator=generator, device=device
    )
    outputs = encode(*(x[order[own]] for x in everyone))
    back = order.argsort()[own]
    return [torch.cat(all_gather(x.contiguous()))[back] for x in outputs]
