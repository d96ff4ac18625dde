"""Any backend service of the post that takes the normalized order itself (contract: webhook)."""
