"""Whether a device that the user names can be used."""

import re


def check_device_name(name: str) -> str:
    """Returns a name that a device can have; whether it is there is for the machine that computes to say.

    Raises:
        ValueError: no device has such a name.
    """
    if not re.fullmatch(r"cpu|cuda(:[0-9]+)?", name):
        raise ValueError(f"{name!r} is no device that interdash can use; write cpu, cuda or cuda:1")
    return name


def check_device(name: str) -> str:
    """Returns the name of a device if torch can use it here; torch is imported for others than "cpu" only.

    Raises:
        ValueError: it is no device, or this machine has no such GPU; the message says what can be used.
    """
    if check_device_name(name) == "cpu":
        return name
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        raise ValueError(
            f"device {name!r} was asked for, but torch {torch.__version__} finds no GPU here; "
            "leave --device out to compute on the CPU, or install a driver and a torch built for CUDA (pytorch.org)"
        )
    if name not in {"cuda", *(f"cuda:{i}" for i in range(count))}:
        raise ValueError(f"there is no device {name!r}; this machine has {count} GPUs: cuda:0 to cuda:{count - 1}")
    return name
