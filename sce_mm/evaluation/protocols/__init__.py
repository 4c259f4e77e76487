"""Published evaluation protocols on frozen features."""
