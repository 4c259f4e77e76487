"""Start a run from the weights of another one (``--init-from``)."""

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...transfer.initial_weights import Source, find_sources, load_weights
from ...transfer.metadata import tensor_hash
from ...utils.distributed import require_equal, unwrapped
from ...utils.text import listed
from ..runner.training import is_training


@HOOKS.register_module()
class InitialWeightsHook(Hook):
    """Load weights before the first iteration, and say what was loaded.

    In pretraining that includes what ``load_from`` and every
    ``init_cfg=dict(type='Pretrained', ...)`` name. mmengine drops what does
    not fit with a line in the log; here a missing or unexpected tensor stops
    the run before anything is initialised. A resumed run has its weights in
    its own checkpoint and does not load them again.

    Args:
        checkpoint: A whole SCE checkpoint, or a file with a backbone in any
            format of :mod:`sce_mm.transfer.formats`; None if only the config
            names files.

    Raises:
        CheckpointError: Before training, if there is no such file, it is
            damaged or does not fit the model, or two files fill the same
            part.
        UserError: Processes have read other weights, from the file systems of
            their machines.
    """

    priority = 'VERY_HIGH'

    def __init__(self, checkpoint: str | None = None) -> None:
        self.checkpoint = checkpoint
        self._sources: list[Source] = []

    def before_run(self, runner: Runner) -> None:
        """Take loading over from mmengine; check that every file fits."""
        # Testing needs no such file.
        if not is_training(runner):
            return
        model = unwrapped(runner.model)
        load_from = None if runner._resume else runner._load_from
        self._sources = find_sources(model, load_from, self.checkpoint)
        if any(source.spelling == 'load_from' for source in self._sources):
            runner._load_from = None
        if not runner._resume:
            for source in self._sources:
                load_weights(model, source)

    def before_train(self, runner: Runner) -> None:
        """Load the weights, after everything that initialises."""
        if runner.iter > 0:
            return
        model = unwrapped(runner.model)
        for source in self._sources:
            runner.logger.info(load_weights(model, source))
        if self._sources and runner.world_size > 1:
            # Each process has read its own file.
            weights = dict(model.named_parameters())
            names = listed([source.path for source in self._sources])
            require_equal(tensor_hash(weights), f'what {names} holds')
