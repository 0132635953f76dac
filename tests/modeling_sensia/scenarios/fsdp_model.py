"""Under torchrun: shards a Backpack by FSDP2, trains, measures, writes, and saves the whole model from rank 0.

Arguments: folder of the model, folder for what comes out, layers to wrap (`decoder` or `all`).
"""

import json
import sys
from pathlib import Path

import torch
from torch import distributed
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from modeling_sensia import BackpackForCausalLM

source, output, wrapped = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]


def shard(model):
    """Wraps what the model says must not be split, or its decoder layers alone, then the rest with the root."""
    networks = ("BackpackSenseNetwork", "BackpackWeightNetwork")
    units = set(model._no_split_modules) - (set(networks) if wrapped == "decoder" else set())
    mesh = init_device_mesh("cpu", (distributed.get_world_size(),))
    for module in model.modules():
        if type(module).__name__ in units:
            fully_shard(module, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def measure(model, ids):
    with torch.no_grad():
        return model(ids, labels=ids).loss.item()


def write(model, ids):
    return model.generate(ids[:, :4], max_new_tokens=5, do_sample=False, pad_token_id=0).tolist()


def main():
    distributed.init_process_group("gloo")
    ids = torch.load(source / "ids.pt", weights_only=True)
    model = shard(BackpackForCausalLM.from_pretrained(source))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.train()
    loss = model(ids, labels=ids).loss
    loss.backward()
    optimizer.step()
    model.eval()
    state = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    if distributed.get_rank() == 0:
        model.save_pretrained(output / "saved", state_dict=state)
    results = {"train": loss.item(), "measure": measure(model, ids), "write": write(model, ids)}
    if distributed.get_rank() == 0:
        (output / "results.json").write_text(json.dumps(results))
    distributed.barrier()  # a group that one process leaves early can end another
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
