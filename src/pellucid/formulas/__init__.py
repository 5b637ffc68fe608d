"""What has no network in it: a formula typed as text, traced gate by gate, and activation functions looked at."""
