"""How is an image array augmented into the views that are compared?

The way of an array [h, w, 3] through these files:

1. ``augmentations``: how strong and how likely each operation is (``strong``,
   ``weak``, ...). A config changes numbers here, such as ``blur_sigma``.
2. ``view_params``: the random numbers of one view are drawn from that, and
   applied in the order crop, jitter, grey, blur, solarise, flip.
3. ``image_ops``: the operations themselves (crop, jitter, blur, ...) on one
   uint8 array, in the workers.
4. ``sce_views``: the transform ``SCEViews`` of a pipeline, which does 1 to 3
   for each view.

With ``--device-views`` the workers only draw the numbers. ``batch_views``
packs them into a tensor and makes the views of a batch on the model's device,
with the operations of ``batch_ops``.
"""
