"""Loads a model as somebody does who has only transformers: the code comes from the repository.

python load_without_packages.py REPO PROMPT
"""

import json
import sys

# An installed package cannot be imported any more, wherever it lies.
for package in ("modeling_sensia", "corpora", "trainers", "evaluation", "model_cards", "sentence_transformers"):
    sys.modules[package] = None

import torch  # noqa: E402
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, pipeline  # noqa: E402


def main(repo: str, prompt: str):
    # The tokenizer asks for it too: which class it takes is decided by the configuration, whose class is remote.
    tokenizer = AutoTokenizer.from_pretrained(repo, trust_remote_code=True)
    inputs = tokenizer(prompt, return_tensors="pt")
    base = AutoModel.from_pretrained(repo, trust_remote_code=True)
    model = AutoModelForCausalLM.from_pretrained(repo, trust_remote_code=True)
    writer = pipeline("text-generation", model=repo, trust_remote_code=True, device="cpu")
    with torch.no_grad():
        results = {
            "package": package_is_there(),
            "classes": [f"{type(each).__module__}.{type(each).__name__}" for each in (base, model, writer.model)],
            "states": base(**inputs).last_hidden_state[0].tolist(),
            "logits": model(**inputs).logits[0, -1].tolist(),
            "generated": model.generate(**inputs, max_new_tokens=12, do_sample=False)[0].tolist(),
            "written": writer(prompt, max_new_tokens=12, do_sample=False)[0]["generated_text"],
        }
    print(json.dumps(results))


def package_is_there() -> bool:
    try:
        import modeling_sensia  # noqa: F401
    except ImportError:
        return False
    return True


if __name__ == "__main__":
    main(*sys.argv[1:])
