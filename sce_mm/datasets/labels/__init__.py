"""How are the files of labels read, and what is wrong with them?

``coco_labels`` checks annotations in COCO format, ``voc_labels`` reads Pascal
VOC's XML files, ``mask_labels`` checks folders of masks as mmseg takes them,
``class_lists`` writes lists of images with a class each.
The commands that convert data sets use them.
"""
