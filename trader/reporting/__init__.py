"""What the book says about itself: reads only."""
