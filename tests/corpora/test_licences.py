"""Licences by every usual spelling, and what they demand."""

import re

import pytest

from sensia.corpora.licences import HUB_LICENCES, demands_of, find_licence, licences_in, told

SPELLINGS = {
    "apache-2.0": "Apache-2.0|Apache 2.0|apache2|Apache License, Version 2.0|The Apache License 2.0|APACHE|Apache_2.0",
    "mit": "MIT|mit|The MIT License|  MIT  |https://opensource.org/licenses/MIT",
    "cc-by-sa-4.0": "CC BY-SA 4.0|cc-by-sa-4.0|CC_BY_SA_4|Creative Commons Attribution-ShareAlike 4.0 International|"
    "https://creativecommons.org/licenses/by-sa/4.0/|CC BY\u2011SA 4.0",
    "cc-by-nc-nd-4.0": "CC BY-NC-ND 4.0|Creative Commons Attribution-NonCommercial-NoDerivatives 4.0",
    "cc0-1.0": "CC0|CC0 1.0 Universal|Creative Commons Zero v1.0 Universal|cc zero",
    "gpl-3.0": "GPLv3|GPL-3.0-or-later|GPL 3|GNU GPL v3|GNU General Public License v3.0|GPLv3+",
    "agpl-3.0": "AGPL|AGPLv3|GNU Affero General Public License v3",
    "lgpl-2.1": "LGPLv2.1|GNU Lesser General Public License, version 2.1",
    "bsd-3-clause": 'BSD-3-Clause|BSD 3|3-clause BSD|New BSD License|BSD 3-Clause "New" or "Revised" License',
    "mpl-2.0": "MPL|MPL 2.0|Mozilla Public License Version 2.0",
    "odbl": "ODbL|ODbL-1.0|Open Database License",
    "llama3.1": "Llama 3.1|llama-3.1",
    "openrail++": "OpenRAIL++",
    "other": "Other",
}


@pytest.mark.parametrize(
    ("text", "name"), [(text, name) for name, texts in SPELLINGS.items() for text in texts.split("|")]
)
def test_usual_spellings_are_the_hubs_identifier(text, name):
    assert find_licence(text, "model_license") == name


def test_an_identifier_is_itself_in_any_case():
    for name in HUB_LICENCES:
        assert find_licence(name, "x") == find_licence(name.upper(), "x") == name


def test_the_hub_and_nobody_else_names_them():
    assert set(HUB_LICENCES) == pytest.importorskip("hubserver.cards").LICENSES


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("mitt", "Did you mean `mit`"),
        ("cc-by-sa-5.0", "Did you mean `cc-by-sa-4.0`"),
        ("CC BY", "`cc-by-2.0` or `cc-by-2.5` or `cc-by-3.0` or `cc-by-4.0`"),
        ("PSF-2.0", "set `model_license` to other and give `model_license_name`"),
        ("", "such as apache-2.0"),
        (2.0, "got 2.0"),
    ],
)
def test_an_unknown_licence_is_refused_with_the_nearest(text, nearest):
    with pytest.raises(ValueError, match=re.escape(nearest)):
        find_licence(text, "model_license")


@pytest.mark.parametrize(
    ("text", "demands"),
    [
        ("CC0-1.0", "nothing"),
        ("MIT", "attribution"),
        ("mpl-2.0", "attribution and copyleft"),
        ("CC BY-NC-SA 4.0", "attribution, share-alike and non-commercial use"),
        ("CC-BY-ND-3.0", "attribution and no derivatives"),
        ("CC-BY-3.0-IGO", "attribution"),
        ("Apache-2.0 AND CC0-1.0 AND MPL-2.0 AND PSF-2.0", "attribution and copyleft"),
        ("mit and cc-by-nc-4.0", "attribution and non-commercial use"),
        ("MIT OR GPL-3.0-only", "attribution"),
    ],
)
def test_what_licences_demand(text, demands):
    found = demands_of(text)
    assert found is not None and told(found) == demands


@pytest.mark.parametrize("text", ["custom terms", "cc", "unknown", "other", "MIT AND custom terms", "GPL-2.0 WITH x"])
def test_what_nobody_can_say_is_not_said(text):
    assert demands_of(text) is None


def test_a_statement_names_its_licences():
    assert licences_in("Apache-2.0 AND MPL 2.0, PSF-2.0") == ["apache-2.0", "mpl-2.0", "PSF-2.0"]
