"""Which senses to edit where a word is several tokens: swaps of words, and bags of words of a topic.

    python benchmarks/steering_words.py

The two tables of "Words of several tokens" in docs/steering.md, of the embedded model that was adapted to Indonesian.
`evaluation/senses/steering_effects.py` measures the edits that the library has; those here are what it might have had.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from modeling_sensia.loading import load_base
from modeling_sensia.sentence_rows import padded
from modeling_sensia.steering import Edit, Steering, SwapSenses, TowardsTopic, find_words
from modeling_sensia.steering_directions import TokenOrWord, chosen_senses, senses_of, tokens_of
from sensia.corpora import read_pairs
from sensia.evaluation.perplexity import negative_log_likelihood

ASSETS = Path(__file__).parents[1] / "examples" / "assets"
_NOUNS = """anak orang rumah sekolah dokter guru kesehatan dokumen virus negara pemerintah presiden kota desa jalan
mobil kereta pesawat kapal sungai laut gunung hutan pohon bunga buah makanan minuman pakaian sepatu buku
surat koran bahasa musik gambar pintu jendela kamar dapur meja kursi uang pasar toko perusahaan tentara
polisi perang perpustakaan pelabuhan kerajaan pertambangan perbatasan pengadilan kementerian kemerdekaan
pernikahan jembatan keuangan pendapatan penerbangan kecelakaan kebakaran gelombang kepulauan pegunungan
penjara serangga kelapa"""
_TOPICS = {
    "health": "dokter pasien penyakit obat vaksin virus gejala kesehatan infeksi demam perawat darah",
    "computers": "berkas dokumen komputer perangkat peramban tombol layar folder jendela situs pengguna server",
    "government": "presiden menteri pemerintah negara partai hukum pemilu rakyat kebijakan perang tentara polisi",
}
NOUNS = _NOUNS.split()
TOPICS = {name: words.split() for name, words in _TOPICS.items()}
PROMPTS = ("Mereka berbicara tentang {}", "Kemarin saya melihat {} di", "Menurut saya {} itu", "Semua {} harus")
PAIRS, PLAIN, BEGINNINGS, BEGINNING_WORDS = 40, 60, 24, 5


@dataclass(frozen=True)
class ReplaceSenses(Edit):
    """
    Replaces all senses of tokens and words by those of other tokens.

    Args:
        changed (`tuple`): tokens and words that change.
        others (`tuple` of `tuple` of `int`): for each, the tokens whose senses it gets.
        total (`str`): `mean` or `sum` over these tokens.
    """

    changed: tuple[TokenOrWord, ...]
    others: tuple[tuple[int, ...], ...]
    total: str = "mean"

    def _entries(self):
        return self.changed

    def prepare(self, backpack):
        rows = [senses_of(backpack, torch.tensor(tokens)) for tokens in self.others]  # [N, K, D] each
        new = torch.stack([row.mean(0) if self.total == "mean" else row.sum(0) for row in rows])  # [C, K, D]
        masks = torch.stack([chosen_senses(backpack, None, [each])[:, 0] for each in self.changed])  # [C, V + 1 + W]

        def replace(ids, senses):
            for mask, row in zip(masks, new, strict=True):
                senses = torch.where(mask[ids][..., None, None], row, senses)
            return senses

        return replace


def ways_to_swap(word: TokenOrWord, other: TokenOrWord) -> dict[str, Edit | None]:
    """Edits that give a word the senses of another one, by what the table calls them."""
    own, new = tokens_of(word), tokens_of(other)
    places = dict(reversed([(token, new[min(place, len(new) - 1)]) for place, token in enumerate(own)]))
    return {
        "none": None,
        "last token, by those of the other's last token": SwapSenses(word, other),
        "last token, by the mean over the other's tokens": ReplaceSenses((word,), (new,)),
        "last token, by the sum over the other's tokens": ReplaceSenses((word,), (new,), "sum"),
        "all tokens wherever they stand, each by the other's at its place": ReplaceSenses(
            tuple(places), tuple((token,) for token in places.values())
        ),
        "all tokens wherever they stand, by the other's last token": ReplaceSenses(
            tuple(places), tuple((new[-1],) for _ in places)
        ),
    }


@torch.no_grad()
def next_tokens(model, tokenizer, word: str, edit: Edit | None) -> torch.Tensor:
    """Log-probabilities of the next token after each prompt, [P, V]."""
    rows = [tokenizer(tokenizer.eos_token + prompt.format(word), return_tensors="pt") for prompt in PROMPTS]
    with Steering([edit] if edit else []).applied(model):
        return torch.stack([model(row["input_ids"]).logits[0, -1].log_softmax(-1) for row in rows])


def nats_per_token(model, tokenizer, texts: Sequence[str], edit: Edit | None = None) -> float:
    with Steering([edit] if edit else []).applied(model):
        nats, tokens = negative_log_likelihood(model, tokenizer, texts)
    return (nats.sum() / tokens.sum()).item()


@torch.no_grad()
def damage(model, tokenizer, texts: Sequence[str], edit: Edit) -> float:
    """Divergence of the edited model from the model, in nats per token of plain text."""
    rows = [tokenizer(tokenizer.eos_token + text, return_tensors="pt")["input_ids"] for text in texts]
    before = [model(ids).logits[0].log_softmax(-1) for ids in rows]
    with Steering([edit]).applied(model):
        after = [model(ids).logits[0].log_softmax(-1) for ids in rows]
    total = sum((was.exp() * (was - now)).sum().item() for was, now in zip(before, after, strict=True))
    return total / sum(ids.shape[1] for ids in rows)


def swaps(model, tokenizer, texts: Sequence[str], number: int = PAIRS) -> dict[str, list[list[float]]]:
    """Of each way and pair of nouns: divergence from the goal in nats, and damage."""
    several = [
        (word, ids) for word, ids in zip(NOUNS, find_words(tokenizer, NOUNS), strict=True) if isinstance(ids, tuple)
    ]
    pairs = [(several[place], several[(place + 1) % len(several)]) for place in range(min(number, len(several)))]
    found: dict[str, list[list[float]]] = {}
    for place, ((word, ids), (other, other_ids)) in enumerate(pairs):
        goal = next_tokens(model, tokenizer, other, None)
        for name, edit in ways_to_swap(ids, other_ids).items():
            after = next_tokens(model, tokenizer, word, edit)
            apart = (after.exp() * (after - goal)).sum(-1).mean().item()
            harm = damage(model, tokenizer, texts[place % 8 :: 8], edit) if edit else 0.0
            found.setdefault(name, []).append([apart, harm])
    return found


def bags(words: Sequence[TokenOrWord]) -> dict[str, TowardsTopic | None]:
    """Ways to steer towards the words of a topic, by what the table calls them."""
    tokens = [tokens_of(word) for word in words]
    return {
        "none": None,
        "first, 1": TowardsTopic(words, 1.0),
        "first, 2": TowardsTopic(words, 2.0),
        "last, 1": TowardsTopic([each[-1] for each in tokens], 1.0),
        "all, 1": TowardsTopic([token for each in tokens for token in each], 1.0),
    }


@torch.no_grad()
def word_likelihoods(
    model, tokenizer, words: Sequence[str], beginnings: Sequence[str], edit: Edit | None
) -> list[float]:
    """Mean log-probability of each whole word after the beginnings, the sum over its tokens."""
    found = []
    with Steering([edit] if edit else []).applied(model):
        for word in map(tokens_of, find_words(tokenizer, words)):
            begins = [tokenizer(tokenizer.eos_token + begin)["input_ids"] for begin in beginnings]
            logs = model(**padded([[*begin, *word] for begin in begins])).logits.log_softmax(-1)  # [N, L, V]
            places = [range(len(begin) - 1, len(begin) - 1 + len(word)) for begin in begins]
            sums = [row[place, list(word)].sum().item() for row, place in zip(logs, map(list, places), strict=True)]
            found.append(sum(sums) / len(sums))
    return found


def topics(model, tokenizer, texts: Sequence[str], beginnings: Sequence[str]) -> dict[str, list[float]]:
    """Of each way, as means over the topics: words that steer, others of the topic, another topic's; plain text."""
    found: dict[str, list[list[float]]] = {}
    names = list(TOPICS)
    for place, name in enumerate(names):
        steer, held = TOPICS[name][::2], TOPICS[name][1::2]
        another = TOPICS[names[(place + 1) % len(names)]]
        for way, edit in bags(find_words(tokenizer, steer)).items():
            of_words = [word_likelihoods(model, tokenizer, each, beginnings, edit) for each in (steer, held, another)]
            row = [sum(each) / len(each) for each in of_words]
            found.setdefault(way, []).append([*row, nats_per_token(model, tokenizer, texts, edit)])
    return {way: torch.tensor(rows).mean(0).tolist() for way, rows in found.items()}


def texts_of(path: Path, number: int) -> list[str]:
    pairs = read_pairs(str(path), source_language="en", target_language="id")
    return list(pairs["target"][:number])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(ASSETS / "backpack-id-mini"))
    args = parser.parse_args()
    model, tokenizer = load_base(args.model)
    model.eval()
    plain = texts_of(ASSETS / "bitext/en-id.dev-indomain.parquet", PLAIN)
    print("| which senses are replaced, by which | from the goal | nearer than before | damage |\n|:--|--:|--:|--:|")
    found = swaps(model, tokenizer, plain)
    for name, rows in found.items():
        nearer = sum(row[0] < before[0] for row, before in zip(rows, found["none"], strict=True))
        apart, harm = torch.tensor(rows).mean(0).tolist()
        told = "| |" if name == "none" else f"| {nearer} of {len(rows)} | {harm:.5f} |"
        print(f"| {name} | {apart:.3f} {told}")
    sentences = texts_of(ASSETS / "bitext/en-id.ntrex-dev.parquet", BEGINNINGS)
    beginnings = [" ".join(text.split()[:BEGINNING_WORDS]) for text in sentences]
    print(
        "\n| tokens that count, strength | words that steer | other words of the topic | words of another topic ",
        end="",
    )
    print("| plain text |\n|:--|--:|--:|--:|--:|")
    for way, row in topics(model, tokenizer, plain, beginnings).items():
        print(f"| {way} | {' | '.join(f'{value:.2f}' for value in row)} |")


if __name__ == "__main__":
    main()
