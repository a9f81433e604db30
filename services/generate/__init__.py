"""generate: from retrieved passages to a sourced draft, or a refusal with its reason."""
