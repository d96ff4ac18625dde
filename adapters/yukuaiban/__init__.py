"""渝快办, the municipal service app of Chongqing (contract: yukuaiban, profile v1)."""
