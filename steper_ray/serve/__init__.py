"""The student behind an HTTP endpoint: a Ray Serve application, started with `serve.run`, asked with `serve.ask`."""
