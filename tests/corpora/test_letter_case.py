import re

from sensia.corpora.letter_case import lowered


def test_the_turkish_capital_with_a_dot_stays_in_its_word():
    assert re.findall(r"\w+", lowered("\u0130sa geldi, \u0130\u015e")) == ["isa", "geldi", "i\u015f"]


def test_other_letters_are_those_of_python():
    assert lowered("Ärger I\u0131 ΣΑΣ") == "Ärger I\u0131 ΣΑΣ".lower()
