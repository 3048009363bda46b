"""A live page, an API and feeds over HTTP."""
