"""The studio: a page in the browser in which trained runs are tried, painted with, compared and trained."""
