"""Who answers: language models and retrievers. The only package whose files know a vendor of either."""
