"""How is an image array augmented into the views that are compared?

``augmentations`` says how strong and how likely each operation is (``strong``,
``weak``, ...); ``view_params`` draws the random numbers of a view from that
and applies them with the operations of ``image_ops``; ``sce_views`` does so in
a pipeline. With ``--device-views`` the workers only draw the numbers, and
``batch_views`` makes the views on the model's device with ``batch_ops``.
"""
