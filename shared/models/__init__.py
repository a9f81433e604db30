"""Model weights: what is let in, how it is stored and verified, where services find it.

Services use `shared.models.local.local`; operators use `sourcier models`.
"""
