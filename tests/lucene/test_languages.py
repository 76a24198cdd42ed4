"""Each language finds its words in other forms than the query's: particles, endings, or no spaces at all."""

import json
from pathlib import Path
from typing import Any

import pytest

from steper_ray.backends.index_facts import FACTS_FILE
from steper_ray.errors import EnvironmentFault, RunFolderError

pytestmark = pytest.mark.lucene

CORPORA = {
    "ko": [
        ["seoul", "서울", "서울은 대한민국의 수도이다."],
        ["busan", "부산", "부산에는 큰 항구가 있다."],
        ["bear", "반달", "숲에서 곰이 꿀을 먹는다."],
        ["author", "김민수", "김민수는 소설가이며 대구에서 태어났다."],
    ],
    "ja": [
        ["tokyo", "東京", "東京は日本の首都である。"],
        ["osaka", "大阪", "大阪には大きな城がある。"],
        ["runner", "田中", "田中は毎朝公園を走った。"],
        ["writer", "川野", "川野は京都で生まれた小説家である。"],
    ],
    "zh": [
        ["beijing", "北京", "北京是中国的首都。"],
        ["shanghai", "上海", "上海有一个很大的港口。"],
        ["cat", "动物", "黑猫在屋顶上睡觉。"],
        ["writer", "李明", "李明是出生于成都的小说家。"],
    ],
    "de": [["houses", "", "Die alten Häuser stehen leer."], ["trees", "", "Der Wald ist dunkel."]],
    "fr": [["horses", "", "Les chevaux traversent la rivière."], ["city", "", "Une ville au bord du lac."]],
}
QUERIES = [
    ("ko", "서울에서 무엇을 하나?", "seoul"),
    ("ko", "부산의 항구는", "busan"),
    ("ko", "곰을 보았다", "bear"),
    ("ko", "대구 출신의 작가", "author"),
    ("ja", "日本の首都はどこですか", "tokyo"),
    ("ja", "お城が大きい町", "osaka"),
    ("ja", "公園で走る人", "runner"),
    ("ja", "京都に生まれる", "writer"),
    ("zh", "哪座城市是首都", "beijing"),
    ("zh", "港口在哪里", "shanghai"),
    ("zh", "猫", "cat"),
    ("zh", "谁出生于成都", "writer"),
    ("de", "Welches Haus?", "houses"),
    ("fr", "un cheval", "horses"),
]


@pytest.fixture(scope="module")
def indexes(lucene: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("languages")
    for language, rows in CORPORA.items():
        lucene("build", folder=str(root / language), rows=rows, language=language)
    return {language: str(root / language) for language in CORPORA}


@pytest.mark.parametrize(("language", "query", "expected"), QUERIES)
def test_a_query_in_another_form_finds_the_passage(
    lucene: Any, indexes: dict[str, str], language: str, query: str, expected: str
) -> None:
    rows = {id: f"{title} {text}" for id, title, text in CORPORA[language]}
    words = {word.strip("?.。") for word in query.split()}
    shared = words & {word.strip("?.。") for word in rows[expected].split()}
    assert not shared, "a white-space analyzer would find it too"
    assert lucene("search", folder=indexes[language], query=query, k=1)[0][0] == expected


def test_thai_on_a_runtime_without_its_dictionary_is_a_fault_of_the_machine(lucene: Any, tmp_path: Path) -> None:
    if lucene("cuts_thai"):
        lucene("build", folder=str(tmp_path / "th"), rows=[["a", "", "กรุงเทพเป็นเมืองหลวง"]], language="th")
        assert lucene("search", folder=str(tmp_path / "th"), query="เมืองหลวง")[0][0] == "a"
        return
    with pytest.raises(EnvironmentFault, match=r"cannot cut Thai into words.*JAVA_HOME"):
        lucene("build", folder=str(tmp_path / "th"), rows=[["a", "", "กรุงเทพ"]], language="th")


def test_an_index_of_another_analyzer_is_refused(lucene: Any, tmp_path: Path) -> None:
    lucene("build", folder=str(tmp_path / "ko"), rows=CORPORA["ko"], language="ko")
    facts = json.loads((tmp_path / "ko" / FACTS_FILE).read_text())
    facts["analyzer"] = "org.apache.lucene.analysis.cjk.CJKAnalyzer"
    (tmp_path / "ko" / FACTS_FILE).write_text(json.dumps(facts))
    with pytest.raises(RunFolderError, match=r"built with org.*CJKAnalyzer, not .*index\.overwrite=true"):
        lucene("search", folder=str(tmp_path / "ko"), query="서울")
