"""Evaluate the features by kNN every few epochs of pretraining."""

from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch.utils.data import DataLoader

from ...evaluation import evaluate_knn, select_backbone
from ...evaluation.knn import check_ks, check_temperature
from ...evaluation.loaders import build_labelled_loaders
from ...evaluation.neighbours import check_bank_size
from ...evaluation.samples import num_images
from ...utils.errors import UserError


@HOOKS.register_module()
class OnlineKNNHook(Hook):
    """kNN accuracy of the frozen backbone on a labelled set.

    The labels serve this evaluation alone. Class folders of the same name are
    the same class; images that cannot be read are left out. It changes
    nothing of the training: batch norm statistics, queue, mode of every
    module and random generators are as before, so the losses are those of a
    run without it::

        dict(
            type='OnlineKNNHook',
            bank=dict(batch_size=256, num_workers=2, dataset=dict(...)),
            query=dict(batch_size=256, num_workers=2, dataset=dict(...)),
        )

    Each value is logged as ``knn_top1_k20 = 83.2``, sent to the
    visualisation backends with the epoch as step, and kept in the message
    hub, hence in the checkpoint.

    Args:
        bank: Dataloader of the labelled images that vote; a sampler is not
            needed.
        query: Dataloader of the labelled images to classify.
        interval: Epochs between evaluations. The last epoch is always
            evaluated.
        k: Number of neighbours, or several.
        temperature: Temperature of the votes.
        at_start: Evaluate before the first iteration too: what the features
            are worth before any learning.
        branch: ``'online'``, or ``'momentum'`` for the momentum encoder.

    Raises:
        UserError: A number is out of range; before training, if a data set
            has no labels, or fewer images than k.
        UserError: A dataloader is not a config.
    """

    priority = 'NORMAL'

    def __init__(
        self,
        bank: dict,
        query: dict,
        interval: int = 5,
        k: int | Sequence[int] = (20,),
        temperature: float = 0.07,
        at_start: bool = True,
        branch: str = 'online',
    ) -> None:
        for name, config in (('bank', bank), ('query', query)):
            if not isinstance(config, dict) or 'dataset' not in config:
                raise UserError(
                    f'OnlineKNNHook: {name} must be the config of a '
                    'dataloader, such as dict(batch_size=256, num_workers=2, '
                    f'dataset=dict(...)), got {config!r}'
                )
        if not isinstance(interval, int) or interval < 1:
            raise UserError(
                'OnlineKNNHook: interval must be a positive number of '
                f'epochs, got {interval!r}; to train without evaluation '
                'remove the hook'
            )
        check_temperature(temperature)
        self.bank = bank
        self.query = query
        self.interval = interval
        self.k = check_ks(k)
        self.temperature = temperature
        self.at_start = at_start
        self.branch = branch
        self._loaders: tuple[DataLoader, DataLoader] | None = None

    def before_train(self, runner: Runner) -> None:
        """Check the data; evaluate unless the run is being resumed."""
        select_backbone(runner.model, self.branch)
        self._build(runner)
        if self.at_start and runner.iter == 0:
            self._evaluate_and_log(runner, epoch=0)

    def after_train_epoch(self, runner: Runner) -> None:
        """Evaluate every few epochs and after the last one."""
        if self.every_n_epochs(
            runner, self.interval
        ) or self.is_last_train_epoch(runner):
            self._evaluate_and_log(runner, epoch=runner.epoch + 1)

    def evaluate(self, runner: Runner) -> dict[str, float]:
        """Accuracies in percent by name, such as ``knn_top1_k20``."""
        bank, query = self._build(runner)
        accuracies = evaluate_knn(
            runner.model, bank, query, self.k, self.temperature, self.branch
        )
        return {f'knn_top1_k{k}': value for k, value in accuracies.items()}

    def _evaluate_and_log(self, runner: Runner, epoch: int) -> None:
        metrics = self.evaluate(runner)
        runner.visualizer.add_scalars(metrics, step=epoch)
        for name, value in metrics.items():
            runner.message_hub.update_scalar(name, value)
            history, _ = runner.message_hub.get_scalar(name).data
            runner.logger.info(
                f'Epoch {epoch}: {name} = {value:.1f} (first '
                f'{history[0]:.1f}, best {max(history):.1f})'
            )

    def _build(self, runner: Runner) -> tuple[DataLoader, DataLoader]:
        if self._loaders is None:
            bank, query = build_labelled_loaders(
                self.bank, self.query, runner.seed
            )
            check_bank_size(num_images(bank), max(self.k))
            self._loaders = bank, query
        return self._loaders
