"""One thread in each process that loads images."""

from collections.abc import Callable

import cv2


class OneThread:
    """``worker_init_fn`` of a loader whose workers take one core each.

    torch sets its own number of threads to 1 in workers; OpenCV would start
    as many as there are cores in every one of them. In training mmengine's
    ``opencv_num_threads=0`` does it.

    Args:
        inner: What the workers begin with besides.
    """

    def __init__(self, inner: Callable[[int], None] | None) -> None:
        self.inner = inner

    def __call__(self, worker_id: int) -> None:
        """Begin worker number ``worker_id``."""
        if self.inner is not None:
            self.inner(worker_id)
        cv2.setNumThreads(0)
