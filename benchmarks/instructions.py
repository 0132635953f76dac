"""What a few steps on instruction pairs change: the likelihood of held-out answers, and answers themselves.

    python examples/build_instructions.py --language id --output runs/instructions-id
    python benchmarks/instructions.py --data runs/instructions-id

Goes on from the embedded model that was adapted to Indonesian, with the language model loss alone: on the embedded
bitext, and on as many answers as pairs. `sensia adapt` does the same beside the other terms.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from datasets import concatenate_datasets

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from modeling_sensia.loading import load_base
from sensia.corpora import clean_pairs, encode_instructions, give_chat_template, read_instructions, read_pairs
from sensia.evaluation import perplexity
from sensia.evaluation.tasks.instructions import measure_instructions
from sensia.trainers import SensiaConfig, SensiaTrainer

ASSETS = Path(__file__).parents[1] / "examples" / "assets"
SETS = ("dialogues", "translations")
ASKED = ("Apa kabar?", "Apa itu AI?", "Siapa kamu?", "Terjemahkan ke bahasa Indonesia: Open the file.")


def measure(model, tokenizer, data: Path) -> dict[str, float]:
    """Bits per byte of held-out answers after their own and another question, and of Indonesian text."""
    found = {}
    for name in SETS:
        conversations = read_instructions(str(data / f"{name}.held-out.jsonl"))[:60]
        metrics = measure_instructions(model, tokenizer, conversations)["metrics"]
        found |= {f"{name}, own question": metrics["answer_bits_per_byte"]}
        found |= {f"{name}, another question": metrics["other_question_bits_per_byte"]}
    pairs = read_pairs(str(ASSETS / "bitext/en-id.ntrex-dev.parquet"), source_language="en", target_language="id")
    found["Indonesian text"] = perplexity(model, tokenizer, list(pairs["target"][:100]))["bits_per_byte"]
    return found


@torch.no_grad()
def answers(model, tokenizer, questions: Sequence[str] = ASKED) -> list[str]:
    written = []
    for question in questions:
        turns = [{"role": "user", "content": question}]
        asked = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        ids = model.generate(**asked, max_new_tokens=24, do_sample=False)[0, asked["input_ids"].shape[1] :]
        written.append(tokenizer.decode(ids, skip_special_tokens=True))
    return written


def train(model, tokenizer, data: Path, steps: int, batch: int, rate: float, seed: int):
    """Trains on pairs, and on as many answers; dialogues are read four times as often."""
    rows = read_pairs(str(ASSETS / "bitext/en-id.train.parquet"), source_language="en", target_language="id")
    drawn = rows.shuffle(seed=seed).select(range(2 * steps * batch))
    pairs, _ = clean_pairs(drawn, tokenizer, max_length=64, num_proc=1)
    of_set = {
        name: encode_instructions(read_instructions(str(data / f"{name}.train.jsonl")), tokenizer, max_length=64)[0]
        for name in SETS
    }
    with tempfile.TemporaryDirectory() as folder:
        config = SensiaConfig(
            folder,
            max_steps=steps,
            per_device_train_batch_size=batch,
            learning_rate=rate,
            schedule="constant",
            joint_weights=[0, 0, 1],
            text_rate=1.0,
            seed=seed,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            bf16=True,
            logging_steps=10,
        )
        texts = concatenate_datasets([of_set["dialogues"]] * 4 + [of_set["translations"]])
        SensiaTrainer(model, config, train_dataset=pairs, train_texts=texts, processing_class=tokenizer).train()
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="what examples/build_instructions.py wrote")
    parser.add_argument("--model", default=str(ASSETS / "backpack-id-mini"))
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--learning_rate", type=float, default=5e-4)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    data = Path(args.data)
    model, tokenizer = load_base(args.model, attn_implementation="eager")
    give_chat_template(tokenizer)
    model.eval()
    before, said = measure(model, tokenizer, data), answers(model, tokenizer)
    train(model, tokenizer, data, args.steps, args.batch, args.learning_rate, args.seed)
    after, says = measure(model, tokenizer, data), answers(model, tokenizer)
    print("| bits per byte | before | after |\n|:--|--:|--:|")
    for name in before:
        print(f"| {name} | {before[name]:.3f} | {after[name]:.3f} |")
    print("\n| asked | before | after |\n|:--|:--|:--|")
    for question, *both in zip(ASKED, said, says, strict=True):
        print(f"| {question} | {' | '.join(' '.join(each.split()) for each in both)} |")


if __name__ == "__main__":
    main()
