"""HOW kernels are measured, judged and drawn. Data goes one way:

registry -> case -> verify -> time -> saved run -> views
"""
