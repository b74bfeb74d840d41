"""What a process has for all of its code."""

import pickle
import random
import signal

import numpy as np
import torch
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack


def shared_state():
    """What a call must leave as it was, whatever ends it."""
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": pickle.dumps(np.random.get_state()),
        "python": random.getstate(),
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "default dtype": torch.get_default_dtype(),
        "default device": torch.empty(0).device,
        "modes": torch._C._len_torch_function_stack(),
        "modes of operators": len(_get_current_dispatch_mode_stack()),
        "hooks of all modules": len(torch.nn.modules.module._global_forward_pre_hooks),
        "signal": signal.getsignal(signal.SIGINT),
    }
