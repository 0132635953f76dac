"""Stock GPT-2's training step on our rows, for the benchmark of the step."""

import copy
from typing import Any

import torch
from gpu_steps import stock_backward
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel


class StockTraining:
    """
    GPT-2 with random weights, without dropout, and fused AdamW.

    Args:
        trunk (`GPT2Config`): its size.
        autocast (`bool`): whether a step is under bf16 autocast.
    """

    def __init__(self, trunk: GPT2Config, autocast: bool):
        config = copy.deepcopy(trunk)
        config.update({"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0})
        self.model = GPT2LMHeadModel._from_config(config, attn_implementation=trunk._attn_implementation).train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=5e-5, weight_decay=0.01, fused=True)
        self.autocast = autocast

    def step(self, batch: dict[str, Any]):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            stock_backward(self.model, batch)
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
