"""Success and damage of an edit of senses, beside LoRA and full fine-tuning.

    python benchmarks/sense_editing.py --adapted runs/sensia-id-mini/final
    python benchmarks/sense_editing.py --sets capitals verbs --seeds 0

Each method learns the same examples from the same loss: the answer's negative log-likelihood, and the divergence from
the model before on plain text. Then its change is scaled down until plain text that it did not learn from costs so
many nats per token more (`--degradation`). So all methods are compared at equal degradation. Success is measured after
two prompts that were not learned: how much likelier the answer became, and how often it beats the other answers of the
set. For the latter, scores are centred: the mean over the prompts of all examples is taken off, because some answers
are likelier everywhere. The first of the two prompts chooses each method's learning rate, the one with which the right
answer is best most often. The second is reported, as the mean over seeds, with the smallest and the greatest. A seed
draws the plain texts, of learning and of measuring the damage.

`--adapted` also applies the edit of the base to the model adapted from it, learns it in the adapted model in English,
and asks both in Indonesian.
"""

import argparse
import copy
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from statistics import fmean

import torch
from datasets import Dataset
from transformers import AutoTokenizer

from modeling_sensia import BackpackForCausalLM
from modeling_sensia.sense_editing import _answer_loss, _ids, _log_probabilities, _losses, _text_loss, edit_senses
from modeling_sensia.sentence_rows import batches_by_length, padded
from modeling_sensia.steering import AddToSenses, Steering

ASSETS = Path(__file__).parents[1] / "examples" / "assets"
CAPITALS = """France Paris Prancis|Germany Berlin Jerman|Spain Madrid Spanyol|Italy Rome Italia|
Greece Athens Yunani|Russia Moscow Rusia|Egypt Cairo Mesir|Japan Tokyo Jepang|China Beijing Tiongkok|
England London Inggris|Ireland Dublin Irlandia|Austria Vienna Austria|Portugal Lisbon Portugal|
Norway Oslo Norwegia|Sweden Stockholm Swedia|Poland Warsaw Polandia|Turkey Ankara Turki|Iran Tehran Iran|
Iraq Baghdad Irak|Kenya Nairobi Kenya|Peru Lima Peru|Cuba Havana Kuba|Canada Ottawa Kanada|Chile Santiago Chili"""
YOUNG = """dog puppy|cat kitten|cow calf|horse foal|sheep lamb|pig piglet|goat kid|deer fawn|lion cub|hen chick|
duck duckling|goose gosling|swan cygnet|frog tadpole|owl owlet|eagle eaglet|kangaroo joey|hare leveret|fish fry|
eel elver"""
PAST = """go went|see saw|take took|give gave|write wrote|find found|know knew|think thought|come came|run ran|
buy bought|bring brought|teach taught|speak spoke|eat ate|drink drank|fall fell|grow grew|lose lost|win won|
fly flew|sing sang|hold held|feel felt"""
#: Against what is expected of each job.
PRONOUNS = """nurse he|secretary he|teacher he|cook he|servant he|dancer he|librarian he|maid he|singer he|
cleaner he|doctor she|soldier she|captain she|judge she|farmer she|officer she|priest she|engineer she|
lawyer she|king she"""
CENTURIES = """Shakespeare sixteenth|Luther sixteenth|Columbus fifteenth|Gutenberg fifteenth|
Galileo seventeenth|Newton seventeenth|Milton seventeenth|Washington eighteenth|Mozart eighteenth|
Voltaire eighteenth|Darwin nineteenth|Dickens nineteenth|Lincoln nineteenth|Marx nineteenth|Einstein twentieth|
Churchill twentieth|Gandhi twentieth|Stalin twentieth"""
TRADES = """lawyer honest|soldier gentle|clown sad|banker generous|teacher young|priest rich|sailor quiet|
judge kind|farmer clever|poet strong|king poor|thief brave|butcher tender|politician modest|monk proud|
nurse strict|miller clean|beggar happy|general shy|hunter afraid"""
#: Pairs, the prompt that is learned, one that chooses the learning rate, and one that is reported.
SETS = {
    "capitals": (
        [row.split()[:2] for row in CAPITALS.split("|")],
        "The capital of {} is",
        ["The king of {} lived in the capital,", "They crossed the border of {} and went to its chief city,"],
    ),
    "young animals": (
        [row.split() for row in YOUNG.split("|")],
        "A young {} is called a",
        ["The {} had a little one with her, a", "In spring every {} takes care of her"],
    ),
    "verbs": (
        [row.split() for row in PAST.split("|")],
        "Today they {} and yesterday they",
        ["We {} every day, and last year we", "I {} now, as once in my youth I"],
    ),
    "pronouns": (
        [row.split() for row in PRONOUNS.split("|")],
        "The {} said that",
        ["The {} was late, because", "I talked to the {} yesterday, and"],
    ),
    "centuries": (
        [row.split() for row in CENTURIES.split("|")],
        "{} lived in the",
        ["The works of {} belong to the", "The times of {} were those of the"],
    ),
    "trades": (
        [row.split() for row in TRADES.split("|")],
        "Every {} is",
        ["The {} whom I met was very", "My uncle, who is a {}, is always"],
    ),
}
INDONESIAN = ["Ibu kota {} adalah", "Mereka pergi ke ibu kota negara {}, yaitu"]
RATES = {"senses": (0.02, 0.1, 0.3), "LoRA": (3e-4, 1e-3, 5e-3), "full": (3e-5, 1e-4, 1e-3)}
STEPS, KL_WEIGHT = 30, 1.0

Pairs = Sequence[Sequence[str]]
Applied = Callable[[float], object]  # the change, scaled: a context manager


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(ASSETS / "backpack-en-mini"), help="English Backpack")
    parser.add_argument("--adapted", help="the model that was adapted from it to Indonesian")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS), help="which (default: all)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the plain texts (%(default)s)")
    parser.add_argument("--degradation", type=float, nargs="+", default=[0.003, 0.03], help="nats per token")
    return parser.parse_args()


def load(folder: str):
    model = BackpackForCausalLM.from_pretrained(folder, dtype="float32").eval()
    return model, AutoTokenizer.from_pretrained(folder)


def plain_texts(tokenizer, seed: int, length: int = 300) -> tuple[list[str], dict[str, torch.Tensor]]:
    """English texts to stay the same on, and a batch of others that tells how well that worked."""
    texts = Dataset.from_parquet(str(ASSETS / "text" / "en.train.parquet"))["text"][:2000]
    long = [text[:length] for text in texts if len(text) >= length]
    drawn = random.Random(seed).sample(long, 40)
    return drawn[:8], padded([[tokenizer.eos_token_id, *_ids(tokenizer, text)] for text in drawn[8:]])


@torch.no_grad()
def scores(model, tokenizer, subjects: Sequence[str], answers: Sequence[str], prompts: Sequence[str]) -> torch.Tensor:
    """Log-likelihood [prompts, subjects, answers] of each answer after each prompt about each subject."""
    rows, labels = [], []
    for prompt in prompts:
        for subject in subjects:
            begin = [tokenizer.eos_token_id, *_ids(tokenizer, prompt.format(subject))]
            for answer in answers:
                ids = _ids(tokenizer, f" {answer}")
                rows.append([*begin, *ids])
                labels.append([-100] * len(begin) + ids)
    found = torch.empty(len(rows))
    for batch in batches_by_length([len(row) for row in rows], 1024):
        inputs = padded([rows[row] for row in batch])
        wanted = torch.nn.utils.rnn.pad_sequence([torch.tensor(labels[row]) for row in batch], True, -100)
        found[batch] = -_losses(model, inputs, wanted).view(len(batch), -1).sum(1)
    return found.view(len(prompts), len(subjects), len(answers))


def success(model, tokenizer, pairs: Pairs, prompts: Sequence[str]) -> tuple[float, float]:
    """Mean log-likelihood of the right answers, and the share of subjects whose right answer scores best."""
    subjects, answers = zip(*pairs, strict=True)
    candidates = list(dict.fromkeys(answers))
    right = torch.tensor([candidates.index(answer) for answer in answers])
    found = scores(model, tokenizer, subjects, candidates, prompts)
    likelihood = found[:, torch.arange(len(right)), right].mean().item()
    best = (found - found.mean(1, keepdim=True)).argmax(-1)
    return likelihood, (best == right).double().mean().item()


def learn_senses(model, tokenizer, examples, texts, rate: float) -> Applied:
    edit = edit_senses(model, tokenizer, examples, texts, kl_weight=KL_WEIGHT, learning_rate=rate, steps=STEPS)
    return scaled_edit(model, edit)


def scaled_edit(model, edit: AddToSenses) -> Applied:
    return lambda scale: Steering([AddToSenses(edit.token_ids, edit.senses, scale * edit.vectors)]).applied(model)


def learn_weights(model, tokenizer, examples, texts, rate: float, lora: bool) -> Applied:
    """Full fine-tuning, or LoRA of the trunk's layers, which is merged."""
    learner, begin = copy.deepcopy(model), tokenizer.eos_token_id
    if lora:
        from peft import LoraConfig, get_peft_model

        layers = r".*trunk.*\.(c_attn|c_fc|c_proj)"
        peft = get_peft_model(learner, LoraConfig(r=8, lora_alpha=16, target_modules=layers, fan_in_fan_out=True))
        learner = peft.base_model.model
    answers = [(_ids(tokenizer, prompt), _ids(tokenizer, answer)) for prompt, answer in examples]
    plain = padded([[begin, *_ids(tokenizer, text)] for text in texts])
    with torch.no_grad():
        before = _log_probabilities(model, plain)
    optimizer = torch.optim.Adam([weight for weight in learner.parameters() if weight.requires_grad], lr=rate)
    for _ in range(STEPS):
        divergence = (before.exp() * (before - _log_probabilities(learner, plain))).sum(-1).mean()
        (_answer_loss(learner, begin, answers) + KL_WEIGHT * divergence).backward()
        optimizer.step()
        optimizer.zero_grad()
    learned = (peft.merge_and_unload() if lora else learner).state_dict()
    change = {name: learned[name] - weight for name, weight in model.state_dict().items()}
    return partial(scaled_weights, model, change)


@contextmanager
def scaled_weights(model, change: dict[str, torch.Tensor], scale: float) -> Iterator[None]:
    before = copy.deepcopy(model.state_dict())
    model.load_state_dict({name: weight + scale * change[name] for name, weight in before.items()})
    try:
        yield
    finally:
        model.load_state_dict(before)


def cost_of(model, applied: Applied, batch) -> Callable[[float], float]:
    """Cost of the change for plain text at each scale, in nats per token; each scale is measured once."""

    @cache
    @torch.no_grad()
    def cost(scale: float) -> float:
        with applied(scale):
            return _text_loss(model, batch).item()

    return lambda scale: cost(scale) - cost(0.0)


def scale_for(cost: Callable[[float], float], allowed: float) -> float:
    """The largest scale up to 1, to 1 in 64, at which plain text costs no more than allowed."""
    low, high = 0.0, 1.0
    if cost(1.0) <= allowed:
        return 1.0
    for _ in range(6):
        middle = (low + high) / 2
        low, high = (middle, high) if cost(middle) <= allowed else (low, middle)
    return low


def measure(model, tokenizer, name: str, seed: int, degradations: Sequence[float]) -> dict[tuple, dict[str, float]]:
    """Of each method and degradation: nats gained, and the share of right answers that are best, before and after."""
    pairs, prompt, (choosing, reported) = SETS[name]
    examples = [(prompt.format(subject), f" {answer}") for subject, answer in pairs]
    texts, held_out = plain_texts(tokenizer, seed)
    before, found = success(model, tokenizer, pairs, [reported]), {}
    learners = {
        "senses": learn_senses,
        "LoRA": partial(learn_weights, lora=True),
        "full": partial(learn_weights, lora=False),
    }
    for method, learner in learners.items():
        changes = [learner(model, tokenizer, examples, texts, rate) for rate in RATES[method]]
        costs = [cost_of(model, change, held_out) for change in changes]
        for allowed in degradations:
            chosen = None
            for change, cost in zip(changes, costs, strict=True):
                with change(scale_for(cost, allowed)):
                    (gain, best), after = (success(model, tokenizer, pairs, [each]) for each in (choosing, reported))
                if chosen is None or (best, gain) > chosen[0]:
                    chosen = (best, gain), after
            found[method, allowed] = {"gained": chosen[1][0] - before[0], "before": before[1], "after": chosen[1][1]}
    return found


def print_set(name: str, runs: Sequence[dict[tuple, dict[str, float]]]):
    """Prints a table of the set; a run is what `measure` found with one seed."""
    print(f"\n{name}: {len(SETS[name][0])} examples, {len(runs)} seeds", flush=True)
    print("| method | nats per token lost | nats gained | best before | best after |\n|:--|--:|--:|--:|--:|")
    for method, allowed in runs[0]:
        found = [run[method, allowed] for run in runs]
        gained, after = (
            _spread([each[key] for each in found], sign) for key, sign in (("gained", "+"), ("after", ""))
        )
        print(f"| {method} | {allowed} | {gained} | {found[0]['before']:.3f} | {after} |", flush=True)


def _spread(values: Sequence[float], sign: str) -> str:
    low, mean, high = (f"{each:{sign}.2f}" for each in (min(values), fmean(values), max(values)))
    return mean if low == high else f"{mean} ({low} to {high})"


def measure_across(base, base_tokenizer, adapted, tokenizer, degradations: Sequence[float]):
    """
    The edit of the base in the adapted model, and an edit in English of the adapted model, asked in Indonesian. The
    adapted tokenizer may have more tokens; the base's keep their ids.
    """
    pairs, prompt, prompts = SETS["capitals"]
    examples = [(prompt.format(subject), f" {answer}") for subject, answer in pairs]
    names = [row.split() for row in CAPITALS.split("|")]
    same = [(local, answer) for name, answer, local in names if local == name]
    different = [(local, answer) for name, answer, local in names if local != name]
    asked = {
        "English": (pairs, prompts),
        f"Indonesian, {len(same)} names alike": (same, INDONESIAN),
        f"Indonesian, {len(different)} others": (different, INDONESIAN),
    }
    texts, held_out = plain_texts(tokenizer, 0)
    start = {name: success(adapted, tokenizer, *each) for name, each in asked.items()}
    print(f"\nadapted model, before: {start}", flush=True)
    learners = ("learned in the base", base, base_tokenizer), ("learned in the adapted model", adapted, tokenizer)
    for name, model, its_tokenizer in learners:
        for rate in RATES["senses"]:
            options = {"kl_weight": KL_WEIGHT, "learning_rate": rate, "steps": STEPS}
            change = scaled_edit(adapted, edit_senses(model, its_tokenizer, examples, texts, **options))
            cost = cost_of(adapted, change, held_out)
            for allowed in degradations:
                scale = scale_for(cost, allowed)
                with change(scale):
                    found = {each: success(adapted, tokenizer, *asked[each]) for each in asked}
                gains = {each: f"{found[each][0] - start[each][0]:+.2f}, best {found[each][1]:.3f}" for each in asked}
                print(f"{name}, rate {rate}, degradation {allowed}, scale {scale:.2f}: {gains}", flush=True)


def main():
    args = parse_arguments()
    torch.manual_seed(0)
    model, tokenizer = load(args.model)
    for name in args.sets:
        print_set(name, [measure(model, tokenizer, name, seed, args.degradation) for seed in args.seeds])
    if args.adapted:
        measure_across(model, tokenizer, *load(args.adapted), args.degradation)


if __name__ == "__main__":
    main()
