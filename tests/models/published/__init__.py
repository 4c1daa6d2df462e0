"""Settings that papers and their authors' code have published, a table a family."""

import pytest

pytest.register_assert_rewrite("tests.models.published.checks")
