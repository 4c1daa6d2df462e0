"""HTML templates: values are escaped, and a name that is missing is an error."""

import pytest
from jinja2 import UndefinedError

from ganforge.files import render_html


def test_values_are_escaped_and_missing_ones_are_errors(tmp_path):
    template = tmp_path / "page.html"
    template.write_text("<p>{{ text }}</p><script>{{ data | tojson }}</script>\n", encoding="utf-8")
    page = render_html(template, text="<b>", data={"b": "</script>", "a": [1, 2]})
    assert page == '<p>&lt;b&gt;</p><script>{"b":"\\u003c/script\\u003e","a":[1,2]}</script>\n'
    with pytest.raises(UndefinedError, match="'text' is undefined"):
        render_html(template, data={})
    with pytest.raises(ValueError, match="not JSON compliant"):
        render_html(template, text="", data=float("nan"))
