# The images of COCO, no labels: all in the folder, annotated or not. Those of
# unlabeled2017 can join in:
#     data_root=['data/coco/train2017', 'data/coco/unlabeled2017']
_base_ = './folder_sce.py'

train_dataloader = dict(
    num_workers=8, dataset=dict(data_root='data/coco/train2017')
)
