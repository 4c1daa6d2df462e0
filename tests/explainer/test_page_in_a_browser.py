"""A lesson's page in a real browser: both languages, with and without JavaScript."""

import pytest

from ganforge.explainer import explain
from tests.support.browser import chromium


@pytest.mark.parametrize("script", [True, False])
def test_both_languages_can_be_read(tmp_path, script):
    explain("dcgan", "tiny", html=tmp_path / "a.html")
    with chromium() as browser:
        page = browser.new_context(locale="ko-KR", java_script_enabled=script).new_page()
        requests = []
        page.on("request", lambda request: requests.append(request.url))
        page.goto((tmp_path / "a.html").as_uri())
        titles = {"en": "What it solves", "ko": "무엇을 푸는가"}
        if not script:
            page.click("label[for=show-ko]")
        assert titles["ko"] in page.inner_text("body")
        assert titles["en"] not in page.inner_text("body")
        page.click("label[for=show-en]")
        assert titles["en"] in page.inner_text("body")
        assert titles["ko"] not in page.inner_text("body")
        for formula in page.locator("svg.formula").all():
            box = formula.bounding_box()
            assert box["width"] > 20
            assert box["height"] > 8
        assert [url for url in requests if not url.startswith("file:")] == []
