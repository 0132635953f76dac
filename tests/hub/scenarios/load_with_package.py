"""Loads a model from the Hub and from its folder with our package imported, which needs no code from the Hub.

python load_with_package.py REPO FOLDER PROMPT
"""

import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import modeling_sensia


def main(repo: str, folder: str, prompt: str):
    model = AutoModelForCausalLM.from_pretrained(repo)
    local = modeling_sensia.BackpackForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(prompt, return_tensors="pt")
    with torch.no_grad():
        generated = local.generate(**inputs, max_new_tokens=12, do_sample=False)[0]
        results = {
            "is ours": type(model) is modeling_sensia.BackpackForCausalLM,
            "hub logits": model(**inputs).logits[0, -1].tolist(),
            "logits": local(**inputs).logits[0, -1].tolist(),
            "states": local.backpack(**inputs).last_hidden_state[0].tolist(),
            "generated": generated.tolist(),
            "written": tokenizer.decode(generated, skip_special_tokens=True),
        }
    print(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
