"""Networks of other packages, built offline from configuration."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from radlens.base.errors import RadlensError, UsageError
from radlens.learning.networks import build_network, find_network, load_pretrained
from radlens.learning.networks.hf_backbone import HfBackbone

TRANSFORMER: dict[str, Any] = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "image_size": 56,
    "patch_size": 14,
}
CONFIGS = {
    # RAD-DINO is of this kind.
    "dinov2": transformers.Dinov2Config(**TRANSFORMER),
    "vit": transformers.ViTConfig(**TRANSFORMER),
    "convnext": transformers.ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1]),
    "resnet": transformers.ResNetConfig(hidden_sizes=[16, 32], depths=[1, 1], embedding_size=8, layer_type="basic"),
}


@pytest.fixture(params=sorted(CONFIGS))
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A model as the hub would give it."""
    torch.manual_seed(0)
    made = transformers.AutoModel.from_config(CONFIGS[request.param])
    made.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(56, 56), (70, 98)])
def test_a_backbone_is_its_pooled_output_and_a_linear_layer(folder: Path, channels: int, size: tuple[int, int]) -> None:
    network = build_network(f"hf:{folder}", (channels, *size), 2).eval()
    assert load_pretrained(f"hf:{folder}", network)
    assert isinstance(network, HfBackbone)
    images = torch.rand(3, channels, *size) * 2 - 1
    own = transformers.AutoModel.from_pretrained(folder).eval()
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    options = {"interpolate_pos_encoding": True} if own.config.model_type == "vit" else {}
    with torch.inference_mode():
        pixels = ((images + 1) / 2).expand(-1, 3, -1, -1)
        pooled = own(pixel_values=(pixels - mean) / std, **options).pooler_output.flatten(1)
        torch.testing.assert_close(network(images), network.head(pooled), atol=1e-5, rtol=1e-4)
    assert network(images).shape == (3, 2)


def test_a_backbone_learns_and_its_own_preprocessing_is_taken(folder: Path) -> None:
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5] * 3, "image_std": [0.25] * 3}))
    network = build_network(f"hf:{folder}", (1, 56, 56), 1)
    assert network.get_buffer("mean").flatten().tolist() == [0.5] * 3
    assert network.get_buffer("std").flatten().tolist() == [0.25] * 3
    network(torch.rand(2, 1, 56, 56)).sum().backward()
    assert network.get_parameter("head.weight").grad is not None
    assert all(torch.isfinite(value.grad).all() for value in network.parameters() if value.grad is not None)


def test_a_model_that_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RadlensError, match="hf:.*empty cannot be had"):
        build_network(f"hf:{tmp_path / 'empty'}", (1, 56, 56), 1)


@pytest.mark.parametrize("name", ["densenet121", "resnet18", "seresnet50", "efficientnet-b0"])
def test_networks_of_monai_are_built_by_name(name: str) -> None:
    network = build_network(f"monai:{name}", (1, 64, 64), 3)
    assert network.eval()(torch.zeros(2, 1, 64, 64)).shape == (2, 3)
    assert network.train()(torch.rand(1, 1, 64, 64)).shape == (1, 3)
    assert not load_pretrained(f"monai:{name}", network)


def test_unknown_names_name_the_nearest() -> None:
    with pytest.raises(UsageError, match="Unknown network 'monai:densenet12'. Did you mean 'densenet121'"):
        find_network("monai:densenet12")
    with pytest.raises(UsageError, match="Also: hf:NAME, monai:NAME"):
        find_network("densenet121")
    for name in ("monai:", "other:densenet121"):
        with pytest.raises(UsageError, match="Unknown network"):
            find_network(name)


@pytest.mark.parametrize(("package", "name"), [("monai", "monai:densenet121"), ("transformers", "hf:some/model")])
def test_a_package_that_is_not_installed_is_said(package: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, "monai.networks.nets", None)
    with pytest.raises(RadlensError, match=f'needs {package}, which .*: pip install "radlens\\[backbones\\]"'):
        build_network(name, (1, 64, 64), 1)
