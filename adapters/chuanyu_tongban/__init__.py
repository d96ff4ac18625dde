"""川渝通办, matters that Chongqing and Sichuan handle for one another (contract: chuanyu_tongban, profile v1)."""
