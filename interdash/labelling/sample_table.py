"""The explained samples as the dashboard shows them: thumbnail, words or values, and the variables' places."""

import json

import pyarrow as pa

from interdash.masking.kinds import KINDS
from interdash.masking.several import masked_input
from interdash.masking.variables import Explained


def sample_table(explained: Explained, class_names: list[str]) -> pa.Table:
    """Returns one row a sample: split, row, stratum, labels, names of the variables, display, image, shape, assignment.

    Args:
        explained: the samples.
        class_names: by class number.
    """
    variables, count = explained.variables, len(explained.inputs)
    labels, true = explained.labels.tolist(), explained.true_label or [None] * count

    def named(label: int | None) -> str | None:
        return label if label is None else class_names[label] if label < len(class_names) else str(label)

    assignment = variables.assignment if variables.per_sample else [variables.assignment] * count
    picture, display = KINDS[variables.kind].picture, explained.display or [None] * count
    shows = [None if each is None else json.dumps(each, ensure_ascii=False) for each in display]
    images = [picture(values.numpy()) if picture else None for values in masked_input(explained.inputs)]
    return pa.table(
        {
            "sample": pa.array(range(count), pa.int32()),
            "split": list(explained.split),
            "row": pa.array(explained.index.tolist(), pa.int32()),
            "stratum": pa.array(explained.stratum or [None] * count, pa.int32()),
            "label": pa.array(labels, pa.int32()),
            "label_name": [*map(named, labels)],
            "true_label": pa.array(true, pa.int32()),
            "true_label_name": pa.array([*map(named, true)], pa.string()),
            "names": pa.array([list(variables.names_of(i)) for i in range(count)], pa.list_(pa.string())),
            "display": pa.array(shows, pa.string()),
            "image": pa.array(images, pa.binary()),
            "shape": pa.array([list(each.shape) for each in assignment], pa.list_(pa.int32())),
            "assignment": pa.array([each.flatten().tolist() for each in assignment], pa.list_(pa.int16())),
        }
    )
