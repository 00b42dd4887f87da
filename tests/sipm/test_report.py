"""The page of a mission shows what files hold as text, whatever is in it."""

from xcal_jax.sipm.report import table


def test_cells_of_a_table_are_text():
    page = table("<b>", ["<script>"], [("<script>alert(1)</script>", "±1", 5)])
    assert page.count("<script>") == 0 and page.count("&lt;script&gt;") == 2
    assert "<td>±1</td><td>5</td>" in page and "<caption>&lt;b&gt;</caption>" in page
