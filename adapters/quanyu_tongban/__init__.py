"""全渝通办, the city-wide service counters of Chongqing (contract: quanyu_tongban, profile v1)."""
