import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch.nn import functional as F

from sensia.evaluation.word_pairs import (
    WordPair,
    align_words,
    in_running_text,
    independent_pairs,
    read_lexicon,
    word_senses,
)


@pytest.fixture
def lexicon(tmp_path):
    def write(text):
        path = tmp_path / "lexicon.tsv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_lexicon_is_read_in_its_order_with_or_without_origin(lexicon):
    path = lexicon("house\trumah\tfreedict\n\nbook\tbuku\nriver \t sungai\twiktionary\n")
    expected = [WordPair("house", "rumah"), WordPair("book", "buku"), WordPair("river", "sungai")]
    assert read_lexicon(path) == (expected, {})


def test_lines_that_say_nothing_about_two_words_are_dropped_and_counted(lexicon):
    path = lexicon("house\trumah\na lot\tbanyak\nthanks\tterima kasih\nBank\tbank\nhouse\trumah\nhouse\tgriya\n")
    expected = [WordPair("house", "rumah"), WordPair("house", "griya")]
    assert read_lexicon(path) == (expected, {"phrase": 2, "same_spelling": 1, "duplicate": 1})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("house", "got 1 cells"),
        ("a\tb\tc\td", "got 4 cells"),
        ("\trumah", "English word is empty"),
        ("house\t \tfreedict", "target word is empty"),
    ],
)
def test_a_broken_line_is_named_with_its_file_and_number(lexicon, line, message):
    with pytest.raises(ValueError, match=rf"lexicon\.tsv, line 2: .*{message}"):
        read_lexicon(lexicon(f"book\tbuku\n{line}\n"))


@pytest.mark.parametrize("text", ["", "taxi\ttaxi\n"])
def test_a_lexicon_without_a_usable_pair_is_refused(lexicon, text):
    with pytest.raises(ValueError, match="no word pair is left"):
        read_lexicon(lexicon(text))


def test_words_are_written_as_in_running_text():
    written = [in_running_text(word) for word in ("house", "rumah", "школа", "房子", "บ้าน", "집")]
    assert written == [" house", " rumah", " школа", "房子", "บ้าน", " 집"]


def test_a_words_senses_are_the_mean_over_its_tokens(backpack, tokenizer):
    words = ["the", "window", "jendela", "memperpanjang"]
    rows = [tokenizer.encode(" " + word, add_special_tokens=False) for word in words]
    assert len(rows[0]) == 1 and len(set(map(len, rows))) > 2
    with torch.no_grad():
        expected = [sum(backpack.get_senses(torch.tensor([[i]]))[0, :, 0] for i in row) / len(row) for row in rows]
    senses = word_senses(backpack, tokenizer, words, batch_size=3)
    assert senses.dtype == torch.float32
    torch.testing.assert_close(senses, torch.stack(expected))


def test_senses_are_taken_without_dropout_and_the_model_left_as_it_was(backpack, tokenizer):
    expected = word_senses(backpack.eval(), tokenizer, ["window", "menu"])
    senses = word_senses(backpack.train(), tokenizer, ["window", "menu"])
    assert backpack.training
    backpack.eval()
    torch.testing.assert_close(senses, expected)


@pytest.mark.parametrize("words", [[], "house"])
def test_senses_need_a_list_of_words(backpack, tokenizer, words):
    with pytest.raises(ValueError, match="list of at least one word"):
        word_senses(backpack, tokenizer, words)


def test_independent_pairs_share_no_word_and_no_token(tokenizer):
    pairs = [
        WordPair("moon", "kaki"),
        WordPair("Moon", "sapi"),
        WordPair("belt", "Kaki"),
        WordPair("menu", "menunya"),
        WordPair("belt", "sapi"),
    ]
    shared = set(tokenizer.tokenize(" menu")) & set(tokenizer.tokenize(" menunya"))
    assert shared
    kept, dropped = independent_pairs(pairs, tokenizer)
    assert kept == [pairs[0], pairs[4]]
    assert dropped == {"repeated_source": 1, "repeated_target": 1, "shared_token": 1}


SOURCES = ["Open the window", "Close the window now", "2 words", ""]
TARGETS = ["Buka jendela", "Tutup jendela itu", "dua kata", "kosong"]


def word_cosines(model, tokenizer, source, target):
    with torch.no_grad():
        vectors = [
            [
                F.normalize(model.get_senses(torch.tensor([tokenizer.encode(" " + w)])).mean(2).sum(1)[0], dim=0)
                for w in s
            ]
            for s in (source, target)
        ]
    return [[float(a @ b) for b in vectors[1]] for a in vectors[0]]


def naive_mutual(cosines):
    best = [max(range(len(row)), key=row.__getitem__) for row in cosines]
    back = [max(range(len(cosines)), key=lambda i, j=j: cosines[i][j]) for j in range(len(cosines[0]))]
    return [(i, j) for i, j in enumerate(best) if back[j] == i]


def optimal_assignment(cosines):
    return list(zip(*linear_sum_assignment([[-c for c in row] for row in cosines]), strict=True))


@pytest.mark.parametrize(("matcher", "oracle"), [("mutual_argmax", naive_mutual), ("assignment", optimal_assignment)])
def test_words_are_matched_by_the_cosine_of_their_summed_senses(backpack, tokenizer, matcher, oracle):
    expected = {}
    for source, target in zip(SOURCES[:3], TARGETS, strict=False):
        source, target = [w for w in source.split() if w != "2"], target.split()
        cosines = word_cosines(backpack, tokenizer, source, target)
        for i, j in oracle(cosines):
            if cosines[i][j] >= -0.5:
                expected[WordPair(source[i], target[j])] = expected.get(WordPair(source[i], target[j]), 0) + 1
    pairs, dropped = align_words(
        backpack, tokenizer, SOURCES, TARGETS, matcher=matcher, min_cosine=-0.5, min_count=1, batch_size=2
    )
    assert sorted(pairs, key=repr) == sorted(expected, key=repr)
    assert dropped == {}


def test_pairs_matched_too_seldom_or_spelled_alike_are_dropped_and_counted(backpack, tokenizer):
    sources, targets = ["window", "window", "menu", "Taxi", "2"], ["jendela", "jendela", "daftar", "taxi", "dua"]
    pairs, dropped = align_words(backpack, tokenizer, sources, targets, min_cosine=-1.0)
    assert (pairs, dropped) == ([WordPair("window", "jendela")], {"rare": 1, "same_spelling": 1})


def test_pairs_matched_most_often_come_first(backpack, tokenizer):
    sources, targets = ["close"] * 2 + ["window"] * 3, ["tutup"] * 2 + ["jendela"] * 3
    pairs, _ = align_words(backpack, tokenizer, sources, targets, min_cosine=-1.0)
    assert pairs == [WordPair("window", "jendela"), WordPair("close", "tutup")]


def test_matches_below_the_least_cosine_are_left_out(backpack, tokenizer):
    (cosine,) = word_cosines(backpack, tokenizer, ["window"], ["jendela"])[0]
    options = {"min_count": 1}
    pairs, _ = align_words(backpack, tokenizer, ["window"], ["jendela"], min_cosine=cosine - 1e-3, **options)
    assert pairs == [WordPair("window", "jendela")]
    with pytest.raises(ValueError, match="No word pair"):
        align_words(backpack, tokenizer, ["window"], ["jendela"], min_cosine=cosine + 1e-3, **options)


def test_words_of_running_text_keep_apostrophes_and_hyphens_and_split_scripts_without_spaces(backpack, tokenizer):
    pairs, _ = align_words(backpack, tokenizer, ["don't"], ["anak-anak"], min_cosine=-1, min_count=1)
    assert pairs == [WordPair("don't", "anak-anak")]
    pairs, _ = align_words(backpack, tokenizer, ["house"] * 2, ["房", "子"], min_cosine=-1, min_count=1)
    assert {pair.target for pair in pairs} == {"房", "子"}
    pairs, _ = align_words(
        backpack, tokenizer, ["big house"], ["大房子"], matcher="assignment", min_cosine=-1, min_count=1
    )
    assert len(pairs) == 2 and all(pair.target in "大房子" and len(pair.target) == 1 for pair in pairs)


def test_an_unknown_matcher_is_refused(backpack, tokenizer):
    with pytest.raises(ValueError, match=r"assignment.*mutual_argmax.*got 'greedy'"):
        align_words(backpack, tokenizer, ["a"], ["b"], matcher="greedy")


def test_sentences_without_a_partner_are_refused(backpack, tokenizer):
    with pytest.raises(ValueError, match="got 2 and 1 sentences"):
        align_words(backpack, tokenizer, ["a", "b"], ["c"])


def test_sentences_without_a_word_are_refused(backpack, tokenizer):
    with pytest.raises(ValueError, match="no word in the 1 sentence pairs"):
        align_words(backpack, tokenizer, ["12"], ["..."])
