"""Where to train and predict: the choice is tested with pretended devices, a GPU itself in `test_gpu.py`."""

import numpy as np
import pytest
import torch

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe._common.device import available_devices, resolve_device, with_own_seed


@pytest.fixture
def machine(monkeypatch):
    """Pretend to be a machine with these devices."""

    def pretend(n_cuda=0, mps=False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: n_cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: n_cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


@pytest.mark.parametrize(
    ("devices", "chosen"),
    [({}, "cpu"), ({"mps": True}, "mps"), ({"n_cuda": 1}, "cuda"), ({"n_cuda": 2, "mps": True}, "cuda")],
)
def test_auto_prefers_cuda_then_mps_then_cpu(machine, devices, chosen):
    machine(**devices)
    assert resolve_device("auto") == torch.device(chosen)


@pytest.mark.parametrize(
    "device", ["cpu", "cpu:0", "cuda", "cuda:0", "cuda:1", "mps", "mps:0", torch.device("cuda", 1)]
)
def test_available_devices_are_taken(machine, device):
    machine(n_cuda=2, mps=True)
    assert resolve_device(device) == torch.device(device)


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "mps", "cuda:2", "gpu", "cpu:1", "xpu", torch.device("cuda")])
def test_unavailable_devices_are_refused_with_a_list(machine, device):
    machine()
    with pytest.raises(ValueError, match=r"device '.*' is not available; available here: \['auto', 'cpu'\]"):
        resolve_device(device)


def test_second_gpu_of_a_machine_with_one_is_refused(machine):
    machine(n_cuda=1)
    assert available_devices() == ["cuda", "cuda:0", "cpu"]
    with pytest.raises(
        ValueError, match=r"'cuda:1' is not available; available here: \['auto', 'cuda', 'cuda:0', 'cpu'"
    ):
        resolve_device("cuda:1")


def test_fit_names_an_unavailable_device(machine):
    machine()
    with pytest.raises(ValueError, match="device 'cuda:1' is not available"):
        MMoERegressor(device="cuda:1").fit([[0.0], [1.0]], [0.0, 1.0])


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu"), "auto"])
def test_fit_on_the_cpu(device):
    X = np.random.default_rng(0).normal(size=(20, 2))
    model = MMoERegressor(device=device, max_epochs=1, n_experts=1).fit(X, X[:, 0])
    expected = resolve_device(device)
    assert next(model.module_.parameters()).device.type == expected.type


def test_a_seed_on_mps_puts_its_generator_back(monkeypatch):
    """Apple's generator has a state of its own, which `fork_rng` does not know."""
    calls = []
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: "state before")
    monkeypatch.setattr(torch.mps, "set_rng_state", lambda state: calls.append(state))
    monkeypatch.setattr(torch.mps, "manual_seed", lambda seed: calls.append(seed))
    before = torch.get_rng_state()
    first = with_own_seed(3, torch.device("mps"), lambda turn: torch.rand(1))
    assert torch.equal(torch.get_rng_state(), before)
    assert calls == [3, "state before"]
    assert torch.equal(with_own_seed(3, torch.device("cpu"), lambda turn: torch.rand(1)), first)
