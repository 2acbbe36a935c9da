"""Training methods beside the loss of the codes: auxiliary losses and scheduled sampling."""
