"""One self-contained page of everything that is known of a source; nothing is loaded from elsewhere."""
