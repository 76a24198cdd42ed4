"""What those who watch are told: figures for Prometheus, and lines of JSON."""
