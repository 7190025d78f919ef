"""The explained samples as two files: samples.safetensors for the tensors, samples.json for the words.

torch is imported inside the functions that need it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from interdash.runs import files

if TYPE_CHECKING:
    from interdash.masking.variables import Explained

_REMEDY = "copy it again from where the run was made"


def save(folder: Path, explained: Explained) -> None:
    """Writes the explained samples into a run's folder; the tensors' SHA-256 goes into the description."""
    from interdash.masking.several import Several

    variables, inputs = explained.variables, explained.inputs
    others, arguments = {}, {}
    if isinstance(inputs, Several):
        arguments = {"arguments": [*inputs.tensors], "masked": inputs.of_masked}
        others = {f"input {name}": tensor for name, tensor in inputs.tensors.items() if name != inputs.of_masked}
        inputs = inputs.masked
    content = files.tensor_bytes(
        {
            "inputs": inputs,
            "labels": explained.labels,
            "index": explained.index,
            "assignment": variables.assignment,
            "baseline": variables.baseline,
            **others,
        }
    )
    words = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "split": list(explained.split),
        "display": list(explained.display),
        "kind": variables.kind,
        "names": variables.names,
        "at": variables.at,
        "baseline_of_each": variables.baseline_of_each,
    } | arguments
    words |= {key: list(getattr(explained, key)) for key in ("stratum", "true_label") if getattr(explained, key)}
    (folder / "samples.json").unlink(missing_ok=True)  # never an old description beside new tensors
    files.write_atomically(folder / "samples.safetensors", content)
    files.write_atomically(folder / "samples.json", json.dumps(files.with_checksum(words), ensure_ascii=False).encode())


def description(folder: Path) -> dict[str, Any]:
    """Returns what samples.json holds: sha256; split, display, stratum, true label of each sample; kind, names, at.

    Raises:
        FileNotFoundError: the samples were not written yet.
        DamagedFileError: the file is not readable.
    """
    path = folder / "samples.json"
    if not path.exists():
        hint = f"they are drawn when its training ends, or by `interdash extract {folder.name}`"
        raise FileNotFoundError(f"run {folder.name!r} has no explained samples yet; {hint}")
    try:
        words = json.loads(path.read_bytes())
        _ = [words[key] for key in ("sha256", "split", "display", "kind", "names", "at")]
        if files.checksum_holds(words) is False:
            raise ValueError("its checksum does not hold")
    except (ValueError, KeyError, TypeError) as error:
        raise files.DamagedFileError(f"{path} is damaged ({error}); {_REMEDY}") from error
    return words


def strata(folder: Path) -> np.ndarray | None:
    """Returns the stratum of each sample, `[samples]`, those of the testing split after those of the training split.

    None for samples that were drawn at random. See `formulas.bootstrap`.
    """
    words = description(folder)
    if "stratum" not in words:
        return None
    return np.array(words["stratum"]) + len(words["split"]) * (np.array(words["split"]) == "test")


def load(folder: Path) -> Explained:
    """Returns the explained samples of a run's folder.

    Raises:
        FileNotFoundError: the samples were not written yet.
        DamagedFileError: a file is truncated or altered.
    """
    from interdash.masking.several import Several
    from interdash.masking.variables import Explained, Variables

    words = description(folder)
    tensors = files.read_tensors(folder / "samples.safetensors", words["sha256"], _REMEDY)
    # text: the words of each sample, else one list for all
    names = tuple(tuple(each) if isinstance(each, list) else each for each in words["names"])
    variables = Variables(
        words["kind"],
        names,
        tensors["assignment"],
        tensors["baseline"],
        words["at"],
        words.get("baseline_of_each", False),
    )
    inputs = tensors["inputs"]
    if "arguments" in words:
        named = {f"input {words['masked']}": inputs, **tensors}
        inputs = Several({name: named[f"input {name}"] for name in words["arguments"]}, words["masked"])
    return Explained(
        inputs=inputs,
        labels=tensors["labels"],
        split=tuple(words["split"]),
        index=tensors["index"],
        variables=variables,
        display=words["display"],
        stratum=tuple(words.get("stratum", ())),
        true_label=tuple(words.get("true_label", ())),
    )
