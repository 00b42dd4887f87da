"""CSV tables: read as they are, or one sentence with the line."""

import numpy as np
import pytest

from xcal_jax.io.tables import read_table


def written(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_numbers_words_remarks_and_lines(tmp_path):
    text = '\ufeff# source: by hand: mine\n# nothing said\n\n"name", a ,b\nx # y,1,0.1\n\n"u, v", 2e3 ,\n'
    table = read_table(written(tmp_path, text), "'a.csv'", words=("name",))
    assert list(table.columns) == ["name", "a", "b"]
    assert list(table.index) == [5, 7]
    assert list(table["name"]) == ["x # y", "u, v"]
    np.testing.assert_array_equal(table[["a", "b"]], [[1, 0.1], [2000, np.nan]])
    assert table.attrs == {"source": "by hand: mine"}


def test_a_header_alone_is_an_empty_table(tmp_path):
    assert read_table(written(tmp_path, "a,b\n"), "'a.csv'").shape == (0, 2)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "'a.csv' must have a header line"),
        ("# only: this\n", "'a.csv' must have a header line"),
        ("a,a\n1,2\n", "a name for each column, but has 'a,a'"),
        ("a,b\n1\n", "line 2 of 'a.csv' must have 2 columns as the header, but has 1"),
        ("a,b\n1,2\n\n1,2,3\n", "line 4 of 'a.csv' must have 2 columns as the header, but has 3"),
        ('a,b\n1,"2\n3"\n', "line 3 of 'a.csv' must have 2 columns as the header, but has 1"),
        ("a,b\n1,2\n3,soon\n", "line 3 of 'a.csv' must hold numbers, but its b is 'soon'"),
    ],
)
def test_malformed_tables_are_one_sentence(tmp_path, text, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        read_table(written(tmp_path, text), "'a.csv'")
    assert "\n" not in str(caught.value)


def test_no_file_and_no_text(tmp_path):
    with pytest.raises(ValueError, match=r"'a\.csv' must be a CSV file, but does not exist"):
        read_table(tmp_path / "a.csv", "'a.csv'")
    (tmp_path / "a.csv").write_bytes(b"a,b\n\xff\xfe,1\n")
    with pytest.raises(ValueError, match="in UTF-8, but is not text"):
        read_table(tmp_path / "a.csv", "'a.csv'")
