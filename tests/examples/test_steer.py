import json
import math
import re
import sys

import pytest
import torch
from example_scripts import load_example
from small_backpacks import save, small_backpack, small_tokenizer
from transformers import set_seed

from modeling_sensia.steering import ProjectOut, Steering, SwapSenses, TowardsTopic, find_direction, find_words
from sensia.evaluation.senses.steering_effects import PROMPTS

TOPIC = ["use", "object", "data", "django", "with", "that"]
JOBS = ["object", "data", "django"]
TEXTS, TOKENS = 6, 40


@pytest.fixture(scope="module")
def script():
    module = load_example("steer")
    # Words of the small tokenizer, which has no pronouns.
    module.PAIRS = ["it you", "is are", "an the", "in on"]
    module.WORDS["other topic"] = "for of as or"
    return module


@pytest.fixture(scope="module")
def tokenizer():
    return small_tokenizer()


@pytest.fixture(scope="module")
def model(tokenizer):
    model = small_backpack(tokenizer, 4, seed=1)
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(0.1)  # so that every token has a chance
    return model


@pytest.fixture(scope="module")
def folder(model, tokenizer, tmp_path_factory):
    return save(tmp_path_factory.mktemp("model"), model, tokenizer)


@pytest.fixture
def steer(script, folder, monkeypatch, capsys):
    def run(*options):
        monkeypatch.setattr(sys, "argv", ["steer.py", "--model", folder, *map(str, options)])
        script.main()
        return json.loads(capsys.readouterr().out)

    return run


def next_tokens(model, tokenizer, text):
    ids = torch.tensor([[tokenizer.eos_token_id, *tokenizer(text)["input_ids"]]])
    with torch.no_grad():
        return model(ids, use_cache=False).logits[0, -1].double().log_softmax(-1)


@pytest.fixture(scope="module")
def written(model, tokenizer):
    """Texts of the model as it is and steered, and the mean chance of every token while they were written."""
    bag = find_words(tokenizer, TOPIC[::2])
    results = {}
    for name, edits in {"none": [], "topic 1": [TowardsTopic(bag, 1.0)]}.items():
        set_seed(3)
        ids = torch.tensor([[tokenizer.eos_token_id, *tokenizer("The")["input_ids"]]] * TEXTS)
        start = ids.shape[1]
        with Steering(edits).applied(model), torch.no_grad():
            for _ in range(TOKENS):
                logits = model(ids, use_cache=False).logits[:, -1]
                logits[:, tokenizer.eos_token_id] = -math.inf
                ids = torch.cat([ids, torch.multinomial(logits.softmax(-1), 1)], 1)
            logits = model(ids, use_cache=False).logits[:, start - 1 : -1]
            logits[..., tokenizer.eos_token_id] = -math.inf
        results[name] = ids, start, logits.softmax(-1).mean(1)
    return results


@pytest.fixture(scope="module")
def lexicon(tmp_path_factory):
    path = tmp_path_factory.mktemp("lexicon") / "words.tsv"
    path.write_text("Use\te\tone\nobject\ta\ttwo\nhouse\to\tthree\n", encoding="utf-8")
    return path


@pytest.fixture
def topics(steer, lexicon):
    options = ["--case", "topic", "--words", *TOPIC, "--strengths", 1, "--texts", TEXTS, "--seed", 3]
    return steer(*options, "--lexicon", lexicon)


def test_the_topic_is_measured_on_the_texts_that_the_settings_write(topics, written, model, tokenizer):
    for name, (ids, start, chances) in written.items():
        row = topics[name]
        texts = tokenizer.batch_decode(ids[:, start:])
        assert row["text"] == texts[0]
        for key, half in (("steered words", TOPIC[::2]), ("other words of the topic", TOPIC[1::2])):
            expected = 1000 * chances[:, find_words(tokenizer, half)].sum(1).mean().item()
            assert row[f"{key} per 1000 tokens"][0] == pytest.approx(expected, rel=1e-3)
        shares = [sum(w in ("e", "a") for w in ws) / len(ws) for ws in (re.findall(r"\w+", t.lower()) for t in texts)]
        assert row["counted per 1000 words"][0] == pytest.approx(1000 * sum(shares) / TEXTS, abs=1e-3)
        with torch.no_grad():
            losses = torch.nn.functional.cross_entropy(
                model(ids).logits[:, start - 1 : -1].flatten(0, 1), ids[:, start:].flatten()
            )
        assert row["perplexity"][0] == pytest.approx(losses.exp().item(), rel=1e-3)
    assert topics["none"]["text"] != topics["topic 1"]["text"]


def test_every_setting_and_control_is_measured_with_an_interval_around_its_mean(topics):
    assert list(topics) == [
        "none", "temperature 0.7", "logit bias 2", "logit bias 4", "topic 1", "other topic 1",
    ]  # fmt: skip
    for row in topics.values():
        for name, (mean, low, high) in ((n, value) for n, value in row.items() if n not in ("words counted", "text")):
            assert low <= mean <= high, name


def test_a_logit_bias_raises_the_words_that_it_names(topics):
    found = [topics[name]["steered words per 1000 tokens"][0] for name in ("none", "logit bias 2", "logit bias 4")]
    assert found == sorted(found) and found[2] > 2 * found[0]


def test_knowledge_compares_the_swapped_word_with_itself_and_with_the_other(steer, model, tokenizer):
    results = steer("--case", "knowledge", "--words", "use", "data")
    b, c = find_words(tokenizer, ["use", "data"])
    for place, prompt in enumerate(PROMPTS):
        before, goal = (next_tokens(model, tokenizer, prompt.format(word)) for word in ("use", "data"))
        with Steering([SwapSenses(b, c)]).applied(model):
            after = next_tokens(model, tokenizer, prompt.format("use"))
        for name, (p, q) in {"before to goal": (before, goal), "after to before": (after, before)}.items():
            nats = sum(math.exp(x) * (x - y) for x, y in zip(p.tolist(), q.tolist(), strict=True))
            assert results[name][place] == pytest.approx(nats, abs=1e-3)


def test_bias_is_the_ratio_of_the_likelier_pronoun_to_the_other(steer, script, model, tokenizer):
    results = steer("--case", "bias", "--words", *JOBS)
    he, she = find_words(tokenizer, ["it", "you"])
    pairs = [find_words(tokenizer, pair.split()) for pair in script.PAIRS]
    jobs = find_words(tokenizer, JOBS)
    edits = [ProjectOut([k], find_direction(model, pairs, k), jobs) for k in range(4)]
    assert list(results) == ["sense 0", "sense 1", "sense 2", "sense 3", "every sense", "none"]
    for name, applied in {"none": [], "sense 2": edits[2:3], "every sense": edits}.items():
        with Steering(applied).applied(model):
            rows = [next_tokens(model, tokenizer, p.format(word)) for word in JOBS for p in PROMPTS]
        ratios = [max(float(r[he] - r[she]), float(r[she] - r[he])) for r in rows]
        expected = sum(math.exp(ratio) for ratio in ratios) / len(ratios)
        assert results[name]["ratio"][0] == pytest.approx(expected, rel=1e-3)


def test_settings_come_from_a_file(steer, tmp_path):
    config = tmp_path / "steer.yaml"
    config.write_text("case: knowledge\nwords: [use, data]\n", encoding="utf-8")
    assert steer("--config", config) == steer("--case", "knowledge", "--words", "use", "data")


def test_words_of_several_tokens_can_be_swapped(steer):
    found = steer("--case", "knowledge", "--words", "use", "xylophone")
    assert sum(found["after to before"]) > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--case", "knowledge", "--words", "use"], "`words` of `knowledge` must be the word to edit and another"),
        (["--config", "CONFIG"], "`case` must be one of topic, knowledge, bias, got 'else'"),
    ],
)
def test_settings_that_cannot_work_are_refused(steer, tmp_path, options, message):
    (tmp_path / "steer.yaml").write_text("case: else\n", encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        steer(*(str(tmp_path / "steer.yaml") if each == "CONFIG" else each for each in options))


def test_figures_have_as_many_digits_as_asked(steer):
    fine, coarse = (steer("--case", "knowledge", "--words", "use", "data", "--digits", n) for n in (6, 2))
    assert coarse == {name: [float(f"{value:.2g}") for value in values] for name, values in fine.items()}
