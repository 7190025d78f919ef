"""The weights of one network, found in what a checkpoint file holds: under any key, with any prefix."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from interdash.importing.inert_pickle import Inert, as_tensor

WRAPPERS = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")  # of compile and FSDP, at any place
NO_LAYER = re.compile(r"criterion|loss|metric|n_averaged|total_ops|total_params")
DEPTH = 8  # of nested dicts


@dataclass(frozen=True)
class Weights:
    """The weights of a network out of one file, and what became of the rest.

    Attributes:
        tensors: by the names that the network has.
        key: where they stood, such as "state_dict"; "" at the top.
        stripped: prefixes that were removed from the names.
        added: the prefix that was put before them.
        dropped: entries beside them that the network does not have.
        others: where other weights stand that fit as well, such as "state_dict_ema".
    """

    tensors: dict[str, Tensor]
    key: str
    stripped: tuple[str, ...] = ()
    added: str = ""
    dropped: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Content:
    """The tensors of a file by their path, dicts joined with dots, and the path of the dict that each stands in."""

    tensors: dict[str, Tensor]
    container: dict[str, str]
    wrappers: tuple[str, ...]  # taken out of the names
    modules: tuple[str, ...]  # classes of whole pickled modules


def find_weights(
    content: Any,
    network: nn.Module,
    source: str,
    *,
    choice: str = "",
    ignored: Sequence[str] = (),
    owner: str = "the spec's network",
) -> Weights:
    """Returns the weights of a network in what a checkpoint file holds, in the network's own data types.

    Args:
        content: see `inert_pickle.read_content`.
        network: has the names and shapes; its own weights stay as they are.
        source: the file, for messages.
        choice: the key of the weights where several fit, such as "state_dict_ema".
        ignored: starts of names that are left out though they look like layers of the network.
        owner: whose network it is, for messages.

    Raises:
        ValueError: no weights fit, several do, or the file holds layers that the network lacks.
    """
    own = network.state_dict()
    for wrappers in (WRAPPERS, (*WRAPPERS, "module.")):
        file = _flat(content, wrappers)
        names = {name: _bare(name, wrappers)[0] for name in own}
        wanted = {bare: own[name] for name, bare in names.items()}
        spare = {names[name] for name in _spare(network)}
        places = _places(file.tensors, wanted, spare)
        if places:
            break
    else:
        if (renamed := _renamed_by_library(Path(source), network)) is not None:
            return find_weights(renamed, network, "", choice=choice, ignored=ignored, owner=owner)
        raise ValueError(_misfit(source, _flat(content, WRAPPERS), own, owner))
    start, added = _one_of(places, file, wanted, choice, source, owner)

    entries = {bare: start + bare.removeprefix(added) for bare in wanted}
    container = file.container[entries[max(wanted.keys() - spare, key=len)]]
    rest = [name for name in file.tensors if file.container[name] == container and name not in entries.values()]
    copies = tuple(other for other, _ in places if other != start and other.startswith(start))
    _check_rest([name for name in rest if not name.startswith(copies)], file, start, container, ignored, source, owner)
    tensors = {
        name: (file.tensors[entries[bare]] if entries[bare] in file.tensors else own[name])
        .detach()
        .cpu()
        .to(own[name].dtype)
        .clone()
        .contiguous()
        for name, bare in names.items()
    }
    prefix = start.removeprefix(container)
    return Weights(
        tensors=tensors,
        key=container.rstrip("."),
        stripped=(*file.wrappers, *([prefix] if prefix else [])),
        added=added,
        dropped=tuple(name.removeprefix(container) for name in rest),
        others=tuple((other + more).rstrip(".") for other, more in places if (other, more) != (start, added)),
    )


def _renamed_by_library(folder: Path, network: nn.Module) -> Mapping[str, Tensor] | None:
    """Returns the weights of a Hugging Face folder by the names of the model's class; None if it does not fit.

    The library saves some models by names of earlier versions of it.
    """
    model: Any = next((module for module in network.modules() if hasattr(module, "from_pretrained")), None)
    if model is None or not (folder / "config.json").is_file():
        return None
    loaded, info = type(model).from_pretrained(folder, output_loading_info=True)
    return (
        None
        if any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
        else loaded.state_dict()
    )


def _flat(content: Any, wrappers: Sequence[str]) -> _Content:
    tensors: dict[str, Tensor] = {}
    container: dict[str, str] = {}
    seen: set[int] = set()
    cut: dict[str, None] = {}
    modules: list[str] = []

    def walk(value: Any, path: str, depth: int) -> None:
        if isinstance(value, nn.Module):  # only where the file is trusted
            value = value.state_dict()
        elif isinstance(value, Inert):
            if isinstance(value.state, dict) and "_parameters" in value.state:
                modules.append(value.name)
                return
            value = value.mapping or value.state
        if isinstance(value, list | tuple):
            value = dict(enumerate(value))
        if not isinstance(value, Mapping) or id(value) in seen or depth == 0:
            return
        seen.add(id(value))
        for key, entry in value.items():
            tensor = entry if isinstance(entry, Tensor) else as_tensor(entry)
            if tensor is None:
                walk(entry, f"{path}{key}.", depth - 1)
                continue
            name, removed = _bare(str(key), wrappers)
            if path + name not in tensors:
                tensors[path + name], container[path + name] = tensor, path
                cut.update(dict.fromkeys(removed))

    walk(content, "", DEPTH)
    return _Content(tensors, container, tuple(cut), tuple(modules))


def _bare(name: str, wrappers: Sequence[str]) -> tuple[str, list[str]]:
    """Returns a name without the wrappers in it, and those that were."""
    removed = []
    for wrapper in wrappers:
        bare = re.sub(rf"(^|\.){re.escape(wrapper)}", r"\1", name)
        removed += [wrapper] if bare != name else []
        name = bare
    return name, removed


def _spare(network: nn.Module) -> set[str]:
    """Returns the names that a file may lack: counters and positions, and the second name of shared weights."""
    own = network.state_dict(keep_vars=True)
    buffers = {name for name, value in network.named_buffers() if not value.is_floating_point()}
    once = {id(value): name for name, value in reversed(own.items())}
    shared = {name for name, value in own.items() if once[id(value)] != name}
    return (buffers | shared) & own.keys() if len(buffers | shared) < len(own) else set()


def _places(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], spare: set[str]) -> list[tuple[str, str]]:
    """Returns the pairs (start, added) by which all wanted names fit: added + name stands in the file as start + name.

    As little as possible is added: the first prefix of all wanted names with which any start fits.
    """
    needed = {name: _kind(value) for name, value in wanted.items() if name not in spare}
    if not needed:
        return []
    first, last = min(needed), max(needed)  # what these two share, all names between them share too
    shared = first[: next((i for i, pair in enumerate(zip(first, last, strict=False)) if len(set(pair)) > 1), 0)]
    for added in ("", *(shared[: match.end()] for match in re.finditer(r"\.", shared))):
        names = {name.removeprefix(added): kind for name, kind in needed.items()}
        longest = max(names, key=len)
        starts = [name.removesuffix(longest) for name in tensors if name.endswith(longest)]
        fitting = [
            (start, added)
            for start in starts
            if all(start + name in tensors and _kind(tensors[start + name]) == kind for name, kind in names.items())
        ]
        if fitting:
            return fitting
    return []


def _kind(tensor: Tensor) -> tuple[torch.Size, bool, bool]:
    """Returns what a weight must have in common with the network's: its shape, and what kind of numbers it holds."""
    return tensor.shape, tensor.is_floating_point(), tensor.is_complex()


def _one_of(
    places: Sequence[tuple[str, str]],
    file: _Content,
    wanted: Mapping[str, Tensor],
    choice: str,
    source: str,
    owner: str,
) -> tuple[str, str]:
    """Returns the place that is meant: the only one, or the chosen one where an average or a copy stands beside it."""
    labels = {place: (place[0] or "the top").rstrip(".") for place in places}
    if choice:
        chosen = [place for place in places if f"{place[0]}.".startswith(f"{choice.rstrip('.')}.")]
        if not chosen:
            raise ValueError(
                f"{source} holds no weights under {choice!r}; weights that fit {owner} stand under "
                f"{', '.join(labels.values())}: name one of them with --weights, or leave it out"
            )
        places = chosen

    def same(one: tuple[str, str], other: tuple[str, str]) -> bool:
        names = [name.removeprefix(one[1]) for name in wanted]
        pairs = [(file.tensors.get(one[0] + name), file.tensors.get(other[0] + name)) for name in names]
        return all(a is b or (a is not None and b is not None and torch.equal(a, b)) for a, b in pairs)

    if not all(same(places[0], other) for other in places[1:]):
        raise ValueError(
            f"{source} holds several weights that fit {owner}, under "
            f"{' and '.join(labels[place] for place in places)}; name one: --weights {labels[places[0]]}"
            f"{_split([labels[place] for place in places], source)}"
        )
    return places[0]


def _split(labels: Sequence[str], source: str) -> str:
    """Returns the command that writes a file for each of several weights whose keys differ by a number; "" else."""
    paths = [re.fullmatch(r"((?:.*\.)?)([^.]*?)\d+", label) for label in labels]
    if None in paths or len({path.groups() for path in paths if path}) != 1:
        return ""
    inner = "".join(f"[{part!r}]" for part in (paths[0] or [""])[1].split(".") if part)
    return (
        ', or if these are epochs, write a file for each: python -c "import torch; '
        f"whole = torch.load('{source}', weights_only=True){inner}; whole = whole if isinstance(whole, dict) else "
        "dict(enumerate(whole)); [torch.save(each, f'ckpt_{key}.pt') for key, each in whole.items()]\" and name "
        "them: --checkpoints 'ckpt_*.pt'"
    )


def _check_rest(
    rest: Sequence[str],
    file: _Content,
    start: str,
    container: str,
    ignored: Sequence[str],
    source: str,
    owner: str,
) -> None:
    """Raises ValueError if entries that are left out look like layers between those of the network."""
    layers: dict[str, list[str]] = {}
    for name in rest:
        inner = name.removeprefix(start)
        if name.startswith(start) and not NO_LAYER.search(inner):
            layers.setdefault(inner.rpartition(".")[0], []).append(name)
    for layer, names in layers.items():
        last = {name.rpartition(".")[2] for name in names}
        weighty = any(file.tensors[name].ndim > 1 and file.tensors[name].is_floating_point() for name in names)
        if (weighty or last >= {"weight", "bias"}) and not any(layer.startswith(each) for each in ignored):
            raise ValueError(
                f"{source} does not fit {owner}: it has {_some(names, container)} besides, which looks like "
                f"a layer that the network lacks; let the spec build the same one, or leave it out: --ignore {layer}"
            )


def _misfit(source: str, file: _Content, own: Mapping[str, Tensor], owner: str) -> str:
    """Returns in words why no weights fit."""
    if not file.tensors and file.modules:
        return (
            f"{source} holds a whole pickled module ({file.modules[0]}), and reading one runs code; expected a state "
            "dict: where you trust the file, add --trust, or save model.state_dict()"
        )
    if not file.tensors:
        return f"{source} holds no weights; expected a state dict: save model.state_dict() with torch.save"
    if lora := [name for name in file.tensors if "lora_" in name]:
        return (
            f"{source} holds an adapter alone ({lora[0]}), not the network; expected all of its weights: save "
            "model.merge_and_unload().state_dict()"
        )
    ends = {name: [entry for entry in file.tensors if f".{entry}".endswith(f".{name}")] for name in own}
    missing = [name for name, entries in ends.items() if not entries]
    if not missing:
        for name, entries in ends.items():
            kinds = [_kind(file.tensors[entry]) for entry in entries]
            first = file.tensors[entries[0]]
            if own[name].shape not in [kind[0] for kind in kinds]:
                return (
                    f"{source} does not fit {owner}: {entries[0]} is {_shape(tuple(first.shape))}, {name} of the "
                    f"network is {_shape(tuple(own[name].shape))}; let the spec build the network that was saved"
                )
            if _kind(own[name]) not in kinds and own[name].is_floating_point():
                return (
                    f"{source} does not fit {owner}: {entries[0]} is of {first.dtype}, {name} of the network of "
                    f"{own[name].dtype}; expected the weights before they were quantized: save model.state_dict() then"
                )
    known = {name for entries in ends.values() for name in entries}
    unknown = [name for name in file.tensors if name not in known]
    return (
        f"{source} does not fit {owner}: it lacks {_some(missing or list(own))}"
        f"{f' and has {_some(unknown)} besides' if unknown else ''}; let the spec build the network that was saved"
    )


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _some(names: Sequence[str], prefix: str = "") -> str:
    short = [name.removeprefix(prefix) for name in names]
    return (", ".join(short[:3]) + (f" and {len(short) - 3} more" if len(short) > 3 else "")) or "nothing"
