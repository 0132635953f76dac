"""Names and texts of users, whatever is in them, break neither metadata nor tables nor examples."""

import ast
import re

import pytest
from huggingface_hub import ModelCard

from sensia.model_cards import render_card
from sensia.model_cards.markdown import code, fence, one_line, words

cards = pytest.importorskip("hubserver.cards")
ODD = [
    "\"double\" and 'single'",
    "key: value",
    "a\nb",
    "a\r\nb",
    "a\n---\nb",
    "---",
    "`tick` and ``two``",
    "a|b",
    "\\|",
    "# heading",
    "- item",
    "{{ 7 * 7 }}{% raw %}",
    "<b>bold</b><!-- hidden",
    "</details>",
    "[link](x) *star*",
    "@at %per &amp ~ ? !tag",
    "null",
    "1e3",
    "日本語 ü 😀",
    "a\u2028b\x07\u202ec",
    "lone \ud800",
]


def at(results, path, value):
    *parents, last = path
    for key in parents:
        results = results[key]
    results[last] = value


SITES = [
    ("model_name",),
    ("base_model", "name"),
    ("base_model", "license"),
    ("license_name",),
    ("license_reason",),
    ("datasets", 0, "name"),
    ("datasets", 0, "license"),
    ("datasets", 0, "sources", 0, "name"),
    ("datasets", 0, "sources", 0, "domain"),
    ("evaluation", 0, "dataset"),
    ("evaluation", 0, "file"),
    ("evaluation", 0, "license"),
    ("training", "hyperparameters", "output_dir"),
    ("limits", 0),
    ("model", "trunk"),
]


def shape(card):
    """Parts of a card that no name may change: its headings' levels, its tables' cells, and how much is code."""
    body = card.split("\n---\n", 1)[1]
    cells = [len(re.findall(r"(?<!\\)\|", line)) for line in body.splitlines() if line.startswith("|")]
    levels = [len(found) for found in re.findall(r"^(#+) ", body, re.M)]
    fences = re.findall(r"^`{3,}\w*$", body, re.M)
    outside = re.sub(r"^```.*?^```$|(`+)(?!`).+?(?<!`)\1(?!`)", "", body, flags=re.M | re.S)
    return levels, cells, fences, outside.count("<")


@pytest.mark.parametrize("site", SITES, ids=lambda site: ".".join(map(str, site)))
def test_a_name_changes_nothing_but_itself(results, site):
    results["repo_id"] = None
    results["license_name"] = results["datasets"][0]["sources"][0]["domain"] = "plain"
    results["limits"] = ["plain"]
    expected = shape(render_card(results))
    for odd in ODD:
        at(results, site, odd)
        card = render_card(results)
        assert shape(card) == expected, odd
        assert cards.validate(card) == ([], []), odd
        assert all(ast.parse(block) for block in re.findall(r"^```python\n(.*?)^```$", card, re.M | re.S)), odd


@pytest.mark.parametrize("odd", [odd for odd in ODD if "\ud800" not in odd])
def test_metadata_holds_names_as_they_are(results, odd):
    results["model_name"] = results["evaluation"][0]["dataset"] = odd
    model = cards.parse(render_card(results))["model-index"][0]
    assert model["name"] == odd
    assert model["results"][0]["dataset"]["name"] == odd
    assert ModelCard(render_card(results)).data.model_name == odd


@pytest.mark.parametrize("odd", ODD)
def test_the_examples_load_the_model_by_its_name(results, odd):
    results["repo_id"], results["model_name"] = None, odd
    tree = ast.parse(re.findall(r"^```python\n(.*?)^```$", render_card(results), re.M | re.S)[0])
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    loaded = {ast.literal_eval(call.args[0]) for call in calls if ast.unparse(call.func).endswith("from_pretrained")}
    assert loaded == {odd.replace("\ud800", "?")}


def test_a_command_with_a_fence_in_it_stays_one_piece(results):
    results["command"] = "python adapt.py --prompts '```\n# no heading'"
    assert "````bash\npython adapt.py --prompts '```\n# no heading'\n````" in render_card(results)


def test_a_set_named_in_another_alphabet_has_a_type(results):
    results["evaluation"][0]["dataset"] = "新聞"
    assert cards.parse(render_card(results))["model-index"][0]["results"][0]["dataset"]["type"] == "evaluation"


def test_a_licence_that_the_hub_does_not_know_is_named(results):
    results |= {"license": "other", "license_name": "house rules", "license_link": "https://example.org/rules"}
    card = render_card(results)
    assert {name: cards.parse(card)[name] for name in ("license", "license_name", "license_link")} == {
        "license": "other",
        "license_name": "house rules",
        "license_link": "https://example.org/rules",
    }
    assert "under the licence `house rules` ([text](<https://example.org/rules>))." in card


def test_a_model_without_a_licence_says_so(results):
    results |= {"license": "unknown", "license_reason": ""}
    assert "No licence of this model is stated. The base model is under `mpl-2.0`." in render_card(results)


def test_text_is_made_fit_for_its_place():
    assert one_line(" a\r\n b\u2028\x00c ") == "a b c"
    assert words("*a* <b> `c` [d]") == r"\*a\* &lt;b> \`c\` \[d\]"
    assert [code("a"), code("`a`"), code("a``b")] == ["`a`", "`` `a` ``", "```a``b```"]
    assert [fence("a"), fence("a", "````")] == ["```", "`````"]
