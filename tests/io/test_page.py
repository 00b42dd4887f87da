"""Pages: tables are text, numbers have their errors."""

from xcal_jax.io.page import number, table


def test_cells_of_a_table_are_text():
    page = table("<b>", ["<script>"], [("<script>alert(1)</script>", "±1", 5)])
    assert page.count("<script>") == 0 and page.count("&lt;script&gt;") == 2
    assert "<td>±1</td><td>5</td>" in page and "<caption>&lt;b&gt;</caption>" in page


def test_small_and_large_numbers_have_a_power_of_ten():
    assert number(3.14159e-5, 2.1e-7) == "(3.142 ± 0.021) × 10⁻⁵"
    assert number(3.14159, 0.21) == "3.14 ± 0.21"
