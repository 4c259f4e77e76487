"""Labels in COCO format for square images of 64 pixels."""


def coco(count, names, masks=False):
    """Content of a file: ``0.png`` and so on, one box each, two classes."""
    left, top, right, bottom = 10, 12, 40, 50
    box = [left, top, right - left, bottom - top]
    content = {
        'images': [
            {'id': i, 'file_name': f'{i}.png', 'width': 64, 'height': 64}
            for i in range(count)
        ],
        'annotations': [
            {
                'id': i,
                'image_id': i,
                'category_id': 1 + i % 2,
                'bbox': box,
                'area': box[2] * box[3],
                'iscrowd': 0,
            }
            for i in range(count)
        ],
        'categories': [{'id': i, 'name': n} for i, n in enumerate(names, 1)],
    }
    corners = [left, top, right, top, right, bottom, left, bottom]
    for annotation in content['annotations'] if masks else ():
        annotation['segmentation'] = [corners]
    return content
