"""The explained samples as the dashboard shows them: thumbnail, words or values, and the variables' places."""

import io
import json

import numpy as np
import pyarrow as pa
from PIL import Image

from interdash.variables import Explained


def sample_table(explained: Explained, class_names: list[str]) -> pa.Table:
    """Returns one row a sample: split, row, label, names of the variables, display, image, shape, assignment.

    Args:
        explained: the samples.
        class_names: by class number.
    """
    variables, count = explained.variables, len(explained.inputs)
    labels = explained.labels.tolist()
    assignment = variables.assignment if variables.per_sample else [variables.assignment] * count
    image = variables.kind == "image"
    shows = [None if image else json.dumps(each, ensure_ascii=False) for each in explained.display] or [None] * count
    images = [png(pixels.numpy()) for pixels in explained.inputs] if image else [None] * count
    return pa.table(
        {
            "sample": pa.array(range(count), pa.int32()),
            "split": list(explained.split),
            "row": pa.array(explained.index.tolist(), pa.int32()),
            "label": pa.array(labels, pa.int32()),
            "label_name": [class_names[label] if label < len(class_names) else str(label) for label in labels],
            "names": pa.array([list(variables.names_of(i)) for i in range(count)], pa.list_(pa.string())),
            "display": pa.array(shows, pa.string()),
            "image": pa.array(images, pa.binary()),
            "shape": pa.array([list(each.shape) for each in assignment], pa.list_(pa.int32())),
            "assignment": pa.array([each.flatten().tolist() for each in assignment], pa.list_(pa.int16())),
        }
    )


def png(pixels: np.ndarray) -> bytes:
    """Returns an image `[channels, height, width]` as a PNG, grey (from any but 3 channels: their mean) or RGB.

    Values from 0 to 1 are shown as they are; an image with others (standardised, say) is stretched to its own range.
    """
    pixels = np.asarray(pixels, np.float64)
    if pixels.shape[0] != 3:
        pixels = pixels.mean(0, keepdims=True)
    inside = pixels.min() >= 0 and pixels.max() <= 1
    low, high = (0.0, 1.0) if inside else (pixels.min(), pixels.max())
    data = np.round((pixels - low) / max(high - low, 1e-12) * 255).astype(np.uint8).transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(data.squeeze(2) if data.shape[2] == 1 else data).save(file, format="PNG")
    return file.getvalue()
