"""Names of version 0.1, in checkpoints and configurations, and what they are called now. Knows no class."""

from collections.abc import Mapping
from typing import Any

NETWORKS = {
    "OneHead": "SingleHeadGPT",
    "MultiHead": "MultiHeadGPT",
    "AttendAndThink": "FeedForwardGPT",
    "Residual": "ResidualGPT",
    "Normed": "LayerNormGPT",
}
SIZES = {"convolution": "conv_width"}
OPPOSITES = {"own_head": "tie_weights"}  # true is false now
LAYERS = {"mix": "projection", "layer": "fc"}


def modernised(network: str, sizes: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Translates a network's class name (or the path of its class) and its sizes; new names stay what they are."""
    path, dot, name = network.rpartition(".")
    renamed = {SIZES.get(size, size): value for size, value in sizes.items() if size not in OPPOSITES}
    turned = {new: not sizes[old] for old, new in OPPOSITES.items() if old in sizes}
    return path + dot + NETWORKS.get(name, name), {**renamed, **turned}


def modernised_key(key: str) -> str:
    """Translates a weight's name in a state dict: `net.blocks.0.mlp.layer.weight` to `net.blocks.0.mlp.fc.weight`."""
    return ".".join(LAYERS.get(part, part) for part in key.split("."))


def modernised_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Translates the network of a run's configuration, as a YAML file holds it; all else is passed on."""
    model = config.get("model")
    if not isinstance(model, Mapping) or "network" not in model:
        return dict(config)
    network = model["network"]
    if isinstance(network, str):
        network, _ = modernised(network, {})
    elif isinstance(network, Mapping) and isinstance(network.get("class_path"), str):
        sizes = network.get("init_args") or {}
        if isinstance(sizes, Mapping):  # else no network's, which is said where options are checked
            class_path, sizes = modernised(network["class_path"], sizes)
            network = {**network, "class_path": class_path, "init_args": sizes}
    return {**config, "model": {**model, "network": network}}
