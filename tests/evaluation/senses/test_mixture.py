import math

import pytest
import torch

from modeling_sensia import BackpackConfig, BackpackForCausalLM
from sensia.evaluation import perplexity
from sensia.evaluation.intervals import bootstrap_ratio
from sensia.evaluation.senses.mixture import CollapseThresholds, ablate_mixture, count_words, measure_mixture

TEXTS = ["Save the document, then close the window.", "Yes", "naïve café 世界", ""]
LONG = [" ".join(TEXTS) * 4]


@pytest.fixture
def fresh(backpack):
    """A copy whose weights a test may change."""
    model = BackpackForCausalLM(backpack.config).eval()
    model.load_state_dict(backpack.state_dict())
    return model


def senses_of(network, sense):
    """Weight columns and biases that make one sense."""
    size = network.weight.shape[1] // 4
    part = slice(sense * size, (sense + 1) * size)
    return network.weight.data[:, part], network.bias.data[part]


def runs(model, tokenizer, text):
    """Ids of each run, senses and contextualization of it, without pads or batches."""
    positions = model.config.max_position_embeddings
    ids = [tokenizer.eos_token_id, *tokenizer.encode(text, add_special_tokens=False)]
    for start in range(0, len(ids), positions):
        with torch.no_grad():
            out = model(
                torch.tensor([ids[start : start + positions]]), output_senses=True, output_contextualization=True
            )
        yield start, ids, out.senses[0].double(), out.contextualization[0].double()


def contribution(senses, weights, k, t):
    return sum(weights[k, t, j] * senses[k, j] for j in range(t + 1))


def naive_mixture(model, tokenizer, texts, temperature):
    """(token's text, p over senses, mean cosine of its senses) of every token that is not the first end-of-text."""
    found = []
    for text in filter(None, texts):
        for start, ids, senses, weights in runs(model, tokenizer, text):
            for t in range(senses.shape[1]):
                if start + t == 0:
                    continue
                norms = [float(contribution(senses, weights, k, t).norm()) / temperature for k in range(4)]
                p = [math.exp(norm) / sum(map(math.exp, norms)) for norm in norms]
                pairs = [(a, b) for a in range(4) for b in range(4) if a != b]
                cosines = [torch.cosine_similarity(senses[a, t], senses[b, t], dim=0).item() for a, b in pairs]
                found.append((tokenizer.decode([ids[start + t]]).strip(), p, sum(cosines) / len(cosines)))
    return found


def entropy(p):
    return -sum(share * math.log(share) for share in p)


def mean(values):
    values = list(values)
    return sum(values) / len(values)


@pytest.mark.parametrize("texts", [TEXTS, LONG])
def test_entropy_shares_and_cosine_equal_loops_over_tokens_and_senses(backpack, tokenizer, texts):
    expected = naive_mixture(backpack, tokenizer, texts, 0.05)
    measures = measure_mixture(backpack, tokenizer, texts, pooling_temperature=0.05)
    assert measures["tokens"] == len(expected) == sum(len(tokenizer.encode(text)) for text in texts)
    assert measures["maximum_entropy"] == math.log(4)
    assert measures["entropy"] == pytest.approx(mean(entropy(p) for _, p, _ in expected), rel=1e-5)
    assert measures["off_diagonal_cosine"] == pytest.approx(mean(cosine for *_, cosine in expected), abs=1e-6)
    shares = [mean(p[k] for _, p, _ in expected) for k in range(4)]
    assert measures["sense_shares"] == pytest.approx(shares, rel=1e-5)


def test_tokens_are_grouped_by_the_frequency_and_the_tag_of_their_word(backpack, tokenizer):
    text = "the unseen file, the"
    spans = tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    owners = [
        next((w for w in ("unseen", "file", "the") if w[-1:] and end in ends(text, w)), None) for _, end in spans
    ]
    everything = naive_mixture(backpack, tokenizer, [text], 0.05)
    counts = {f"word{number}": 1000 - number for number in range(100)} | {"the": 5000, "file": 1}
    result = measure_mixture(
        backpack, tokenizer, [text], pooling_temperature=0.05, counts=counts, tags={"the": "DET", "file": "NOUN"}
    )
    bands = {"1 to 100": "the", "101 to 1,000": "file", "not counted": "unseen", "outside words": None}
    assert list(result["entropy_by_frequency"])[:2] == ["1 to 100", "101 to 1,000"]
    for name, group in (("entropy_by_frequency", bands), ("entropy_by_tag", tagged())):
        assert result[name].keys() == group.keys()
        for label, word in group.items():
            values = [entropy(p) for (_, p, _), owner in zip(everything, owners, strict=True) if owner == word]
            assert result[name][label] == {"tokens": len(values), "entropy": pytest.approx(mean(values), rel=1e-5)}


def tagged():
    return {"DET": "the", "NOUN": "file", "untagged": "unseen", "outside words": None}


def ends(text, word):
    """Positions at which a token of `word` can end."""
    starts = [place for place in range(len(text)) if text.startswith(word, place)]
    return {start + offset for start in starts for offset in range(1, len(word) + 1)}


def test_words_are_counted_without_regard_to_case():
    assert count_words(iter(["The file, the FILE", "the end"])) == {"the": 3, "file": 2, "end": 1}


def test_batches_and_streams_do_not_change_the_measures(backpack, tokenizer, bitext):
    one = measure_mixture(backpack, tokenizer, bitext["source"], tokens_per_batch=1)
    many = measure_mixture(backpack, tokenizer, (text for text in bitext["source"]), tokens_per_batch=2000)
    assert many["sense_shares"] == pytest.approx(one["sense_shares"], rel=1e-5)
    assert (many["entropy"], many["tokens"]) == (pytest.approx(one["entropy"], rel=1e-5), one["tokens"])


def naive_mixtures(senses, weights, t):
    """The output at one position, by variant."""
    parts = [contribution(senses, weights, k, t) for k in range(4)]
    ranked = sorted(parts, key=lambda part: -part.norm())
    norm = sum(part.norm() for part in parts) / 4
    everything = senses.sum(0)
    shared = [sum(weights[k, t, j] for k in range(4)) / 4 for j in range(t + 1)]
    mixtures = {
        "untouched": sum(parts),
        "top_1": ranked[0],
        "top_2": ranked[0] + ranked[1],
        "equal_norms": sum(part / part.norm() * norm for part in parts),
        "shared_contextualization": sum(weight * everything[j] for j, weight in enumerate(shared)),
        "even_contextualization": sum(everything[j] / (t + 1) for j in range(t + 1)),
    }
    length = mixtures["untouched"].norm()
    matched = {f"{name}_norm_matched": mixture / mixture.norm() * length for name, mixture in mixtures.items()}
    return mixtures | {name: mixture for name, mixture in matched.items() if not name.startswith("untouched")}


@pytest.mark.parametrize("texts", [TEXTS, LONG])
def test_each_ablation_costs_what_its_definition_says(backpack, tokenizer, texts):
    nll, tokens = {}, 0
    head = backpack.lm_head.weight.detach().double()
    for text in texts:
        for start, ids, senses, weights in runs(backpack, tokenizer, text):
            for t in range(min(senses.shape[1], len(ids) - 1 - start)):
                tokens += 1
                for name, mixture in naive_mixtures(senses, weights, t).items():
                    score = (head @ mixture).log_softmax(-1)[ids[start + t + 1]]
                    nll[name] = nll.get(name, 0.0) - float(score)
    result = ablate_mixture(backpack, tokenizer, texts, top=(1, 2, 9))
    size = sum(len(text.encode()) for text in texts)
    assert (result["tokens"], result["variants"].keys()) == (tokens, nll.keys())
    for name, total in nll.items():
        variant = {part: value for part, value in result["variants"][name].items() if part != "interval"}
        assert variant == {
            "cross_entropy": pytest.approx(total / tokens, rel=1e-5),
            "bits_per_byte": pytest.approx(total / math.log(2) / size, rel=1e-5),
            "change": pytest.approx((total - nll["untouched"]) / tokens, abs=1e-4),
        }


def test_the_interval_of_an_ablation_is_over_texts(backpack, tokenizer):
    texts = sorted(filter(None, TEXTS), key=lambda text: -len(tokenizer(text)["input_ids"]))
    alone = [ablate_mixture(backpack, tokenizer, [text], top=(1,)) for text in texts]
    tokens = [each["tokens"] for each in alone]
    changes = [each["variants"]["top_1"]["change"] for each in alone]
    expected = bootstrap_ratio([change * number for change, number in zip(changes, tokens, strict=True)], tokens)
    found = ablate_mixture(backpack, tokenizer, texts, top=(1,))["variants"]["top_1"]["interval"]
    assert found == pytest.approx(expected, abs=1e-5) and found[0] < found[1]


def test_the_untouched_mixture_costs_what_perplexity_says(backpack, tokenizer, bitext):
    expected = perplexity(backpack, tokenizer, bitext["target"])
    result = ablate_mixture(backpack, tokenizer, bitext["target"], tokens_per_batch=500)
    untouched = result["variants"]["untouched"]
    assert result["tokens"] == expected["tokens"]
    assert untouched["bits_per_byte"] == pytest.approx(expected["bits_per_byte"], rel=1e-5)
    assert math.exp(untouched["cross_entropy"]) == pytest.approx(expected["perplexity"], rel=1e-5)


def test_all_senses_kept_are_the_untouched_mixture(backpack, tokenizer):
    variants = ablate_mixture(backpack, tokenizer, TEXTS, top=(4,))["variants"]
    assert variants["top_4"]["change"] == pytest.approx(0, abs=1e-5)


def test_a_model_that_works_raises_no_alarm(fresh, tokenizer):
    fresh.backpack.sense_network.final_mlp.c_proj.weight.data.mul_(100)
    assert measure_mixture(fresh, tokenizer, TEXTS)["alarms"] == []


def test_senses_that_are_copies_raise_an_alarm(fresh, tokenizer):
    network = fresh.backpack.sense_network.final_mlp.c_proj
    for sense in range(1, 4):
        for part, first in zip(senses_of(network, sense), senses_of(network, 0), strict=True):
            part.copy_(first)
    measures = measure_mixture(fresh, tokenizer, TEXTS)
    assert measures["off_diagonal_cosine"] == pytest.approx(1, abs=1e-5)
    assert any("copies of one another" in alarm for alarm in measures["alarms"])


def test_senses_that_say_nothing_raise_the_alarm_of_an_even_mixture(fresh, tokenizer):
    fresh.backpack.sense_network.final_mlp.c_proj.weight.data.mul_(1e-3)
    measures = measure_mixture(fresh, tokenizer, TEXTS)
    assert measures["entropy"] == pytest.approx(math.log(4), rel=1e-3)
    assert [alarm.split(":")[1].strip() for alarm in measures["alarms"]] == ["no sense is preferred anywhere."]


def test_one_sense_that_outweighs_the_others_is_named(fresh, tokenizer):
    senses_of(fresh.backpack.sense_network.final_mlp.c_proj, 2)[0].mul_(1000)
    alarms = measure_mixture(fresh, tokenizer, TEXTS)["alarms"]
    assert ["each token uses one sense" in alarm for alarm in alarms] == [True, False]
    assert alarms[1].startswith("Sense 2 takes 100.0%")


def test_thresholds_decide_what_is_said(fresh, tokenizer):
    thresholds = CollapseThresholds(low_entropy=0, high_entropy=2, cosine=2, sense_share=0.01)
    alarms = measure_mixture(fresh, tokenizer, TEXTS, thresholds=thresholds)["alarms"]
    assert len(alarms) == 1 and alarms[0].startswith("Sense")


def test_a_single_sense_has_no_entropy_no_cosine_and_no_alarm(trunk, tokenizer):
    model = BackpackForCausalLM(BackpackConfig(trunk_config=trunk, num_senses=1)).eval()
    measures = measure_mixture(model, tokenizer, TEXTS)
    assert (measures["entropy"], measures["off_diagonal_cosine"], measures["alarms"]) == (0, None, [])


def test_the_model_is_measured_without_dropout_and_left_as_it_was(fresh, tokenizer):
    expected = measure_mixture(fresh, tokenizer, TEXTS), ablate_mixture(fresh, tokenizer, TEXTS)
    fresh.train()
    assert (measure_mixture(fresh, tokenizer, TEXTS), ablate_mixture(fresh, tokenizer, TEXTS)) == expected
    assert fresh.training


@pytest.mark.parametrize("measure", [measure_mixture, ablate_mixture])
@pytest.mark.parametrize(
    ("texts", "message"), [([], "at least one token"), ([""], "at least one"), ("a", "one string")]
)
def test_texts_without_a_token_are_refused(backpack, tokenizer, measure, texts, message):
    with pytest.raises(ValueError, match=message):
        measure(backpack, tokenizer, texts)


def test_settings_out_of_range_are_refused(backpack, tokenizer):
    with pytest.raises(ValueError, match="positive, got 0"):
        measure_mixture(backpack, tokenizer, TEXTS, pooling_temperature=0)
    with pytest.raises(ValueError, match=r"got \[0\]"):
        ablate_mixture(backpack, tokenizer, TEXTS, top=[0])
