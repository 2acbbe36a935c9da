"""Training of the codec and of its semantic teacher."""
