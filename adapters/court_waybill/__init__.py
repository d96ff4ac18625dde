"""法院专递面单电子化, the courts' e-waybill (contract: court_waybill, profile v1)."""
