"""Under torchrun: loads a Backpack with tensor parallelism, measures and writes, and reports it from rank 0.

Arguments: folder of the model, folder for what comes out.
"""

import json
import sys
from pathlib import Path

import torch
from torch import distributed
from transformers.distributed import DistributedConfig

from modeling_sensia import BackpackForCausalLM

source, output = Path(sys.argv[1]), Path(sys.argv[2])


def main():
    ids = torch.load(source / "ids.pt", weights_only=True)
    parallel = DistributedConfig(tp_size=2, tp_plan="auto")
    model = BackpackForCausalLM.from_pretrained(source, distributed_config=parallel).eval()
    with torch.no_grad():
        logits = model(ids).logits  # [B, L, V]
        losses = [model(ids, labels=ids, return_logits=keep).loss.item() for keep in (True, False)]
    text = model.generate(ids[:, :4], max_new_tokens=5, do_sample=False, pad_token_id=0)
    if distributed.get_rank() == 0:
        torch.save(logits, output / "logits.pt")
        (output / "results.json").write_text(json.dumps({"losses": losses, "text": text.tolist()}))
    distributed.barrier()  # a group that one process leaves early can end another
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
