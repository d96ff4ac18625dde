"""govpost: an integration gateway and adapter library between China's government portals and the post."""
