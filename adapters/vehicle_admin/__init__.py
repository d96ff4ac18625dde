"""车管 便民通: vehicle offices behind the traffic police's out-access service (contract: vehicle_admin, profile v1)."""
