"""What several wires share; no portal is named here."""
