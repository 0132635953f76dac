"""Steering against the naive equations with senses edited by hand, and what it must never change."""

import copy
import json
import math

import pytest
import torch
from naive_backpack import naive_contextualization, naive_mixture, naive_senses, naive_trunk
from safetensors.torch import load_file
from tiny_backpacks import VOCABULARY, padded_batch, public_parameters, tiny_backpack, tiny_config, token_ids
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GenerationConfig, PreTrainedTokenizerFast, StaticCache

from modeling_sensia import BackpackModel
from modeling_sensia.steering import (
    ProjectOut,
    ScaleSenses,
    Steering,
    SwapSenses,
    TowardsTopic,
    find_direction,
    find_words,
    localise,
    topic_scores,
)

SENSES, WIDTH = 4, 32
IDS = [5, 9, 5, 41, 9, 17, 3]
DIRECTION = tuple(math.sin(place + 1) for place in range(WIDTH))
BAG = (9, 30, 77)
EDITS = {
    "scale some": ScaleSenses([1, 3], 2.5, [5, 17]),
    "suppress all": ScaleSenses([2], 0.0),
    "swap": SwapSenses(9, 60),
    "swap one sense": SwapSenses(9, 60, [2]),
    "topic": TowardsTopic(BAG, 1.5),
    "away from topic": TowardsTopic(BAG, -1.0),
    "project out": ProjectOut([1], DIRECTION),
    "project out of some": ProjectOut(None, DIRECTION, [5]),
}
NEW_TOKENS = 8


@pytest.fixture(scope="module")
def model():
    return tiny_backpack(seed=2)


@pytest.fixture(scope="module")
def parameters(model):
    return {name: tensor.detach() for name, tensor in public_parameters(model).items()}


@pytest.fixture(scope="module")
def vocabulary_senses(parameters):
    """Sense vectors [V, K, D] of every token, by the naive equations."""
    return naive_senses(parameters, range(VOCABULARY), SENSES).transpose(0, 1)


def naive_edit(table, edit, words):
    """The table [V, K, D] after an edit, one vector at a time."""
    edited = table.clone()
    scores = naive_topic_scores(table, edit.token_ids, words) if isinstance(edit, TowardsTopic) else None
    logs = naive_topic_logs(scores) if scores else None
    for token in range(VOCABULARY):
        for sense in range(SENSES):
            vector = table[token, sense]
            if isinstance(edit, SwapSenses):
                if token == edit.token_id and (edit.senses is None or sense in edit.senses):
                    edited[token, sense] = table[edit.other_id, sense]
            elif isinstance(edit, TowardsTopic):
                edited[token, sense] = vector * math.exp(edit.strength * logs[token][sense])
            elif (edit.senses is None or sense in edit.senses) and (edit.token_ids is None or token in edit.token_ids):
                if isinstance(edit, ScaleSenses):
                    edited[token, sense] = vector * edit.factor
                else:
                    unit = torch.tensor(edit.direction).double() / math.sqrt(sum(x * x for x in edit.direction))
                    edited[token, sense] = vector - sum(vector * unit) * unit
    return edited


def naive_topic_scores(table, bag, words):
    scores = []
    for token in range(VOCABULARY):
        scores.append([])
        for sense in range(SENSES):
            logits = [float(word @ table[token, sense]) for word in words]
            scores[-1].append(sum(logits[word] for word in bag) / max(logits))
    return scores


def naive_topic_logs(scores):
    """The log factors, with quantiles by linear interpolation between the sorted scores."""
    ordered = sorted(score for row in scores for score in row)

    def quantile(share):
        place = share * (len(ordered) - 1)
        low = math.floor(place)
        return ordered[low] + (place - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])

    upper, lower = quantile(0.8), quantile(0.6)
    steps = [[math.log(1.5 if s > upper else 1.3 if s > lower else 1.0) for s in row] for row in scores]
    mean = sum(sum(row) for row in steps) / len(ordered)
    return [[step - mean for step in row] for row in steps]


def naive_logits(parameters, table, ids):
    """Logits [L, V] with the sense vectors of a table."""
    senses = torch.stack([table[token] for token in ids], dim=1)  # [K, L, D]
    states = naive_trunk(parameters, ids, 4, True)
    mixture = naive_mixture(naive_contextualization(parameters, states, SENSES), senses)
    return mixture @ parameters["backpack.gpt2_model.wte.weight"].T


def expected(parameters, table, edits, ids):
    for edit in edits:
        table = naive_edit(table, edit, parameters["backpack.gpt2_model.wte.weight"])
    return naive_logits(parameters, table, ids)


def close(found, wanted):
    torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-4)


def logits(model, ids=IDS, **kwargs):
    with torch.no_grad():
        return model(torch.tensor([ids]), **kwargs).logits[0]


def generate(model, ids, **kwargs):
    options = {"max_new_tokens": NEW_TOKENS, "do_sample": False, "pad_token_id": 0, **kwargs}
    return model.generate(ids, generation_config=GenerationConfig(**options))


def greedy_by_hand(parameters, table, ids):
    ids = list(ids)
    for _ in range(NEW_TOKENS):
        ids.append(int(naive_logits(parameters, table, ids)[-1].argmax()))
    return ids


@pytest.mark.parametrize("table", [False, True], ids=["computed", "table"])
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_logits_are_those_of_the_naive_equations_with_edited_senses(model, parameters, vocabulary_senses, edit, table):
    wanted = expected(parameters, vocabulary_senses, [edit], IDS)
    with Steering([edit]).applied(model):
        if table:
            model.precompute_senses()
        close(logits(model), wanted)
    assert (wanted - naive_logits(parameters, vocabulary_senses, IDS)).abs().max() > 0.01


@pytest.mark.parametrize("cache", [None, "static"], ids=["dynamic", "static"])
@pytest.mark.parametrize("table", [False, True], ids=["computed", "table"])
def test_a_text_read_in_pieces_gives_the_logits_of_the_naive_equations(
    model, parameters, vocabulary_senses, table, cache
):
    edits = [EDITS["scale some"], EDITS["swap"]]
    past = StaticCache(config=model.config, max_cache_len=12) if cache else None
    pieces = []
    with Steering(edits).applied(model), torch.no_grad():
        if table:
            model.precompute_senses()
        for piece in torch.tensor([IDS]).split((3, 2, 1, 1), dim=1):
            output = model(piece, past_key_values=past, use_cache=True)
            past = output.past_key_values
            pieces.append(output.logits[0])
    close(torch.cat(pieces), expected(parameters, vocabulary_senses, edits, IDS))


@pytest.mark.parametrize(
    "options", [{"use_cache": False}, {}, {"cache_implementation": "static"}], ids=["none", "dynamic", "static"]
)
def test_greedy_generation_takes_the_best_token_of_the_naive_equations(model, parameters, vocabulary_senses, options):
    edit = EDITS["suppress all"]
    table = naive_edit(vocabulary_senses, edit, parameters["backpack.gpt2_model.wte.weight"])
    ids = IDS[:4]
    options = GenerationConfig(max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=0, **options)
    texts = Steering([edit]).generate(model, torch.tensor([ids]), generation_config=options)
    assert texts[0].tolist() == greedy_by_hand(parameters, table, ids)
    assert texts.tolist() != generate(model, torch.tensor([ids])).tolist()


@pytest.mark.parametrize("table", [False, True], ids=["computed", "table"])
def test_left_padded_beams_are_those_of_a_model_whose_weights_give_the_edited_senses(model, table):
    rows = [token_ids(7, seed=1), token_ids(4, seed=2)]
    ids, mask = padded_batch(rows, "left")
    options = GenerationConfig(max_new_tokens=5, num_beams=3, do_sample=False, pad_token_id=0)
    # The last layer of the sense network is linear, so its columns can suppress and double senses of all tokens.
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.backpack.sense_network.final_mlp.c_proj.parameters():
            parameter[..., WIDTH : 2 * WIDTH] = 0
            parameter[..., 3 * WIDTH :] *= 2
    with Steering([ScaleSenses([1], 0), ScaleSenses([3], 2)]).applied(model):
        if table:
            model.precompute_senses()
        texts = model.generate(ids, attention_mask=mask, generation_config=options)
    assert torch.equal(texts, other.generate(ids, attention_mask=mask, generation_config=options))
    assert not torch.equal(texts, model.generate(ids, attention_mask=mask, generation_config=options))


def test_edits_of_one_steering_work_on_what_those_before_them_left(model, parameters, vocabulary_senses):
    edits = [ScaleSenses([0, 1], 3.0, [60]), SwapSenses(9, 60), TowardsTopic(BAG, 1.0), ProjectOut([0], DIRECTION)]
    with Steering(edits).applied(model):
        close(logits(model), expected(parameters, vocabulary_senses, edits, IDS))
    # The order matters: swapped first, token 9 would not be scaled.
    backwards = expected(parameters, vocabulary_senses, edits[::-1], IDS)
    assert (backwards - expected(parameters, vocabulary_senses, edits, IDS)).abs().max() > 0.01


def test_an_inner_block_works_on_what_the_outer_one_left(model, parameters, vocabulary_senses):
    outer, inner = ScaleSenses([0, 1], 3.0, [60]), SwapSenses(9, 60)
    with Steering([outer]).applied(model):
        with Steering([inner]).applied(model):
            close(logits(model), expected(parameters, vocabulary_senses, [outer, inner], IDS))
        close(logits(model), expected(parameters, vocabulary_senses, [outer], IDS))


def test_composed_steerings_are_the_edits_of_the_first_then_of_the_second():
    first, second = Steering([EDITS["swap"]]), Steering([EDITS["topic"], EDITS["suppress all"]])
    assert first | second == Steering([EDITS["swap"], EDITS["topic"], EDITS["suppress all"]])
    assert first | second != second | first


@pytest.mark.parametrize("table", [False, True], ids=["computed", "table"])
def test_after_the_block_outputs_are_bit_for_bit_what_they_were(table):
    model = tiny_backpack(tiny_config(num_senses=8), seed=2)
    if table:
        model.precompute_senses()
    rows = model.backpack.sense_table
    before = logits(model)
    with Steering([EDITS["swap"]]).applied(model):
        model.precompute_senses()
        assert not torch.equal(logits(model), before)
    assert model.backpack.sense_table is rows and model.backpack.sense_edit is None
    assert torch.equal(logits(model), before)


def test_a_steering_without_edits_changes_no_bit(model):
    before = logits(model)
    with Steering([]).applied(model):
        assert torch.equal(logits(model), before)


def test_an_error_inside_the_block_takes_the_edits_off(model):
    with pytest.raises(RuntimeError, match="inside"), Steering([EDITS["swap"]]).applied(model):
        raise RuntimeError("inside")
    assert model.backpack.sense_edit is None


def test_a_table_does_not_come_back_to_a_model_that_went_into_training():
    model = tiny_backpack()
    model.precompute_senses()
    with Steering([EDITS["swap"]]).applied(model):
        model.train()
    assert model.backpack.sense_table is None


def test_an_edit_that_does_not_fit_leaves_none_of_those_before_it(model):
    with pytest.raises(ValueError), Steering([EDITS["swap"], ScaleSenses([SENSES], 0)]).applied(model):
        pass
    assert model.backpack.sense_edit is None


def test_weights_stay_bit_for_bit(model):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with Steering(EDITS.values()).applied(model):
        generate(model, torch.tensor([IDS]))
        inside = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert before.keys() == inside.keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]) and torch.equal(inside[name], before[name])


def test_saving_inside_the_block_saves_the_original(model, tmp_path):
    model.save_pretrained(tmp_path / "before")
    with Steering([EDITS["swap"]]).applied(model):
        model.save_pretrained(tmp_path / "inside")
    before, inside = (tmp_path / name for name in ("before", "inside"))
    assert sorted(path.name for path in inside.iterdir()) == sorted(path.name for path in before.iterdir())
    assert (inside / "config.json").read_bytes() == (before / "config.json").read_bytes()
    weights = [load_file(folder / "model.safetensors") for folder in (before, inside)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_copy_of_a_steered_model_stays_steered(model):
    with Steering([EDITS["swap"], EDITS["topic"]]).applied(model):
        steered, copied = logits(model), copy.deepcopy(model)
    assert torch.equal(logits(copied), steered)


def test_projecting_out_leaves_other_senses_and_tokens_bit_for_bit_and_nothing_along_the_direction(model):
    ids = torch.tensor([IDS])
    with torch.no_grad():
        before = model.get_senses(ids)[0]  # [K, L, D]
        with Steering([ProjectOut([1], DIRECTION, [5, 17])]).applied(model):
            after = model.get_senses(ids)[0]
    unit = torch.nn.functional.normalize(torch.tensor(DIRECTION), dim=0)
    named = torch.tensor([token in (5, 17) for token in IDS])
    assert torch.equal(after[[0, 2, 3]], before[[0, 2, 3]])
    assert torch.equal(after[1, ~named], before[1, ~named])
    assert (before[1, named] @ unit).abs().min() > 0.01
    assert (after[1, named] @ unit).abs().max() < 1e-6 * before.abs().max() * WIDTH


def test_tokens_that_an_edit_does_not_name_keep_their_senses_bit_for_bit(model):
    others = torch.tensor([[token for token in IDS if token != 9]])
    before = model.get_senses(others)
    with Steering([EDITS["swap"], ScaleSenses(None, 0, [9])]).applied(model):
        assert torch.equal(model.get_senses(others), before)


def test_the_model_without_a_head_is_steered_alike(parameters, vocabulary_senses):
    body = tiny_backpack(model_class=BackpackModel, seed=2)
    causal = tiny_backpack(seed=2)
    body.load_state_dict(causal.backpack.state_dict())
    wanted = expected(parameters, vocabulary_senses, [EDITS["topic"]], IDS)
    with Steering([EDITS["topic"]]).applied(body), torch.no_grad():
        mixture = body(torch.tensor([IDS])).last_hidden_state[0]
    close(mixture.double() @ parameters["backpack.gpt2_model.wte.weight"].T, wanted)


def test_topic_scores_are_shares_of_the_strongest_projection(model, parameters, vocabulary_senses):
    wanted = naive_topic_scores(vocabulary_senses, BAG, parameters["backpack.gpt2_model.wte.weight"])
    torch.testing.assert_close(topic_scores(model, BAG).double(), torch.tensor(wanted).double(), rtol=1e-4, atol=1e-4)


PAIRS = [(5, 9), (17, 41), (3, 60), (8, 30), (11, 12)]


def test_the_direction_is_the_first_principal_component_of_the_differences(model, vocabulary_senses):
    direction = find_direction(model, PAIRS, 2)
    differences = torch.stack([vocabulary_senses[a, 2] - vocabulary_senses[b, 2] for a, b in PAIRS])
    # Independently: the leading eigenvector of the scatter matrix.
    values, vectors = torch.linalg.eigh(differences.T @ differences)
    assert abs(float(direction @ vectors[:, -1])) == pytest.approx(1, abs=1e-6)
    assert float(direction @ differences.sum(0)) > 0
    share = localise(model, PAIRS)[2]["explained"]
    assert share == pytest.approx(float(values[-1] / values.sum()), abs=1e-6)


def test_localise_measures_each_pair_against_the_direction_of_the_others(model, vocabulary_senses):
    cosines = []
    for left_out in PAIRS:
        others = [vocabulary_senses[a, 3] - vocabulary_senses[b, 3] for a, b in PAIRS if (a, b) != left_out]
        axis = torch.linalg.eigh(sum(torch.outer(o, o) for o in others)).eigenvectors[:, -1]
        axis = axis * torch.sign(axis @ sum(others))
        own = vocabulary_senses[left_out[0], 3] - vocabulary_senses[left_out[1], 3]
        cosines.append(float(axis @ own / own.norm()))
    found = localise(model, PAIRS)
    assert [row["sense"] for row in found] == list(range(SENSES))
    assert found[3]["held_out"] == pytest.approx(sum(cosines) / len(cosines), abs=1e-5)


def test_localise_finds_the_sense_that_was_given_the_difference():
    model = tiny_backpack(seed=2)
    axis = torch.tensor(DIRECTION)

    def planted(ids, senses):
        shift = torch.zeros_like(senses)
        shift[..., 2, :] = axis * torch.isin(ids, torch.tensor([a for a, _ in PAIRS]))[..., None] * 30
        return senses + shift

    model.backpack.sense_edit = planted
    held_out = [row["held_out"] for row in localise(model, PAIRS)]
    assert held_out.index(max(held_out)) == 2
    assert float(find_direction(model, PAIRS, 2).float() @ axis / axis.norm()) > 0.9


def words_tokenizer(stem="word"):
    """Token i is the stem and i; the last of the model's is that of unknown words."""
    words = {f"{stem}{number}": number for number in range(VOCABULARY - 1)} | {"?": VOCABULARY - 1}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?")


@pytest.fixture(scope="module")
def tokenizer():
    return words_tokenizer()


def test_a_file_gives_back_what_was_saved(tokenizer, tmp_path):
    steering = Steering(EDITS.values())
    steering.save(tmp_path / "steering.json", tokenizer)
    assert Steering.load(tmp_path / "steering.json", tokenizer) == steering
    assert [path.name for path in tmp_path.iterdir()] == ["steering.json"]


def test_a_file_holds_the_texts_of_the_tokens_that_edits_name(tokenizer, tmp_path):
    Steering([SwapSenses(9, 60), ScaleSenses([0], 0, [17])]).save(tmp_path / "steering.json", tokenizer)
    written = json.loads((tmp_path / "steering.json").read_text(encoding="utf-8"))
    assert written["version"] == 1
    assert written["tokens"] == {"9": "word9", "17": "word17", "60": "word60"}
    assert written["edits"][1] == {"edit": "ScaleSenses", "senses": [0], "factor": 0.0, "token_ids": [17]}


def test_a_token_that_the_tokenizer_does_not_have_cannot_be_saved(tokenizer, tmp_path):
    with pytest.raises(ValueError, match="no token 5000"):
        Steering([SwapSenses(9, 5000)]).save(tmp_path / "steering.json", tokenizer)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_tokenizer_is_refused(tokenizer, tmp_path):
    Steering([SwapSenses(9, 60)]).save(tmp_path / "steering.json", tokenizer)
    with pytest.raises(ValueError, match=r"steering.json: `tokens` has 'word9' for 9; .* 'other9'"):
        Steering.load(tmp_path / "steering.json", words_tokenizer("other"))


SAVED = {"format": "sensia-steering", "version": 1, "tokens": {}, "edits": []}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "else"}, "`format`"),
        ({"version": 2}, "`version` must be 1, got 2"),
        ({"tokens": []}, "`tokens` must be an object"),
        ({"edits": {}}, "`edits` a list"),
        ({"edits": [{"edit": "Unknown"}]}, r"edits\[0\]: `edit` must be one of .* got 'Unknown'"),
        ({"edits": [7]}, r"edits\[0\]: `edit` must be one of"),
        ({"edits": [{"edit": "ScaleSenses", "senses": [0], "factor": 1}]}, r"edits\[0\]: `token_ids` is missing"),
        (
            {"edits": [{"edit": "ScaleSenses", "senses": [0], "factor": 1, "token_ids": None, "x": 1}]},
            r"edits\[0\]: `x` is not a field of ScaleSenses",
        ),
        (
            {"edits": [{"edit": "ScaleSenses", "senses": [0], "factor": "1", "token_ids": None}]},
            r"edits\[0\]: `factor` must be a finite number, got '1'",
        ),
        (
            {"edits": [{"edit": "TowardsTopic", "token_ids": [9], "strength": 1}]},
            "`tokens` has None for 9; for this tokenizer it is 'word9'",
        ),
    ],
)
def test_a_file_that_is_wrong_is_refused_by_its_field(tokenizer, tmp_path, change, message):
    path = tmp_path / "steering.json"
    path.write_text(json.dumps({**SAVED, **change}), encoding="utf-8")
    with pytest.raises(ValueError, match=message) as error:
        Steering.load(path, tokenizer)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("content", ["{", None], ids=["broken", "missing"])
def test_a_file_that_cannot_be_read_is_named(tokenizer, tmp_path, content):
    path = tmp_path / "steering.json"
    if content:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"steering\.json cannot be read as JSON"):
        Steering.load(path, tokenizer)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ScaleSenses([0], -0.5), "`factor` must be at least 0, got -0.5"),
        (lambda: ScaleSenses([0], math.nan), "`factor` must be a finite number, got nan"),
        (lambda: ScaleSenses([], 1), "`senses` must be whole numbers from 0, at least one"),
        (lambda: ScaleSenses([True], 1), "`senses` must be whole numbers"),
        (lambda: ScaleSenses([-1], 1), "`senses` must be whole numbers"),
        (lambda: ScaleSenses(2, 1), "`senses` must be a list, got 2"),
        (lambda: ScaleSenses(None, 1, ["he"]), "`token_ids` must be whole numbers"),
        (lambda: SwapSenses(-1, 2), "`token_id` must be whole numbers"),
        (lambda: SwapSenses(1, 2.5), "`other_id` must be whole numbers"),
        (lambda: TowardsTopic(None, 1), "`token_ids` must be the ids of the topic's words"),
        (lambda: TowardsTopic([1], math.inf), "`strength` must be a finite number"),
        (lambda: ProjectOut([0], [0.0, 0.0]), "`direction` must not be zero"),
        (lambda: ProjectOut([0], [1.0, math.nan]), "`direction` must be a finite number"),
        (lambda: ProjectOut([0], "up"), "`direction` must be a list"),
        (lambda: Steering([max]), "`edits` must be edits such as"),
        (lambda: Steering(ScaleSenses([0], 1)), "`edits` must be a list"),
    ],
)
def test_wrong_fields_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (ScaleSenses([SENSES], 0), "`senses` has 4; this model has 0 to 3"),
        (ScaleSenses(None, 0, [VOCABULARY]), "`token_ids` has 97; this model has 0 to 96"),
        (SwapSenses(VOCABULARY, 1), "`token_ids` has 97"),
        (SwapSenses(1, VOCABULARY), "`token_ids` has 97"),
        (TowardsTopic([VOCABULARY], 1), "`token_ids` has 97"),
        (ProjectOut([0], [1.0] * 5), "`direction` has 5 numbers; the senses of this model 32"),
    ],
)
def test_edits_that_do_not_fit_the_model_are_refused(model, edit, message):
    with pytest.raises(ValueError, match=message), Steering([edit]).applied(model):
        pass


def test_a_model_in_training_mode_is_refused():
    model = tiny_backpack().train()
    with pytest.raises(ValueError, match="evaluation mode"), Steering([EDITS["swap"]]).applied(model):
        pass


def test_another_model_than_a_backpack_is_refused(model):
    steering = Steering([EDITS["swap"]])
    with pytest.raises(ValueError, match="needs a Backpack, got GPT2Model"), steering.applied(model.backpack.trunk):
        pass


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "must be pairs of token ids"),
        ([(1, 2, 3)] * 3, "must be pairs of token ids"),
        ([1, 2], "`pairs` must be a list"),
        ([(1, 2)], "at least 3, .* got 1"),
        ([(1, 2), (3, 4), (5, VOCABULARY)], "`token_ids` has 97"),
    ],
)
def test_localise_refuses_what_are_not_enough_pairs(model, pairs, message):
    with pytest.raises(ValueError, match=message):
        localise(model, pairs)


def test_pairs_that_do_not_differ_have_no_direction(model):
    with pytest.raises(ValueError, match="No pair differs"):
        find_direction(model, [(5, 5), (6, 6)], 0)


def test_words_are_found_as_they_stand_in_running_text(tokenizer):
    assert find_words(tokenizer, ["word9", "word60"]) == (9, 60)


def test_a_word_of_several_tokens_is_refused(tokenizer):
    with pytest.raises(ValueError, match=r"'word9 word8' is 2 tokens, \['word9', 'word8'\]"):
        find_words(tokenizer, ["word9 word8"])
