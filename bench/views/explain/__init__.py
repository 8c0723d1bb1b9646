"""The tables that say why: ladder, cost, overhead, scaling."""
