"""What the contrast of aligned words changes in a short run: word translation, sentence recall, bits per byte.

    python benchmarks/aligned_words.py --lexicon DIR/eval/lexicon/en-id.train.tsv --weights 0 0.2

Goes on from an adapted model (`--model`) for a few steps of the quickstart's objective, from the same weights and with
the same batches, once for each weight of the term. Needs `pip install 'sensia[align]'`.
"""

import argparse
import copy
import sys
import tempfile
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.word_translation import FREQUENT, Words, by_frequency, counts_of
from modeling_sensia.loading import load_base
from sensia.corpora import clean_pairs, read_pairs
from sensia.evaluation import evaluate_bitext
from sensia.evaluation.tasks.word_translation import _draw, _share_a_token
from sensia.evaluation.word_pairs import in_running_text, read_lexicon
from sensia.trainers import SensiaConfig, SensiaTrainer
from sensia.trainers.word_alignment import AlignedWords, align_words

BITEXT = Path(__file__).parents[1] / "examples" / "assets" / "bitext"


def read(name: str):
    return read_pairs(str(BITEXT / f"en-id.{name}.parquet"), source_language="en", target_language="id")


def train(model, tokenizer, pairs, words: AlignedWords, weight: float, args: argparse.Namespace):
    model = copy.deepcopy(model)
    with tempfile.TemporaryDirectory() as folder:
        config = SensiaConfig(
            folder,
            max_steps=args.steps,
            per_device_train_batch_size=args.batch,
            learning_rate=args.learning_rate,
            schedule="constant",
            joint_weights=[0.05, 0.05, 1.0],
            source_kl_weight=1.0,
            word_alignment_weight=weight,
            seed=args.seed,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            bf16=True,
            logging_steps=10,
        )
        data = {"train_dataset": pairs, "aligned_words": words if weight else None}
        SensiaTrainer(model, config, **data, processing_class=tokenizer).train()
    return model.eval()


def measure(model, tokenizer, words: Words, held_out) -> dict[str, float]:
    """Precision@1 by the senses side by side and by embeddings, centred; metrics of held-out pairs."""
    rows = by_frequency(model, tokenizer, words, sentences=False)
    frequent = rows[f"seen at least {FREQUENT} times"]
    found = {"frequent words, senses": frequent["sense"], "frequent words, embedding": frequent["embedding"]}
    found |= {"all words, senses": rows["all"]["sense"]}
    metrics = evaluate_bitext(model, tokenizer, held_out, pooling_temperature=model.config.pooling_temperature)
    names = ("context_recall@1", "sense_recall@1", "bits_per_byte", "source_bits_per_byte")
    return found | {name: metrics[name] for name in names}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(BITEXT.parent / "backpack-id-mini"))
    parser.add_argument("--lexicon", required=True)
    parser.add_argument("--weights", type=float, nargs="+", default=[0.0, 0.2])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--learning_rate", type=float, default=1e-3)
    parser.add_argument("--max_words", type=int, default=3000)
    parser.add_argument("--sentences", type=int, default=35_000, help="sentence pairs whose words are aligned")
    parser.add_argument("--pairs", type=int, default=300, help="held-out pairs of the in-domain set")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    model, tokenizer = load_base(args.model, attn_implementation="eager")
    model.eval()
    rows = read("train")
    aligned = align_words(*(rows[side][: args.sentences] for side in ("source", "target")), tokenizer)
    of_lexicon = [pair for pair in read_lexicon(args.lexicon)[0] if not _share_a_token(pair, tokenizer)]
    words = Words(
        _draw(of_lexicon, args.max_words, 0),
        counts_of(str(BITEXT / "en-id.train.parquet"), "en", "id"),
        lambda word: len(tokenizer.tokenize(in_running_text(word))),
    )
    drawn = rows.shuffle(seed=args.seed).select(range(min(len(rows), 2 * args.steps * args.batch)))
    pairs, _ = clean_pairs(drawn, tokenizer, max_length=64, num_proc=1)
    held_out = clean_pairs(read("dev-indomain"), tokenizer, max_length=128)[0]
    held_out = held_out.select(range(min(args.pairs, len(held_out))))
    found = {"before": measure(model, tokenizer, words, held_out)}
    print(f"{len(aligned.words):,} pairs of aligned words", flush=True)
    for weight in args.weights:
        torch.manual_seed(args.seed)
        learned = train(model, tokenizer, pairs, aligned, weight, args)
        found[f"weight {weight:g}"] = measure(learned, tokenizer, words, held_out)
        print(f"weight {weight:g}: {found[f'weight {weight:g}']}", flush=True)
    print(f"\n| | {' | '.join(found['before'])} |\n|:--|{'--:|' * len(found['before'])}")
    for name, row in found.items():
        print(f"| {name} | {' | '.join(f'{value:.3f}' for value in row.values())} |")


if __name__ == "__main__":
    main()
