"""Prompts, sampling, scoring and reports, which compare models under the same conditions."""
